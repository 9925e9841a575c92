"""Who has which models: this package's own families, and those of other packages, found by name.

The registry registers its own when it is imported; a model that is made of others asks here for them, so
that it need not know the registry.
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
    """Someone who has models: this package's own, or an entry point of the group `ENTRY_POINTS`.

    Importing a provider must be cheap: its deep-learning library is for `load` to import.

    A provider may have more, which is looked for: ``files(name)``, the published files of its weights
    (`pipeline.models.download`), which its option ``weights`` replaces; ``files_of(card)``, if a card may
    mean other files than those; ``inside(card)``, the models that
    its model is made of, and ``alignment_px(card)``, if it sees a few pixels only
    (`pipeline.models.combined.members`); ``claims(name)``, if it knows names that are not in a list, as
    those of folders.
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


OWN: list[Provider] = []
"""This package's own, in the order in which they are asked; the registry fills it."""


def register(providers: Sequence[Provider]) -> None:
    """Make providers known, before those of other packages; what was registered before is replaced."""
    OWN[:] = providers


def names() -> tuple[str, ...]:
    """Return the name of every model family and model, those of installed packages included."""
    return tuple(sorted({name for each in (*OWN, *installed()) for name in each.names()}))


def provider(name: str) -> Provider:
    """Return who has a model.

    Raises
    ------
    ModelError
        Nobody has, or a package that may have it cannot be imported.
    """
    for own in OWN:
        # Other packages are imported only for the sake of names that are not ours.
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
