"""Assets that cannot be read: dropped with a reason, retried where that can help, repaired later."""

import dataclasses
import json
import pickle
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio

from pipeline import access, cube, run, store
from pipeline.access import RetryPolicy
from pipeline.cube import datasets
from pipeline.errors import AssetError, AssetUnavailableError, IncompleteError
from pipeline.types import (
    UNCOVERED,
    UNREADABLE,
    CompositeSettings,
    CubeSettings,
    Period,
    RunSettings,
)
from tests.faults.faulty import HOST
from tests.faults.small_region import (
    AOI,
    DAY,
    EAST,
    WEST,
    assert_same,
    contents,
    copy_of,
    refused,
    snapshot,
)

QUERY = ("--aoi", "11.6625,48.2245,11.6685,48.2295", "--datetime", "2023-06", "--json")
"""An area inside the eastern tile."""


IN_JUNE = Period(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 7, 1, tzinfo=UTC))


class Said:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.messages = []

    def start(self, stage, total): ...

    def advance(self, stage, n=1): ...

    def message(self, text):
        self.messages.append(text)


def cells(record):
    return {
        (cell.tile, cell.sensor, cell.time): cell
        for tile in record.tiles
        for cell in tile.cells
    }


def day_of(record):
    """Return the cells of the two tiles on the day of the damage."""
    found = cells(record)
    return [found[tile, "sentinel-2", DAY] for tile in ("r000c000", "r000c001")]


def truncate(region):
    return region.truncate(EAST)


def remove(region):
    path = region.asset(EAST, "blue")
    whole = path.read_bytes()
    path.unlink()
    return whole


def without_crs(region):
    path = region.asset(EAST, "blue")
    whole = path.read_bytes()
    with rasterio.open(path) as raster:
        pixels, transform = raster.read(), raster.transform
    shape = {"count": 1, "height": pixels.shape[1], "width": pixels.shape[2]}
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint16", transform=transform, **shape
    ) as raster:
        raster.write(pixels)
    return whole


DAMAGES = [truncate, remove, without_crs]


@pytest.mark.quick(1)
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_asset_is_dropped_reported_and_done_again_when_it_is_back(
    region, undisturbed, damage
):
    whole = damage(region)
    record = run.run(region.job())
    lost = [each for each in record.dropped if each.item_id == EAST]
    assert {each.tile for each in lost} == {"r000c000", "r000c001"}
    assert all("asset 'blue' cannot be read" in each.reason for each in lost)
    assert (record.complete, record.expected) == (4, 6)
    overlap, alone = day_of(record)
    assert (overlap.status, overlap.items) == ("masked", (WEST,))
    assert (alone.status, alone.items) == ("unreadable", ())
    archive = store.open_archive(str(region.store))
    assert archive.records()[-1]["dropped"] == record.to_dict()["dropped"]

    # The same again: nothing new to publish.
    again = run.run(region.job())
    assert again.snapshot is None
    assert snapshot(region) == archive.snapshot
    assert (again.complete, again.expected) == (4, 6)

    # Repaired: those two cells and no other.
    region.asset(EAST, "blue").write_bytes(whole)
    record = run.run(region.job())
    redone = {key for key, cell in cells(record).items() if cell.status == "masked"}
    assert redone == {(tile, "sentinel-2", DAY) for tile in ("r000c000", "r000c001")}
    assert {tile.composites for tile in record.tiles} == {("2023-06-01",)}
    assert_same(contents(region), undisturbed)


def test_what_is_read_ahead_fails_as_it_does_in_its_turn(region, pristine, tmp_path_factory):
    """One scene a batch, so that the broken one is read while the one before it is written."""
    records, found = [], []
    for name, ahead in (("turn", 0), ("ahead", 2)):
        one = copy_of(pristine, tmp_path_factory.mktemp(name))
        one.truncate(EAST)
        settings = RunSettings(min_completeness=0.5, workers=1, read_ahead=ahead)
        records.append(run.run(one.job(run=settings)))
        found.append(contents(one))
    in_turn, ahead = records
    assert EAST in {each.item_id for each in ahead.dropped}
    assert [(each.item_id, each.tile) for each in ahead.dropped] == [
        (each.item_id, each.tile) for each in in_turn.dropped
    ]
    assert_same(*found)


def test_what_is_read_ahead_ends_the_run_where_nothing_may_be_dropped(region):
    region.truncate(EAST)
    job = region.job(
        cube=CubeSettings(unreadable="fail"), run=RunSettings(workers=1, read_ahead=2)
    )
    with pytest.raises(AssetError, match=f"{EAST}.*blue"):
        run.run(job)


