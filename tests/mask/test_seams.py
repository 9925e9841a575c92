"""The detector finds the seams that others leave, finds none where there are none, and none of ours."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from scipy import ndimage

from pipeline import models
from pipeline.mask import mask_cube, read_geobox
from pipeline.mask.lattice import origin_px
from pipeline.mask.seams import seams
from pipeline.models.ukis_csmask import SIX_BANDS
from pipeline.testing import WindowMeanModel
from pipeline.types import Code, Lattice


def blobs(seed, size=400, shift=0.0):
    """A mask of smooth objects; `shift` raises the field that it is cut from right of the middle."""
    noise = np.random.default_rng(seed).normal(size=(size, size))
    field = ndimage.gaussian_filter(noise, 6)
    field /= field.std()
    field[:, size // 2 :] += shift
    return np.where(field > 0.5, Code.THICK_CLOUD, Code.CLEAR).astype(np.uint8)


def test_a_line_of_changes_is_counted():
    mask = np.full((6, 8), Code.CLEAR, np.uint8)
    mask[:, 4:] = Code.WATER
    mask[:2] = Code.NO_DATA
    found = seams(np.tile(mask, (1, 10)), [], [4])
    assert found.rate == 1.0
    assert found.elsewhere == 0.0
    assert found.strength == np.inf
    assert found.found


def test_nothing_can_be_said_where_there_is_no_data():
    found = seams(np.zeros((50, 50), np.uint8), [25], [25])
    assert np.isnan(found.strength)
    assert not found.found


@given(st.integers(0, 10**6))
def test_a_shift_of_the_scores_is_found(seed):
    assert seams(blobs(seed, shift=1.5), [], [200]).found


def test_false_alarms_are_rare():
    alarms = [seams(blobs(seed, 300), [100, 200], [100, 200]).found for seed in range(100)]
    assert np.mean(alarms) <= 0.05


@pytest.mark.parametrize("sensor", ["sentinel2", "landsat7"])
def test_finds_the_seams_of_the_reference_maps(shared_data, sensor):
    """ukis-csmask's own tiles start every 204 px."""
    with np.load(shared_data / "reference" / f"ukis_{sensor}.npz") as data:
        mask = data["msk"][..., 0].astype(np.uint8) + 1
    assert seams(mask, [204, 408], [204, 408]).found
    # They lie nowhere else.
    assert not seams(mask, [154, 358], [154, 358]).found


# -- ours --------------------------------------------------------------------------------------

PAD = 640


def masked(image, model, size):
    """Mask the pixels from 0 to `size` of an image that starts at -PAD in both directions."""
    geobox = GeoBox((size, size), Affine(20, 0, 0, 0, -20, 0), "EPSG:32632")
    reads = read_geobox(model.card.lattice, geobox)
    top, left = (PAD + each for each in origin_px(reads))
    held = image[:, top : top + reads.shape[0], left : left + reads.shape[1]]
    cube = xr.Dataset(
        {
            role: (("time", "y", "x"), da.from_array(band[None], (1, 512, 512)))
            for role, band in zip(model.card.roles, held, strict=True)
        },
        xr_coords(reads),
    )
    for role in model.card.roles:
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    with dask.config.set(scheduler="threads", num_workers=2):
        return mask_cube(cube, model, geobox)[0].compute()


def test_blending_takes_the_seams_out():
    """A model that sees its whole window, over haze that thickens: hard edges show."""
    rng = np.random.default_rng(5)
    size = 640 + 2 * PAD
    field = ndimage.gaussian_filter(rng.normal(size=(size, size)), 6)
    wide = ndimage.gaussian_filter(rng.normal(size=(size, size)), 60)
    image = (field / field.std() + 3 * wide / wide.std()).astype(np.float32)[None]
    shown = {}
    for blend in (0, 32):
        lattice = Lattice(core_px=128, halo_px=32, blend_px=blend, shift_px=32)
        mask = masked(image, WindowMeanModel(lattice, ("blue",)), 640)
        lines = range(32, 640, 128)
        shown[blend] = seams(mask, lines, lines)
    assert shown[0].found
    assert not shown[32].found


@pytest.mark.slow
@pytest.mark.parametrize("sensor", ["sentinel2", "landsat7"])
def test_the_network_leaves_none(shared_data, sensor):
    """Real scenes, made larger by mirroring so that lattice and tile lines cut them."""
    with np.load(shared_data / "reference" / f"ukis_{sensor}.npz") as data:
        scene = np.ascontiguousarray(np.moveaxis(data["img"], -1, 0))
    # The mirrors are at 448 and 960: on no line of the lattice, nor of tiles.
    image = np.pad(scene, ((0, 0), (576, 1280), (576, 1280)), mode="symmetric")
    card = models.resolve(
        "ukis-csmask", level="L1C", roles=SIX_BANDS, options={"precision": "auto"}
    )
    mask = masked(image, models.load(card), 1024)
    lattice = card.lattice
    edges = range(lattice.shift_px, 1024, lattice.core_px)
    assert not seams(mask, edges, edges).found
    assert not seams(mask, range(256, 1024, 256), range(256, 1024, 256)).found
