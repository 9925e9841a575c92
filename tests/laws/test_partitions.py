"""A scene cut by an MGRS border has the mask of the uncut one: items, COGs, cube and mask together."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dask
import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import mapping

from pipeline import cube, models, sensors
from pipeline.mask import read_geobox
from pipeline.mask.combined import mask_with_confidence
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.testing import WindowMeanModel
from pipeline.types import Code, Items, Lattice, Scene

ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")
LATTICE = Lattice(core_px=96, halo_px=16, blend_px=16, shift_px=24)
PROPERTIES = {
    "platform": "sentinel-2a",
    "s2:processing_baseline": "04.00",
    "earthsearch:boa_offset_applied": False,
}


def write_item(folder, name, bands, part):
    """Write the part (y, x), in units of the coarsest pixel, of bands (numbers, geobox) as an item."""
    coarsest = max(geobox.resolution.x for _, geobox in bands.values())
    folder.mkdir(parents=True, exist_ok=True)
    outline = None
    assets = {}
    for role, (numbers, geobox) in bands.items():
        times = round(coarsest / geobox.resolution.x)
        ys, xs = (slice(span.start * times, span.stop * times) for span in part)
        kept = geobox[ys, xs]
        outline = kept.geographic_extent.geom
        path = folder / f"{name}_{role}.tif"
        with rasterio.open(
            path,
            "w",
            driver="COG",
            width=kept.shape.x,
            height=kept.shape.y,
            count=1,
            dtype=numbers.dtype,
            crs=str(kept.crs),
            transform=kept.transform,
            nodata=0,
            blocksize=128,
            overview_count=2,
            overview_resampling="average",
        ) as raster:
            raster.write(numbers[ys, xs], 1)
        assets[role] = pystac.Asset(
            href=str(path),
            extra_fields={
                "proj:shape": list(kept.shape),
                "proj:transform": list(kept.transform)[:6],
            },
        )
    item = pystac.Item(
        id=name,
        geometry=mapping(outline),
        bbox=list(outline.bounds),
        datetime=datetime(2022, 10, 5, 11, 30, tzinfo=UTC),
        collection="sentinel-2-l2a",
        properties={"proj:epsg": kept.crs.epsg, **PROPERTIES},
    )
    for role, asset in assets.items():
        item.add_asset(role, asset)
    return item


def masked(items, model, geobox, chunk_px, workers):
    """Codes and confidence (2, y, x) of one scene of some items."""
    found = Items(items=tuple(items))
    scene = Scene(
        sensor=sensors.profile(items[0]).sensor,
        time=items[0].datetime,
        items=tuple(range(len(items))),
    )
    reads = read_geobox(model.card.lattice, geobox)
    opened = cube.open_cube([scene], found, reads, model.card.roles, chunk_px=chunk_px)
    with dask.config.set(scheduler="threads", num_workers=workers):
        return np.stack(dask.compute(*mask_with_confidence(opened, model, geobox)))[:, 0]


# -- scenes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ireland(shared_data):
    """Real numbers: 60 m, half under cloud, the -1000 offset still in them; 256 pixels of it."""
    path = shared_data / "imagery" / "S2A_L2A_20221005_T29UNU_60m_crop.tif"
    with rasterio.open(path) as raster:
        names = dict(zip(ROLES, ("B02", "B03", "B04", "B8A", "B11", "B12"), strict=True))
        index = {name: number for number, name in enumerate(raster.descriptions, start=1)}
        transform = raster.transform * Affine.translation(192, 192)
        geobox = GeoBox((256, 256), transform, str(raster.crs))
        window = ((192, 448), (192, 448))
        return {
            role: (raster.read(index[band], window=window), geobox)
            for role, band in names.items()
        }


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulated scene with bands of 10 and of 20 m: one tile of an archive, uncut."""
    settings = ArchiveSettings(size_px=336, sentinel2_dates=2, landsat_dates=0)
    folder = make_archive(tmp_path_factory.mktemp("archive"), settings, workers=1).parent
    path = max(folder.glob("sentinel-2-l2a/*/B02.tif"), key=lambda each: clouds(each.parent))
    names = dict(zip(ROLES, ("B02", "B03", "B04", "B08", "B11", "B12"), strict=True))
    bands = {}
    for role, band in names.items():
        with rasterio.open(path.parent / f"{band}.tif") as raster:
            geobox = GeoBox(raster.shape, raster.transform, str(raster.crs))
            bands[role] = raster.read(1), geobox
    return bands


def clouds(folder):
    with rasterio.open(folder / "SCL.tif") as raster:
        return float(np.isin(raster.read(1), (8, 9, 10)).mean())


@dataclass(frozen=True)
class Border:
    """A scene as one item, as two that overlap at a border, and the grid on which it is masked."""

    uncut: list[pystac.Item]
    halves: list[pystac.Item]
    geobox: GeoBox


FINEST, COARSEST = min, max
"""Which band's pixels are the grid's."""


@pytest.fixture(
    params=[
        ("ireland", COARSEST),
        ("simulated", COARSEST),
        # Bands of 20 m are interpolated: at an edge without what lies beyond it.
        ("simulated", FINEST),
    ],
    ids=["ireland", "simulated", "simulated-interpolated"],
)
def border(request, tmp_path):
    name, which = request.param
    bands = request.getfixturevalue(name)
    grids = [geobox for _, geobox in bands.values()]
    height, width = max(grids, key=lambda each: each.resolution.x).shape
    rows, middle = slice(0, height), width // 2 + 5
    return Border(
        uncut=[write_item(tmp_path, "uncut", bands, (rows, slice(0, width)))],
        # Tiles of the MGRS overlap by 9.8 km; these by 20 of the coarsest pixels.
        halves=[
            write_item(tmp_path, "west", bands, (rows, slice(0, middle))),
            write_item(tmp_path, "east", bands, (rows, slice(middle - 20, width))),
        ],
        # Windows beyond the scene, too.
        geobox=which(grids, key=lambda each: each.resolution.x).pad(8),
    )


# -- the law -----------------------------------------------------------------------------------


def check(border, model, least):
    whole = masked(border.uncut, model, border.geobox, 256, 2)
    shares = {Code(code): (whole[0] == code).mean() for code in np.unique(whole[0])}
    assert shares.pop(Code.NO_DATA)
    # A mask of one class would show no border.
    assert sorted(shares.values())[-2] > least, shares
    np.testing.assert_array_equal(masked(border.halves, model, border.geobox, 256, 2), whole)
    # Whichever is on top, and whatever the chunks.
    np.testing.assert_array_equal(
        masked(border.halves[::-1], model, border.geobox, 100, 1), whole
    )
    # Each half by itself is seen otherwise up to the border: the law is not empty.
    alone = masked(border.halves[:1], model, border.geobox, 256, 2)
    assert (alone != whole)[:, alone[0] != Code.NO_DATA].any()


def test_a_border_leaves_no_trace(border):
    check(border, WindowMeanModel(LATTICE, ROLES), 0.1)


class OnLattice:
    """A network on smaller windows than its own."""

    def __init__(self, model):
        self.model = model
        self.card = replace(model.card, lattice=LATTICE)

    def predict(self, windows):
        return self.model.predict(windows)


@pytest.mark.slow
def test_a_border_leaves_no_trace_of_a_network(border):
    options = {"precision": "auto"}
    card = models.resolve("ukis-csmask", level="L2A", roles=ROLES, options=options)
    check(border, OnLattice(models.load(card)), 0.02)