def test_what_one_composite_cannot_read_the_others_keep(region):
    """Composites of a list are computed together, and each drops what it would drop by itself, and is told once."""
    region.truncate(EAST, "swir16")
    plain = CompositeSettings(name="plain", bands=("blue", "red"))
    wide = plain.replace(name="wide", bands=("blue", "swir16"))
    both = (plain, wide, wide.replace(name="latest", method="latest"))
    job = region.job(composite=None, composites=both)
    record = run.run(job)
    lost = sorted(each.tile for each in record.dropped if each.item_id == EAST)
    assert lost == ["r000c000", "r000c001"]
    alone = {each.name: job.replace(composite=each, composites=()) for each in both}
    due = {name: not run.plan_job(each).nothing_to_do for name, each in alone.items()}
    # An item that could not be read is tried again.
    assert due == {"plain": False, "wide": True, "latest": True}


def test_the_other_item_fills_what_it_can(region, pristine, tmp_path_factory):
    """A scene with a broken item is the scene that never had it, but for what is known of it."""
    region.truncate(EAST)
    run.run(region.job())
    other = copy_of(pristine, tmp_path_factory.mktemp("without"))
    other.remove_items(EAST)
    run.run(other.job())
    found, expected = contents(region), contents(other)
    cell = "masks/sentinel-2/fingerprint"
    (at,) = np.flatnonzero(
        found["masks/sentinel-2/time"] == np.datetime64(DAY.replace(tzinfo=None))
    )
    assert found[cell][at, 0, 1] == UNREADABLE
    assert expected[cell][at, 0, 1] == UNCOVERED
    found[cell][at, 0, 1] = UNCOVERED
    # Which items the scene has is the catalogue's, not the run's.
    for each in (found, expected):
        each.pop("masks/sentinel-2/items")
        each.pop("masks/sentinel-2/histogram")
    assert_same(found, expected)


def test_what_could_not_be_read_is_neither_clear_nor_no_data(cloudmask, region):
    region.truncate(EAST)
    run.run(region.job())
    result = cloudmask("query", region.store, *QUERY)
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["scenes"]
    assert row.pop("unread_pct") == 100.0
    assert [value for name, value in row.items() if name.endswith("_pct")] == [0.0] * 6


def test_an_asset_that_only_the_composite_needs(region, undisturbed):
    whole = region.truncate(EAST, "green")
    record = run.run(region.job())
    assert {cell.status for cell in day_of(record)} == {"masked"}
    assert {each.item_id for each in record.dropped if each.tile} == {EAST}
    found = contents(region)
    for name in ("mask", "fingerprint", "histogram"):
        key = f"masks/sentinel-2/{name}"
        np.testing.assert_array_equal(found[key], undisturbed[key])
    assert EAST not in np.unique(found["composites/monthly/source"])
    assert EAST in np.unique(undisturbed["composites/monthly/source"])
    assert run.run(region.job()).snapshot is None
    region.asset(EAST, "green").write_bytes(whole)
    run.run(region.job())
    assert_same(contents(region), undisturbed)


def test_the_command_goes_on_without_an_item_and_says_so(cloudmask, region):
    region.truncate(EAST)
    result = cloudmask("run", region.job_file(), "--plain", "--no-report")
    assert result.exit_code == 0, result.stderr
    assert "error: " not in result.stderr
    assert f"item {EAST} dropped: asset 'blue' cannot be read" in result.stderr
    assert "4 of 6 cells" in result.stdout
    assert "asset 'blue' cannot be read" in result.stdout


# -- too much is missing -----------------------------------------------------------------------


def remade(item):
    """Say that an item was made again."""
    item["properties"]["s2:generation_time"] = "2025-01-01T00:00:00Z"


def break_all(region):
    """Break every Sentinel-2 raster, and say that all were made again."""
    for path in region.archive.glob("sentinel-2-l2a/*/*.tif"):
        path.write_bytes(b"rubbish")
    for path in region.archive.glob("sentinel-2-l2a/*/*.json"):
        region.edit(path.stem, remade)


def test_too_little_to_publish_at_first(cloudmask, region):
    break_all(region)
    result = cloudmask("run", region.job_file(), "--plain", "--no-report", "--quiet")
    refused(result, 7, "only 2 of 6 cells (33.3%)", "run.min_completeness is 50.0%", EAST[:7])
    archive = store.open_archive(str(region.store))
    assert archive.sensors == archive.composite_names == ()
    assert archive.records() == []


def test_too_little_to_publish_leaves_what_was_there(ran, undisturbed):
    before = snapshot(ran)
    break_all(ran)
    with pytest.raises(IncompleteError, match="nothing is published"):
        run.run(ran.job())
    assert snapshot(ran) == before
    assert_same(contents(ran), undisturbed)


def test_what_was_not_published_is_not_published_by_a_run_with_nothing_to_do(
    ran, pristine, undisturbed
):
    break_all(ran)
    with pytest.raises(IncompleteError):
        run.run(ran.job())
    shutil.rmtree(ran.archive)
    shutil.copytree(pristine, ran.archive)
    assert run.plan_job(ran.job()).nothing_to_do
    assert run.run(ran.job()).snapshot is None
    assert_same(contents(ran), undisturbed)


