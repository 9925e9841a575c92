"""The flow end to end on a server of its own: the same store as a plain run, and what Prefect shows."""

import base64
import json
import logging

import pytest
from typer.testing import CliRunner

from pipeline import config, run, store
from pipeline.cli import app
from pipeline.cube import reader
from pipeline.errors import (
    AssetUnavailableError,
    CatalogUnavailableError,
    IncompleteError,
    ModelError,
    StoreConflictError,
)
from pipeline.types import StacSettings
from tests.faults.small_region import (
    EAST,
    assert_same,
    contents,
    refused,
    snapshot,
)

TILES = ("tile r000c000", "tile r000c001")


def called(flow, region, **parts):
    return flow.region(config.dump_job(region.job(**parts)), wait_min=0)


def latest(asked):
    """Return the latest flow run: its state, and how often each task was tried, by its name."""
    ended = max(asked("read_flow_runs"), key=lambda each: each.start_time)
    tasks = [each for each in asked("read_task_runs") if each.flow_run_id == ended.id]
    # Tasks without a name for their runs get a random ending.
    names = {each.name if each.name in TILES else "plan": each.run_count for each in tasks}
    return ended.state_name, names


def fail_reads(monkeypatch, asset, times):
    """Let reads of a file fail so many times, as a busy server does; return how many failed."""
    real, failed = reader.read_blocks, []

    def read(ref, use, **options):
        if ref.href == str(asset) and len(failed) < times:
            failed.append(ref)
            reason = "cannot be read: HTTP response code: 503"
            raise AssetUnavailableError(ref.item_id, ref.asset, reason)
        return real(ref, use, **options)

    monkeypatch.setattr(reader, "read_blocks", read)
    return failed


def break_model(threshold, error):
    def predict(window):
        raise error

    threshold.model.predict = predict


# -- what it makes -----------------------------------------------------------------------------


def test_the_flow_makes_what_a_plain_run_makes(flow, region, undisturbed, asked):
    record = called(flow, region)
    assert record.snapshot
    assert (record.complete, record.expected) == (6, 6)
    assert_same(contents(region), undisturbed)
    assert latest(asked) == ("Completed", dict.fromkeys(("plan", *TILES), 1))

    assert called(flow, region) is None
    assert latest(asked) == ("Completed", {"plan": 1})


@pytest.mark.slow
def test_the_flow_keeps_a_catalogue_up_to_date(flow, region, tmp_path, monkeypatch, work):
    wanted = {"stac": StacSettings(folder=str(tmp_path / "told"))}
    busy = StoreConflictError("somebody else writes it")
    with monkeypatch.context() as patch:
        patch.setattr(work.publish, "follow", raising(busy))
        with pytest.raises(StoreConflictError):
            called(flow, region, **wanted)
    # The masks are there; what an earlier night could not write is made up for.
    assert snapshot(region)
    assert called(flow, region, **wanted) is None
    found = json.loads((tmp_path / "told" / "catalog.json").read_text())
    assert found["cloudmask:snapshot"] == store.open_archive(str(region.store)).snapshot


def raising(error):
    def fail(*_):
        raise error

    return fail


def test_what_prefect_shows(flow, region, asked):
    region.truncate(EAST)
    record = called(flow, region)
    ended = max(asked("read_flow_runs"), key=lambda each: each.start_time)
    found = {each.key: each for each in asked("read_artifacts") if each.flow_run_id == ended.id}
    kinds = {key: each.type for key, each in found.items()}
    assert kinds == {
        "region-progress": "progress",
        "region-tiles": "table",
        "region-dropped": "table",
        "region-record": "markdown",
        "region-composite": "image",
    }
    words = found["region-record"].data
    assert record.run_id in words
    assert "4 of 6 cells" in words
    assert f"{EAST} r000c001: asset 'blue' cannot be read" in words
    rows = json.loads(found["region-tiles"].data)
    assert [row["unreadable"] for row in rows] == [0, 1]
    assert EAST in found["region-dropped"].data
    assert found["region-progress"].data == 100
    head, _, picture = found["region-composite"].data.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(picture).startswith(b"\x89PNG")


