"""An archive against its truth, with numbers worked out by hand."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from odc.geo.xr import xr_coords

from pipeline.errors import QueryError
from pipeline.evaluate import against_truth

BANDS = ("blue", "green", "red", "nir", "swir16")


def masks_of(geobox, codes, times):
    """Codes (time, y, x) as a mask dataset."""
    coords = {"time": times, **xr_coords(geobox)}
    return xr.Dataset(
        {"mask": (("time", "y", "x"), np.asarray(codes, np.uint8))}, coords=coords
    )


@pytest.fixture
def masks(geobox, truth):
    """A row too many of cloud and none of shadow in the first scene, perfect ones after."""
    times = truth["time"].to_numpy()
    sentinel = np.ones((2, 8, 6), np.uint8)
    sentinel[0, :2], sentinel[0, 2:4] = 5, 4
    sentinel[0, 7, :] = 0
    sentinel[1, :, :2] = 6
    landsat = np.full((1, 8, 6), 2)
    return {
        "sentinel-2": masks_of(geobox, sentinel, times[[0, 2]]),
        "landsat": masks_of(geobox, landsat, times[[1]] + np.timedelta64(3, "m")),
    }


@pytest.fixture
def composites(geobox):
    """May, off by 0.02 in blue and right in the other bands, with a gap of one pixel."""
    level = 0.11 + np.arange(5) / 10
    values = {band: np.full((1, 8, 6), level[i], np.float32) for i, band in enumerate(BANDS)}
    values["blue"] = values["blue"] + np.float32(0.02)
    values["red"][0, 4, 4] = np.nan
    start, end = (np.array([f"2024-0{month}-01"], dtype="datetime64[ns]") for month in (5, 6))
    coords = {"time": start, "period_end": ("time", end), **xr_coords(geobox)}
    return {
        "monthly": xr.Dataset(
            {k: (("time", "y", "x"), v) for k, v in values.items()}, coords=coords
        )
    }


def observe(truth):
    """The truth as it would be seen: clouds are white, shadows black, the rest exact."""

    def observations(period, geobox):
        clouded = truth["optical_depth"] > 0.4
        shaded = (truth["light"] < 0.8) & ~clouded
        cube = xr.Dataset(
            {b: truth[f"clean_{b}"].where(~clouded, 1.0).where(~shaded, 0.0) for b in BANDS}
        )
        cube["source"] = xr.zeros_like(cube["blue"], dtype=np.int32)
        return cube.chunk({"time": 1}).drop_vars("sensor")

    return observations


def test_masks(masks, truth_path):
    accuracy = against_truth(masks, {}, truth_path)
    assert [(scene.sensor, scene.without_data) for scene in accuracy.scenes] == [
        ("landsat", 0), ("sentinel-2", 6), ("sentinel-2", 0),
    ]  # fmt: skip
    first = accuracy.scenes[1]
    assert first.time == datetime(2024, 5, 3, 10, 20, 21, tzinfo=UTC)
    assert first.matrix.tolist() == [[18, 0, 0], [0, 18, 0], [0, 6, 0]]
    assert accuracy.matrix().tolist() == [[97, 0, 0], [0, 18, 0], [0, 6, 16]]
    assert accuracy.matrix("landsat").tolist() == [[47, 0, 0], [0, 0, 0], [0, 0, 0]]

    pooled, away, landsat, sentinel, median, *each = accuracy.rows()
    assert pooled["cloud_f1"] == pytest.approx(36 / 42)
    assert pooled["cloud_precision"] == pytest.approx(18 / 24)
    assert pooled["cloud_recall"] == 1
    assert pooled["shadow_f1"] == pytest.approx(32 / 38)
    assert pooled["overall_accuracy"] == pytest.approx(131 / 137)
    assert pooled["cloud_difference"] == pytest.approx(100 * 6 / 137)
    assert landsat["scene"] == "landsat, pooled"
    assert sentinel["pixels"] == 90
    assert np.isnan(landsat["cloud_f1"])
    assert median["cloud_f1"] == pytest.approx(36 / 42)
    assert median["skipped"]["cloud_f1"] == 2
    assert len(each) == 3
    # Two pixels from borders: row 0 of the cloud, rows 6 and 7 of the clear (7 has no data), no shadow.
    assert accuracy.scenes[1].away.tolist() == [[6, 0, 0], [0, 6, 0], [0, 0, 0]]
    assert away["pixels"] == 6 + 6 + 47 + 8 * 2


def test_thin_cloud_is_neither_right_nor_wrong(geobox, truth, masks, tmp_path):
    """Thin cloud called cloud lowered the precision of cloud; called shadow, that of shadow."""
    truth["optical_depth"][2, 4:, 2:] = (
        0.25  # 16 pixels beside the shadow, of which 3 are found
    )
    truth["light"][2, 7, 2:] = 0.7
    truth["optical_depth"][2, :4, 2] = 0.1  # not thick enough to count
    truth.to_zarr(tmp_path / "truth.zarr", consolidated=False)
    masks["sentinel-2"]["mask"][1, 4, 2:5] = 4
    masks["sentinel-2"]["mask"][1, 7, 2:] = 6
    accuracy = against_truth(masks, {}, tmp_path / "truth.zarr")
    last = accuracy.scenes[2]
    assert last.matrix.tolist() == [[16, 0, 0], [0, 0, 0], [0, 0, 16]]
    assert last.thin.tolist() == [9, 3, 4]
    pooled, away, landsat, *_ = accuracy.rows()
    assert pooled["thin_recall"] == pytest.approx(3 / 17)
    assert landsat["thin_recall"] == 0
    assert np.isnan(away["thin_recall"])
    assert accuracy.to_dict()["scenes"][2]["thin"] == [9, 3, 4]


def test_composites_between_no_mask_and_the_true_one(masks, composites, truth, truth_path):
    accuracy = against_truth(masks, composites, truth_path, observe(truth))
    (period,) = accuracy.periods
    assert (period.scenes, period.pixels) == (3, 47)
    assert period.defined == {"composite": 47, "unmasked": 48, "truth_masked": 48}
    blue, green, *_ = period.bands
    assert blue.composite == pytest.approx(0.02, abs=1e-6)
    assert green.composite == pytest.approx(0, abs=1e-6)
    # Surfaces are .10, .11, .12 by date: the median of three. Without a mask, by pixels:
    # cloud and clear (1, .11, .12) .01 off: 3 rows of 4 columns; cloud and shadow (1, .11, 0) right;
    # shadow once in row 3 (0, .11, .12) right; left of it (0, .11, 0) .11 off: 2 pixels;
    # left below (.1, .11, 0) .01 off: 4 rows of 2 columns.
    assert blue.unmasked == pytest.approx(np.sqrt((20 * 0.01**2 + 2 * 0.11**2) / 47), rel=1e-4)
    # With the true mask: (.11, .12) .005 off in rows 0-2: 12 pixels, (.11) right: 6 pixels;
    # row 3: (.11, .12) .005 off: 4, (.11) right; below left (.1, .11) .005 off: 8.
    assert blue.truth_masked == pytest.approx(np.sqrt(24 * 0.005**2 / 47), rel=1e-4)


def test_suspect_pixels_are_told_apart(masks, composites, truth, truth_path):
    made = composites["monthly"]
    suspect = np.zeros(made["blue"].shape, np.float32)
    # Two rows where the composite is wrong by much more, and says that it may be.
    suspect[:, :2] = 1
    wrong = made.assign({band: made[band] + 0.5 * suspect for band in BANDS})
    wrong = wrong.assign(suspect=(("time", "y", "x"), suspect))
    (period,) = against_truth(masks, {"m": wrong}, truth_path, observe(truth)).periods
    blue = period.bands[0]
    assert blue.composite > 0.2
    assert blue.sure == pytest.approx(0.02, abs=1e-6)
    # Of what the true mask fills .11, .12 over rows 2 and 3 and the left below are .005 off.
    assert blue.truth_masked_sure == pytest.approx(np.sqrt(16 * 0.005**2 / 35), rel=1e-4)
    assert period.filled == pytest.approx(47 / 48)
    assert period.filled_sure == pytest.approx(35 / 48)
    row = against_truth(masks, {"m": wrong}, truth_path, observe(truth)).composite_rows()[0]
    assert row["rmse_sure"] == blue.sure
    (plain,) = against_truth(masks, composites, truth_path, observe(truth)).periods
    assert (plain.bands[0].sure, plain.filled_sure) == (None, None)


def test_composites_alone(composites, truth_path):
    accuracy = against_truth({}, composites, truth_path)
    assert accuracy.rows() == []
    assert [row["unmasked"] for row in accuracy.composite_rows()] == [None] * 5
    assert accuracy.composite_rows()[0]["period"] == "2024-05-01/2024-06-01"


def test_one_sensor_is_held_against_its_own_truth(masks, composites, truth, truth_path):
    """A store of Landsat alone was held against the median over Sentinel-2's dates, too."""
    for sensor, n, blue in (("landsat", 1, 0.11), ("sentinel-2", 2, (0.10 + 0.12) / 2)):
        only = {sensor: masks[sensor]}
        own = truth.isel(time=truth["sensor"].to_numpy() == sensor)
        (period,) = against_truth(only, composites, truth_path, observe(own)).periods
        assert period.scenes == n
        assert period.bands[0].composite == pytest.approx(abs(0.13 - blue), abs=1e-6)
    later = truth["clean_blue"] + np.array([0, 0, 0.5])[:, None, None]
    truth.assign(clean_blue=later.astype("float32")).to_zarr(
        truth_path, mode="w", consolidated=False
    )
    (period,) = against_truth({"landsat": masks["landsat"]}, composites, truth_path).periods
    # The surface changed after Landsat's only date.
    assert period.bands[0].composite == pytest.approx(0.02, abs=1e-6)


