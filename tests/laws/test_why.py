"""Laws of `why`: it names the observation that the store names, for any pixel, by every method."""

import random
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from odc.geo.geom import point

from pipeline import run, store
from pipeline.composite import METHODS
from pipeline.cube.blocks import remote
from pipeline.errors import QueryError
from pipeline.query.selection import scenes_in
from pipeline.run.why import why
from pipeline.testing import WindowMeanModel
from pipeline.types import (
    USABLE,
    CompositeSettings,
    GuardSettings,
    Period,
    ScreenSettings,
)
from pipeline.types.manifest import screened_rows
from tests.laws.conftest import BANDS, LATTICE, make_job, use

OPTIONS = {
    "best": {"weights": {"doy": 1, "haze": 0.3, "sensor": 1}, "sensors": {"landsat": 0.5}},
    "geomedian": {"mads": True},
    "nearest": {"to": "geomedian"},
}
N_PIXELS = 12


def composed(job, method, **changes):
    asked = {"period": "season", "bands": tuple(BANDS), "options": OPTIONS.get(method, {})}
    return job.replace(
        composite=CompositeSettings(**{"name": method, "method": method} | asked | changes)
    )


@pytest.fixture(scope="module")
def masked(summer, tmp_path_factory):
    """Return a job whose store has the masks, and the model's stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        use(patch.setattr, WindowMeanModel(LATTICE))
        where = tmp_path_factory.mktemp("why") / "store"
        job = make_job(summer, where, tile_px=256, chunk_px=128)
        run.run(job)
        yield job


def lonlat(archive, y, x):
    geobox = archive.grid.geobox
    here = point(*(geobox.transform * (x + 0.5, y + 0.5)), geobox.crs).to_crs("EPSG:4326")
    return here.points[0]


def pixels(archive, name, seed):
    """Yield pixels of all counts, each with its period and what the store has of it."""
    draw = random.Random(seed)
    made, periods = archive.composite(name).load(), archive.periods(name)
    for _ in range(N_PIXELS):
        period = draw.choice(periods)
        one = made.sel(time=np.datetime64(period.start.replace(tzinfo=None)))
        tile = archive.grid.tile(*draw.choice(np.argwhere(one["fingerprint"].values).tolist()))
        y, x = (draw.randrange(each.start, each.stop) for each in tile.window)
        yield period, (y, x), one.isel(y=y, x=x)


def assert_told(archive, found, stored, bands=BANDS):
    assert found.agrees is True
    assert found.as_made
    assert found.stored == found.made_again
    assert found.stored["count"] == int(stored["count"])
    inside = [each for each in found.seen if each.verdict != "history"]
    standing = [each for each in inside if each.verdict in ("taken", "composed")]
    assert len(standing) == found.stored["count"]
    if not standing:
        assert found.taken is None
        assert found.stored["source"] is None
        return
    taken = found.taken
    assert [each.verdict for each in inside].count("taken") == 1
    assert taken.item == archive.item_ids[int(stored["source"])]
    assert (taken.time.date() - np.datetime64("1970-01-01").item()).days == int(stored["day"])
    assert all(each.usable and None not in each.values.values() for each in standing)
    lows = {band: min(each.values[band] for each in standing) for band in bands}
    highs = {band: max(each.values[band] for each in standing) for band in bands}
    for band in bands:
        value = float(stored[band])
        assert value == pytest.approx(found.stored[band], abs=1e-6)
        assert lows[band] - 5.1e-5 <= value <= highs[band] + 5.1e-5
    # No observation that stands is nearer to a value than the taken one is.
    if found.method in ("median", "mean", "percentile", "geomedian"):
        assert taken.off <= min(each.off for each in standing) + 1e-6
    if taken.score is not None:
        assert taken.score == max(each.score for each in standing)
        assert taken.score == pytest.approx(float(stored["score"]), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_taken_observation_is_the_stored_one(masked, name):
    run.run(composed(masked, name))
    archive = store.open_archive(masked.store)
    for period, at, stored in pixels(archive, name, name):
        found = why(archive, lonlat(archive, *at), period, name)
        assert found.pixel == at
        assert_told(archive, found, stored)


def test_screened_and_guarded_pixels_are_told(masked):
    guard = GuardSettings(cell_px=64, min_dates=2, share=0.5)
    parts = {"period": "month", "screen": ScreenSettings(), "harmonize": "hls"}
    job = composed(masked, "median", name="screened", **parts)
    job = job.replace(mask=job.mask.replace(guard=guard))
    run.run(job)
    archive = store.open_archive(job.store)
    for period, at, stored in [*pixels(archive, "screened", 7)][:3]:
        found = why(archive, lonlat(archive, *at), period, "screened")
        assert_told(archive, found, stored)
        assert found.stored["suspect"] == (float(stored["suspect"]) if found.taken else None)
        assert all(
            (period.start <= each.time < period.end) or each.verdict == "history"
            for each in found.seen
        )


def test_a_tile_that_no_run_composed_is_told(masked):
    archive = store.open_archive(masked.store)
    period = archive.periods("monthly")[0]
    made = archive.composite_fingerprints("monthly")[period.start]
    tile = archive.grid.tile(*np.argwhere(made == 0)[0].tolist())
    at = [each.start for each in tile.window]
    found = why(archive, lonlat(archive, *at), period, "monthly")
    assert (found.stored["count"], found.taken, found.seen) == (0, None, ())
    assert "no run composed this period in this tile" in found.notes


def put_aside(archive, name):
    """Return a pixel and period where screening left fewer observations than the masks have."""
    made = archive.composite(name).load()
    for period in archive.periods(name):
        usable = 0
        for sensor in archive.sensors:
            masks = scenes_in(archive.masks(sensor), period)
            usable = usable + np.isin(masks["mask"].to_numpy(), USABLE).sum(axis=0)
        start = np.datetime64(period.start.replace(tzinfo=None))
        aside = np.argwhere(usable > made["count"].sel(time=start).to_numpy())
        if len(aside):
            return period, tuple(aside[0].tolist())
    raise AssertionError("nothing was put aside")


def assert_counted(archive, record):
    """The record counts what the store has: observations that stand, filled pixels, suspect ones."""
    made = archive.composite("aside").load()
    sums = {row["period"]: row for row in screened_rows(record.to_dict()) if not row["time"]}
    assert sums
    for period, row in sums.items():
        one = made.sel(time=np.datetime64(period))
        assert row["usable"] - row["cloud"] - row["shadow"] == int(one["count"].sum())
        assert row["filled"] == int((one["count"] > 0).sum())
        assert row["suspect"] == int((one["suspect"] == 1).sum())
        assert row["restored"] <= row["suspect"]
    assert sum(row["cloud"] for row in sums.values()) > 0


def test_what_screening_put_aside_is_told_with_its_neighbours(masked):
    job = composed(masked, "median", name="aside", period="month", screen=ScreenSettings())
    record = run.run(job)
    archive = store.open_archive(job.store)
    assert_counted(archive, record)
    period, at = put_aside(archive, "aside")
    found = why(archive, lonlat(archive, *at), period, "aside")
    assert found.agrees
    aside = [each for each in found.seen if each.verdict == "put aside"]
    assert aside
    assert "than the dates beside it that stand" in aside[0].why


def test_without_the_rasters_the_store_alone_answers(summer, masked, tmp_path):
    away = tmp_path / "away"
    shutil.copytree(summer.parent, away)
    with pytest.MonkeyPatch.context() as patch:
        use(patch.setattr, WindowMeanModel(LATTICE))
        job = make_job(away / summer.name, tmp_path / "store", tile_px=256, chunk_px=128)
        run.run(job)
    archive = store.open_archive(job.store)
    period = archive.periods("monthly")[0]
    made = archive.composite("monthly").sel(
        time=np.datetime64(period.start.replace(tzinfo=None))
    )
    y, x = np.argwhere(made["count"].to_numpy() > 0)[0].tolist()
    before = why(archive, lonlat(archive, y, x), period)
    for raster in away.rglob("*.tif"):
        raster.unlink()
    found = why(archive, lonlat(archive, y, x), period)
    assert found.agrees is None
    assert found.made_again is None
    assert found.stored == before.stored
    assert (found.taken.time, found.taken.item) == (before.taken.time, before.taken.item)
    assert "the rasters were not read" in found.notes[0]
    assert [each.mask for each in found.seen] == [each.mask for each in before.seen]
    assert all(each.values is None for each in found.seen)


def test_what_is_meant_must_be_clear(masked):
    archive = store.open_archive(masked.store)
    inside = lonlat(archive, 3, 3)
    with pytest.raises(QueryError, match="no period is meant of composite monthly"):
        why(
            archive,
            inside,
            Period(
                start=datetime(1999, 1, 1, tzinfo=UTC), end=datetime(2000, 1, 1, tzinfo=UTC)
            ),
            "monthly",
        )
    with pytest.raises(QueryError, match="several periods are meant"):
        why(archive, inside, None, "monthly")
    with pytest.raises(QueryError, match="outside of the region"):
        why(archive, (100.0, 10.0), archive.periods("monthly")[0], "monthly")


def test_it_reads_what_runs_kept_on_disk(masked, monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "_disk", None)
    monkeypatch.setenv("CLOUDMASK_BLOCK_CACHE__FOLDER", str(tmp_path))
    monkeypatch.setenv("CLOUDMASK_BLOCK_CACHE__SIZE", "1GiB")
    with pytest.raises(QueryError):
        why(store.open_archive(masked.store), (100.0, 10.0), name="monthly")
    assert remote.disk() is not None
