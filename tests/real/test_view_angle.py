"""Sentinel-2 of one field, seen from both sides of the swath: reflectance must depend less on the side from nadir."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

from pipeline.sensors.adjust.brdf import Angles, c_factor

BANDS = {"red": "B04", "nir08": "B8A", "swir16": "B11", "swir22": "B12"}
NAME = "S2_L2A_{}_00002806639B424A_32631_2017-08-01_2018-11-30.nc"
GROUND = (4, 5, 6)
"""Vegetation, soil and water of SCL."""
NUMBERS = 60_000
"""Larger ones are no data."""


@pytest.fixture(scope="module")
def series(shared_data) -> xr.Dataset:
    """Dates of which nearly all is ground, without haze; the field lies in the overlap of two orbits."""
    fine, coarse = (
        xr.load_dataset(shared_data / "timeseries" / NAME.format(size), mask_and_scale=False)
        for size in ("10m", "20m")
    )
    half = fine.coarsen(x=2, y=2).mean().drop_vars(("x", "y"))
    whole = xr.merge([half, coarse.drop_vars(("x", "y"))], compat="override", join="exact")
    ground = whole["SCL"].isin(GROUND).mean(("y", "x")) > 0.95
    complete = (whole["B12"] < NUMBERS).mean(("y", "x")) > 0.95
    found = whole.isel(timestamp=np.flatnonzero(ground & complete))
    blue = found["B02"].median(("y", "x")).to_numpy() / 1e4
    beside = np.maximum(np.r_[blue[1:], blue[-1]], np.r_[blue[0], blue[:-1]])
    # One date in July is brighter in blue than those beside it by what screening takes for haze.
    return found.isel(timestamp=np.flatnonzero(blue <= 1.25 * beside + 0.02))


def angles(date: xr.Dataset) -> Angles:
    return Angles(
        sun_zenith=float(date["sunZenithAngles"]),
        view_zenith=float(date["viewZenithMean"]),
        azimuth=float(date["viewAzimuthMean"] - date["sunAzimuthAngles"]),
    )


def pairs(series: xr.Dataset) -> list[tuple[xr.Dataset, xr.Dataset]]:
    """Return dates up to eight days apart: with the sun behind the sensor, and from the other side."""
    found = []
    for n, m in pairwise(range(series.sizes["timestamp"])):
        pair = [series.isel(timestamp=at) for at in (n, m)]
        apart = pair[1]["timestamp"] - pair[0]["timestamp"]
        east = [float(each["viewAzimuthMean"]) < 180 for each in pair]
        if apart < np.timedelta64(8 * 24 + 1, "h") and east[0] != east[1]:
            found.append((pair[east.index(True)], pair[east.index(False)]))
    return found


def test_both_sides_agree_better_as_seen_from_nadir(series):
    """The figures of docs/composites.md."""
    means = {}
    for role, band in BANDS.items():
        differences = []
        for pair in pairs(series):
            seen = [each[band].to_numpy() for each in pair]
            both = np.logical_and(*(each < NUMBERS for each in seen))
            both &= np.logical_and(*(each["SCL"].isin(GROUND).to_numpy() for each in pair))
            medians = np.array([np.median(each[both]) / 1e4 for each in seen])
            factors = np.array([c_factor(role, angles(each)) for each in pair])
            assert factors[0] < 1 < factors[1]
            differences.append((medians[0] - medians[1], np.subtract(*(medians * factors))))
        means[role] = np.abs(differences).mean(axis=0)
        print(f"\n{role}: {np.round(differences, 4).tolist()} mean {np.round(means[role], 4)}")
    assert len(differences) >= 6
    for raw, adjusted in means.values():
        assert adjusted < raw
    assert means["swir16"][1] < 0.6 * means["swir16"][0]
