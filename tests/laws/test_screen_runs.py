"""Laws of runs whose composites are screened by the scenes before and after their period."""

import numpy as np
import pytest

from pipeline import run, store
from pipeline.errors import ConfigError
from pipeline.types import CompositeSettings, Period, ScreenSettings
from tests.laws.conftest import make_job
from tests.laws.test_runs import fresh, in_aoi

pytestmark = pytest.mark.usefixtures("window_model")

SCREENED = CompositeSettings(screen=ScreenSettings())


def screened(summer, folder, **grid):
    return make_job(summer, fresh(folder), **grid).replace(composite=SCREENED)


def composed(job):
    archive = store.open_archive(job.store)
    found = in_aoi(archive.composite("monthly").load(), job)
    # Positions in the store's list depend on which item came first.
    ids = np.array([*(item["id"] for item in archive.items()), ""])
    return found.assign(source=found["source"].copy(data=ids[found["source"].values]))


def assert_same(job, expected):
    found = composed(job)
    for variable in expected.data_vars:
        np.testing.assert_array_equal(found[variable], expected[variable], err_msg=variable)


@pytest.mark.slow
def test_any_tiles_and_any_nights_give_the_same_screened_composites(summer, tmp_path):
    plain, whole = make_job(summer, fresh(tmp_path)), screened(summer, tmp_path)
    run.run(plain)
    run.run(whole)
    found, without = composed(whole), composed(plain)
    assert (found["count"].values <= without["count"].values).all()
    assert (found["count"].values < without["count"].values).any()
    np.testing.assert_array_equal(found["count"] > 0, without["count"] > 0)
    np.testing.assert_array_equal(np.isnan(found["suspect"]), found["count"] == 0)
    assert run.plan_job(whole).nothing_to_do
    cut = screened(summer, tmp_path, chunk_px=64, tile_px=192)
    run.run(cut)
    assert_same(cut, found)
    nightly = screened(summer, tmp_path)
    span = nightly.period
    # The last night comes first: what lies before the store's periods screens them, too.
    for start, end in ((0.7, 1.0), (0.0, 0.4), (0.4, 0.7)):
        night = Period(
            start=span.start + start * (span.end - span.start),
            end=span.start + end * (span.end - span.start),
        )
        run.run(nightly.replace(period=night))
    assert_same(nightly, found)
    assert run.plan_job(nightly).nothing_to_do


def test_bands_without_evidence_are_refused(summer, tmp_path):
    job = make_job(summer, tmp_path / "s")
    bands = CompositeSettings(bands=("red", "nir"), screen=ScreenSettings())
    with pytest.raises(ConfigError, match=r"add blue, swir16 to composite\.bands"):
        run.plan_job(job.replace(composite=bands))


def test_a_job_that_makes_nothing_publishes_nothing(region, threshold):
    """Not even how it would screen: two jobs in turns would publish each night."""
    bands = ("blue", "nir", "swir16")
    settings = CompositeSettings(bands=bands, period="year", screen=ScreenSettings())
    run.run(region.job(composite=settings))
    # No scene lies in the day that the other one looks further.
    other = settings.replace(screen=ScreenSettings(history_days=32))
    assert run.run(region.job(composite=other)).snapshot is None
    made = store.open_archive(str(region.store)).attributes("composites", "monthly")
    assert '"history_days": 31' in made["judged_by"]
