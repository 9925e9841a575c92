"""The engines that `benchmarks/masking.py` compares: each is what warms it up, and what is measured.

Peers run with their defaults and as many threads as ours. OmniCloudMask gets its two networks in memory, at
the precision of ours; patches of 1000 px with 300 px of overlap and one at a time are its defaults.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import torch
import xarray as xr
from masking_scenes import PERIOD, Counts, cube, square, texture, whole
from odc.geo.geobox import GeoBox

from pipeline import models
from pipeline.mask import mask_cube, read_geobox
from pipeline.mask.lattice import origin_px

WORKERS = 2
TILE_PX = 2048
ROLES = {
    "ukis-csmask": ("blue", "green", "red", "nir", "swir16", "swir22"),
    "omnicloudmask": ("red", "green", "nir08"),
}
Engine = tuple[Callable[[], object], Callable[[], object]]


class Free:
    """A model that costs nothing: what is left is the engine."""

    def __init__(self, card: models.ModelCard) -> None:
        self.card = card
        edge = card.lattice.window_px
        self._scores = np.zeros((1, len(card.classes), edge, edge), np.float32)

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Return the same scores for any window."""
        return np.broadcast_to(self._scores, (len(windows), *self._scores.shape[1:]))


def loaded(name: str, precision: str, weights: Path) -> models.Model:
    """Return a model or, as precision ``free``, what has its card and costs nothing."""
    options = {"precision": "float32" if precision == "free" else precision}
    if name == "omnicloudmask":
        options["weights"] = str(weights)
    card = models.resolve(name, level="L2A", roles=ROLES[name], options=options)
    model = models.load(card)
    return Free(card) if precision == "free" else model


def masked(held: xr.Dataset, model: models.Model, geobox: GeoBox) -> None:
    """Mask a geobox, and keep nothing of it."""
    found = Counts()
    with dask.config.set(scheduler="threads", num_workers=WORKERS):
        da.store(mask_cube(held, model, geobox), found, lock=False)
    if found.total() != geobox.shape.y * geobox.shape.x:
        raise RuntimeError("not every pixel was masked once")


def ours(name: str, size: int, precision: str, weights: Path) -> Engine:
    """Return the engine of `pipeline.mask`, which masks a scene as one array."""
    model = loaded(name, precision, weights)
    card = model.card
    pattern = texture(len(card.roles))
    bordered: dict[str, dict[str, np.ndarray]] = {}

    def run(size: int) -> None:
        geobox = square(size)
        reads = read_geobox(card.lattice, geobox)
        top, left = (-each for each in origin_px(reads))
        masked(cube(pattern, card.roles, reads, (top, left), size, bordered), model, geobox)

    # As the others, whose engines are warmed up by a first patch: a scene with the same edges.
    small = 2 * PERIOD + size % PERIOD
    return lambda: run(small), lambda: run(size)


def tiled(name: str, n_tiles: int, precision: str, weights: Path) -> Engine:
    """Return the same as runs use it, on so many tiles amid a region, one after another."""
    model = loaded(name, precision, weights)
    card = model.card
    pattern = texture(len(card.roles))

    def run(n_tiles: int) -> None:
        for index in range(n_tiles):
            geobox = square(TILE_PX).translate_pix(index * TILE_PX, 0)
            reads = read_geobox(card.lattice, geobox)
            # A scene that begins long before what is read, and ends long after it.
            top, left = (-PERIOD * 1024 - each for each in origin_px(reads))
            held = cube(pattern, card.roles, reads, (top, left), PERIOD * 2048, {})
            masked(held, model, geobox)

    return lambda: run(1), lambda: run(n_tiles)


OURS = {"ours": ours, "tiled": tiled}


def csmask(size: int) -> Engine:
    """Return ukis-csmask's own engine."""
    # Its import starts onnxruntime, which ours must not pay for.
    from ukis_csmask.mask import CSmask  # noqa: PLC0415

    roles = ROLES["ukis-csmask"]
    image = np.ascontiguousarray(np.moveaxis(whole(size, len(roles)), 0, -1))

    def run(part: np.ndarray) -> object:
        return CSmask(
            part,
            list(roles),
            product_level="l2a",
            intra_op_num_threads=WORKERS,
            providers=["CPUExecutionProvider"],
        ).csm

    return lambda: run(image[:256, :256].copy()), lambda: run(image)


def omnicloudmask(size: int, precision: str, weights: Path) -> Engine:
    """Return OmniCloudMask's own engine, with the same two networks as ours."""
    import omnicloudmask as package  # noqa: PLC0415
    from omnicloudmask.model_utils import load_model_from_weights  # noqa: PLC0415

    from pipeline.models.omnicloudmask import NETWORKS  # noqa: PLC0415

    torch.set_num_threads(WORKERS)
    cpu, dtype = torch.device("cpu"), getattr(torch, precision)
    nets = [
        load_model_from_weights(each.encoder, weights / each.file.name, "smp", cpu).to(dtype)
        for each in NETWORKS
    ]
    image = whole(size, 3)

    def run(part: np.ndarray) -> object:
        with warnings.catch_warnings():
            # It warns of bfloat16 on a CPU; here both sides use it.
            warnings.simplefilter("ignore")
            return package.predict_from_array(
                part, custom_models=nets, inference_device="cpu", inference_dtype=dtype
            )

    return lambda: run(image[:, :1000, :1000].copy()), lambda: run(image)


def random_weights(folder: Path) -> None:
    """Write both networks of OmniCloudMask with random weights, batch norms that do something."""
    from safetensors.torch import save_file  # noqa: PLC0415

    from pipeline.models.omnicloudmask import NETWORKS  # noqa: PLC0415
    from pipeline.models.omnicloudmask_network import architecture  # noqa: PLC0415

    torch.manual_seed(4)
    for each in NETWORKS:
        net = architecture(each)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_var, 0.7, 1.3)
                torch.nn.init.normal_(module.bias, std=0.2)
        save_file(net.state_dict(), folder / each.file.name)


def made(engine: str, name: str, size: int, precision: str, weights: Path) -> Engine:
    """Return an engine by its name: ours, ours by tiles (size: how many) or theirs, of a model, at a precision."""
    if engine in OURS:
        return OURS[engine](name, size, precision, weights)
    return csmask(size) if name == "ukis-csmask" else omnicloudmask(size, precision, weights)
