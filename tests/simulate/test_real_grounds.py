"""Simulated skies over images: a clear one changes nothing, and what people drew is never contradicted."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from pipeline.datasets import labels
from pipeline.simulate.bands import LANDSAT
from pipeline.simulate.patches import Ground, under_clouds
from pipeline.simulate.patches.clouds import WEATHER
from pipeline.simulate.patches.sensors import SENSORS

BANDS = [band for band in SENSORS["landsat-8"].bands if band.role in ("blue", "red", "nir")]


def ground(label=labels.NOT_CLOUD, level="L1C", size=96):
    field = scipy.ndimage.gaussian_filter(np.random.default_rng(2).random((3, size, size)), 2)
    pixels = (np.array([0.1, 0.07, 0.3])[:, None, None] * (2 * field)).astype(np.float32)
    drawn = np.full((size, size), label, np.uint8)
    return Ground(pixels=pixels, labels=drawn, bands=BANDS, pixel_m=30, level=level)


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_clouds_are_bright_shadows_dark_and_the_rest_as_it_was(level):
    before = ground(level=level)
    sums = {"cloud": [], "shadow": [], "clear": []}
    for index in range(12):
        pixels, drawn = under_clouds(before, np.random.default_rng(index), {"cumulus": 1})
        change = pixels - before.pixels
        assert np.isfinite(pixels).all()
        sums["cloud"].append(change[0][drawn == labels.THICK])
        sums["shadow"].append((change[2] / before.pixels[2])[drawn == labels.SHADOW])
        sums["clear"].append(np.abs(change[2] / before.pixels[2])[drawn == labels.NOT_CLOUD])
    middle = {name: np.median(np.concatenate(each)) for name, each in sums.items()}
    assert middle["cloud"] > 0.15
    assert middle["shadow"] < -0.2
    assert middle["clear"] < 0.1


def test_a_clear_sky_changes_little_and_no_label():
    before = ground()
    for index in range(5):
        pixels, drawn = under_clouds(before, np.random.default_rng(index), {"clear": 1})
        np.testing.assert_array_equal(drawn, before.labels)
        # Air of another depth, no more.
        assert np.abs(pixels - before.pixels).max() < 0.1


def test_a_sky_follows_from_its_random_numbers():
    one, other = (under_clouds(ground(), np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("sky", sorted(WEATHER))
def test_labels_say_no_more_than_is_known(sky):
    for index in range(4):
        drawn = {
            name: under_clouds(ground(label), np.random.default_rng(index), {sky: 1})[1]
            for name, label in {
                "no data": labels.NO_DATA,
                "unknown": labels.IGNORED,
                "cloud": labels.CLOUD,
                "thin": labels.THIN,
                "clear": labels.LAND,
            }.items()
        }
        assert (drawn["no data"] == labels.NO_DATA).all()
        assert np.isin(drawn["unknown"], (labels.IGNORED, labels.THICK)).all()
        assert np.isin(drawn["cloud"], (labels.IGNORED, labels.CLOUD, labels.THICK)).all()
        # A thin cloud under another may look thick.
        allowed = (labels.IGNORED, labels.THIN, labels.CLOUD, labels.THICK)
        assert np.isin(drawn["thin"], allowed).all()
        assert (drawn["clear"] != labels.IGNORED).all()


def test_bands_are_of_the_ground():
    with pytest.raises(ValueError, match="zip"):
        under_clouds(replace(ground(), bands=LANDSAT[:2]), np.random.default_rng(1))
