"""Any partition, same mask, with the real network on real pixels: bit for bit, in both precisions."""

import dataclasses

import dask
import numpy as np
import pytest

from pipeline import models
from pipeline.mask import mask_with_confidence, read_geobox
from pipeline.models.families.ukis_csmask import SIX_BANDS
from pipeline.types import Code, Lattice
from tests.mask.cubes import box, cube_of
from tests.models.machine import PRECISIONS, needs_bfloat16

PAD = 160


class OnLattice:
    """The network on windows of 128 px, so that a small scene has many."""

    def __init__(self, precision):
        card = models.resolve(
            "ukis-csmask", level="L1C", roles=SIX_BANDS, options={"precision": precision}
        )
        self.model = models.load(card)
        lattice = Lattice(core_px=96, halo_px=16, blend_px=16, shift_px=24)
        self.card = dataclasses.replace(card, lattice=lattice)

    def predict(self, windows):
        return self.model.predict(windows)


@pytest.fixture(scope="module")
def scene(shared_data):
    """(role, y, x): 256 px of a swath with a slanted edge and a gap, no data round it."""
    with np.load(shared_data / "reference" / "ukis_sentinel2.npz") as data:
        image = np.moveaxis(data["img"], -1, 0)[:, 100:356, 100:356].copy()
    y, x = np.indices(image.shape[1:])
    image[:, x + y / 3 > 270] = np.nan
    image[2, 40:60, 70:75] = np.nan
    return np.pad(image, ((0, 0), (PAD, PAD), (PAD, PAD)), constant_values=np.nan)


def masked(model, scene, corner, size, chunk, threads):
    geobox = box(*corner, *size)
    reads = read_geobox(model.card.lattice, geobox)
    cube = cube_of(scene[None], SIX_BANDS, reads, -PAD, (chunk, chunk))
    with dask.config.set(scheduler="threads", num_workers=threads):
        return np.stack(dask.compute(*mask_with_confidence(cube, model, geobox)))[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_any_partition_gives_the_same_mask(scene, precision):
    model = OnLattice(precision)
    whole = masked(model, scene, (0, 0), (256, 256), 300, 1)
    assert set(np.unique(whole[0])) == {
        Code.NO_DATA,
        Code.CLEAR,
        Code.THICK_CLOUD,
        Code.CLOUD_SHADOW,
    }
    rng = np.random.default_rng(0)
    for _ in range(4):
        cut = int(rng.integers(20, 236))
        chunk, threads = int(rng.integers(30, 200)), int(rng.integers(1, 4))
        west = masked(model, scene, (0, 0), (256, cut), chunk, threads)
        east = masked(model, scene, (0, cut), (256, 256 - cut), chunk, threads)
        np.testing.assert_array_equal(np.concatenate([west, east], axis=2), whole)


@pytest.mark.slow
@needs_bfloat16
def test_a_scene_cut_by_a_border_has_the_mask_of_the_uncut(scene):
    """Two granules that overlap by 40 columns, put together again by the reader."""
    model = OnLattice("bfloat16")
    west, east = scene.copy(), scene.copy()
    west[..., PAD + 150 :], east[..., : PAD + 110] = np.nan, np.nan
    mosaic = np.where(np.isnan(west), east, west)
    np.testing.assert_array_equal(
        masked(model, mosaic, (0, 0), (256, 256), 100, 2),
        masked(model, scene, (0, 0), (256, 256), 300, 1),
    )
