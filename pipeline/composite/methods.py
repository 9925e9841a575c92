"""The table of methods: this package's own, and those of other packages, found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from pipeline.composite.best import Best
from pipeline.composite.choices import First, Latest, Max, Medoid, Nearest
from pipeline.composite.geomedian import Geomedian
from pipeline.composite.means import Mean, WeightedMean
from pipeline.composite.observations import Method
from pipeline.composite.ranks import Median, Percentile

ENTRY_POINTS = "cloudmask.composites"
"""Group in which another package registers its methods: name -> class, options by keyword."""

METHODS: Mapping[str, Callable[..., Method]] = {
    "median": Median,
    "mean": Mean,
    "percentile": Percentile,
    "geomedian": Geomedian,
    "medoid": Medoid,
    "nearest": Nearest,
    "best": Best,
    "max": Max,
    "first": First,
    "latest": Latest,
    "weighted_mean": WeightedMean,
}
"""Name -> class; its options are its fields."""


def method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """Make a method.

    Parameters
    ----------
    name
        One of `METHODS`, or an entry point of the group `ENTRY_POINTS`.
    options
        What the method can be told, by the names of its fields.

    Raises
    ------
    ValueError
        Nobody has such a method, it cannot be imported, or it refuses an option.
    """
    try:
        return _made_by(name)(**(options or {}))
    except TypeError as error:
        raise ValueError(f"compositing method {name!r}: {error}") from error


def names() -> tuple[str, ...]:
    """Return the name of every method, those of installed packages included."""
    return (*METHODS, *sorted(each.name for each in entry_points(group=ENTRY_POINTS)))


def _made_by(name: str) -> Callable[..., Method]:
    if name in METHODS:
        return METHODS[name]
    for each in entry_points(group=ENTRY_POINTS):
        if each.name == name:
            return _imported(each.name, each.load)
    raise ValueError(f"no compositing method {name!r}: there are {', '.join(names())}")


def _imported(name: str, load: Callable[[], Callable[..., Method]]) -> Callable[..., Method]:
    try:
        return load()
    except Exception as error:
        raise ValueError(
            f"the compositing method {name!r} of another package cannot be imported: {error}"
        ) from error
