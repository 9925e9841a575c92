"""Finds the provider of a model by name: this package's own families, and those of other packages.

The registry registers this package's providers when it is imported. Models made of other models look their members
up here, so that they need not import the registry.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from pipeline.errors import ModelError
from pipeline.types import Model, ModelCard

ENTRY_POINTS = "cloudmask.models"
"""Group in which another package registers its `Provider` object."""


class Provider(Protocol):
    """Offers models: one of this package's families, or an entry point of the group `ENTRY_POINTS`.

    Importing a provider must be cheap: only `load` imports its deep-learning library.

    A provider may have further methods, each looked up where it is used:

    - ``files(name)``: the published files of its weights (`pipeline.models.download`), which its option
      ``weights`` replaces;
    - ``files_of(card)``: the same for one card, if cards differ in their files;
    - ``inside(card)``: the members of a combined model (`pipeline.models.combined.members`);
    - ``alignment_px(card)``: the step on which windows may start, if the receptive field is bounded;
    - ``claims(name)``: whether it knows a name that `names` cannot list, such as the path of a folder.
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
        """Load the model of a card that `resolve` returned; called once per process and card."""
        ...

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        ...


OWN: list[Provider] = []
"""This package's own providers, in the order of the lookup; the registry fills it."""


def register(providers: Sequence[Provider]) -> None:
    """Make providers known, before those of other packages; what was registered before is replaced."""
    OWN[:] = providers


def names() -> tuple[str, ...]:
    """Return the name of every model family and model, those of installed packages included."""
    return tuple(sorted({name for each in (*OWN, *installed()) for name in each.names()}))


def provider(name: str) -> Provider:
    """Return the provider of a model.

    Raises
    ------
    ModelError
        There is none, or a package that may provide the model cannot be imported.
    """
    for own in OWN:
        # Other packages are imported only for names that are not ours.
        if name in own.names() or _claims(own, name):
            return own
    for other in installed():
        if name in other.names():
            return other
    raise ModelError(f"there is no model {name!r}; known are {', '.join(names())}")


def _claims(one: Any, name: str) -> bool:  # noqa: ANN401 - a provider may have it or not
    return hasattr(one, "claims") and bool(one.claims(name))


@functools.cache
def installed() -> tuple[Provider, ...]:
    """Return the providers of other packages."""
    return tuple(_import(each) for each in entry_points(group=ENTRY_POINTS))


def _import(entry_point: EntryPoint) -> Provider:
    try:
        provider: Provider = entry_point.load()
    except Exception as error:
        raise ModelError(
            f"the model provider {entry_point.name!r} ({entry_point.value}) cannot be imported: {error}"
        ) from error
    return provider
