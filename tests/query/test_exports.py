"""What is written is read back by those who do not know us: xarray, rioxarray, odc-geo, GDAL."""

import warnings
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import odc.geo.xr
import pyproj
import pytest
import rasterio
import rasterio.shutil
import rioxarray
import shapely
import xarray as xr
import zarr
import zarr_cm
from affine import Affine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate

from pipeline import query
from pipeline.errors import QueryError
from pipeline.store.arrays import layout
from pipeline.types import LEGEND, Period

NAMES = [entry.label for entry in LEGEND]
COLOURS = {
    int(entry.code): (*bytes.fromhex(entry.colour[1:]), 255 if entry.code else 0)
    for entry in LEGEND
}
CORNERS = {
    "EPSG:32632": (500_000, 5_300_000),
    "EPSG:32733": (300_000, 8_000_000),
    "EPSG:3035": (4_321_000, 3_210_000),
    "EPSG:3031": (-1_000_020, 1_500_000),
    "EPSG:3413": (-200_000, -1_800_000),
    "EPSG:6933": (1_000_000, 4_000_000),
}
EPOCH = np.datetime64("1970-01-01", "us")
SUFFIXES = (".zarr", ".nc", ".tif")

laws = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def opened(path, **settings) -> xr.Dataset:
    """Open a file as somebody would who knows nothing of it; any warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # h5netcdf warns of its own future.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        engine = {"engine": "zarr"} if path.suffix == ".zarr" else {}
        return xr.open_dataset(path, **engine, **settings).load()


def gdal_name(path, variable: str) -> str:
    if path.suffix == ".zarr":
        return f'ZARR:"{path}":/{variable}'
    return f"NETCDF:{path}:{variable}" if path.suffix == ".nc" else str(path)


def as_gdal_tells(path, tmp_path) -> list[ET.Element]:
    """Return GDAL's bands of a raster, with what rasterio has no words for."""
    rasterio.shutil.copy(path, tmp_path / "told.vrt", driver="VRT")
    return ET.parse(tmp_path / "told.vrt").findall("VRTRasterBand")


def region_of(crs: str, resolution: float, shape: tuple[int, int]) -> GeoBox:
    x, y = CORNERS[crs]
    return GeoBox(shape, Affine(resolution, 0, x, 0, -resolution, y), crs)