def test_a_composite_of_one_sensor_is_held_against_that_one(
    masks, composites, truth, truth_path
):
    """The archive has masks of both, and the composite says whose scenes it is made of."""

    def seen(period, geobox):
        return observe(truth)(period, geobox).assign_coords(sensor=truth["sensor"])

    composites["monthly"].attrs["sensors"] = ["landsat"]
    (period,) = against_truth(masks, composites, truth_path, seen).periods
    assert period.scenes == 1
    blue = period.bands[0]
    assert blue.composite == pytest.approx(0.02, abs=1e-6)
    # Clouds and shadows are Sentinel-2's.
    assert blue.unmasked == blue.truth_masked == pytest.approx(0, abs=1e-6)


def test_a_sensor_without_truth_and_an_archive_without_masks_are_named(
    masks, composites, truth_path
):
    with pytest.raises(
        QueryError, match="knows landsat, sentinel-2, the archive has masks of hls"
    ):
        against_truth({"hls": masks["landsat"]}, composites, truth_path)
    with pytest.raises(QueryError, match="nothing to measure"):
        against_truth({}, {}, truth_path)


def test_a_period_without_scenes_has_no_error(composites, truth, truth_path):
    later = composites["monthly"].assign_coords(
        time=np.array(["2024-07-01"], dtype="datetime64[ns]"),
        period_end=("time", np.array(["2024-08-01"], dtype="datetime64[ns]")),
    )
    (period,) = against_truth({}, {"monthly": later}, truth_path, observe(truth)).periods
    assert (period.scenes, period.pixels) == (0, 0)
    assert np.isnan(period.bands[0].composite)


