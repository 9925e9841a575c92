"""Spans of time as people write them."""

from datetime import UTC, date, datetime

import pytest

from pipeline.config import periods, read_period
from pipeline.types import Period


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2023-06-01/2023-08-31", utc(2023, 6, 1), utc(2023, 9, 1)),
        ("2023-06/2023-08", utc(2023, 6, 1), utc(2023, 9, 1)),
        ("2023-12", utc(2023, 12, 1), utc(2024, 1, 1)),
        ("2024-02", utc(2024, 2, 1), utc(2024, 3, 1)),
        ("2024-02-29", utc(2024, 2, 29), utc(2024, 3, 1)),
        ("2023", utc(2023, 1, 1), utc(2024, 1, 1)),
        (2023, utc(2023, 1, 1), utc(2024, 1, 1)),
        (date(2023, 6, 1), utc(2023, 6, 1), utc(2023, 6, 2)),
        ("2023/2024-02", utc(2023, 1, 1), utc(2024, 3, 1)),
        (
            "2023-06-01T00:00:00Z/2023-06-01T12:00:00.5Z",
            utc(2023, 6, 1),
            utc(2023, 6, 1, 12, 0, 0, 500_000),
        ),
        ("2023-06-01T00:00:00+02:00/2023-06-02", utc(2023, 5, 31, 22), utc(2023, 6, 3)),
        ("2023-06-01T00:00 / 2023-06-01t01:00", utc(2023, 6, 1), utc(2023, 6, 1, 1)),
    ],
)
def test_spans(text, start, end):
    period = read_period(text)
    assert (period.start, period.end) == (start, end)
    assert read_period(period) is period


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("../2023-06-01", "no start or no end"),
        ("..", "no start or no end"),
        ("2023/", "no start or no end"),
        ("/2023", "no start or no end"),
        ("", "no start or no end"),
        ("9998/..", "ends before it starts"),
        ("2023/2024/2025", "more than two parts"),
        ("2023-08/2023-06", "ends before it starts"),
        ("2023-06-01T10:00:00Z", "no duration"),
        (datetime(2023, 6, 1, 10, tzinfo=UTC), "no duration"),
        ("2023-02-30", "no 2023-02-30"),
        ("2023-13", "no 2023-13-01"),
        ("0000", "no 0000-01-01"),
        ("9999", "beyond the calendar"),
        ("9999-12-31", "beyond the calendar"),
        ("June", "no year, month, day or instant"),
        (20230601, "no year, month, day or instant"),
        (2023.5, "not text"),
        (True, "not text"),
        (None, "not text"),
        (["2023", "2024"], "not text"),
    ],
)
def test_what_is_no_span(value, why):
    with pytest.raises(ValueError, match=why):
        read_period(value)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (utc(2026, 11, 21, 3), utc(2026, 12, 1)),
        (utc(2026, 12, 31, 23, 59), utc(2027, 1, 1)),
        (utc(2024, 2, 1), utc(2024, 3, 1)),
    ],
)
def test_an_open_end_is_that_of_the_month_we_are_in(monkeypatch, now, end):
    monkeypatch.setattr(periods, "_now", lambda: now)
    assert read_period("2023-06-01/..") == Period(start=utc(2023, 6, 1), end=end)
