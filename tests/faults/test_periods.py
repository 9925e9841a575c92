"""F06: whatever dates its jobs have, a store has one June, one winter and one of all time.

The archives are those of ../shared/faults, built here: a date is one level of blue.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline import run, store
from pipeline.config import load_job
from pipeline.publish import publish
from pipeline.types import CompositeSettings, Period
from tests.faults.test_passes import SENTINEL, Archive


@pytest.fixture
def region(tmp_path):
    return Region(tmp_path)


class Region:
    """Days with their levels of blue, and jobs of any dates over them."""

    def __init__(self, folder):
        self.archive = Archive(folder / "archive")

    def days(self, **blue):
        for name, level in blue.items():
            when = datetime.strptime(name, "d%Y%m%d").replace(hour=10, tzinfo=UTC)
            self.archive.add(SENTINEL, f"S2A_32UPU_{name[1:]}_0_L2A", when, blue=level)
        self.archive.list(SENTINEL)

    def job(self, start, end, period="month", where="own"):
        whole = load_job(self.archive.folder.parent / "job.yaml")
        first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (start, end))
        return whole.replace(
            period=Period(start=first, end=last + timedelta(days=1)),
            composite=CompositeSettings(name="c", period=period, bands=("blue",)),
            store=str(self.archive.folder.parent / where),
        )


def steps(job):
    """Return start, most observations and level of blue of each step."""
    data = store.open_archive(job.store).composite("c")
    starts = data["time"].values.astype("datetime64[D]").astype(str).tolist()
    counts = data["count"].max(("y", "x")).values.tolist()
    levels = np.nanmax(data["blue"].values, axis=(1, 2)).round(4).tolist()
    return list(zip(starts, counts, levels, strict=True))


def test_a_moving_window_leaves_one_june(region):
    region.days(d20230613=0.03, d20230618=0.04, d20230623=0.05, d20230628=0.06, d20230703=0.07)
    for start, end in (("06-11", "07-10"), ("06-16", "07-15"), ("06-21", "07-20")):
        job = region.job(f"2023-{start}", f"2023-{end}")
        run.run(job)
    assert steps(job) == [
        ("2023-06-01", 4, pytest.approx(0.045)),
        ("2023-07-01", 1, pytest.approx(0.07)),
    ]


@pytest.mark.quick(1)
@pytest.mark.parametrize(("period", "start"), [("season", "2022-12-01"), ("all", "1970-01-01")])
def test_a_wider_job_makes_one_winter_and_a_narrower_one_leaves_it(
    region, period, start, tmp_path
):
    region.days(d20221215=0.03, d20230114=0.05, d20230213=0.07)
    run.run(region.job("2023-01-01", "2023-02-28", period))
    wide = region.job("2022-12-01", "2023-02-28", period)
    run.run(wide)
    fresh = region.job("2022-12-01", "2023-02-28", period, where="fresh")
    run.run(fresh)
    assert steps(wide) == steps(fresh) == [(start, 3, pytest.approx(0.05))]
    narrow = region.job("2023-02-01", "2023-02-28", period)
    assert run.plan_job(narrow).nothing_to_do
    (row,) = run.plan_job(narrow).composite_rows()
    plan = run.plan_job(narrow)
    assert (row["leave"], row["make"], row["replace"]) == (len(plan.tiles), 0, 0)
    assert (row["scenes"], row["from_store"]) == (1, 2)
    published = publish(store.open_archive(wide.store), tmp_path / "stac")
    (item,) = published.path.parent.glob("t-composites-c/*/*.json")
    assert item.stem == f"t-composites-c-{'all' if period == 'all' else '20221201'}"
    assert "20230213" in item.read_text()


def test_ten_days_do_not_replace_june(region):
    region.days(d20230603=0.03, d20230613=0.05, d20230623=0.07)
    full = region.job("2023-06-01", "2023-06-30")
    run.run(full)
    assert run.run(region.job("2023-06-01", "2023-06-10")).snapshot is None
    assert steps(full) == [("2023-06-01", 3, pytest.approx(0.05))]
    # Nor does another year's February: masks that another job had made come in with the first job.
    other = region.job("2023-06-01", "2023-06-10", where="other")
    run.run(full.replace(composite=None, store=other.store))
    assert run.plan_job(other).bytes_to_read > 0
    run.run(other)
    assert steps(other) == steps(full)
