"""Landsat 8 made like Proba-V: shares of bands, blur and pixels by hand, labels that stay true."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.datasets import labels as L
from pipeline.errors import LabelledDataError
from pipeline.simulate.patches import SENSORS, PatchSettings, make_patch
from pipeline.training.sample import Sample
from pipeline.training.sections import SourceSection
from pipeline.training.transfer import AsProbaV, joined, of_patch, seen

BANDS = SENSORS["landsat-8"].bands
DESCRIBED = np.array([(band.wavelength_um, band.width_um) for band in BANDS], np.float32)
PLACE = {band.role: n for n, band in enumerate(BANDS)}


def even(**values):
    pixels = np.zeros((len(BANDS), 30, 33), np.float32)
    for role, value in values.items():
        pixels[PLACE[role]] = value
    return pixels


def everywhere(pixels):
    return np.ones(pixels.shape[1:], bool)


def test_even_ground_keeps_its_colour_and_blue_is_mixed():
    pixels = even(coastal=0.4, blue=0.2, green=0.9, red=0.3, nir=0.5, swir16=0.7, swir22=0.9)
    found = seen(pixels, DESCRIBED, everywhere(pixels))
    assert found.shape == (4, 10, 11)
    blue = 0.24916 * 0.4 + 0.75084 * 0.2
    for plane, value in zip(found, (blue, 0.3, 0.5, 0.7), strict=True):
        np.testing.assert_allclose(plane, value, rtol=1e-5)


@pytest.mark.parametrize(
    ("role", "plane", "sigma"), [("red", 1, 50.0845), ("swir16", 3, 80.7639)]
)
def test_a_point_is_spread_as_published(role, plane, sigma):
    pixels = even()
    pixels[PLACE[role], 13, 16] = 1
    found = seen(pixels, DESCRIBED, everywhere(pixels))[plane]
    line = [math.exp(-((30 * n) ** 2) / (2 * sigma**2)) for n in range(-7, 8)]
    # The point is the centre of pixel (4, 5); the next but one centre is six pixels away.
    assert found[4, 5] == pytest.approx(1 / sum(line) ** 2, rel=1e-4)
    assert found[4, 7] == pytest.approx(line[7 + 6] / sum(line) ** 2, rel=1e-4)
    assert found[4, 8] == 0


def test_what_is_no_data_is_not_mixed_in():
    pixels = even(red=0.3)
    known = everywhere(pixels)
    known[:, 20:] = False
    pixels[:, :, 20:] = 0
    found = seen(pixels, DESCRIBED, known)
    np.testing.assert_allclose(found[1, :, :7], 0.3, rtol=1e-5)


def test_labels_of_nine_pixels_are_all_that_they_may_be():
    drawn = np.full((6, 7), L.CLEAR, np.uint8)
    drawn[1, 1], drawn[0, 3], drawn[4, 4] = L.THIN, L.NO_DATA, L.IGNORED
    assert joined(drawn).tolist() == [[L.CLEAR | L.THIN, L.NO_DATA], [L.CLEAR, L.IGNORED]]


def test_a_band_that_is_lacking_is_named():
    pixels = even()[1:]
    with pytest.raises(LabelledDataError, match="coastal is lacking"):
        seen(pixels, DESCRIBED[1:], everywhere(pixels))


class One:
    def scene(self, rng):
        drawn = np.full((30, 33), L.CLEAR, np.uint8)
        return Sample(pixels=even(red=0.3), labels=drawn, bands_um=DESCRIBED)


def test_samples_and_patches_have_proba_vs_bands():
    found = AsProbaV(One()).scene(np.random.default_rng(0))
    own = [(band.wavelength_um, band.width_um) for band in SENSORS["proba-v"].bands]
    np.testing.assert_allclose(found.bands_um, own, rtol=1e-6)
    assert found.pixels.shape == (4, 10, 11)
    assert found.labels.shape == (10, 11)
    settings = PatchSettings(
        size_px=96, sensors=("landsat-8",), pixels_m=(30, 30), bands=(7, 7)
    )
    patch = make_patch(1, 2, settings)
    like = of_patch(patch)
    assert like.pixels.shape == (4, 32, 32)
    assert like.pixel_m == 90
    np.testing.assert_array_equal(like.codes, patch.codes[1::3, 1::3])
    bits = like.labels >> like.codes
    # The truth of a pixel is one of the codes that its label allows.
    assert (bits & 1).mean() > 0.99


LANDSAT = {"sensors": ["landsat-8"], "pixels_m": [30, 30], "bands": [7, 7]}


@pytest.mark.parametrize(
    "source",
    [
        {"stream": LANDSAT | {"sensors": ["sentinel-2"]}},
        {"stream": LANDSAT | {"pixels_m": [30, 60]}},
        {"stream": LANDSAT | {"bands": [4, 7]}},
        {"dataset": {"name": "chips", "path": "x", "sensor": "sentinel-2"}},
        {"regions": {}},
    ],
)
def test_what_cannot_be_made_like_proba_v_is_refused(source):
    SourceSection.model_validate({"seen_as": "proba-v", "stream": LANDSAT})
    with pytest.raises(ValidationError, match="seen as Proba-V's|Landsat 8's bands|no regions"):
        SourceSection.model_validate({"seen_as": "proba-v"} | source)
