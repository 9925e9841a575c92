"""Laws of runs whose composites take the k clearest observations: `composite.max_observations`."""

import numpy as np
import pytest

from pipeline import run, store
from pipeline.config import dump_job, parse_job
from pipeline.errors import ConfigError
from pipeline.run.common.fingerprint import settings_text
from pipeline.run.why import why
from pipeline.types import CompositeSettings, ScreenSettings
from tests.laws.conftest import BANDS, make_job
from tests.laws.test_runs import fresh, in_aoi
from tests.laws.test_why import assert_told, lonlat

pytestmark = pytest.mark.usefixtures("window_model")

SEASON = CompositeSettings(name="all", period="season", bands=tuple(BANDS))
SCREENED = CompositeSettings(name="all", bands=tuple(BANDS), screen=ScreenSettings())
CUT = {"chunk_px": 64, "tile_px": 192}


def made(summer, folder, composites, **grid):
    job = make_job(summer, fresh(folder), **grid).replace(composite=None, composites=composites)
    return job, run.run(job)


def composed(job, name):
    archive = store.open_archive(job.store)
    found = in_aoi(archive.composite(name).load(), job)
    ids = np.array([*archive.item_ids, ""])
    return found.assign(source=found["source"].copy(data=ids[found["source"].values]))


def assert_same(one, other):
    for variable in other.data_vars:
        np.testing.assert_array_equal(one[variable], other[variable], err_msg=variable)


def limited(settings, *most):
    """Return a composite without a limit, and the same with some."""
    return settings, *(settings.replace(name=f"k{k}", max_observations=k) for k in most)


def assert_limited(found, whole, most):
    expected = np.minimum(whole["count"], most)
    # Masks choose before pixels are read: what turns out to be saturated is not replaced.
    assert (found["count"] <= expected).all()
    assert float((found["count"] == expected).mean()) > 0.999
    assert (whole["count"] > most).any()


def told(job, name, at):
    archive = store.open_archive(job.store)
    period = archive.periods(name)[at[0]]
    found = why(archive, lonlat(archive, *at[1:]), period, name)
    stored = archive.composite(name).isel(dict(zip(("time", "y", "x"), at, strict=True)))
    assert_told(archive, found, stored.load())
    return [each.verdict for each in found.seen]


def test_the_clearest_are_composed(summer, tmp_path):
    job, record = made(summer, tmp_path, limited(SEASON, 2, 6))
    found, whole = composed(job, "k2"), composed(job, "all")
    assert_limited(found, whole, 2)
    as_many = found["count"] == whole["count"]
    np.testing.assert_array_equal(found["blue"].where(as_many), whole["blue"].where(as_many))
    # There are six scenes: as many as there are is no limit.
    assert_same(composed(job, "k6"), whole)
    assert record.stages["composite"].bytes_not_needed > 0
    assert run.plan_job(job).nothing_to_do
    more = store.open_archive(job.store).composite("all")["count"].to_numpy() > 2
    assert "not needed" in told(job, "k2", np.argwhere(more)[0].tolist())


@pytest.mark.slow
def test_the_clearest_are_the_same_whatever_the_tiles(summer, tmp_path):
    clearest = limited(SEASON, 2)[1:]
    whole, cut = (made(summer, tmp_path, clearest, **grid)[0] for grid in ({}, CUT))
    assert_same(composed(cut, "k2"), composed(whole, "k2"))


@pytest.mark.slow
def test_what_is_not_composed_still_judges(summer, tmp_path):
    job, _ = made(summer, tmp_path, limited(SCREENED, 1, 6))
    found, whole = composed(job, "k1"), composed(job, "all")
    assert_limited(found, whole, 1)
    assert_same(composed(job, "k6"), whole)
    cut, _ = made(summer, tmp_path, limited(SCREENED, 1)[1:], **CUT)
    assert_same(composed(cut, "k1"), found)
    more = np.argwhere(store.open_archive(job.store).composite("all")["count"].to_numpy() > 1)
    for at in more[:: len(more) // 4].tolist():
        assert "not needed" in told(job, "k1", at)


def test_a_limit_is_written_and_read_and_none_is_as_before(summer, tmp_path):
    job = make_job(summer, tmp_path / "s").replace(composite=SEASON)
    assert "max_observations" not in dump_job(job)["composite"]
    few = job.replace(composite=SEASON.replace(max_observations=2))
    assert parse_job(dump_job(few), base=tmp_path) == few
    texts = {settings_text(each.composite) for each in (job, few)}
    assert len(texts) == 2
    assert "observations" not in settings_text(SEASON)


def test_what_cannot_be_is_refused(summer, tmp_path):
    job = make_job(summer, tmp_path / "s", chunk_px=96, tile_px=192)
    with pytest.raises(ValueError, match="chunk_px"):
        job.replace(composite=SEASON.replace(max_observations=2))
    plain = {
        "name": "x",
        "aoi": [11.645, 48.215, 11.685, 48.235],
        "datetime": "2023-06",
        "sources": [{"catalog": str(summer)}],
        "store": "s",
        "composite": {"min_observations": 3, "max_observations": 2},
    }
    with pytest.raises(ConfigError, match=r"max_observations.*at least min_observations \(3\)"):
        parse_job(plain, base=tmp_path)
