"""Calendar periods are whole, whatever span asks for them."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import ALL_TIME, cut, periods
from pipeline.types import Days, Period

KINDS = st.sampled_from(["dekad", "month", "season", "year", "all"]) | st.builds(
    Days, days=st.integers(1, 366)
)


@st.composite
def spans(draw):
    start = draw(st.datetimes(datetime(1972, 1, 1), datetime(2060, 1, 1)))
    length = draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=1500)))
    return Period(start=start.replace(tzinfo=UTC), end=start.replace(tzinfo=UTC) + length)


@given(spans(), KINDS)
def test_parts_partition_the_span(span, kind):
    parts = cut(span, kind)
    assert parts[0].start == span.start
    assert parts[-1].end == span.end
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))


@given(spans(), spans(), KINDS)
def test_two_spans_have_the_same_periods_or_others(one, other, kind):
    """A step never depends on the dates of a job, and two of one kind never overlap."""
    found = {each.start: each for each in periods(one, kind)}
    for each in periods(other, kind):
        assert found.setdefault(each.start, each) == each
    ordered = [found[start] for start in sorted(found)]
    assert all(a.end <= b.start for a, b in itertools.pairwise(ordered))
    assert all(each.start < one.end and one.start < each.end for each in periods(one, kind))


@given(spans(), st.sampled_from(["month", "season", "year"]))
def test_each_lies_in_one_calendar_period(span, kind):
    def name(instant):
        month = instant.year * 12 + instant.month - 1
        return {"month": month, "season": (month + 1) // 3, "year": instant.year}[kind]

    parts = periods(span, kind)
    names = [name(part.start) for part in parts]
    assert names == [name(part.end - timedelta(microseconds=1)) for part in parts]
    assert len(set(names)) == len(names)


def utc(*args):
    return datetime(*args, tzinfo=UTC)


def _days(year, first, end, step):
    return [utc(year, 1, 1) + timedelta(days=day - 1) for day in range(first, end, step)]


@given(spans(), st.integers(1, 366))
def test_days_are_counted_from_the_first_of_january(span, n):
    for each in periods(span, Days(days=n)):
        january = utc(each.start.year, 1, 1)
        assert (each.start - january) % timedelta(days=n) == timedelta()
        whole = each.end - each.start == timedelta(days=n)
        assert whole or each.end == utc(each.start.year + 1, 1, 1)
        assert each.end - each.start <= timedelta(days=n)


@given(spans())
def test_three_dekads_are_a_month(span):
    months = {each.start: each.end for each in periods(span, "month")}
    for each in periods(span, "dekad"):
        assert each.start.day in (1, 11, 21)
        month = each.start.replace(day=1)
        assert each.end - each.start == timedelta(days=10) or each.end == months[month]


@pytest.mark.parametrize(
    ("kind", "edges"),
    [
        (
            "month",
            [utc(2023, 11, 1), utc(2023, 12, 1), *(utc(2024, m, 1) for m in range(1, 5))],
        ),
        ("season", [utc(2023, 9, 1), utc(2023, 12, 1), utc(2024, 3, 1), utc(2024, 6, 1)]),
        ("year", [utc(2023, 1, 1), utc(2024, 1, 1), utc(2025, 1, 1)]),
        (
            "dekad",
            [
                *(utc(2023, 11, day) for day in (11, 21)),
                *(utc(2023, 12, day) for day in (1, 11, 21)),
                *(utc(2024, month, day) for month in (1, 2) for day in (1, 11, 21)),
                utc(2024, 3, 1),
                utc(2024, 3, 11),
            ],
        ),
        # As MODIS counts: 19 December to 31 December is the last of a year.
        (Days(days=16), [*_days(2023, 305, 366, 16), *_days(2024, 1, 66, 16)]),
        ("all", [ALL_TIME.start, ALL_TIME.end]),
    ],
)
def test_by_hand(kind, edges):
    parts = periods(Period(start=utc(2023, 11, 15), end=utc(2024, 3, 2)), kind)
    assert [part.start for part in parts] == edges[:-1]
    assert [part.end for part in parts] == edges[1:]


def test_a_whole_year_gives_twelve_whole_months():
    parts = periods(Period(start=utc(2024, 1, 1), end=utc(2025, 1, 1)), "month")
    assert [part.start for part in parts] == [utc(2024, month, 1) for month in range(1, 13)]


def test_edges_are_in_utc_whatever_the_zone_of_the_span():
    east = timezone(timedelta(hours=5))
    span = Period(start=datetime(2024, 2, 1, 2, tzinfo=east), end=utc(2024, 2, 3))
    assert [part.start for part in periods(span, "month")] == [
        utc(2024, 1, 1),
        utc(2024, 2, 1),
    ]
