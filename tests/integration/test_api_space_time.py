"""Where and when, asked of a real API: the same items as going through all of them."""

from datetime import UTC, datetime, timedelta

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon, box

from pipeline.errors import EmptySearchError
from pipeline.types import Period
from tests.integration.material import (
    FIELD,
    FIJI,
    PLATFORMS,
    SUMMER,
    brute_force,
    ids,
    make_item,
)

RING = Point(15, 47).buffer(5).difference(Point(15, 47).buffer(3))
PLACES = {
    "box": box(10, 45, 12, 47),
    "triangle": Polygon([(2, 41), (28, 48), (4, 54)]),
    "ring": RING,
    "two parts": MultiPolygon([box(1, 41, 3, 43), box(25, 50, 27, 52)]),
    "across the antimeridian": FIJI,
    "west of the antimeridian": FIJI.geoms[0],
    "east of the antimeridian": FIJI.geoms[1],
    "everywhere": box(-180, -90, 180, 90),
}


@pytest.mark.parametrize("name", PLACES)
def test_items_touch_the_area(find, made_up, name):
    expected = brute_force(made_up, PLACES[name], SUMMER)
    assert len(expected) > 3
    assert ids(find(aoi=PLACES[name], page_size=25)) == expected


def test_the_ring_differs_from_its_box(made_up):
    """What is asked is the outline, not its bounding box."""
    assert len(brute_force(made_up, RING, SUMMER)) < len(
        brute_force(made_up, box(*RING.bounds), SUMMER)
    )


def test_the_period_is_half_open(api, find):
    start = datetime(2035, 6, 1, 10, 20, 30, tzinfo=UTC)
    end = start + timedelta(days=3)
    tick = timedelta(microseconds=1)
    place = box(5, 45, 6, 46)
    instants = {
        "before": start - tick,
        "start": start,
        "after-start": start + tick,
        "before-end": end - tick,
        "end": end,
        "after-end": end + tick,
    }
    items = [make_item(name, instant, place) for name, instant in instants.items()]
    api.load([], [item.to_dict() for item in items])
    found = find(aoi=place, period=Period(start=start, end=end))
    assert ids(found) == ["start", "after-start", "before-end"]
    # Neighbouring periods share no item and lose none.
    after = find(aoi=place, period=Period(start=end, end=end + timedelta(days=1)))
    assert ids(after) == ["end", "after-end"]


def test_other_time_zones_are_the_same_instants(find, made_up):
    zone = datetime.strptime("+0530", "%z").tzinfo
    local = Period(
        start=SUMMER.start.astimezone(zone),
        end=(SUMMER.start + timedelta(days=30)).astimezone(zone),
    )
    assert ids(find(period=local)) == brute_force(made_up, FIELD, local)


def test_nothing_is_an_error_that_says_where(find):
    with pytest.raises(EmptySearchError, match="no usable item in pgstac"):
        find(aoi=box(100, 0, 101, 1))


places = st.builds(
    lambda x, y, width, height, turn: shapely.affinity.rotate(
        box(x, y, x + width, y + height), turn
    ),
    st.floats(0, 28),
    st.floats(40, 53),
    st.floats(0.1, 15),
    st.floats(0.1, 8),
    st.floats(0, 90),
)
periods = st.builds(
    lambda start, length: Period(
        start=SUMMER.start + timedelta(hours=start),
        end=SUMMER.start + timedelta(hours=start + length),
    ),
    st.integers(-48, 92 * 24),
    st.integers(1, 60 * 24),
)
queries = st.one_of(
    st.just({}),
    st.builds(
        lambda symbol, cover: {"eo:cloud_cover": {symbol: cover}},
        st.sampled_from(["lt", "lte", "gt", "gte", "eq", "neq"]),
        st.sampled_from([0, 12.5, 50, 50.0, 99.9]),
    ),
    st.builds(
        lambda names: {"platform": {"in": names}},
        st.lists(st.sampled_from(PLATFORMS), min_size=1, unique=True),
    ),
    st.builds(lambda name: {"platform": {"eq": name}}, st.sampled_from(PLATFORMS)),
)


@given(place=places, period=periods, query=queries, page_size=st.integers(1, 60))
def test_any_search_equals_going_through_all_items(
    find, made_up, place, period, query, page_size
):
    def test(item):
        return all(_holds(item, name, tests) for name, tests in query.items())

    expected = brute_force(made_up, place, period, test)
    # A page of one item a request takes its time.
    page_size = max(page_size, len(expected) // 20)
    try:
        found = ids(find(aoi=place, period=period, query=query, page_size=page_size))
    except EmptySearchError:
        found = []
    assert found == expected


def _holds(item, name, tests):
    value = item.properties.get(name)
    if value is None:
        return False
    ((symbol, operand),) = tests.items()
    return {
        "lt": lambda: value < operand,
        "lte": lambda: value <= operand,
        "gt": lambda: value > operand,
        "gte": lambda: value >= operand,
        "eq": lambda: value == operand,
        "neq": lambda: value != operand,
        "in": lambda: value in operand,
    }[symbol]()
