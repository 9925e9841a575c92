"""The detector finds the seams that others leave, finds none where there are none, and none of ours."""

import dask
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline import models
from pipeline.datasets import reader_of
from pipeline.mask import mask_cube, read_geobox
from pipeline.mask.seams import seams
from pipeline.models.families.ukis_csmask import SIX_BANDS
from pipeline.testing import WindowMeanModel
from pipeline.types import Code, Lattice
from tests.mask.cubes import box, cube_of


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
    geobox = box(0, 0, size, size)
    reads = read_geobox(model.card.lattice, geobox)
    cube = cube_of(image[None], model.card.roles, reads, -PAD, (512, 512))
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


def larger(scene):
    """Mirror a scene of 512 or 640 px so that lattice and tile lines cut it; the mirrors lie on none."""
    after = 640 + 1024 + 192 - 576 - scene.shape[1]
    return np.pad(scene, ((0, 0), (576, after), (576, after)), mode="symmetric")


def shows(mask, lattice):
    """Whether lines of the lattice, or of tiles of 256 px, are seen in a mask from 0 to its edge."""
    size = mask.shape[0]
    edges = range(lattice.shift_px or lattice.core_px, size, lattice.core_px)
    tiles = range(256, size, 256)
    return seams(mask, edges, edges).found or seams(mask, tiles, tiles).found


def test_a_local_network_leaves_none(shared_data):
    """Ireland in Sentinel-2, half under cloud; surface reflectance, which serves here."""
    path = shared_data / "imagery" / "S2A_L2A_20221005_T29UNU_60m_crop.tif"
    with rasterio.open(path) as raster:
        bands = [raster.descriptions.index(f"B{band}") + 1 for band in ("02", "03", "04", "8A")]
        scene = (raster.read(bands).astype(np.float32) - 1000) / 10000
    card = models.resolve(
        "dl-l8s2-uv-rgbi",
        level="L1C",
        roles=SIX_BANDS,
        options={"weights": str(shared_data / "weights")},
    )
    mask = masked(larger(scene), models.load(card), 1024)
    assert 0.2 < (mask == Code.THICK_CLOUD).mean() < 0.8
    assert not shows(mask, card.lattice)
    # Another picture below a line is found out.
    cut = mask.copy()
    cut[512:] = np.roll(mask, 40, axis=1)[512:]
    assert seams(cut, [512], [512]).found


@pytest.mark.slow
@pytest.mark.parametrize("chip", [0, 1, 2])
def test_the_network_leaves_none_on_labelled_chips(shared_data, chip):
    reader = reader_of("chips")
    card = models.resolve(
        "ukis-csmask", level="L2A", roles=reader.card.roles, options={"precision": "auto"}
    )
    images = sorted(reader.read(shared_data / "labelled", card.roles), key=lambda each: each.id)
    pixels = images[chip].pixels[[images[chip].roles.index(role) for role in card.roles]]
    mask = masked(larger(pixels), models.load(card), 1024)
    assert len(np.unique(mask)) >= 2
    assert not shows(mask, card.lattice)


@pytest.mark.slow
@pytest.mark.parametrize("sensor", ["sentinel2", "landsat7"])
def test_the_network_leaves_none(shared_data, sensor):
    """Real scenes, made larger by mirroring so that lattice and tile lines cut them."""
    with np.load(shared_data / "reference" / f"ukis_{sensor}.npz") as data:
        scene = np.ascontiguousarray(np.moveaxis(data["img"], -1, 0))
    card = models.resolve(
        "ukis-csmask", level="L1C", roles=SIX_BANDS, options={"precision": "auto"}
    )
    mask = masked(larger(scene), models.load(card), 1024)
    assert not shows(mask, card.lattice)
