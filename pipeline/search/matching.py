"""Queries and CQL2 filters, applied to one item.

A static catalogue cannot filter, and an API may lack or ignore an extension. So every item that comes back
is tested here again, and the result does not depend on the catalogue.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cql2
import pystac

from pipeline.errors import ConfigError
from pipeline.shown import words_of
from pipeline.types import Source


def _contains(value: Any, part: Any) -> bool:  # noqa: ANN401 -- a property may be anything
    return part in value if isinstance(value, list) else str(part) in str(value)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "in": lambda value, allowed: value in allowed,
    "startsWith": lambda value, start: str(value).startswith(start),
    "endsWith": lambda value, end: str(value).endswith(end),
    "contains": _contains,
}
"""Operators of the STAC API query extension."""

_CQL2_OPERATORS = frozenset(
    {
        *(
            "and",
            "or",
            "not",
            "=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "isNull",
            "like",
            "between",
            "in",
        ),
        *("casei", "accenti", "+", "-", "*", "/", "%", "^", "div"),
        *(f"s_{name}" for name in ("contains", "crosses", "disjoint", "equals", "intersects")),
        *("s_overlaps", "s_touches", "s_within"),
        *(
            f"t_{name}"
            for name in ("after", "before", "contains", "disjoint", "during", "equals")
        ),
        *(f"t_{name}" for name in ("finishedBy", "finishes", "intersects", "meets", "metBy")),
        *(f"t_{name}" for name in ("overlappedBy", "overlaps", "startedBy", "starts")),
        *("a_containedBy", "a_contains", "a_equals", "a_overlaps"),
    }
)
"""Operators of CQL2 (OGC 21-065r2); anything else is a function that only some server knows."""


def matcher(source: Source) -> Callable[[pystac.Item], bool]:
    """Return the test of a source's collections, query and filter.

    Raises
    ------
    ConfigError
        The query or the filter is not valid.
    """
    _check_query(source.query)
    accepts = _filter_test(source.filter)
    collections = frozenset(source.collections)

    def matches(item: pystac.Item) -> bool:
        if collections and item.collection_id not in collections:
            return False
        return matches_query(source.query, item.properties) and accepts(item)

    return matches


def matches_query(query: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Apply a STAC API query to an item's properties.

    A property that is absent, null, or of a kind that cannot be compared does not match.

    Raises
    ------
    ConfigError
        The query has an operator that the extension does not know.
    """
    _check_query(query)
    for name, tests in query.items():
        value = properties.get(name, properties.get(name.removeprefix("properties.")))
        if value is None:
            return False
        for symbol, operand in tests.items():
            try:
                if not _OPERATORS[symbol](value, operand):
                    return False
            except TypeError:
                return False
    return True


def _check_query(query: Mapping[str, Any]) -> None:
    for name, tests in query.items():
        if not isinstance(tests, Mapping):
            raise ConfigError(
                f"sources.query.{name}: {tests!r} found, expected a mapping of operators, "
                f"e.g. {{lt: 80}}"
            )
        for symbol in tests:
            if symbol not in _OPERATORS:
                raise ConfigError(
                    f"sources.query.{name}: operator {symbol!r} is not known; "
                    f"known are {', '.join(_OPERATORS)}"
                )


def _filter_test(expression: Mapping[str, Any]) -> Callable[[pystac.Item], bool]:
    if not expression:
        return lambda _: True
    for name in _operators(expression):
        if name not in _CQL2_OPERATORS:
            raise ConfigError(
                f"sources.filter: {name!r} is no operator of CQL2; functions of single servers are "
                "not supported, since what they answer cannot be checked"
            )
    parsed = _parsed(expression)

    def accepts(item: pystac.Item) -> bool:
        try:
            return bool(parsed.matches(_plain(item)))
        # cql2 raises bare exceptions; the expression is valid, so this is SQL's unknown: a property
        # is absent, null or of another kind, and such an item does not match.
        except Exception:  # noqa: BLE001
            return False

    return accepts


def _parsed(expression: Mapping[str, Any]) -> cql2.Expr:
    try:
        parsed = cql2.Expr(json.loads(json.dumps(expression, default=str)))
        parsed.validate()
    except Exception as error:  # noqa: BLE001 -- cql2 raises bare exceptions
        raise ConfigError(
            f"sources.filter: {dict(expression)} is no CQL2: {words_of(error)}; expected e.g. "
            '{op: "<", args: [{property: "eo:cloud_cover"}, 80]}'
        ) from None
    return parsed


def _operators(expression: object) -> Iterator[str]:
    """Yield the names of all operators and functions of an expression."""
    if isinstance(expression, Mapping):
        if "op" in expression:
            yield str(expression["op"])
        for each in expression.values():
            yield from _operators(each)
    elif isinstance(expression, list | tuple):
        for each in expression:
            yield from _operators(each)


def _plain(item: pystac.Item) -> dict[str, Any]:
    """Return what a filter can name of an item: without assets and links it costs a twentieth."""
    properties = {
        name: value
        for name, value in item.properties.items()
        if isinstance(value, str | int | float | bool | list) or value is None
    }
    if item.datetime is not None:
        properties["datetime"] = item.datetime.isoformat().replace("+00:00", "Z")
    return {
        "id": item.id,
        "collection": item.collection_id,
        "geometry": item.geometry,
        "properties": properties,
    }
