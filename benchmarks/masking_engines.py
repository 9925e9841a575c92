"""The engines that `benchmarks/masking.py` compares: each is what warms it up, and what is measured.

Peers run with their defaults and as many threads as ours. OmniCloudMask gets its two networks in memory, at
the precision of ours; patches of 1000 px with 300 px of overlap and one at a time are its defaults. On a GPU
it gets the fastest of some settings: how many patches at a time, compiled or not.
"""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import torch
from masking_scenes import PERIOD, Counts, cube, square, texture, whole

from pipeline import models
from pipeline.mask import mask_cube, mask_with_confidence, read_geobox, shared_windows
from pipeline.mask.lattice import origin_px

WORKERS = {"cpu": 2, "cuda": os.cpu_count() or 2}
TILE_PX = 2048
ROLES = {
    "ukis-csmask": ("blue", "green", "red", "nir", "swir16", "swir22"),
    "omnicloudmask": ("red", "green", "nir08"),
}
Engine = tuple[Callable[[], object], Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is run."""

    engine: str
    """ours, ours by tiles (`tiled`) or theirs."""
    model: str
    size: int
    """Edge of the scene in pixels; how many tiles."""
    precision: str
    """Of the network; ``free`` for none."""
    device: str
    weights: str
    """Folder of those of omnicloudmask."""


class Free:
    """A model that costs nothing: what is left is the engine."""

    def __init__(self, card: models.ModelCard) -> None:
        self.card = card
        edge = card.lattice.window_px
        self._scores = np.zeros((1, len(card.classes), edge, edge), np.float32)

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Return the same scores for any window."""
        return np.broadcast_to(self._scores, (len(windows), *self._scores.shape[1:]))


def loaded(asked: Asked) -> models.Model:
    """Return a model or, as precision ``free``, what has its card and costs nothing."""
    free = asked.precision == "free"
    options = {"precision": "float32" if free else asked.precision, "device": asked.device}
    if asked.model == "omnicloudmask":
        options["weights"] = asked.weights
    roles = ROLES[asked.model]
    card = models.resolve(asked.model, level="L2A", roles=roles, options=options)
    model = models.load(card)
    return Free(card) if free else model


def stored(codes: da.Array, card: models.ModelCard) -> None:
    """Compute codes, and keep nothing of them."""
    found = Counts()
    workers = WORKERS[card.options["device"]]
    with dask.config.set(scheduler="threads", num_workers=workers):
        da.store(codes, found, lock=False)
    if found.total() != codes.size:
        raise RuntimeError("not every pixel was masked once")


def ours(asked: Asked) -> Engine:
    """Return the engine of `pipeline.mask`, which masks a scene as one array."""
    model = loaded(asked)
    card = model.card
    pattern = texture(len(card.roles))
    bordered: dict[str, dict[str, np.ndarray]] = {}

    def run(size: int) -> None:
        geobox = square(size)
        reads = read_geobox(card.lattice, geobox)
        top, left = (-each for each in origin_px(reads))
        held = cube(pattern, card.roles, reads, (top, left), size, bordered)
        stored(mask_cube(held, model, geobox), card)

    # As the others, whose engines are warmed up by a first patch: a scene with the same edges.
    small = 2 * PERIOD + asked.size % PERIOD
    return lambda: run(small), lambda: run(asked.size)


def tiled(asked: Asked) -> Engine:
    """Return the same as runs use it, on so many tiles amid a region, one after another.

    The pattern is the same in each, as if those to the left and above had been masked before.
    """
    model = loaded(asked)
    card, kept = model.card, shared_windows(model)
    pattern = texture(len(card.roles))

    def run(n_tiles: int) -> None:
        for index in range(n_tiles):
            geobox = square(TILE_PX).translate_pix(index * TILE_PX, 0)
            reads = read_geobox(card.lattice, geobox)
            # A scene that begins long before what is read, and ends long after it.
            top, left = (-PERIOD * 1024 - each for each in origin_px(reads))
            held = cube(pattern, card.roles, reads, (top, left), PERIOD * 2048, {})
            codes, _ = mask_with_confidence(held, model, geobox, kept)
            stored(codes, card)

    return lambda: run(1), lambda: run(asked.size)


def csmask(asked: Asked) -> Engine:
    """Return ukis-csmask's own engine."""
    # Its import starts onnxruntime, which ours must not pay for.
    from ukis_csmask.mask import CSmask  # noqa: PLC0415

    roles = ROLES["ukis-csmask"]
    image = np.ascontiguousarray(np.moveaxis(whole(asked.size, len(roles)), 0, -1))

    def run(part: np.ndarray) -> object:
        return CSmask(
            part,
            list(roles),
            product_level="l2a",
            intra_op_num_threads=WORKERS["cpu"],
            providers=["CPUExecutionProvider"],
        ).csm

    return lambda: run(image[:256, :256].copy()), lambda: run(image)


def omnicloudmask(asked: Asked) -> Engine:
    """Return OmniCloudMask's own engine, with the same two networks as ours."""
    import omnicloudmask as package  # noqa: PLC0415
    from omnicloudmask.model_utils import load_model_from_weights  # noqa: PLC0415

    from pipeline.models.weights.omnicloudmask import NETWORKS  # noqa: PLC0415

    torch.set_num_threads(WORKERS[asked.device])
    device, dtype = torch.device(asked.device), getattr(torch, asked.precision)
    folder = Path(asked.weights)
    nets = [
        load_model_from_weights(each.encoder, folder / each.file.name, "smp", device).to(dtype)
        for each in NETWORKS
    ]
    image = whole(asked.size, 3)
    given = {"custom_models": nets, "inference_device": device, "inference_dtype": dtype}
    best: dict[str, Any] = {}

    def run(part: np.ndarray, **more: object) -> object:
        with warnings.catch_warnings():
            # It warns of bfloat16 on a CPU; here both sides use it.
            warnings.simplefilter("ignore")
            return package.predict_from_array(part, **{**given, **more})

    def warm() -> None:
        if asked.device == "cpu":
            run(image[:, :1000, :1000].copy())
        else:
            # As long as all patches of the scene take part: a batch that is not full has another shape.
            best.update(_fastest(partial(run, image), nets))

    return warm, lambda: run(image, **best)


def _fastest(run: Callable[..., object], nets: list[torch.nn.Module]) -> dict[str, Any]:
    """Return the settings of OmniCloudMask with which a GPU is fastest; all that is made once is made."""
    compiled = [torch.compile(net) for net in nets]
    times = []
    for batch, custom in itertools.product((1, 2, 4, 8), (nets, compiled)):
        more = {"batch_size": batch, "custom_models": custom}
        run(**more)
        started = time.perf_counter()
        run(**more)
        times.append((time.perf_counter() - started, len(times), more))
    return min(times)[2]


def random_weights(folder: Path) -> None:
    """Write both networks of OmniCloudMask with random weights, batch norms that do something."""
    from safetensors.torch import save_file  # noqa: PLC0415

    from pipeline.models.networks.omnicloudmask import architecture  # noqa: PLC0415
    from pipeline.models.weights.omnicloudmask import NETWORKS  # noqa: PLC0415

    torch.manual_seed(4)
    for each in NETWORKS:
        net = architecture(each)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_var, 0.7, 1.3)
                torch.nn.init.normal_(module.bias, std=0.2)
        save_file(net.state_dict(), folder / each.file.name)


ENGINES = {
    ("ours", "ukis-csmask"): ours,
    ("ours", "omnicloudmask"): ours,
    ("tiled", "ukis-csmask"): tiled,
    ("tiled", "omnicloudmask"): tiled,
    ("theirs", "ukis-csmask"): csmask,
    ("theirs", "omnicloudmask"): omnicloudmask,
}


def made(asked: Asked) -> Engine:
    """Return the engine that is asked for."""
    return ENGINES[asked.engine, asked.model](asked)
