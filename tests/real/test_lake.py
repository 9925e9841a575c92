"""Sentinel-2 and Landsat 8 of one lake, two clear days apart: their reflectances must agree."""

from dataclasses import dataclass

import numpy as np
import pytest
import rasterio.warp
import xarray as xr

from pipeline import cube, sensors
from pipeline.grid import make_grid
from pipeline.run import observations
from pipeline.run.common.scenes import scenes_of
from pipeline.types import Code, is_usable
from tests.real.real_catalogue import LAKE_LANDSAT, LAKE_SENTINEL, LANDSAT_BANDS

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
SENSORS = ("landsat", "sentinel-2")
HARMONIZED = ("coastal", "blue", "green", "red", "nir", "swir16", "swir22")

ROUNDED = 6e-5
"""Composites are stored in steps of 1e-4."""


@pytest.fixture(scope="module")
def scenes(lake, lake_items) -> xr.Dataset:
    """Both scenes on the grid of the store, Landsat first."""
    found = scenes_of(lake_items)
    geobox = lake.archive.grid.geobox
    return cube.open_cube(found, lake_items, geobox, BANDS, chunk_px=512).compute()


@pytest.fixture(scope="module")
def masks(lake) -> np.ndarray:
    """Codes (sensor, y, x), Landsat first."""
    archive = lake.archive
    return np.stack([archive.masks(name)["mask"].isel(time=0).to_numpy() for name in SENSORS])


@dataclass(frozen=True)
class Comparison:
    """How Landsat's reflectance of a band differs from Sentinel-2's."""

    band: str
    sentinel: float
    landsat: float
    """Medians."""
    difference: float
    """Median of Landsat less Sentinel-2."""
    rmse: float
    correlation: float
    slope: float
    """Least squares, Landsat on Sentinel-2: below one where one is blurred or noisy."""

    @classmethod
    def of(cls, band: str, landsat: np.ndarray, sentinel: np.ndarray) -> "Comparison":
        landsat, sentinel = landsat.astype(np.float64), sentinel.astype(np.float64)
        return cls(
            band=band,
            sentinel=float(np.median(sentinel)),
            landsat=float(np.median(landsat)),
            difference=float(np.median(landsat - sentinel)),
            rmse=float(np.sqrt(np.mean((landsat - sentinel) ** 2))),
            correlation=float(np.corrcoef(sentinel, landsat)[0, 1]),
            slope=float(np.polyfit(sentinel, landsat, 1)[0]),
        )

    def __str__(self) -> str:
        return (
            f"  {self.band:7}{self.sentinel:8.4f}{self.landsat:9.4f}{self.difference:+12.4f}"
            f"{self.rmse:9.4f}{self.correlation:8.3f}{self.slope:8.3f}"
        )


def test_both_sensors_went_through(lake):
    assert lake.record.items == (LAKE_LANDSAT, LAKE_SENTINEL)
    assert lake.record.dropped == ()
    assert lake.record.complete == lake.record.expected == 4
    assert "before 04.00" in lake.record.radiometry[LAKE_SENTINEL]
    assert "2.75e-5" in lake.record.radiometry[LAKE_LANDSAT]
    assert set(lake.record.models) == set(SENSORS)
    assert lake.archive.sensors == SENSORS


def test_a_clear_day_is_clear(masks):
    for name, mask in zip(SENSORS, masks, strict=True):
        seen = mask[mask != Code.NO_DATA]
        print(f"\n{name}: {is_usable(seen).mean():.4%} of {seen.size} pixels are clear")
        assert is_usable(seen).mean() > 0.99


def test_the_sensors_agree(scenes, masks):
    """Bounds are a little above what was seen: a wrong offset or scale is off by far more."""
    both = is_usable(masks).all(axis=0)
    table = [
        Comparison.of(band, *(scenes[band].to_numpy()[at][both] for at in (0, 1)))
        for band in BANDS
    ]
    print(f"\n{both.sum()} pixels of 60 m, Landsat 8 on 2 August, Sentinel-2 on 4 August 2020")
    print("  band   median S2      L8   median L8-S2   RMSE       r   slope")
    print("\n".join(map(str, table)))
    assert both.sum() > 100_000
    for row in table:
        # Short-wave infrared: Landsat is 8 to 15 % darker in proportion, and both are near zero over
        # water, so that no offset is wrong. Blue: Landsat's correction takes turbid water for haze.
        assert abs(row.difference) < (0.02 if row.band.startswith("swir") else 0.01), row
        assert row.rmse < 0.03, row
        assert row.correlation > (0.7 if row.band == "blue" else 0.9), row
    (nir,) = (row for row in table if row.band == "nir")
    assert 0.85 < nir.slope < 1.05