def test_it_becomes_json(masks, composites, truth, truth_path):
    plain = against_truth(masks, composites, truth_path, observe(truth)).to_dict()
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again["matrix"] == [[97, 0, 0], [0, 18, 0], [0, 6, 16]]
    assert again["masks"][2]["cloud_f1"] is None
    assert again["scenes"][0]["time"] == "2024-05-03T10:03:05+00:00"
    assert [row["band"] for row in again["composites"]] == list(BANDS)
    assert again["composites"][0]["composite"] == "monthly"
    assert again["composites"][0]["rmse"] == pytest.approx(0.02, abs=1e-6)
    assert again["pixels_defined"][0] == {
        "name": "monthly", "start": "2024-05-01T00:00:00+00:00",
        "composite": 47, "unmasked": 48, "truth_masked": 48,
    }  # fmt: skip


def test_what_cannot_be_compared_is_named(masks, composites, geobox, truth_path):
    stray = {"landsat": masks["sentinel-2"]}
    # Landsat passed twenty minutes before the first: that is another pass.
    with pytest.raises(QueryError, match="no scene of landsat at 2024-05-03T10:20:21"):
        against_truth(stray, {}, truth_path)
    later = {"landsat": masks["sentinel-2"].isel(time=[1])}
    with pytest.raises(QueryError, match="no scene of landsat at 2024-05-18"):
        against_truth(later, {}, truth_path)
    with pytest.raises(QueryError, match=r"composite 'monthly'.*period_end"):
        against_truth(
            {}, {"monthly": composites["monthly"].drop_vars("period_end")}, truth_path
        )