# -- retries -----------------------------------------------------------------------------------


def test_a_tile_is_tried_again_when_that_may_help(
    flow, region, undisturbed, asked, monkeypatch
):
    failed = fail_reads(monkeypatch, region.asset(EAST, "blue"), times=2)
    record = called(flow, region)
    assert len(failed) == 2
    assert not any(each.tile for each in record.dropped)
    assert_same(contents(region), undisturbed)
    state, names = latest(asked)
    assert state == "Completed"
    # Two threads may have failed in one try.
    assert names.pop(TILES[0]) in (2, 3)
    assert names == {"plan": 1, TILES[1]: 1}


@pytest.mark.slow
def test_what_never_passes_is_dropped_on_the_last_try(flow, work, region, asked, monkeypatch):
    fail_reads(monkeypatch, region.asset(EAST, "blue"), times=10**6)
    record = called(flow, region)
    assert {each.tile for each in record.dropped if each.item_id == EAST} == {
        "r000c000",
        "r000c001",
    }
    assert (record.complete, record.expected) == (4, 6)
    state, names = latest(asked)
    assert state == "Completed"
    assert names == {"plan": 1} | dict.fromkeys(TILES, work.TASK_RETRY.attempts)


def test_what_cannot_pass_is_not_tried_again(flow, region, asked):
    region.truncate(EAST)
    called(flow, region)
    assert latest(asked) == ("Completed", dict.fromkeys(("plan", *TILES), 1))


# -- failures ----------------------------------------------------------------------------------


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "error",
    [ModelError("broken"), CatalogUnavailableError("busy")],
    ids=["for-good", "may-pass"],
)
def test_a_tile_that_fails_publishes_nothing(flow, work, region, threshold, asked, error):
    break_model(threshold, error)
    with pytest.raises(type(error), match=str(error)):
        called(flow, region)
    archive = store.open_archive(str(region.store))
    assert archive.sensors == archive.composite_names == ()
    tries = work.TASK_RETRY.attempts if error.retryable else 1
    assert latest(asked) == ("Failed", {"plan": 1, TILES[0]: tries})


@pytest.mark.slow
def test_too_little_publishes_nothing(flow, region, asked):
    called(flow, region)
    before = snapshot(region)
    for path in region.archive.glob("sentinel-2-l2a/*/*.tif"):
        path.write_bytes(b"rubbish")
    for path in region.archive.glob("sentinel-2-l2a/*/*.json"):
        region.edit(path.stem, remade)
    with pytest.raises(IncompleteError, match="nothing is published"):
        called(flow, region)
    assert snapshot(region) == before
    assert latest(asked)[0] == "Failed"


def remade(item):
    """Say that an item was made again."""
    item["properties"]["s2:generation_time"] = "2025-01-01T00:00:00Z"


# -- the command -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_takes_the_flow(flow, region, undisturbed, asked):
    result = CliRunner().invoke(app, ["run", str(region.job_file()), "--no-report"])
    assert result.exit_code == 0, result.exception
    assert "6 of 6 cells" in result.stdout
    assert "error: " not in result.stderr
    assert_same(contents(region), undisturbed)
    assert latest(asked)[0] == "Completed"


class Tracebacks(logging.Handler):
    """Collects the errors that were logged with a traceback."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def emit(self, record):
        if record.exc_info:
            self.errors.append(record.exc_info[1])


def test_an_expected_error_leaves_no_traceback_in_the_log(flow, region, threshold):
    break_model(threshold, ModelError("broken"))
    heard, logger = Tracebacks(), logging.getLogger("prefect.flow_runs")
    logger.addHandler(heard)
    try:
        with pytest.raises(ModelError):
            flow.run_region(region.job(), run.Silent())
    finally:
        logger.removeHandler(heard)
    assert heard.errors == []


def test_the_command_fails_with_one_error(flow, region, threshold):
    break_model(threshold, ModelError("broken"))
    result = CliRunner().invoke(app, ["run", str(region.job_file()), "--no-report", "-q"])
    refused(result, 5, "broken")
