"""Calendar periods partition their span."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import periods
from pipeline.types import Period

KINDS = ("month", "season", "year", "all")


@st.composite
def spans(draw):
    start = draw(st.datetimes(datetime(1972, 1, 1), datetime(2060, 1, 1)))
    length = draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=1500)))
    return Period(start=start.replace(tzinfo=UTC), end=start.replace(tzinfo=UTC) + length)


@given(spans(), st.sampled_from(KINDS))
def test_they_partition_the_span(span, kind):
    parts = periods(span, kind)
    assert parts[0].start == span.start
    assert parts[-1].end == span.end
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))


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


@pytest.mark.parametrize(
    ("kind", "edges"),
    [
        (
            "month",
            [
                utc(2023, 11, 15),
                utc(2023, 12, 1),
                utc(2024, 1, 1),
                utc(2024, 2, 1),
                utc(2024, 3, 1),
                utc(2024, 3, 2),
            ],
        ),
        ("season", [utc(2023, 11, 15), utc(2023, 12, 1), utc(2024, 3, 1), utc(2024, 3, 2)]),
        ("year", [utc(2023, 11, 15), utc(2024, 1, 1), utc(2024, 3, 2)]),
        ("all", [utc(2023, 11, 15), utc(2024, 3, 2)]),
    ],
)
def test_by_hand(kind, edges):
    parts = periods(Period(start=edges[0], end=edges[-1]), kind)
    assert [part.start for part in parts] == edges[:-1]


def test_a_whole_year_gives_twelve_whole_months():
    parts = periods(Period(start=utc(2024, 1, 1), end=utc(2025, 1, 1)), "month")
    assert [part.start for part in parts] == [utc(2024, month, 1) for month in range(1, 13)]


def test_edges_are_in_utc_whatever_the_zone_of_the_span():
    east = timezone(timedelta(hours=5))
    span = Period(start=datetime(2024, 2, 1, 2, tzinfo=east), end=utc(2024, 2, 3))
    assert [part.start for part in periods(span, "month")] == [
        utc(2024, 1, 31, 21),
        utc(2024, 2, 1),
    ]
