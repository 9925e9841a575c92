"""Laws of runs whose composites weigh the confidence of masks and the view angles of items."""

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import cube, run, store
from pipeline.errors import ConfigError
from pipeline.types import Code, CompositeSettings, Period
from tests.laws.conftest import BANDS, make_job
from tests.laws.test_limited_runs import CUT, assert_same, composed, told
from tests.laws.test_runs import fresh

pytestmark = pytest.mark.usefixtures("window_model")

PLAIN = CompositeSettings(
    name="sure",
    method="best",
    options={"weights": {"confidence": 1}},
    period="season",
    bands=tuple(BANDS),
)
STEEP = PLAIN.replace(name="steep", options={"weights": {"view": 1}})
BOTH = PLAIN.replace(name="both", options={"weights": {"view": 0.5, "confidence": 1, "doy": 1}})


def job_of(catalog, folder, *composites, **grid):
    job = make_job(catalog, fresh(folder), **grid)
    mask = job.mask.replace(confidence=True)
    return job.replace(composite=None, composites=composites, mask=mask)


@pytest.fixture
def angles(summer, tmp_path):
    """Return the catalogue of a copy whose items state view angles, all but one, and the angles by item."""
    folder, stated = tmp_path / "angles", {}
    shutil.copytree(summer.parent, folder)
    for path in sorted(folder.rglob("*_*.json")):
        document = json.loads(path.read_text())
        if document["type"] != "Feature" or "collection" not in document:
            continue
        if "landsat" in document["collection"]:
            stated[document["id"]] = 0.0
            document["properties"]["view:off_nadir"] = 0
        elif stated:
            stated[document["id"]] = angle = 2.0 + len(stated)
            document["properties"]["view:incidence_angle"] = angle
        else:
            stated[document["id"]] = None
        path.write_text(json.dumps(document))
    assert len(stated) > 5
    return folder / summer.name, stated


def test_both_weigh_and_once(angles, tmp_path):
    catalog, stated = angles
    job = job_of(catalog, tmp_path, PLAIN, STEEP, BOTH)
    run.run(job)
    read = cube.METER.total()
    assert run.plan_job(job).nothing_to_do
    assert run.run(job).snapshot is None
    assert cube.METER.total() == read
    assert_surest(job)
    assert_steepest(composed(job, "steep"), stated)
    both = composed(job, "both")
    assert not both["source"].equals(composed(job, "sure")["source"])
    assert not both["source"].equals(composed(job, "steep")["source"])
    for name in ("sure", "steep", "both"):
        some = np.argwhere(
            store.open_archive(job.store).composite(name)["count"].to_numpy() > 2
        )
        assert "taken" in told(job, name, some[len(some) // 2].tolist())


@pytest.mark.slow
def test_both_weigh_whatever_the_tiles(angles, tmp_path):
    catalog, _ = angles
    whole = job_of(catalog, tmp_path, BOTH)
    cut = job_of(catalog, tmp_path, BOTH, **CUT, workers=1)
    for job in (whole, cut):
        run.run(job)
    assert_same(composed(cut, "both"), composed(whole, "both"))


def assert_surest(job):
    """The score is the confidence that the store has of the observation taken, the highest of those that are clear."""
    archive = store.open_archive(job.store)
    made = archive.composite("sure").isel(time=0).load()
    of_day, most = np.full(made["count"].shape, -1), np.zeros(made["count"].shape)
    for sensor in archive.sensors:
        masks = archive.masks(sensor).load()
        for at, day in enumerate(masks["time"].values.astype("datetime64[D]").astype(int)):
            clear = masks["mask"].values[at] == Code.CLEAR
            sure = np.where(clear, masks["confidence"].values[at], 0)
            most = np.maximum(most, sure)
            of_day = np.where(made["day"].values == day, sure, of_day)
    seen = made["count"].values > 0
    score = 100 * made["score"].values[seen]
    assert np.unique(score.round()).size > 10
    np.testing.assert_allclose(score, of_day[seen], atol=1e-4)
    # What its mask shows may be saturated.
    assert (np.abs(score - most[seen]) < 1e-4).mean() > 0.999


def assert_steepest(made, stated):
    seen = made["count"].values > 0
    angle = np.array([stated.get(each) for each in made["source"].values[seen]], float)
    expected = np.where(np.isnan(angle), 0, 1 / (1 + np.exp(10 / 7.5 * (angle - 3.75))))
    np.testing.assert_allclose(made["score"].values[seen], expected, atol=1e-6)
    assert np.unique(angle[~np.isnan(angle)]).size > 2
    # The least angle is taken where there is a choice: that of Landsat.
    assert (made["score"].values[seen] > 0.99).mean() > 0.3


def test_masks_of_before_without_a_confidence_come_last(summer, tmp_path):
    june = Period(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 7, 1, tzinfo=UTC))
    job = job_of(summer, tmp_path, PLAIN)
    run.run(job.replace(period=june, composites=(), mask=job.mask.replace(confidence=False)))
    later = Period(start=june.end, end=job.period.end)
    run.run(job.replace(period=later))
    archive = store.open_archive(job.store)
    made = archive.composite("sure").isel(time=0).load()
    old = np.isin(made["day"].values, np.arange(*days(june)))
    assert 0 < old.mean() < 0.5
    assert not made["score"].values[old].any()
    assert (made["score"].values[~old & (made["count"].values > 0)] > 0).all()
    at = np.argwhere(old)[0].tolist()
    assert "taken" in told(job, "sure", (0, *at))


def days(period):
    return [
        int(np.datetime64(each.replace(tzinfo=None), "D").astype(int))
        for each in (period.start, period.end)
    ]


def test_what_there_is_nothing_of_is_refused(summer, tmp_path):
    job = job_of(summer, tmp_path, STEEP)
    with pytest.raises(ConfigError, match="no item states view:incidence_angle"):
        run.plan_job(job)
    job = job.replace(composites=(PLAIN,), mask=job.mask.replace(confidence=False))
    with pytest.raises(ConfigError, match="set mask.confidence: true"):
        run.plan_job(job)
