"""Registers the package's own models, and keeps one loaded instance of each model per process."""

from __future__ import annotations

import atexit
import gc
import threading
from collections.abc import Collection, Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.combined.ensemble import Ensemble
from pipeline.models.combined.tta import Tta
from pipeline.models.engine import allocator
from pipeline.models.families import machine
from pipeline.models.families.dl_l8s2_uv import DlL8s2Uv
from pipeline.models.families.omnicloudmask import OmniCloudMask
from pipeline.models.families.product_masks import ProductMasks
from pipeline.models.families.provider import provider, register
from pipeline.models.families.s2cloudless import S2cloudless
from pipeline.models.families.trained import Trained
from pipeline.models.families.ukis_csmask import UkisCsmask
from pipeline.models.weights.files import require
from pipeline.types import Model, ModelCard

register(
    (
        UkisCsmask(),
        OmniCloudMask(),
        DlL8s2Uv(),
        S2cloudless(),
        ProductMasks(),
        Trained(),
        Tta(),
        Ensemble(),
    )
)


def resolve(
    name: str,
    *,
    level: str,
    roles: Collection[str],
    options: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Choose the concrete model for some items, without loading it.

    Parameters
    ----------
    name
        A family (``ukis-csmask``), which picks the best of its models for the items, or one model.
    level
        Processing level of the items: ``L1C`` (top of atmosphere) or ``L2A`` (surface).
    roles
        Bands that the items offer.
    options
        Settings of the model; its defaults stand for those left out.

    Returns
    -------
    The card, with every option filled in.

    Raises
    ------
    ModelError
        The name or an option is unknown, or the model does not fit the level or the bands.
    """
    return provider(name).resolve(name, level=level, roles=roles, options=options or {})


def check(card: ModelCard) -> None:
    """Make sure that the weights of a model are on this machine; cheap, because they are not read.

    A run checks before it plans, so that missing weights fail at once and not after an hour of reading.

    Parameters
    ----------
    card
        A card that `resolve` gave.

    Raises
    ------
    ModelError
        Weights of this model or of one of its members are missing; the message says how to get them.
    """
    found: Any = provider(card.name)
    if hasattr(found, "files"):
        other = hasattr(found, "files_of")
        files = found.files_of(card) if other else found.files(card.name)
        require(card.name, files, card.options.get("weights", ""))
    if hasattr(found, "inside"):
        for member in found.inside(card):
            check(member.card)


def check_device(card: ModelCard) -> None:
    """Make sure that this machine can run a model; cheap, because torch is not imported.

    Raises
    ------
    ModelError
        The model, or one of its members, needs a GPU or a precision that this machine does not have.
    """
    if card.options.get("device") == "cuda" and not machine.has_cuda():
        raise ModelError(machine.NO_GPU)
    short = card.options.get("precision") == "bfloat16" and card.options.get("device") == "cpu"
    if short and not machine.has_bfloat16():
        raise ModelError(machine.NO_BFLOAT16)
    found: Any = provider(card.name)
    for member in found.inside(card) if hasattr(found, "inside") else ():
        check_device(member.card)


def bytes_needed(card: ModelCard, *, windows: int = 1) -> int:
    """Estimate the memory of inference, in bytes: the weights once, and several windows at a time.

    Parameters
    ----------
    card
        The model.
    windows
        How many threads call `Model.predict` at once.

    Returns
    -------
    An estimate for whole windows. Not included are torch itself, some 0.75 GB per process, of which 0.4 GB are not
    shared with other processes; and what windows of many shapes leave behind at the edges of swaths: compiled
    kernels, some 0.2 GB, and free memory up to `pipeline.models.engine.allocator.FREE_BYTES` a thread.
    """
    return provider(card.name).bytes_needed(card, windows=windows)


_loaded: dict[tuple[str, str, tuple[tuple[str, str], ...]], Model] = {}
_loading = threading.Lock()


def load(card: ModelCard) -> Model:
    """Return the model of a card, ready for inference: one instance per process and card.

    Parameters
    ----------
    card
        A card that `resolve` gave, here or in another process.

    Raises
    ------
    ModelError
        Its weights are missing or differ from the card's checksum, or this process cannot run it.
    """
    # Cards hold a mapping and are not hashable; these three identify a model's scores.
    key = (card.name, card.weights_sha256, tuple(sorted(card.options.items())))
    # Threads that ask while the first is loading wait here and get the same object.
    with _loading:
        if key not in _loaded:
            _loaded[key] = provider(card.name).load(card)
            allocator.expect(bytes_needed(card, windows=2) - bytes_needed(card, windows=1))
            _let_imports_be()
        return _loaded[key]


def _let_imports_be() -> None:
    """Exempt all present objects from garbage collection.

    Deep-learning libraries leave a million objects that live as long as the process. A full collection over them
    takes 0.2 s, as much as everything else in masking a tile beside the network.
    """
    gc.collect()
    gc.freeze()
    # Undone at exit, because some libraries complain of objects that are left.
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
