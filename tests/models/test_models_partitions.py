"""Any partition, same mask: every model here through the mask room, whole and in pieces, in any threads."""

from dataclasses import replace
from itertools import pairwise

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.mask import mask_with_confidence, read_geobox
from pipeline.mask.lattice import origin_px
from pipeline.models import registry
from pipeline.models.dl_l8s2_uv import RGBI, DlL8s2Uv
from pipeline.models.ensemble import Ensemble
from pipeline.models.omnicloudmask import OmniCloudMask
from pipeline.models.omnicloudmask_network import Ensemble as MeanOfNetworks
from pipeline.models.omnicloudmask_network import normalise
from pipeline.models.product_masks import ProductMasks
from pipeline.models.s2cloudless import ROLES as TEN_BANDS
from pipeline.models.s2cloudless import S2cloudless
from pipeline.models.torch_model import TorchModel
from pipeline.models.tta import TtaModel
from pipeline.types import Code, Lattice

ROLES = (*TEN_BANDS, "green", "scl", "qa_pixel")
GROUND = {"blue": 0.08, "green": 0.08, "red": 0.06, "nir": 0.3, "nir08": 0.32, "cirrus": 0.002}
SIZE, ORIGIN = 640, -320


@pytest.fixture(scope="module")
def world():
    """(role, y, x) round the CRS origin: meadows under clouds, a gap, and codes of products."""
    rng = np.random.default_rng(11)
    cover = np.kron(rng.random((SIZE // 16,) * 2) ** 2, np.ones((16, 16)))
    ground = np.array([GROUND.get(role, 0.1) for role in ROLES])[:, np.newaxis, np.newaxis]
    pixels = ground + cover * (0.8 - ground) + rng.normal(0, 0.01, (len(ROLES), SIZE, SIZE))
    pixels = pixels.clip(0.001).astype(np.float32)
    pixels[-2] = rng.integers(0, 12, (SIZE, SIZE))
    pixels[-1] = rng.integers(0, 65536, (SIZE, SIZE))
    pixels[:, 290:330, 300:400] = np.nan
    pixels[1, 350:360, 350:360] = np.nan
    return dict(zip(ROLES, pixels, strict=True))


def box(top, left, height, width):
    return GeoBox((height, width), Affine(30, 0, left * 30, 0, -30, -top * 30), "EPSG:32632")


def masked(world, model, geobox, chunk):
    """Codes and confidence (2, y, x)."""
    reads = read_geobox(model.card.lattice, geobox)
    top, left = (px - ORIGIN for px in origin_px(reads))
    window = slice(top, top + reads.shape[0]), slice(left, left + reads.shape[1])
    variables = {
        role: (
            ("time", "y", "x"),
            da.from_array(world[role][window][np.newaxis], (1, chunk, chunk)),
        )
        for role in model.card.roles
    }
    cube = xr.Dataset(variables, xr_coords(reads))
    for role in model.card.roles:
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    return np.stack(
        [each[0] for each in dask.compute(*mask_with_confidence(cube, model, geobox))]
    )


# -- models ------------------------------------------------------------------------------------


def resolved(provider, name, level="L1C", **options):
    roles = set(ROLES) | {"nir"}
    return provider.resolve(name, level=level, roles=roles, options=options)


def of_product(shared_data):
    card = resolved(ProductMasks(), "qa-pixel")
    return ProductMasks().load(replace(card, lattice=Lattice(core_px=32, halo_px=0)))


def of_dl_l8s2_uv(shared_data):
    card = resolved(DlL8s2Uv(), RGBI, weights=str(shared_data / "weights"))
    return DlL8s2Uv().load(replace(card, lattice=Lattice(core_px=64, halo_px=24)))


def of_s2cloudless(shared_data):
    pytest.importorskip("lightgbm", reason="the extra s2cloudless is not installed")
    card = resolved(S2cloudless(), "s2cloudless")
    return S2cloudless().load(replace(card, lattice=Lattice(core_px=48, halo_px=2)))


def of_omnicloudmask(shared_data):
    """Its normalisation and its blending, with a network of one convolution."""
    import torch  # noqa: PLC0415

    torch.manual_seed(0)
    card = resolved(OmniCloudMask(), "omnicloudmask", core_px=64, halo_px=32)
    nets = [torch.nn.Conv2d(3, 4, 5, padding=2) for _ in range(2)]
    return TorchModel(card, MeanOfNetworks(nets).requires_grad_(False), normalise, stride=32)


def of_tta(shared_data):
    inner = of_omnicloudmask(shared_data)
    options = {"model": inner.card.name, "options": "{}", "depth": "3"}
    return TtaModel(replace(inner.card, scores="probabilities", options=options), inner)


def of_ensemble(shared_data):
    members = [
        "qa-pixel",
        {"model": RGBI, "options": {"weights": str(shared_data / "weights")}},
    ]
    card = resolved(Ensemble(), "ensemble", members=members, rule="mean")
    return Ensemble().load(replace(card, lattice=Lattice(core_px=64, halo_px=24)))


MODELS = [of_product, of_dl_l8s2_uv, of_s2cloudless, of_omnicloudmask, of_tta, of_ensemble]


@pytest.fixture(params=MODELS, ids=lambda each: each.__name__)
def model(request, monkeypatch, shared_data):
    monkeypatch.setattr(registry, "OWN", (DlL8s2Uv(), ProductMasks(), Ensemble()))
    return request.param(shared_data)


# -- the law -----------------------------------------------------------------------------------

HEIGHT, WIDTH = 200, 232


@pytest.mark.parametrize(("seed", "scheduler"), [(0, "synchronous"), (1, "threads")])
def test_any_partition_gives_the_same_mask_and_confidence(world, model, seed, scheduler):
    rng = np.random.default_rng(seed)
    with dask.config.set(scheduler="synchronous"):
        whole = masked(world, model, box(-100, -116, HEIGHT, WIDTH), 640)
    codes = set(np.unique(whole[0]).tolist())
    assert int(Code.NO_DATA) in codes
    assert len(codes) >= 3
    ys = [0, *sorted(rng.choice(np.arange(1, HEIGHT), 2, replace=False)), HEIGHT]
    xs = [0, *sorted(rng.choice(np.arange(1, WIDTH), 1, replace=False)), WIDTH]
    with dask.config.set(scheduler=scheduler, num_workers=3):
        for y0, y1 in pairwise(ys):
            for x0, x1 in pairwise(xs):
                part = box(-100 + y0, -116 + x0, y1 - y0, x1 - x0)
                found = masked(world, model, part, int(rng.integers(30, 200)))
                assert np.array_equal(found, whole[:, y0:y1, x0:x1])


@pytest.mark.parametrize("model", [of_product, of_dl_l8s2_uv, of_s2cloudless], indirect=True)
def test_models_that_see_a_few_pixels_equal_the_whole_scene_in_one_pass(world, model):
    """Not even the lattice shows: one window as large as the scene gives the same."""
    top, left, margin = -100 - ORIGIN, -116 - ORIGIN, 24
    window = np.stack(
        [
            world[role][
                top - margin : top + HEIGHT + margin, left - margin : left + WIDTH + margin
            ]
            for role in model.card.roles
        ]
    )
    scores = model.predict(window[np.newaxis])[0, :, margin:-margin, margin:-margin]
    expected = np.array(model.card.classes, np.uint8)[scores.argmax(axis=0)]
    missing = np.isnan(window[:, margin:-margin, margin:-margin]).any(axis=0)
    expected[missing] = Code.NO_DATA
    with dask.config.set(scheduler="synchronous"):
        found = masked(world, model, box(-100, -116, HEIGHT, WIDTH), 100)[0]
    assert np.array_equal(found, expected)
