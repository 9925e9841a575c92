"""Masks alone, composites alone, a backfill; the event of what they publish."""

import importlib
import json

import pytest

from pipeline import config, store
from pipeline.errors import ConfigError, IncompleteError, ModelError
from tests.faults.small_region import DAY, EAST, WEST, assert_same, contents, snapshot


@pytest.fixture
def sent(flow, monkeypatch):
    """Return the events that are sent, instead of sending them."""
    events = []
    showing = importlib.import_module("flows.artifacts")
    monkeypatch.setattr(
        showing, "emit_event", lambda name, **parts: events.append((name, parts))
    )
    return events


@pytest.fixture
def backfill(flow):
    return importlib.import_module("flows.backfill").backfill


def asked_for(region, **parts):
    return config.dump_job(region.job(**parts))


def forbid_model(threshold):
    def predict(window):
        raise ModelError("nobody may mask here")

    threshold.model.predict = predict


# -- masks, composites -------------------------------------------------------------------------


def test_masks_alone_then_composites_alone(flow, region, undisturbed, threshold, sent):
    job = asked_for(region)
    masked = flow.mask(job, wait_min=0)
    archive = store.open_archive(str(region.store))
    assert archive.sensors
    assert archive.composite_names == ()
    assert flow.mask(job, wait_min=0) is None

    forbid_model(threshold)
    composed = flow.composite(job, missing="fail", wait_min=0)
    assert_same(contents(region), undisturbed)
    assert flow.composite(job, missing="fail", wait_min=0) is None

    assert [name for name, _ in sent] == ["cloudmask.region.published"] * 2
    of_masks, of_composites = (parts for _, parts in sent)
    assert of_masks["resource"] == {
        "prefect.resource.id": "cloudmask.region.region",
        "prefect.resource.name": "region",
        "cloudmask.flow": "mask",
        "cloudmask.store": str(region.store),
    }
    assert of_masks["payload"]["snapshot"] == masked.snapshot
    assert of_masks["payload"]["masked"] == 6
    assert of_masks["payload"]["periods"] == []
    assert of_composites["resource"]["cloudmask.flow"] == "composite"
    assert of_composites["payload"] == {
        "snapshot": composed.snapshot,
        "run": composed.run_id,
        "expected": 6,
        "complete": 6,
        "masked": 0,
        "periods": ["2023-06-01", "2023-07-01"],
        "dropped": len(composed.dropped),
    }


@pytest.mark.slow
def test_composites_alone_mask_what_is_missing_if_they_may(flow, region, undisturbed):
    job = asked_for(region)
    with pytest.raises(IncompleteError, match="6 of 6 cells .* run the flow `mask` first"):
        flow.composite(job, missing="fail", wait_min=0)
    assert store.find_archive(str(region.store)) is None
    flow.composite(job, wait_min=0)
    assert_same(contents(region), undisturbed)


def test_composites_of_a_job_without_any(flow, region):
    with pytest.raises(ConfigError, match="no section `composite`"):
        flow.composite(asked_for(region, composite=None), wait_min=0)


# -- backfill ----------------------------------------------------------------------------------


def states(rows):
    return [(row["period"][:7], row["state"]) for row in rows]


@pytest.mark.slow
def test_a_backfill_makes_what_one_run_makes(flow, backfill, region, undisturbed, asked, sent):
    rows = backfill(asked_for(region), wait_min=0)
    assert states(rows) == [("2023-06", "published"), ("2023-07", "published")]
    assert_same(contents(region), undisturbed)
    assert len(sent) == 2
    kids = [each for each in asked("read_flow_runs") if each.parent_task_run_id]
    names = sorted(each.name for each in kids if "2023-06-01" in each.name)
    assert "region 2023-06-01T00:00:00Z/2023-07-01T00:00:00Z" in names

    before = snapshot(region)
    again = backfill(asked_for(region), datetime="2023-05/2023-07-20", wait_min=0)
    assert states(again) == [
        ("2023-05", "empty"),
        ("2023-06", "unchanged"),
        ("2023-07", "unchanged"),
    ]
    assert snapshot(region) == before
    table = max(
        (each for each in asked("read_artifacts") if each.key == "region-backfill"),
        key=lambda each: each.created,
    )
    assert states(json.loads(table.data)) == states(again)


@pytest.mark.slow
def test_a_bad_month_does_not_keep_the_next_from_being_done(flow, backfill, region):
    for item in (EAST, WEST):
        for path in region.document(item).parent.glob("*.tif"):
            path.write_bytes(b"rubbish")
    with pytest.raises(IncompleteError, match="1 of 2 periods are not published: 2023-06"):
        backfill(asked_for(region), wait_min=0)
    archive = store.open_archive(str(region.store))
    assert "sentinel-2" not in archive.sensors or all(
        instant.month != DAY.month
        for instant in archive.masks("sentinel-2").indexes["time"].to_pydatetime()
    )
    assert archive.composite("monthly").sizes["time"] == 1


def test_a_step_that_is_none(flow, backfill, region):
    with pytest.raises(ConfigError, match="step: found 'week'"):
        backfill(asked_for(region), step="week", wait_min=0)


def test_dates_that_are_none(flow, backfill, region):
    with pytest.raises(ConfigError, match="datetime: found '2023-13'"):
        backfill(asked_for(region), datetime="2023-13", wait_min=0)