def test_both_see_dark_water_and_green_fields(scenes, masks):
    both = is_usable(masks).all(axis=0)
    nir, red, green = (scenes[band].to_numpy() for band in ("nir", "red", "green"))
    water = both & ((green - nir) / (green + nir) > 0.3).all(axis=0)
    assert water.sum() > 1000
    for at, name in enumerate(SENSORS):
        ndvi = (nir[at] - red[at]) / (nir[at] + red[at])
        print(
            f"\n{name}: near infrared of water {np.median(nir[at][water]):.4f}, "
            f"NDVI of the rest {np.median(ndvi[both & ~water]):.3f}"
        )
        assert 0.0 < np.median(nir[at][water]) < 0.03
        assert np.median(ndvi[both & ~water]) > 0.7


def test_harmonized_sensors_agree_better(real, lake_items, tmp_path):
    """The table of docs/composites.md; the lake was clear, so that no mask is needed."""
    geobox = make_grid(real.job("lake", LAKE_LANDSAT, tmp_path)).geobox
    before, after = (
        cube.open_measured(
            scenes_of(lake_items), lake_items, geobox, HARMONIZED, chunk_px=1024, adjust=adjust
        ).compute()
        for adjust in (None, sensors.Adjust(harmonize="hls"))
    )
    rows = {}
    for band in HARMONIZED:
        both = np.isfinite(before[band].to_numpy()).all(axis=0)
        raw, adjusted = (
            Comparison.of(band, *(each[band].to_numpy()[at][both] for at in (0, 1)))
            for each in (before, after)
        )
        rows[band] = raw, adjusted
        print(f"\n{raw}\n{adjusted}")
        assert adjusted.landsat == raw.landsat
    raw, adjusted = rows.pop("coastal")
    # Worse, by about its whole adjustment.
    assert abs(adjusted.difference - raw.difference) < 4e-4
    for raw, adjusted in rows.values():
        assert abs(adjusted.difference) < abs(raw.difference), (raw, adjusted)
        assert adjusted.rmse < raw.rmse + 1e-5, (raw, adjusted)
    assert abs(rows["blue"][1].difference) < 0.2 * abs(rows["blue"][0].difference)


@pytest.mark.parametrize("role", BANDS)
def test_the_sensors_lie_on_each_other(role, scenes):
    """Landsat's pixels start a quarter of a 60 m pixel off the grid; nothing of it may be left."""
    landsat, sentinel = scenes[role].to_numpy()
    shift = [abs(each) * 60 for each in _shift_px(landsat, sentinel)]
    print(f"\n{role}: shifted by {shift[0]:.1f} m along y, {shift[1]:.1f} m along x")
    # Sentinel-2 of 2020 is placed to 12 m; what was seen is 8 to 11 m and 2 to 3 m.
    assert max(shift) < 15


def _shift_px(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the (y, x) shift at which two images correlate best, by a parabola through three."""

    def peak(axis: int) -> float:
        before, at, after = (_correlation(one, np.roll(other, by, axis)) for by in (-1, 0, 1))
        assert at > max(before, after)
        return (before - after) / (2 * (before - 2 * at + after))

    return peak(0), peak(1)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    return float(np.corrcoef(one[both], other[both])[0, 1])


@pytest.mark.parametrize("role", BANDS)
def test_landsat_is_what_gdal_averages(role, scenes, real):
    """GDAL weighs pixels by area, we take the mean of blocks and interpolate: one mean, nearly one value."""
    source = real.source(LAKE_LANDSAT)
    band = LANDSAT_BANDS["nir08" if role == "nir" else role]
    averaged = np.full(scenes[role].shape[1:], np.nan, np.float32)
    geobox = scenes.odc.geobox
    rasterio.warp.reproject(
        source.read(band) * np.float32(2.75e-5) - np.float32(0.2),
        averaged,
        src_transform=source.profile["transform"],
        src_crs=source.profile["crs"],
        src_nodata=np.nan,
        dst_transform=geobox.transform,
        dst_crs=str(geobox.crs),
        dst_nodata=np.nan,
        resampling=rasterio.warp.Resampling.average,
    )
    ours = scenes[role].isel(time=0).to_numpy()
    both = np.isfinite(ours) & np.isfinite(averaged)
    assert both.sum() > 100_000
    difference = ours[both] - averaged[both]
    assert abs(difference.mean()) < 1e-4
    assert difference.std() < 0.2 * averaged[both].std()


def test_the_composite_takes_both(lake, scenes, masks):
    composite = lake.archive.composite("all").isel(time=0)
    np.testing.assert_array_equal(composite["count"], is_usable(masks).sum(axis=0))
    assert (composite["count"] == 2).sum() > 100_000
    usable = xr.DataArray(is_usable(masks), dims=("time", "y", "x"))
    for band in BANDS:
        # The median of two is their mean; beyond Landsat's edge it is Sentinel-2 alone.
        expected = scenes[band].where(usable).mean("time")
        np.testing.assert_allclose(composite[band], expected, atol=ROUNDED)


def test_a_store_opens_its_scenes_again(lake, scenes):
    archive = lake.archive
    again = observations(archive, BANDS)(lake.job.period, archive.grid.geobox).compute()
    for band in BANDS:
        np.testing.assert_array_equal(again[band], scenes[band])
