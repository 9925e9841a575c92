"""Queries and CQL2 filters."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.search import matches_query, search
from pipeline.search.matching import matcher
from pipeline.testing import make_job
from pipeline.types import Source
from tests.search.test_search import ids, make_item, write_collection


def matches(expression, item):
    return matcher(Source(catalog="c", filter=expression))(item)


def compared(name, symbol, value):
    return {"op": symbol, "args": [{"property": name}, value]}


# SQL's three truths: none is unknown.
def truth(expression, properties):
    symbol, args = expression["op"], expression["args"]
    if symbol == "isNull":
        return properties.get(args[0]["property"]) is None
    if symbol == "not":
        inner = truth(args[0], properties)
        return None if inner is None else not inner
    if symbol in ("and", "or"):
        parts = [truth(each, properties) for each in args]
        decisive = symbol == "or"
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    value = properties.get(args[0]["property"])
    if value is None:
        return None
    limit = args[1]
    results = {
        "<": value < limit,
        "<=": value <= limit,
        ">": value > limit,
        ">=": value >= limit,
        "=": value == limit,
        "<>": value != limit,
    }
    return results[symbol]


names = st.sampled_from(["eo:cloud_cover", "n", "absent"])
leaves = st.builds(
    compared, names, st.sampled_from(["<", "<=", ">", ">=", "=", "<>"]), st.integers(-3, 3)
) | names.map(lambda name: {"op": "isNull", "args": [{"property": name}]})
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(
            lambda symbol, args: {"op": symbol, "args": args},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        )
        | inner.map(lambda each: {"op": "not", "args": [each]})
    ),
    max_leaves=5,
)


@given(expressions, st.integers(-3, 3), st.none() | st.integers(-3, 3))
def test_filters_follow_the_three_valued_logic_of_sql(expression, cover, n):
    item = make_item("one", **{"eo:cloud_cover": cover, "n": n})
    expected = truth(expression, {"eo:cloud_cover": cover, "n": n})
    assert matches(expression, item) is (expected is True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (compared("id", "=", "one"), True),
        (compared("collection", "=", "sentinel-2-l2a"), True),
        (compared("properties.eo:cloud_cover", "<", 80), True),
        (compared("datetime", ">", {"timestamp": "2023-06-05T00:00:00Z"}), True),
        (compared("datetime", ">", {"timestamp": "2023-06-06T00:00:00Z"}), False),
        ({"op": "like", "args": [{"property": "platform"}, "sentinel%"]}, True),
        ({"op": "in", "args": [{"property": "platform"}, ["landsat-8"]]}, False),
        ({"op": "between", "args": [{"property": "eo:cloud_cover"}, 10, 30]}, True),
        (
            {
                "op": "s_intersects",
                "args": [
                    {"property": "geometry"},
                    {"type": "Point", "coordinates": [9.1, 48.1]},
                ],
            },
            True,
        ),
        (compared("eo:cloud_cover", "<", "eighty"), False),
    ],
)
def test_filters_of_every_kind(expression, expected):
    assert matches(expression, make_item("one", platform="sentinel-2a")) is expected


@pytest.mark.parametrize(
    "expression",
    [
        {"nonsense": 1},
        {"op": "<", "args": []},
        {"op": "<"},
        {"op": "my_function", "args": [1]},
        {"op": "and", "args": [{"op": "avg", "args": [{"property": "n"}]}, True]},
    ],
)
def test_a_filter_that_is_none_is_refused_before_anything_is_asked(expression):
    job = make_job(sources=(Source(catalog="http://127.0.0.1:1", filter=expression),))
    with pytest.raises(ConfigError, match=r"sources\.filter"):
        search(job)


def test_files_are_filtered_too(tmp_path):
    path = write_collection(tmp_path, make_item("clear"), make_item("dull"))
    document = json.loads(Path(path).read_text())
    document["features"][1]["properties"]["eo:cloud_cover"] = 90
    Path(path).write_text(json.dumps(document))
    source = Source(catalog=path, filter=compared("eo:cloud_cover", "<", 80))
    assert ids(search(make_job(sources=(source,)))) == ["clear"]


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ({"lt": 80}, "many", False),
        ({"in": ["a", "b"]}, "a", True),
        ({"contains": "B"}, ["A", "B"], True),
        ({"contains": "B"}, ["AB"], False),
        ({"startsWith": "sent"}, "sentinel", True),
        ({"in": 7}, 7, False),
    ],
)
def test_queries_of_every_kind(test, value, expected):
    assert matches_query({"p": test}, {"p": value}) is expected
    assert matches_query({"properties.p": test}, {"p": value}) is expected