@st.composite
def masks(draw) -> xr.Dataset:
    """Masks as a selection has them: any CRS, size and times, cut out of something larger."""
    crs, resolution = draw(st.sampled_from(sorted(CORNERS))), draw(st.sampled_from([10, 30]))
    ny, nx, n = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(1, 4))
    micro = draw(
        st.lists(
            st.integers(0, 2_000_000_000)
            | st.integers(0, 2_000_000_000_000_000).map(lambda t: t),
            min_size=n,
            max_size=n,
            unique=True,
        )
    )
    step = draw(st.sampled_from([1, 1000, 1_000_000, 86_400_000_000]))
    times = EPOCH + np.array(sorted({each // step * step for each in micro}), "m8[us]")
    n = times.size
    coords = odc.geo.xr.xr_coords(region_of(crs, resolution, (ny + 7, nx + 5)))
    codes = np.random.default_rng(ny * 41 + nx).integers(0, 7, (n, ny + 7, nx + 5), np.uint8)
    whole = xr.Dataset(
        {"mask": (("time", "y", "x"), codes, dict(layout.MASK_ATTRIBUTES))},
        coords={
            **coords,
            "time": times.astype("M8[ns]"),
            "sensor": ("time", np.array(["landsat"] * n, object)),
            "platform": ("time", np.array(["landsat-8/landsat-9"] * n, object)),
        },
    )
    for name in ("grid_mapping", "coordinates"):
        whole["mask"].attrs.pop(name)
    whole["mask"].encoding["grid_mapping"] = "spatial_ref"
    return whole.isel(y=slice(3, 3 + ny), x=slice(2, 2 + nx))


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
@laws
@given(dataset=masks())
def test_masks_come_back_with_dates_and_place(tmp_path_factory, suffix, dataset):
    path = query.export(dataset, tmp_path_factory.mktemp("law") / f"masks{suffix}")
    read = opened(path)
    assert read["mask"].dtype == np.uint8
    np.testing.assert_array_equal(read["mask"], dataset["mask"])
    assert read["time"].dtype.kind == "M"
    for name in ("time", "y", "x", "sensor", "platform"):
        np.testing.assert_array_equal(read[name], dataset[name])
    assert read.rio.crs == read["mask"].rio.crs == rasterio.CRS.from_epsg(dataset.odc.crs.epsg)
    assert read["mask"].odc.geobox == dataset.odc.geobox
    # Both from the coordinates and as it is written down.
    for recalc in (False, True):
        if recalc and 1 in read["mask"].shape[1:]:
            continue
        assert read.rio.transform(recalc=recalc)[:6] == pytest.approx(
            dataset.odc.geobox.affine[:6]
        )


@laws
@given(dataset=masks())
def test_masks_of_any_kind_are_paletted_geotiffs(tmp_path_factory, dataset):
    folder = tmp_path_factory.mktemp("law")
    path = query.export(dataset, folder / "masks.tif")
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(), dataset["mask"])
        assert raster.crs.to_epsg() == dataset.odc.crs.epsg
        assert raster.transform == dataset.odc.geobox.affine
        assert set(raster.colorinterp) == {ColorInterp.palette}
        assert {code: raster.colormap(1)[code] for code in COLOURS} == COLOURS
        assert (raster.nodata, len(set(raster.descriptions))) == (0, dataset.sizes["time"])
    for band in as_gdal_tells(path, folder):
        assert [each.text for each in band.findall("CategoryNames/Category")] == NAMES


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_gdal_opens_what_is_not_a_tiff(region, tmp_path, suffix):
    """QGIS comes with a GDAL that knows no shards, and no Zarr 3 as it is written today."""
    aoi = region.aoi(((20, 30), (100, 40), (60, 120)))
    selected = query.select_masks(region.masks, aoi)
    for variable, dataset in {"mask": selected, "red": region.archive.composite("all")}.items():
        path = query.export(dataset, tmp_path / f"{variable}{suffix}")
        with rasterio.open(gdal_name(path, variable)) as raster:
            assert raster.crs.to_epsg() == 32632
            assert raster.transform == dataset.odc.geobox.affine
            np.testing.assert_array_equal(raster.read(), dataset[variable])


def test_rioxarray_opens_netcdf_through_gdal(region, tmp_path):
    selected = query.select_masks(region.masks, None)
    path = query.export(selected, tmp_path / "masks.nc")
    read = rioxarray.open_rasterio(path)
    read = read if isinstance(read, xr.DataArray) else read["mask"]
    assert read.rio.crs.to_epsg() == 32632
    assert f"{read['time'].to_numpy()[0]:%Y-%m-%d %H:%M:%S}" == "2026-06-01 10:30:20"


def test_a_selection_knows_its_own_corner(region):
    selected = query.select_masks(region.masks, region.box(20, 30, 60, 70))
    assert selected.rio.transform() == selected.odc.geobox.affine


def test_zarr_is_consolidated_and_unsharded(region, tmp_path):
    path = query.export(region.masks["landsat"], tmp_path / "masks.zarr")
    assert opened(path, consolidated=True)["mask"].encoding["shards"] is None


def test_a_zarr_export_says_where_its_own_pixels_lie(region, tmp_path):
    selected = query.select_masks(region.masks, region.box(20, 30, 60, 70))
    path = query.export(selected, tmp_path / "part.zarr")
    said = dict(zarr.open_group(path, mode="r").attrs)
    zarr_cm.validate_all(said)
    assert {*zarr_cm.extract_all(said)[1]} == {"proj", "spatial"}
    geobox = opened(path, decode_coords="all").odc.geobox
    assert said["spatial:shape"] == [*geobox.shape]
    assert said["spatial:bbox"] == [*geobox.boundingbox.bbox]
    assert said["proj:code"] == f"EPSG:{geobox.crs.epsg}"


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_days_of_a_composite_are_dates_or_none(region, tmp_path, suffix):
    composite = region.archive.composite("all").load()
    composite["day"][0, :3, :4] = [[-1, 0, 19_500, 20_000]] * 3
    read = opened(query.export(composite, tmp_path / f"all{suffix}"), decode_coords="all")
    assert read["day"].dtype.kind == "M"
    assert np.isnat(read["day"].to_numpy()[0, 0, 0])
    assert read["day"].to_numpy()[0, 0, 2] == np.datetime64("2023-05-23")
    np.testing.assert_array_equal(read["time_bnds"], composite["time_bnds"])
    for name in ("red", "nir", "count", "source"):
        assert read[name].dtype == composite[name].dtype
        np.testing.assert_array_equal(read[name], composite[name])


def test_composites_are_shown_in_true_colour_and_nothing_is_no_day(region, tmp_path):
    composite = region.archive.composite("all").load()
    composite["day"][0, 0, 0] = composite["source"][0, 0, 0] = -1
    composite = composite.assign(green=composite["red"], blue=composite["red"])
    with rasterio.open(query.export(composite, tmp_path / "all.tif")) as raster:
        bands = {each.split()[-1]: at for at, each in enumerate(raster.descriptions)}
        for colour in ("red", "green", "blue"):
            assert raster.colorinterp[bands[colour]] == ColorInterp[colour]
        assert raster.colorinterp[bands["nir"]] == ColorInterp.undefined
        assert raster.units[bands["day"]] == "days since 1970-01-01"
        for name in ("day", "source"):
            assert np.isnan(raster.read(bands[name] + 1)[0, 0])
    assert [path.name for path in tmp_path.iterdir()] == ["all.tif"]


def test_confidence_stays_beside_the_mask(region, tmp_path):
    masks = region.masks["landsat"].isel(time=[0])
    masks = masks.assign(confidence=masks["mask"].copy(data=masks["mask"].to_numpy() * 10))
    with rasterio.open(query.export(masks, tmp_path / "both.tif")) as raster:
        assert raster.dtypes == ("uint8", "uint8")
        assert raster.colorinterp == (ColorInterp.palette, ColorInterp.gray)
        assert raster.units[1] == "%"
        np.testing.assert_array_equal(raster.read(2), masks["confidence"].to_numpy()[0])
        assert raster.colormap(1)[1] == COLOURS[1]


def test_qgis_finds_a_style_where_a_tiff_has_no_place_for_one(region, tmp_path):
    several = query.select_masks(region.masks, None)
    query.export(several, tmp_path / "m.tif")
    style = ET.parse(tmp_path / "m.qml")
    assert style.find("pipe/rasterrenderer").attrib["type"] == "paletted"
    shown = {each.get("label"): each.get("color") for each in style.iter("paletteEntry")}
    assert shown == {entry.label: entry.colour for entry in LEGEND}
    # One scene has its colours in the file itself; what spoke of the others goes.
    query.export(several.isel(time=[0]), tmp_path / "m.tif", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tif", "m.tif.aux.xml"]
    (tmp_path / "m.qml").write_text("a style of the user")
    query.export(several, tmp_path / "m.tif", overwrite=True)
    assert (tmp_path / "m.qml").read_text() == "a style of the user"
    query.export(region.archive.composite("all"), tmp_path / "m.tif", overwrite=True)
    assert not (tmp_path / "m.tif.aux.xml").exists()


def test_scenes_of_one_second_are_told_apart(region, tmp_path):
    one = region.masks["landsat"].isel(time=[0, 1])
    first = one["time"].to_numpy()[0]
    both = one.assign_coords(time=[first, first + np.timedelta64(1, "us")])
    with rasterio.open(query.export(both, tmp_path / "m.tif")) as raster:
        assert raster.descriptions == (
            "2026-06-01T10:30:20.000000Z",
            "2026-06-01T10:30:20.000001Z",
        )
    read = opened(query.export(both, tmp_path / "m.nc"))
    assert (read["time"].to_numpy() == both["time"].to_numpy()).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lazy_pixels_are_written_too(region, tmp_path, suffix):
    """Dask's chunks need not be those of the file."""
    lazy = region.archive.masks("landsat", chunks={"y": 48, "x": 50})
    path = query.export(lazy, tmp_path / f"x{suffix}")
    expected = np.maximum(region.whole["landsat"], 0)
    if suffix == ".tif":
        with rasterio.open(path) as raster:
            np.testing.assert_array_equal(raster.read(), expected)
    else:
        np.testing.assert_array_equal(opened(path)["mask"], expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_not_written(region, tmp_path, suffix):
    late = datetime(2050, 1, 1, tzinfo=UTC)
    nothing = query.select_masks(
        region.masks, None, Period(start=late, end=late.replace(year=2051))
    )
    with pytest.raises(QueryError, match="no scenes"):
        query.export(nothing, tmp_path / f"x{suffix}")
    assert list(tmp_path.iterdir()) == []


AOI = ((20, 30), (100, 40), (60, 120))


def test_bands_of_an_area_are_a_cog_of_the_stored_numbers(region, tmp_path):
    """Nothing is rounded a second time, and what lies beside the area is no data."""
    whole = region.archive.composite("all")
    cut = query.select_composite(whole, region.aoi(AOI), bands=["nir", "red"])
    path = query.export(cut, tmp_path / "cut.tif")
    assert cog_validate(path, strict=True)[0]
    read = rioxarray.open_rasterio(path, mask_and_scale=True)
    assert read.attrs["long_name"] == ("nir", "red")
    left, top = map(round, ~region.grid.geobox.affine @ (cut.odc.geobox.affine @ (0, 0)))
    ys, xs = (slice(at, at + n) for at, n in zip((top, left), read.shape[1:], strict=True))
    inside = shapely.contains_xy(region.aoi(AOI), *lonlat(read))
    for number, name in enumerate(("nir", "red")):
        expected = whole[name][0, ys, xs].to_numpy()
        np.testing.assert_allclose(read[number], np.where(inside, expected, np.nan), rtol=1e-6)
    with rasterio.open(path) as raster:
        assert (raster.dtypes[0], raster.nodata, raster.scales) == (
            "int16",
            -32768,
            (1e-4, 1e-4),
        )
        assert raster.colorinterp == (ColorInterp.undefined, ColorInterp.red)
        assert raster.tags(1)["time"] == "2026-06-01T10:30:20.000000Z"


def lonlat(raster: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    to_degrees = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    return to_degrees.transform(*np.meshgrid(raster["x"], raster["y"]))


def test_beside_the_area_nothing_was_counted(region, tmp_path):
    cut = query.select_composite(region.archive.composite("all"), region.aoi(AOI))
    beside = np.isnan(cut["nir"].to_numpy())
    assert beside.any()
    assert not beside.all()
    for name, none in {"count": 0, "day": -1, "source": -1}.items():
        assert (cut[name].to_numpy()[beside] == none).all()
        assert cut[name].dtype == region.archive.composite("all")[name].dtype


def test_a_picture_is_stretched_and_clear_where_nothing_is_known(region, tmp_path):
    whole = region.archive.composite("all").load()
    three = whole.assign(green=whole["red"] + 0.1, blue=whole["red"] - 0.1)
    with rasterio.open(query.export(three, tmp_path / "all.png")) as raster:
        pixels = raster.read()
        assert raster.crs.to_epsg() == 32632
        assert raster.transform == whole.odc.geobox.affine
    assert (pixels[3] == np.where(np.isnan(three["red"][0]), 0, 255)).all()
    known = pixels[:3, pixels[3] > 0].astype(int)
    assert (known.min(), known.max()) == (0, 255)
    # One black and one white for all bands: what is brighter in one stays brighter.
    assert (known[1] >= known[0]).all()
    assert (known[0] >= known[2]).all()
    grey = query.export(whole[["nir"]], tmp_path / "nir.png")
    with rasterio.open(grey) as raster:
        assert raster.count == 2
    with pytest.raises(QueryError, match="red, green and blue"):
        query.export(whole[["nir", "red"]], tmp_path / "two.png")


def test_a_picture_of_a_mask_has_the_colours_of_the_legend(region, tmp_path):
    one = region.masks["landsat"].isel(time=[1])
    with rasterio.open(query.export(one, tmp_path / "mask.png")) as raster:
        np.testing.assert_array_equal(raster.read(1), one["mask"][0])
        assert {code: raster.colormap(1)[code] for code in COLOURS} == COLOURS


def test_what_there_is_is_named(region):
    whole = region.archive.composite("all")
    with pytest.raises(QueryError, match="it has red, nir, count, day, source"):
        query.select_composite(whole, bands=["green"])
    early = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2021, 1, 1, tzinfo=UTC))
    with pytest.raises(QueryError, match="periods begin at 2026-06-01"):
        query.select_composite(whole, period=early)
