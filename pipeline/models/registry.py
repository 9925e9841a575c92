"""Finds the provider of a model by name, and keeps one loaded instance of each per process."""

from __future__ import annotations

import atexit
import functools
import gc
import threading
from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from pipeline.errors import ModelError
from pipeline.models.combined.ensemble import Ensemble
from pipeline.models.combined.tta import Tta
from pipeline.models.engine import allocator
from pipeline.models.families import machine
from pipeline.models.families.dl_l8s2_uv import DlL8s2Uv
from pipeline.models.families.omnicloudmask import OmniCloudMask
from pipeline.models.families.product_masks import ProductMasks
from pipeline.models.families.s2cloudless import S2cloudless
from pipeline.models.families.ukis_csmask import UkisCsmask
from pipeline.models.weights import files as weights
from pipeline.types import Model, ModelCard

ENTRY_POINTS = "cloudmask.models"
"""Group in which another package registers its `Provider` object."""


class Provider(Protocol):
    """Someone who has models: this package's own, or an entry point of the group `ENTRY_POINTS`.

    Importing a provider must be cheap: its deep-learning library is for `load` to import.

    A provider may have more, which is looked for: ``files(name)``, the published files of its weights
    (`pipeline.models.download`), which its option ``weights`` replaces; ``files_of(card)``, if a card may
    mean other files than those; ``inside(card)``, the models that
    its model is made of, and ``alignment_px(card)``, if it sees a few pixels only
    (`pipeline.models.combined.members`).
    """

    def names(self) -> Collection[str]:
        """Return every name that `resolve` takes and that a card may carry."""
        ...

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        """Choose a card; see `pipeline.models.resolve`."""
        ...

    def load(self, card: ModelCard) -> Model:
        """Load the model of a card that `resolve` gave; it is asked once per process and card."""
        ...

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        ...


OWN: tuple[Provider, ...] = (
    UkisCsmask(),
    OmniCloudMask(),
    DlL8s2Uv(),
    S2cloudless(),
    ProductMasks(),
    Tta(),
    Ensemble(),
)


def names() -> tuple[str, ...]:
    """Return the name of every model family and model, those of installed packages included."""
    return tuple(sorted({name for each in (*OWN, *_installed()) for name in each.names()}))


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
        The name or an option is unknown, or the model fits neither the level nor the bands.
    """
    return _provider(name).resolve(name, level=level, roles=roles, options=options or {})


def check(card: ModelCard) -> None:
    """Make sure that the weights of a model are on this machine; cheap, they are not read.

    A run asks before it plans: what cannot be loaded should fail before an hour of reading, not after.

    Parameters
    ----------
    card
        A card that `resolve` gave.

    Raises
    ------
    ModelError
        Weights are missing, of this model or of one inside it; the message says how to get them.
    """
    provider: Any = _provider(card.name)
    if hasattr(provider, "files"):
        other = hasattr(provider, "files_of")
        files = provider.files_of(card) if other else provider.files(card.name)
        weights.require(card.name, files, card.options.get("weights", ""))
    if hasattr(provider, "inside"):
        for member in provider.inside(card):
            check(member.card)


def check_device(card: ModelCard) -> None:
    """Make sure that the device of a model is there; cheap, torch is not asked.

    Raises
    ------
    ModelError
        It wants a GPU, here or in a model inside it, and this machine has none.
    """
    if card.options.get("device") == "cuda" and not machine.has_cuda():
        raise ModelError(machine.NO_GPU)
    provider: Any = _provider(card.name)
    for member in provider.inside(card) if hasattr(provider, "inside") else ():
        check_device(member.card)


def bytes_needed(card: ModelCard, *, windows: int = 1) -> int:
    """State the memory that inference takes, in bytes: weights once, and so many windows at a time.

    Parameters
    ----------
    card
        The model.
    windows
        How many threads call `Model.predict` at once.

    Returns
    -------
    An estimate, by arithmetic, of what whole windows take. What a process takes once torch is imported,
    before any model, is not in it: some 0.75 GB, of which 0.4 GB are not shared with other processes. Nor
    is what windows of a hundred shapes leave behind, at the edges of swaths: compiled kernels, some 0.2 GB,
    and free memory up to `pipeline.models.engine.allocator.FREE_BYTES` a thread.
    """
    return _provider(card.name).bytes_needed(card, windows=windows)


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
        Its weights are not what the card says, or this process cannot run it.
    """
    # Cards hold a mapping and have no hash; these three decide what a model answers.
    key = (card.name, card.weights_sha256, tuple(sorted(card.options.items())))
    # Threads that come while the first is loading wait here and then find the same object.
    with _loading:
        if key not in _loaded:
            _loaded[key] = _provider(card.name).load(card)
            allocator.expect(bytes_needed(card, windows=2) - bytes_needed(card, windows=1))
            _let_imports_be()
        return _loaded[key]


def _let_imports_be() -> None:
    """Have garbage collected without a look at what is there now.

    Libraries of networks leave a million objects, which stay. A full collection takes 0.2 s for them, as much as
    all that masking a tile takes beside its network.
    """
    gc.collect()
    gc.freeze()
    # At its end the interpreter takes everything down, and libraries complain of what is left.
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)


def _provider(name: str) -> Provider:
    for own in OWN:
        # Other packages are imported only for the sake of names that are not ours.
        if name in own.names():
            return own
    for installed in _installed():
        if name in installed.names():
            return installed
    raise ModelError(f"there is no model {name!r}; known are {', '.join(names())}")


@functools.cache
def _installed() -> tuple[Provider, ...]:
    return tuple(_import(each) for each in entry_points(group=ENTRY_POINTS))


def _import(entry_point: EntryPoint) -> Provider:
    try:
        provider: Provider = entry_point.load()
    except Exception as error:
        raise ModelError(
            f"the model provider {entry_point.name!r} ({entry_point.value}) cannot be imported: {error}"
        ) from error
    return provider