@pytest.mark.slow
def test_what_was_not_published_is_not_published_by_a_run_elsewhere(
    cloudmask, ran, pristine, undisturbed
):
    break_all(ran)
    with pytest.raises(IncompleteError):
        run.run(ran.job())
    shutil.rmtree(ran.archive)
    shutil.copytree(pristine, ran.archive)
    # Something new in the western tile, and a job for that tile alone.
    ran.edit(WEST, remade)
    west = str([*AOI[:2], 11.655, AOI[3]])
    path = ran.job_file((str(list(AOI)), west))
    result = cloudmask("run", path, "--plain", "--no-report", "--quiet")
    assert result.exit_code == 0, result.stderr
    found = contents(ran)
    for name in ("mask", "fingerprint"):
        key = f"masks/sentinel-2/{name}"
        east = (slice(None), slice(None), slice(1 if name == "fingerprint" else 128, None))
        np.testing.assert_array_equal(found[key][east], undisturbed[key][east], err_msg=name)


# -- what may pass -----------------------------------------------------------------------------


def fail(monkeypatch, asset, times, reason="HTTP response code: 503"):
    """Let openings of a file fail so many times, as if it were elsewhere; return those that did."""
    allowed, opened, failed = access.opening, datasets.opened, []

    def opening(href, **options):
        made = allowed(href, **options)
        return dataclasses.replace(made, host="elsewhere") if href == str(asset) else made

    def fails(path, overview_level):
        if path == str(asset) and len(failed) < times:
            failed.append(path)
            raise OSError(reason)
        return opened(path, overview_level)

    monkeypatch.setattr(access, "opening", opening)
    monkeypatch.setattr(datasets, "opened", fails)
    # The reader tries again by itself: here it is the run's policy that counts.
    monkeypatch.setattr(cube.opening, "RETRY", RetryPolicy(attempts=1))
    return failed


def test_what_passes_is_tried_again_and_leaves_no_trace(region, undisturbed, monkeypatch):
    failed = fail(monkeypatch, region.asset(EAST, "blue"), times=run.RETRY.attempts - 1)
    said = Said()
    record = run.run(region.job(), said)
    assert len(failed) == run.RETRY.attempts - 1
    assert said.messages
    assert all(text.endswith("503; trying again") for text in said.messages)
    assert (record.complete, record.expected) == (6, 6)
    assert not any(each.tile for each in record.dropped)
    assert_same(contents(region), undisturbed)


def test_what_does_not_pass_is_dropped_after_the_tries(region, monkeypatch):
    fail(monkeypatch, region.asset(EAST, "blue"), times=10**6)
    said = Said()
    record = run.run(region.job(), said)
    tried = [text for text in said.messages if "trying again" in text]
    assert len(tried) == 2 * (run.RETRY.attempts - 1)
    assert [cell.status for cell in day_of(record)] == ["masked", "unreadable"]
    assert "503" in next(each.reason for each in record.dropped if each.item_id == EAST)


@pytest.mark.quick(1)
@pytest.mark.parametrize("fault", ["503", "429", "stall", "truncated"])
def test_a_busy_server_is_asked_again(region, undisturbed, faulty, fault):
    asset = region.asset(EAST, "blue")
    href = faulty.href(f"busy-{fault}", asset)
    faulty.plan(f"busy-{fault}", first=["", fault], stall_s=0.6)
    region.edit(EAST, lambda item: item["assets"]["blue"].update(href=href))
    said = Said()
    record = run.run(region.job(cube=CubeSettings(hosts=(HOST,))), said)
    assert not any(each.tile for each in record.dropped)
    assert not any("trying again" in text for text in said.messages), (
        "the reader tries again itself"
    )
    assert_same(contents(region), undisturbed)


def test_what_cannot_pass_is_not_tried_again(region):
    region.truncate(EAST)
    said = Said()
    run.run(region.job(), said)
    assert not any("trying again" in text for text in said.messages)


# Each is a run; that the words are told apart, all of them, is `tests/access/test_retry.py`.
@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("reason", "passes"),
    [
        ("HTTP response code: 503", True),
        ("HTTP response code: 429", True),
        ("Operation timed out after 30000 milliseconds", True),
        ("CURL error: Could not resolve host: example.com", True),
        ("CURL error: Recv failure: Connection reset by peer", True),
        (
            "CURL error: Failed to connect to example.com port 443: Could not connect to server",
            True,
        ),
        ("HTTP response code: 404", False),
        ("TIFFReadEncodedTile() failed", False),
        ("/data/S2A_32UPU_20230429_0_L2A/B02.tif: No such file or directory", False),
    ],
)
def test_which_errors_may_pass(region, monkeypatch, reason, passes):
    fail(monkeypatch, region.asset(EAST, "blue"), times=10**6, reason=reason)
    said = Said()
    run.run(region.job(period=IN_JUNE, composite=None, min_completeness=0.0), said)
    assert any("trying again" in text for text in said.messages) == passes


def test_errors_of_assets_survive_a_journey():
    error = pickle.loads(pickle.dumps(AssetUnavailableError("item", "blue", "HTTP 503")))
    assert (error.item_id, error.asset, error.retryable) == ("item", "blue", True)
