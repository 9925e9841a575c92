"""Messages about mistakes: one line for each that pydantic found.

job.yaml:12: grid.tile_px: found 1000, expected a multiple of chunk_px (256)
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.paths import holds_secret
from pipeline.shown import shown
from pipeline.wording import did_you_mean

Location = tuple[int | str, ...]
"""Keys and positions from the root of the job file to a value."""

_EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "byte_size": 'a size such as 4000000000 or "4 GiB"',
    "byte_size_unit": 'a size such as 4000000000 or "4 GiB"',
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "model_type": "a mapping of keys",
    "multiple_of": "a multiple of {multiple_of:g}",
    "string_too_short": "some text",
    "string_type": "text",
    "too_short": "at least one",
    "tuple_type": "a list",
}
"""Kind of error -> what is expected; other kinds have pydantic's own message."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = 80


def describe(error: ErrorDetails) -> str:
    """Return ``found …, expected …``."""
    context: Mapping[str, Any] = error.get("ctx", {})
    found = context["found"] if context.get("key") else error["input"]
    template = "{expected}" if error["type"] == "refused" else _EXPECTED.get(error["type"])
    expected = template.format_map(context) if template else error["msg"].lower()
    hint = _hint(found, context) if error["type"] == "literal_error" else ""
    return f"found {show(found)}, expected {expected}{hint}"


def show(value: object) -> str:
    """Return a value for a message: short, and without secrets."""
    if isinstance(value, str) and holds_secret(value):
        return "a URL with a secret in it"
    # Secrets first: in half a URL they would not be recognised.
    seen = shown(value) if isinstance(value, str) else value
    return "nothing" if value is None else _SHORT.repr(seen)


def path_of(location: Location) -> str:
    """Return ``sources[0].catalog`` for ``("sources", 0, "catalog")``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".")


def _hint(found: object, context: Mapping[str, Any]) -> str:
    return did_you_mean(
        found, str(context["expected"]).replace(" or ", ", ").strip("'").split("', '")
    )


def mistakes(
    error: ValidationError, model: type[BaseModel], wanted: Callable[[Location], str]
) -> list[tuple[Location, str]]:
    """Return location and message of each mistake, in the order of the settings.

    Parameters
    ----------
    error
        What pydantic found.
    model
        What it was to become.
    wanted
        Returns what is expected at a location.
    """
    return [_mistake(each, model, wanted) for each in error.errors(include_url=False)]


def _mistake(
    error: ErrorDetails, model: type[BaseModel], wanted: Callable[[Location], str]
) -> tuple[Location, str]:
    location = error["loc"]
    if error["type"] == "missing":
        return location, f"missing, expected {wanted(location)}"
    if error["type"] == "extra_forbidden":
        known = _keys_at(location[:-1], model)
        hint = did_you_mean(location[-1], known)
        return location, f"unknown key{hint}, expected {' | '.join(known)}"
    key = error.get("ctx", {}).get("key")
    return (*location, *key.split(".")) if key else location, describe(error)


def _keys_at(location: Location, section: type[BaseModel]) -> Sequence[str]:
    """Return the keys of the section at a location; positions and names of groups are no sections."""
    could = [section]
    for step in location:
        field = could[0].model_fields.get(str(step))
        if field:
            could = list(_sections_in(field.annotation)) or could
        else:
            # One of several sections, by the name of its class.
            could = [each for each in could if each.__name__ == step] or could
    return [field.alias or name for name, field in could[0].model_fields.items()]


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 -- a type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _sections_in(each)
