"""Laws of several composites in one job: as if each had a job of its own, from one reading, and run once."""

import itertools

import pytest

from pipeline import cube, run, store
from pipeline.config import dump_job, parse_job
from pipeline.errors import ConfigError
from pipeline.types import CompositeSettings, Days, ScreenSettings
from tests.laws.conftest import BANDS, contents, make_job
from tests.laws.test_runs import Killed, fresh
from tests.laws.test_why import assert_told, lonlat, pixels

pytestmark = pytest.mark.usefixtures("window_model")

MONTHLY = CompositeSettings(name="monthly", bands=tuple(BANDS))
BEST = CompositeSettings(name="latest", method="latest", bands=tuple(BANDS))
SEASONAL = CompositeSettings(
    name="seasonal", method="geomedian", period="season", bands=tuple(BANDS)
)
SCREENED = CompositeSettings(
    name="dates", period=Days(days=16), bands=("blue", "nir", "swir16"), screen=ScreenSettings()
)
ALL = (MONTHLY, BEST, SEASONAL, SCREENED)


def listed(summer, folder, *composites, **grid):
    job = make_job(summer, fresh(folder), **grid)
    return job.replace(composite=None, composites=composites)


def composites(url):
    return {name: each for name, each in contents(url).items() if name.startswith("compos")}


def read(job):
    before = cube.METER.total().bytes_read
    record = run.run(job)
    return cube.METER.total().bytes_read - before, record


@pytest.mark.slow
def test_a_list_is_each_composite_by_itself(summer, tmp_path):
    job = listed(summer, tmp_path, *ALL, tile_px=256, chunk_px=128)
    _, record = read(job)
    again, unchanged = read(job)
    assert (again, unchanged.snapshot) == (0, None)
    assert run.plan_job(job).nothing_to_do
    assert {each.composite for each in record.steps} == {each.name for each in ALL}
    together = composites(job.store)
    assert together.keys() == {f"composites/{each.name}" for each in ALL}
    alone = make_job(summer, fresh(tmp_path), tile_px=256, chunk_px=128)
    for each in ALL:
        run.run(alone.replace(composite=each))
    for name, dataset in composites(alone.store).items():
        for variable in (*dataset.data_vars, "time_bnds"):
            assert dataset[variable].equals(together[name][variable]), (name, variable)
    # Fingerprints are the same, so that a job of one finds what a job of several made.
    assert run.plan_job(alone.replace(store=job.store, composite=SEASONAL)).nothing_to_do
    archive = store.open_archive(job.store)
    for period, at, stored in [*pixels(archive, "seasonal", 3)][:3]:
        assert_told(archive, run_why(archive, lonlat(archive, *at), period), stored)


def run_why(archive, place, period):
    from pipeline.run.why import why  # noqa: PLC0415 -- here alone

    return why(archive, place, period, "seasonal")


@pytest.mark.slow
def test_a_list_that_is_killed_and_started_again_is_undisturbed(summer, tmp_path, monkeypatch):
    """Where a season is written, and not yet the months that were composed with it."""
    job, other = (
        listed(summer, tmp_path, MONTHLY, SEASONAL, tile_px=256, chunk_px=128) for _ in range(2)
    )
    run.run(other)
    done, write = itertools.count(1), store.Writer.write_composite

    def dying(self, *args):
        if next(done) == 3:
            raise Killed
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(store.Writer, "write_composite", dying)
        with pytest.raises(Killed):
            run.run(job)
    run.run(job)
    assert run.plan_job(job).nothing_to_do
    found, expected = composites(job.store), composites(other.store)
    assert found.keys() == expected.keys()
    for name, dataset in expected.items():
        for variable in (*dataset.data_vars, "time_bnds"):
            assert dataset[variable].equals(found[name][variable]), (name, variable)


def test_pixels_are_read_once_for_all(region, threshold):
    def bytes_of(*composites):
        where = str(region.folder / f"store of {len(composites)}")
        return read(region.job(composite=None, composites=composites, store=where))[0]

    # In the season's period its months are composed together with it.
    assert bytes_of(MONTHLY, BEST, SEASONAL) == bytes_of(MONTHLY) > 0


def test_a_list_is_written_and_read_as_it_is(summer, tmp_path):
    job = listed(summer, tmp_path, MONTHLY, SCREENED)
    plain = dump_job(job)
    assert "composite" not in plain or plain["composite"] is None
    assert [each["name"] for each in plain["composites"]] == ["monthly", "dates"]
    assert parse_job(plain, base=tmp_path) == job
    assert "composites" not in dump_job(job.replace(composite=MONTHLY, composites=()))
    with pytest.raises(ConfigError, match="composites: .*composite or composites, not both"):
        parse_job({**plain, "composite": {"name": "x"}}, base=tmp_path)
    twice = [{"name": "x"}, {"name": "x", "method": "mean"}]
    with pytest.raises(ConfigError, match="names of their own"):
        parse_job({**plain, "composites": twice}, base=tmp_path)
