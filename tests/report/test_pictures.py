"""Pixels of pictures."""

import io

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from pipeline.report import (
    Stretch,
    count_png,
    day_png,
    mask_png,
    rgb_jpeg,
    rgb_png,
    stretch_of,
)
from pipeline.report.pictures import count_colours, day_colours, is_doubtful
from pipeline.types import LEGEND

GREYS = ([208] * 3, [222] * 3)
PLAIN = Stretch(low=(0, 0, 0), high=(1, 1, 1))


def pixels(png):
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image)


def flat(values):
    return xr.DataArray(np.asarray(values), dims=("y", "x"))


def bands(red, green, blue):
    return xr.Dataset({"red": flat(red), "green": flat(green), "blue": flat(blue)}).astype(
        np.float32
    )


def test_reflectance_becomes_brightness():
    data = bands([[0, 1, 2, np.nan]], [[0, 0.5, 2, 0.5]], [[-1, 0, 2, 0.5]])
    seen = pixels(rgb_png(data, stretch=PLAIN))
    assert seen[0, 0].tolist() == [0, 0, 0]
    assert seen[0, 1].tolist() == [255, round(255 * 0.5 ** (1 / 1.2)), 0]
    assert seen[0, 2].tolist() == [255, 255, 255]
    assert seen[0, 3].tolist() in GREYS


def test_large_pictures_are_averaged_without_what_is_missing():
    red = np.full((10, 20), 0.5)
    red[0, 0] = np.nan
    red[8:, 18:] = np.nan
    seen = pixels(rgb_png(bands(red, red, red), stretch=PLAIN, max_px=10))
    assert seen.shape == (5, 10, 3)
    assert seen[0, 0].tolist() == seen[2, 2].tolist()
    assert seen[4, 9].tolist() in GREYS


def test_a_stretch_is_shared_and_keeps_the_balance_of_colours():
    wide = bands([np.linspace(0, 1, 101)], [np.linspace(0, 0.1, 101)], [np.full(101, 0.3)])
    stretch = stretch_of([wide, wide.isel(x=slice(50))])
    widths = np.subtract(stretch.high, stretch.low)
    np.testing.assert_allclose(widths, widths[0])
    assert stretch.low[2] < 0.3 < stretch.high[2]
    empty = stretch_of([wide * np.nan])
    assert all(low < high for low, high in zip(empty.low, empty.high, strict=True))


def test_masks_have_the_colours_of_the_legend():
    seen = pixels(mask_png(flat([np.arange(7, dtype=np.uint8)])))
    assert ["#" + bytes(pixel).hex() for pixel in seen[0]] == [entry.colour for entry in LEGEND]


def test_counts_go_from_dark_to_bright_and_none_is_checkered():
    seen = pixels(count_png(flat(np.array([[0, 1, 3, 9]], dtype=np.uint16)), highest=3))
    colours = count_colours(3)
    assert seen[0, 0].tolist() in GREYS
    assert seen[0, 1].tolist() == colours[1].tolist()
    assert seen[0, 2].tolist() == seen[0, 3].tolist() == colours[3].tolist()
    assert pixels(count_png(flat(np.zeros((1, 2), np.uint16))))[0, 0].tolist() in GREYS


def test_few_observations_stand_out_and_are_hatched():
    colours = count_colours(9)
    assert colours[1].tolist() == [215, 48, 31]
    assert colours[2].tolist() == [253, 141, 60]
    assert count_colours(1)[1].tolist() == [215, 48, 31]
    count = flat(np.array([[1] * 20, [2] * 20, [3] * 20, [0] * 20], np.uint16))
    doubtful = is_doubtful(count)
    assert doubtful.any("x").to_numpy().tolist() == [True, True, False, False]
    white = np.ones((4, 20))
    seen = pixels(rgb_png(bands(white, white, white), stretch=PLAIN, doubtful=doubtful))
    marked = (seen == [215, 48, 31]).all(axis=-1)
    assert (marked.sum(axis=1) > 3).tolist() == [True, True, False, False]
    # What lies under the lines can still be seen.
    assert marked[:2].mean() < 0.3


def test_days_have_one_colour_each():
    day = flat(np.array([[19850, -1, 19900, 19850]], dtype=np.int32))
    days, colours, shares = day_colours(day)
    assert (days.tolist(), shares.tolist()) == ([19850, 19900], [0.5, 0.25])
    seen = pixels(day_png(day))
    assert seen[0, 0].tolist() == seen[0, 3].tolist() == colours[0].tolist()
    assert seen[0, 2].tolist() == colours[1].tolist() != colours[0].tolist()
    assert seen[0, 1].tolist() in GREYS
    assert pixels(day_png(flat(np.full((1, 2), -1, np.int32))))[0, 0].tolist() in GREYS


@pytest.mark.parametrize("shape", [(1, 1), (3, 1700), (1700, 3)])
def test_odd_shapes(shape):
    data = bands(*[np.full(shape, 0.2)] * 3)
    image = Image.open(io.BytesIO(rgb_jpeg(data)))
    assert image.format == "JPEG"
    assert max(image.size) <= 800
