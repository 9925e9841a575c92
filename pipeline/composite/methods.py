"""The table of methods: this package's own, and those of other packages, found by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.composite.best import Best
from pipeline.composite.choices import First, Latest, Max, Medoid, Nearest
from pipeline.composite.geomedian import Geomedian
from pipeline.composite.means import Mean, WeightedMean
from pipeline.composite.observations import Method
from pipeline.composite.ranks import Median, Percentile
from pipeline.wording import did_you_mean

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

_FINITE = ConfigDict(allow_inf_nan=False)


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
    made_by, given = _made_by(name), dict(options or {})
    _require(name, made_by, given)
    try:
        return made_by(**given)
    except TypeError as error:
        raise ValueError(f"compositing method {name!r}: {error}") from error


def on_device(made: Method) -> bool:
    """Return whether a method can compose on a device.

    This package's own can. One of another package says so by an attribute ``on_device`` that is true: its
    `compose` then takes arrays of any library of the array standard, torch's for one.
    """
    return type(made) in METHODS.values() or bool(getattr(made, "on_device", False))


def names() -> tuple[str, ...]:
    """Return the name of every method, those of installed packages included."""
    return (*METHODS, *sorted(each.name for each in entry_points(group=ENTRY_POINTS)))


def _made_by(name: str) -> Callable[..., Method]:
    if name in METHODS:
        return METHODS[name]
    for each in entry_points(group=ENTRY_POINTS):
        if each.name == name:
            return _imported(each.name, each.load)
    raise ValueError(
        f"no compositing method {name!r}{did_you_mean(name, names())}: there are {', '.join(names())}"
    )


def _require(name: str, made_by: Any, given: Mapping[str, Any]) -> None:  # noqa: ANN401 -- a dataclass
    """Refuse options that are no fields of a method, or values of another type.

    What is no dataclass checks its own.
    """
    if not dataclasses.is_dataclass(made_by):
        return
    known = [each.name for each in dataclasses.fields(made_by)]
    types = get_type_hints(made_by)
    for option, value in given.items():
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            hint = did_you_mean(option, known)
            raise ValueError(
                f"compositing method {name!r} has no option {option!r}{hint}: {has}"
            )
        try:
            TypeAdapter(types[option], config=_FINITE).validate_python(value, strict=True)
        except ValidationError as error:
            expected = error.errors()[0]["msg"].replace("Input should be", "expected")
            raise ValueError(
                f"option {option} of compositing method {name!r} is {value!r}: {expected}"
            ) from None


def _imported(name: str, load: Callable[[], Callable[..., Method]]) -> Callable[..., Method]:
    try:
        return load()
    except Exception as error:
        raise ValueError(
            f"the compositing method {name!r} of another package cannot be imported: {error}"
        ) from error
