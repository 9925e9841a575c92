"""Laws of composites over time: whatever jobs a store has seen, in whatever order, a step is one."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import cube, run, store
from pipeline.errors import EmptySearchError, StoreError
from pipeline.types import CompositeSettings, Period
from tests.laws.conftest import BANDS, contents, make_job
from tests.laws.test_runs import Killed, fresh

pytestmark = pytest.mark.usefixtures("window_model")
few = settings(
    max_examples=max(2, settings().max_examples // 50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def day(month, number, year=2023):
    return datetime(year, month, number, tzinfo=UTC)


def part(job, start, end, **changes):
    """Return the job of some of its dates."""
    return job.replace(period=Period(start=start, end=end), **changes)


def every(job, period, name="all-of-it"):
    settings = CompositeSettings(name=name, period=period, bands=tuple(BANDS))
    return job.replace(composite=settings)


def composed(job):
    """Return a composite with the names of items instead of their positions."""
    assert job.composite is not None
    archive = store.open_archive(job.store)
    found = archive.composite(job.composite.name).load()
    names = np.array([*archive.item_ids, "none"])
    return found.assign(source=(found["source"].dims, names[found["source"].values]))


def alike(one, other, *, but=()):
    """Assert that two composites have the same steps and pixels, bit for bit."""
    np.testing.assert_array_equal(one["time"].values, other["time"].values)
    np.testing.assert_array_equal(one["time_bnds"].values, other["time_bnds"].values)
    assert one.data_vars.keys() == other.data_vars.keys()
    for name in one.data_vars.keys() - set(but):
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)


@pytest.fixture(scope="module")
def wholes():
    """Composites of one job of all dates, by kind of period."""
    return {}


def whole(wholes, summer, tmp_path, period):
    if period not in wholes:
        job = every(make_job(summer, fresh(tmp_path)), period)
        run.run(job)
        wholes[period] = composed(job)
    return wholes[period]


@pytest.mark.slow
@few
@given(
    st.sampled_from(["month", "season", "year", "all"]),
    st.lists(st.integers(1, 91), min_size=1, max_size=3, unique=True),
    st.data(),
)
def test_any_jobs_in_any_order_make_what_one_job_makes(
    wholes, summer, tmp_path, period, cuts, data
):
    """Content and fingerprints: what one made, the others take for theirs."""
    expected = whole(wholes, summer, tmp_path, period)
    job = every(make_job(summer, fresh(tmp_path)), period)
    edges = [day(6, 1), *(day(6, 1) + timedelta(days=n) for n in sorted(cuts)), day(9, 1)]
    for start, end in data.draw(st.permutations(list(itertools.pairwise(edges)))):
        try:
            run.run(part(job, start, end))
        except EmptySearchError:
            continue
    alike(composed(job), expected)
    assert run.plan_job(job).nothing_to_do


@pytest.mark.slow
def test_a_narrower_job_leaves_a_step_and_a_wider_one_makes_it_anew(summer, tmp_path):
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    times = sorted(scene.time for scene in run.plan_job(job).scenes if scene.time.month == 6)
    assert len(times) >= 2
    first = part(job, day(6, 1), times[0] + timedelta(hours=1))
    run.run(first)
    ten_days = composed(first)
    june = part(job, day(6, 1), day(7, 1))
    run.run(june)
    whole_june, snapshot = composed(june), store.open_archive(job.store).snapshot
    assert whole_june["count"].values.max() > ten_days["count"].values.max()
    assert run.plan_job(first).nothing_to_do
    read = cube.METER.total()
    run.run(first)
    assert cube.METER.total() == read
    assert store.open_archive(job.store).snapshot == snapshot
    alike(composed(june), whole_june)


@pytest.mark.slow
def test_a_moving_window_has_one_june(summer, tmp_path):
    job = make_job(summer, fresh(tmp_path))
    for number in (1, 11, 21):
        run.run(part(job, day(6, number), day(6, number) + timedelta(days=30)))
    months = composed(job)["time"].values.astype("datetime64[D]").astype(str).tolist()
    assert months == ["2023-06-01", "2023-07-01"]
    record = store.open_archive(job.store).records()[-1]
    assert record["steps"][0]["period"] == "2023-06-01/2023-07-01"
    assert record["steps"][0]["asked"] == "2023-06-21/2023-07-01"
    (june, _) = run.plan_job(part(job, day(6, 21), day(7, 21))).composite_rows()
    assert june["from_store"] == record["steps"][0]["from_store"] > 0
    assert {key: june[key] for key in ("start", "make", "replace")} == {
        "start": "2023-06-01",
        "make": 0,
        "replace": 0,
    }


@pytest.mark.slow
def test_scenes_that_the_catalogue_has_no_longer_stay(summer, tmp_path, monkeypatch):
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    run.run(job)
    expected, search = composed(job), run.plan.prepare.search
    first = run.plan_job(job).scenes[0]

    def without_the_first(asked, **_):
        found = search(asked)
        left = tuple(item for p, item in enumerate(found) if p not in first.items)
        return dataclasses.replace(found, items=left)

    monkeypatch.setattr(run.plan.prepare, "search", without_the_first)
    plan = run.plan_job(job)
    assert plan.gone
    assert plan.nothing_to_do
    alike(composed(job), expected)


@pytest.mark.slow
def test_the_plan_says_what_becomes_of_each_step_and_what_is_read(summer, tmp_path):
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    run.run(part(job, day(7, 1), day(9, 1)))
    times = sorted(scene.time for scene in run.plan_job(job).scenes)
    late = part(job, day(6, 1), times[-1] - timedelta(days=1))
    rows = {row["period"]: row for row in run.plan_job(late).to_dict()["composites"]}
    assert rows["2023-06-01"]["does"] == "make"
    assert rows["2023-06-01"]["end"] == "2023-07-01"
    assert {row["does"] for start, row in rows.items() if start != "2023-06-01"} == {"leave"}
    # Nothing to mask, but all to compose: its bytes are told.
    other = job.replace(composite=CompositeSettings(name="other", bands=("red",)))
    run.run(job.replace(composite=None))
    plan = run.plan_job(other)
    assert plan.cells.unchanged.all()
    items = sum(
        len(cell.items) * np.prod(cell.tile.geobox.shape) for cell in plan.cells if cell.covered
    )
    assert plan.bytes_to_read == 2 * items


def test_a_composite_has_one_kind_of_period(summer, tmp_path):
    job = make_job(summer, fresh(tmp_path))
    run.run(part(job, day(6, 1), day(7, 1)))
    with pytest.raises(StoreError, match=r"composite\.period month, the job asks for season"):
        run.plan_job(every(job, "season", name="monthly"))


@pytest.mark.slow
def test_a_composite_is_made_of_its_own_sensors(summer, tmp_path):
    """Two composites by sensor on one store stay apart; one that both make has both."""
    job = make_job(summer, fresh(tmp_path))
    (source,) = job.sources
    jobs = {}
    for sensor in ("sentinel-2", "landsat"):
        (collections,) = {
            tuple(
                sorted(
                    {
                        item.collection_id
                        for item in run.plan_job(job).items
                        if sensor[:8] in item.collection_id
                    }
                )
            )
        }
        sources = (source.replace(collections=collections),)
        jobs[sensor] = every(job, "month", name=sensor).replace(sources=sources)
    for one in jobs.values():
        run.run(one)
    archive = store.open_archive(job.store)
    assert [archive.composed_of(name) for name in jobs] == [(name,) for name in jobs]
    for one in jobs.values():
        assert run.plan_job(one).nothing_to_do
    both = every(job, "month", name="both")
    run.run(both)
    found = composed(both)
    for one in jobs.values():
        run.run(one.replace(composite=both.composite))
    alike(composed(both), found)


@pytest.mark.slow
def test_killed_and_started_again_is_undisturbed(summer, tmp_path, monkeypatch):
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    other = make_job(summer, fresh(tmp_path), tile_px=256)
    for one in (job, other):
        run.run(part(one, day(6, 1), day(7, 15)))
    with monkeypatch.context() as patch:
        done = itertools.count(1)
        write = store.Writer.write_composite

        def dying(self, *args):
            if next(done) == 2:
                raise Killed
            write(self, *args)

        patch.setattr(store.Writer, "write_composite", dying)
        with pytest.raises(Killed):
            run.run(part(job, day(7, 1), day(9, 1)))
    for one in (job, other):
        run.run(part(one, day(7, 1), day(9, 1)))
    alike(composed(job), composed(other))
    assert contents(job.store).keys() == contents(other.store).keys()


@pytest.mark.slow
def test_what_another_run_publishes_between_plan_and_start_is_composed(summer, tmp_path):
    """A plan is made before the store is locked: what is composed is what is there then."""
    job = make_job(summer, fresh(tmp_path))
    expected = make_job(summer, fresh(tmp_path))
    run.run(part(expected, day(6, 1), day(7, 1)))
    middle = sorted(s.time for s in run.plan_job(part(job, day(6, 1), day(7, 1))).scenes)[1]
    early = run.plan_job(part(job, day(6, 1), middle))
    run.run(part(job, middle, day(7, 1)))
    run.execute(early)
    alike(composed(job), composed(expected))
