"""Which steps of several composites are composed together: each once, and no more than a period's."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import periods
from pipeline.run.common.together import grouped
from pipeline.types import CompositeSettings, Days, Period

SPAN = Period(start=datetime(2023, 5, 3, tzinfo=UTC), end=datetime(2024, 2, 9, tzinfo=UTC))
KINDS = st.sampled_from(["dekad", "month", "season", "year", "all", Days(days=16)])


def steps_of(kinds):
    made = [CompositeSettings(name=f"c{n}", period=kind) for n, kind in enumerate(kinds)]
    return [(each, period) for each in made for period in periods(SPAN, each.period)]


@given(st.lists(KINDS, min_size=1, max_size=4))
def test_each_step_is_composed_once_and_all_time_by_itself(kinds):
    steps = steps_of(kinds)
    groups = grouped(steps)
    assert sorted(map(repr, steps)) == sorted(repr(each) for group in groups for each in group)
    for group in groups:
        (is_all,) = {each.period == "all" for each, _ in group}
        alike = [p for each, p in steps if (each.period == "all") == is_all]
        first = min(p.start for _, p in group)
        longest = max(p.end - p.start for p in alike)
        assert all(p.start < first + longest for _, p in group)


def test_a_season_and_its_months_are_composed_together():
    groups = grouped(steps_of(["month", "season", "all", "all"]))
    assert [len(each) for each in groups] == [2, 2, 4, 4, 4]
