"""Masks from larger pixels than the grid's: those of the larger grid, whatever the tiles, and told apart by fingerprint."""

import dataclasses

import dask.array as da
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline import run, store
from pipeline.errors import ConfigError, ModelError
from pipeline.mask import coarser, finer
from pipeline.run.common.fingerprint import model_text
from pipeline.run.common.mask_pixels import mask_pixels, with_pixels
from pipeline.run.tile.drop_unreadable import unfit_counts
from pipeline.testing import ThresholdModel
from pipeline.types import UNFIT, CleanSettings, GridSettings, Lattice, MaskSettings

CARD = ThresholdModel(Lattice(core_px=64, halo_px=8), ("blue", "nir")).card

starts, sizes = st.integers(-500, 500), st.integers(1, 40)


def geobox_at(top, left, height, width, corner=(0.0, 0.0)):
    place = Affine(10, 0, 10 * left + corner[0], 0, -10, -10 * top + corner[1])
    return GeoBox((height, width), place, "EPSG:32632")


@given(
    starts, starts, sizes, sizes, st.integers(1, 5), st.sampled_from([(0.0, 0.0), (5.0, 5.0)])
)
def test_each_pixel_lies_in_one_larger_pixel_whatever_is_cut_out(
    top, left, height, width, factor, corner
):
    geobox = geobox_at(top, left, height, width, corner)
    larger, inside = coarser(geobox, factor)
    rows, cols = (np.arange(size, dtype=np.int64) for size in larger.shape)
    # Name each larger pixel by where it lies, and follow the names to the pixels of the grid.
    for axis, names, middles in (
        (
            0,
            larger.transform.f - rows * 10 * factor,
            geobox.transform.f - 10 * (np.arange(height) + 0.5),
        ),
        (
            1,
            larger.transform.c + cols * 10 * factor,
            geobox.transform.c + 10 * (np.arange(width) + 0.5),
        ),
    ):
        edge = names.repeat(factor)[inside[axis]]
        beyond = (edge - middles) if axis == 0 else (middles - edge)
        assert edge.size == middles.size
        assert ((beyond > 0) & (beyond < 10 * factor)).all()
    # And no larger pixel is cut at another place for another cut.
    assert round((larger.transform.c - corner[0]) / 10) % factor == 0
    assert round((larger.transform.f - corner[1]) / 10) % factor == 0


@given(starts, starts, st.integers(4, 40), st.integers(4, 40), st.integers(1, 4), st.data())
def test_a_part_has_the_pixels_of_the_whole(top, left, height, width, factor, data):
    whole = geobox_at(top, left, height, width)
    rows, cols = (
        slice(first, data.draw(st.integers(first + 1, size)))
        for size in (height, width)
        for first in [data.draw(st.integers(0, size - 1))]
    )

    def seen(geobox):
        larger, inside = coarser(geobox, factor)
        x = round(larger.transform.c / 10 / factor) + np.arange(larger.shape.x)
        y = round(-larger.transform.f / 10 / factor) + np.arange(larger.shape.y)
        return finer(((y[:, None] * 7 + x) % 251).astype(np.uint8), factor, inside)

    np.testing.assert_array_equal(seen(whole[rows, cols]), seen(whole)[rows, cols])


@settings(max_examples=20)
@given(starts, starts, sizes, sizes, st.integers(1, 5))
def test_larger_pixels_are_counted_as_those_of_the_grid(top, left, height, width, factor):
    card = dataclasses.replace(CARD, pixel_m=10.0 * factor)
    pixels = mask_pixels(geobox_at(top, left, height, width), card, MaskSettings())
    wide = np.random.default_rng(height).integers(0, 4, pixels.wide.shape, np.uint8)
    rows, cols = (slice(pixels.reach, pixels.reach + size) for size in pixels.own.shape)
    kinds = da.from_array(wide[np.newaxis, rows, cols], chunks=(1, 7, 7))
    counts = unfit_counts(kinds, pixels.sizes).sum(axis=(2, 3)).compute()
    on_grid = np.bincount(pixels.on_grid(wide).ravel(), minlength=len(UNFIT) + 1)
    np.testing.assert_array_equal(counts, [on_grid[1 : len(UNFIT) + 1]])


