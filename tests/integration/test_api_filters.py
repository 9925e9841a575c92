"""Queries and CQL2, answered by a real API and by our own eyes."""

from datetime import UTC, datetime

import pytest
from shapely.geometry import box, mapping, shape

from pipeline.errors import EmptySearchError
from tests.integration.material import FIELD, SENTINEL, SUMMER, brute_force, ids


def cover(item):
    return item.properties.get("eo:cloud_cover")


def platform(item):
    return item.properties["platform"]


def both(item, test):
    """SQL's unknown is not true."""
    return cover(item) is not None and test(cover(item))


QUERIES = [
    ({"eo:cloud_cover": {"lt": 50}}, lambda item: both(item, lambda n: n < 50)),
    ({"eo:cloud_cover": {"lte": 50}}, lambda item: both(item, lambda n: n <= 50)),
    ({"eo:cloud_cover": {"gt": 50}}, lambda item: both(item, lambda n: n > 50)),
    ({"eo:cloud_cover": {"gte": 50}}, lambda item: both(item, lambda n: n >= 50)),
    ({"eo:cloud_cover": {"eq": 50}}, lambda item: both(item, lambda n: n == 50)),
    ({"eo:cloud_cover": {"neq": 50}}, lambda item: both(item, lambda n: n != 50)),
    (
        {"eo:cloud_cover": {"gt": 20, "lt": 30}},
        lambda item: both(item, lambda n: 20 < n < 30),
    ),
    ({"platform": {"eq": "Sentinel-2A"}}, lambda item: platform(item) == "Sentinel-2A"),
    ({"platform": {"neq": "100%"}}, lambda item: platform(item) != "100%"),
    ({"platform": {"eq": "o'neill"}}, lambda item: platform(item) == "o'neill"),
    (
        {"platform": {"in": ["sentinel-2a", "100%"]}},
        lambda item: platform(item) in ("sentinel-2a", "100%"),
    ),
    (
        {"platform": {"startsWith": "sentinel"}},
        lambda item: platform(item).startswith("sentinel"),
    ),
    # In a pattern of SQL, _ is any character and % any text.
    (
        {"platform": {"startsWith": "sentinel_"}},
        lambda item: platform(item).startswith("sentinel_"),
    ),
    ({"platform": {"endsWith": "2a"}}, lambda item: platform(item).endswith("2a")),
    ({"platform": {"endsWith": "0%"}}, lambda item: platform(item).endswith("0%")),
    ({"platform": {"contains": "l-2"}}, lambda item: "l-2" in platform(item)),
    (
        {"eo:cloud_cover": {"lt": 50}, "platform": {"eq": "sentinel-2b"}},
        lambda item: both(item, lambda n: n < 50) and platform(item) == "sentinel-2b",
    ),
]


@pytest.mark.parametrize(("query", "test"), QUERIES, ids=[str(query) for query, _ in QUERIES])
def test_queries(find, made_up, query, test):
    expected = brute_force(made_up, FIELD, SUMMER, test)
    assert expected
    assert len(expected) < len(brute_force(made_up, FIELD, SUMMER))
    assert ids(find(query=query, page_size=40)) == expected


COVER = {"property": "eo:cloud_cover"}
PLATFORM = {"property": "platform"}
MIDDLE = datetime(2037, 7, 10, 10, tzinfo=UTC)
PLACE = box(5, 42, 15, 50)


def op(name, *args):
    return {"op": name, "args": list(args)}


FILTERS = [
    (op("<", COVER, 50), lambda item: both(item, lambda n: n < 50)),
    (op("<>", COVER, 50), lambda item: both(item, lambda n: n != 50)),
    (
        op("and", op("<", COVER, 50), op("=", PLATFORM, "sentinel-2b")),
        lambda item: both(item, lambda n: n < 50) and platform(item) == "sentinel-2b",
    ),
    # Unknown or true is true: an item without cloud cover may match.
    (
        op("or", op("<", COVER, 10), op("=", PLATFORM, "100%")),
        lambda item: both(item, lambda n: n < 10) or platform(item) == "100%",
    ),
    # Not unknown is unknown.
    (op("not", op("<", COVER, 50)), lambda item: both(item, lambda n: n >= 50)),
    (
        op("not", op("and", op("<", COVER, 50), op("=", PLATFORM, "100%"))),
        lambda item: platform(item) != "100%" or both(item, lambda n: n >= 50),
    ),
    (op("like", PLATFORM, "sentinel-2%"), lambda item: platform(item).startswith("sentinel-2")),
    (
        op("like", PLATFORM, "sentinel_2_"),
        lambda item: len(platform(item)) == 11 and platform(item).startswith("sentinel"),
    ),
    (
        op("in", PLATFORM, ["sentinel-2a", "o'neill"]),
        lambda item: platform(item) in ("sentinel-2a", "o'neill"),
    ),
    (op("in", COVER, [50, 12.5]), lambda item: cover(item) in (50, 12.5)),
    (op("between", COVER, 20, 50), lambda item: both(item, lambda n: 20 <= n <= 50)),
    (op("isNull", COVER), lambda item: cover(item) is None),
    (op("not", op("isNull", COVER)), lambda item: cover(item) is not None),
    (
        op("and", op("not", op("isNull", COVER)), op("in", PLATFORM, ["100%"])),
        lambda item: cover(item) is not None and platform(item) == "100%",
    ),
    (
        op("s_intersects", {"property": "geometry"}, mapping(PLACE)),
        lambda item: shape(item.geometry).intersects(PLACE),
    ),
    (
        op("s_within", {"property": "geometry"}, mapping(PLACE)),
        lambda item: shape(item.geometry).within(PLACE),
    ),
    (
        op(">=", {"property": "datetime"}, {"timestamp": f"{MIDDLE:%Y-%m-%dT%H:%M:%SZ}"}),
        lambda item: item.datetime >= MIDDLE,
    ),
    (
        op("t_before", {"property": "datetime"}, {"timestamp": f"{MIDDLE:%Y-%m-%dT%H:%M:%SZ}"}),
        lambda item: item.datetime < MIDDLE,
    ),
    (
        op("=", {"property": "collection"}, SENTINEL),
        lambda item: item.collection_id == SENTINEL,
    ),
    (
        op("in", {"property": "id"}, [f"made_{number:05d}" for number in range(50)]),
        lambda item: item.id < "made_00050",
    ),
    (
        op("=", op("casei", PLATFORM), op("casei", "SENTINEL-2a")),
        lambda item: platform(item).lower() == "sentinel-2a",
    ),
]


@pytest.mark.parametrize(
    ("expression", "test"), FILTERS, ids=[str(expression)[:90] for expression, _ in FILTERS]
)
def test_filters(find, made_up, expression, test):
    expected = brute_force(made_up, FIELD, SUMMER, test)
    assert expected
    assert len(expected) < len(brute_force(made_up, FIELD, SUMMER))
    assert ids(find(filter=expression, page_size=40)) == expected


def test_a_query_and_a_filter_hold_both(find, made_up):
    found = find(query={"eo:cloud_cover": {"lt": 40}}, filter=op("like", PLATFORM, "sentinel%"))
    assert ids(found) == brute_force(
        made_up,
        FIELD,
        SUMMER,
        lambda item: both(item, lambda n: n < 40) and platform(item).startswith("sentinel"),
    )


def test_a_filter_that_nothing_passes(find):
    with pytest.raises(EmptySearchError, match="without the filter, none in the AOI"):
        find(filter=op("<", COVER, -1))
