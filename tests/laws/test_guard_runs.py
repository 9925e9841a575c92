"""Laws of runs whose composites are guarded against permanent false positives."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline import run, store
from pipeline.types import GuardSettings, MaskSettings, Period
from tests.laws.conftest import make_job
from tests.laws.test_runs import fresh, in_aoi

pytestmark = pytest.mark.usefixtures("window_model")

GUARD = GuardSettings(cell_px=64, min_dates=2, share=0.6, clear=0.5)


def guarded(job, guard=GUARD):
    return job.replace(mask=MaskSettings(guard=guard))


def composed(job):
    return in_aoi(store.open_archive(job.store).composite("monthly").load(), job)


@pytest.mark.slow
def test_any_tiles_and_any_nights_give_the_same_guarded_composites(summer, tmp_path):
    plain = make_job(summer, fresh(tmp_path))
    run.run(plain)
    masks = {
        n: store.open_archive(plain.store).masks(n)["mask"].values
        for n in store.open_archive(plain.store).sensors
    }
    whole = guarded(make_job(summer, fresh(tmp_path)))
    run.run(whole)
    found, without = composed(whole), composed(plain)
    assert (found["count"].values >= without["count"].values).all()
    more = found["count"].values > without["count"].values
    assert more.any()
    for name, before in masks.items():
        np.testing.assert_array_equal(
            store.open_archive(whole.store).masks(name)["mask"], before
        )
    assert run.plan_job(whole).nothing_to_do
    for chunk, tile in ((64, 192), (128, 256)):
        cut = guarded(make_job(summer, fresh(tmp_path), chunk_px=chunk, tile_px=tile))
        run.run(cut)
        for variable in found.data_vars:
            np.testing.assert_array_equal(composed(cut)[variable], found[variable])
    nightly = guarded(make_job(summer, fresh(tmp_path)))
    span = nightly.period
    for share in (0.4, 0.7, 1.0):
        end = span.start + share * (span.end - span.start)
        run.run(nightly.replace(period=Period(start=span.start, end=end)))
    for variable in found.data_vars:
        np.testing.assert_array_equal(composed(nightly)[variable], found[variable])
    # The same store, asked without the guard and with it again.
    back = plain.replace(store=whole.store)
    assert not run.plan_job(back).nothing_to_do
    run.run(back)
    np.testing.assert_array_equal(composed(back)["count"], without["count"])


def test_a_cell_that_tiles_would_cut_is_refused(summer, tmp_path):
    with pytest.raises(ValidationError, match="a divisor of"):
        guarded(make_job(summer, tmp_path / "s"), GuardSettings(cell_px=96))