def test_the_grid_s_own_pixels_are_left_as_they_are():
    geobox, clean = geobox_at(33, 65, 40, 30), {"cloud": CleanSettings(dilate_m=60.0)}
    pixels = mask_pixels(geobox, CARD, MaskSettings(clean=clean))
    assert (pixels.own, pixels.reach, pixels.wide) == (geobox, 6, geobox.pad(6))
    larger = mask_pixels(
        geobox, dataclasses.replace(CARD, pixel_m=30.0), MaskSettings(clean=clean)
    )
    assert larger.reach == 2


# -- which pixels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "best", "grid_m", "pixel_m"),
    [
        (None, 20.0, 10.0, None),
        ("auto", None, 10.0, None),
        ("auto", 20.0, 10.0, 20.0),
        ("auto", 20.0, 20.0, None),
        ("auto", 20.0, 30.0, None),
        ("auto", 20.0, 15.0, None),
        ("auto", 20.0, 5.0, 20.0),
        ("auto", 30.0, 0.1, 30.0),
        (20.0, None, 10.0, 20.0),
        (10.0, None, 10.0, None),
        (30.0, 20.0, 10.0, 30.0),
    ],
)
def test_the_pixels_are_the_job_s_or_the_card_s(wanted, best, grid_m, pixel_m):
    card = dataclasses.replace(CARD, best_m=best, resolution_m=(0.1, 1000.0))
    found = with_pixels(card, MaskSettings(resolution_m=wanted), grid_m).pixel_m
    assert found == (None if pixel_m is None else pytest.approx(pixel_m))


@pytest.mark.parametrize("wanted", [15.0, 5.0, 20.5])
def test_pixels_that_do_not_fit_the_grid_are_refused(wanted):
    with pytest.raises(ConfigError, match=f"found {wanted:g}, expected a whole multiple"):
        with_pixels(CARD, MaskSettings(resolution_m=wanted), 10.0)


def test_pixels_for_which_the_model_is_not_meant_are_refused():
    card = dataclasses.replace(CARD, resolution_m=(10.0, 50.0))
    with pytest.raises(ModelError, match=r"10 to 50 m, mask.resolution_m is 60"):
        with_pixels(card, MaskSettings(resolution_m=60.0), 10.0)
    assert with_pixels(card, MaskSettings(resolution_m=20.0), 5.0).pixel_m == 20.0
    with pytest.raises(ModelError, match=r"grid.resolution_m is 5"):
        with_pixels(card, MaskSettings(), 5.0)


def test_the_fingerprint_tells_the_pixels_and_is_as_before_without():
    settings = MaskSettings(resolution_m="auto")
    assert model_text(CARD, settings) == model_text(CARD, MaskSettings())
    found = {
        model_text(dataclasses.replace(CARD, pixel_m=m), settings) for m in (None, 20.0, 30.0)
    }
    assert len(found) == 3
    assert "resolution_m" not in MaskSettings().model_dump()


# -- runs -------------------------------------------------------------------------------------------


def masks_of(region, name, grid_m, tile_px, resolution_m):
    job = region.job(
        store=str(region.folder / name),
        grid=GridSettings(resolution_m=grid_m, tile_px=tile_px, chunk_px=32),
        mask=MaskSettings(model="threshold", resolution_m=resolution_m, confidence=True),
        composite=None,
    )
    run.run(job)
    archive = store.open_archive(job.store)
    return {sensor: archive.masks(sensor).load() for sensor in archive.sensors}


def test_masks_of_larger_pixels_are_those_of_the_larger_grid_in_any_tiles(region, threshold):
    expected = masks_of(region, "coarse", 20.0, 64, None)
    found = masks_of(region, "narrow", 10.0, 32, 20.0)
    assert found.keys() == expected.keys()
    for sensor, masks in found.items():
        told = expected[sensor][["mask", "confidence"]].sel(
            x=masks["x"], y=masks["y"], method="nearest", tolerance=5.1
        )
        # Smaller tiles leave out more of what lies beside the area.
        made = masks["fingerprint"].to_numpy() != 0
        made = made.repeat(32, axis=1).repeat(32, axis=2)
        for each in ("mask", "confidence"):
            here, there = masks[each].to_numpy(), told[each].to_numpy()
            np.testing.assert_array_equal(here, np.where(made, there, 0))
        assert len(np.unique(masks["mask"])) > 2
