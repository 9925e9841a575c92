"""`cloudmask runs` and `log`: what they tell of records, those of older versions included."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pipeline.cli.commands import history

BEGUN = datetime(2024, 5, 3, 2, tzinfo=UTC)
OLD = {
    "job": "lake",
    "run_id": "20240503T020000Z",
    "started": BEGUN.isoformat(),
    "finished": (BEGUN + timedelta(minutes=2)).isoformat(),
    "snapshot": "STEP1",
    "expected": 8,
    "complete": 8,
    "items": ["a", "b"],
    "dropped": [],
    "radiometry": {},
    "models": {},
    "tiles": [],
    "stages": {"mask": {"seconds": 9.0, "cpu_seconds": 70.5, "bytes_read": 2**20, "reads": 3}},
}
"""As the first version kept it."""

COST = {
    "seconds": 100.0,
    "cpu_seconds": 7200.0,
    "device_seconds": 30.0,
    "bytes_read": 2**31,
    "reads": 40,
    "bytes_fetched": 2**30,
    "requests": 500,
}
NEW = OLD | {
    "run_id": "20240504T020000Z",
    "started": (BEGUN + timedelta(days=1)).isoformat(),
    "finished": (BEGUN + timedelta(days=1, seconds=30)).isoformat(),
    "snapshot": "STEP2",
    "missed": ["c"],
    "dropped": [
        {"item_id": "b", "reason": "asset [red] is gone", "tile": "r000c001"},
        {"item_id": "c", "reason": "it has no asset for blue", "tile": None},
    ],
    "stages": {"mask": COST},
    "manifest": [
        {
            "tile": "r000c001",
            "period": "2024-05-01/2024-06-01",
            "expected": [0, 1, 2],
            "dropped": [1, 2],
            "cells": 3,
            "complete": 1,
            "unreadable": 1,
        }
    ],
    "failure": None,
    "area_km2": 500.0,
    "scene_km2": 5000.0,
    "bytes_stored": None,
    "bill": {
        "currency": "EUR",
        "parts": {"cpu": 0.08},
        "total": 0.08,
        "per_1000_km2": 0.16,
        "per_1000_scene_km2": 0.016,
        "stored_a_month": 1.5,
    },
}
FAILED = NEW | {
    "run_id": "20240505T020000Z",
    "started": (BEGUN + timedelta(days=2)).isoformat(),
    "snapshot": None,
    "failure": "only 1 of 3 cells (33.3%) could be read in full",
    "bill": None,
}


@pytest.fixture(autouse=True)
def archive(monkeypatch):
    """Put a store of two published runs and a failed one in the place of the real ones."""
    log = [
        SimpleNamespace(id="TWO", time=BEGUN, message="run 20240504T020000Z"),
        SimpleNamespace(id="ONE", time=BEGUN, message="run 20240503T020000Z"),
        SimpleNamespace(id="GRID", time=BEGUN, message="grid of the region"),
    ]
    made = SimpleNamespace(url="/store", records=lambda: [OLD, NEW], log=lambda: log)
    monkeypatch.setattr(history, "open_store", lambda _: made)
    monkeypatch.setattr(
        "pipeline.store.versions.failed_runs.failed_records", lambda _: [FAILED]
    )
    return made


def test_runs_are_listed_newest_first(cloudmask):
    lines = cloudmask("runs", "store").stdout.splitlines()
    head, *rows = [
        [e.strip() for e in line.replace("┃", "│").split("│")[1:-1]]
        for line in lines
        if line[0] in "┃│"
    ]
    failed, new, old = [dict(zip(head, row, strict=True)) for row in rows]
    assert failed["why"] == "only 1 of 3 cells (33.3%) could be read in full"
    assert new["why"] == old["why"] == ""
    assert [each["outcome"] for each in (failed, new, old)] == [
        "failed",
        "published",
        "published",
    ]
    assert (new["CPU"], new["GPU"], new["requests"]) == ("2:00:00", "30.0 s", "500")
    assert (new["downloaded"], new["km²"], new["cost"]) == ("1.0 GiB", "500.0", "0.080 EUR")
    # What the first version did not count is unknown, not nothing.
    assert (old["CPU"], old["read"]) == ("0:01:10", "1.0 MiB")
    assert (old["GPU"], old["downloaded"], old["requests"], old["cost"]) == ("–",) * 4


def test_the_snapshots_of_runs_are_those_of_the_log(cloudmask, archive):
    logged = {row["snapshot"] for row in json.loads(cloudmask("log", "store", "--json").stdout)}
    rows = json.loads(cloudmask("runs", "store", "--json").stdout)
    assert [row["snapshot"] for row in rows] == [None, "TWO", "ONE"]
    assert {"TWO", "ONE"} <= logged
    # `expire` has forgotten the first.
    newest = archive.log()[:1]
    archive.log = lambda: newest
    rows = json.loads(cloudmask("runs", "store", "--json").stdout)
    assert [row["snapshot"] for row in rows] == [None, "TWO", None]


def test_json_has_the_manifest_with_names_and_reasons(cloudmask):
    failed, new, old = json.loads(cloudmask("runs", "store", "--json").stdout)
    (row,) = new["manifest"]
    assert (row["expected"], row["used"]) == (["a", "b", "c"], ["a"])
    assert row["dropped"] == {"b": "asset [red] is gone", "c": "it has no asset for blue"}
    assert (failed["outcome"], old["manifest"]) == ("failed", [])


def test_one_run_in_full(cloudmask):
    said = cloudmask("runs", "store", "--run", NEW["run_id"]).stdout
    assert "asset [red] is gone" in said
    assert "1/3" in said
    (ground,) = [line for line in said.splitlines() if "of ground" in line]
    assert ground == (
        "1000 km² of ground: CPU 4:00:00, GPU 0:01:00, read 4.0 GiB, downloaded 2.0 GiB, "
        "requests 1000, 0.16 EUR"
    )
    assert "1000 km² of one scene" in said
    assert "0.016 EUR" in said
    assert "kept: 1.50 EUR a month" in said
    assert "nothing was published" not in said
    failed = cloudmask("runs", "store", "--run", FAILED["run_id"]).stdout
    assert "failed: only 1 of 3 cells" in failed
    assert failed.count("only 1 of 3 cells") == 1
    assert "EUR" not in failed


def test_one_run_of_before_there_was_a_manifest(cloudmask):
    said = cloudmask("runs", "store", "--run", OLD["run_id"]).stdout
    assert "no manifest" in said
    assert "of ground" not in said


def test_a_run_that_is_not_there(cloudmask):
    result = cloudmask("runs", "store", "--run", "yesterday")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --run: /store has no run 'yesterday': `cloudmask runs` lists them\n"
    )


def test_a_profile_says_where_the_time_of_the_newest_run_went(cloudmask, monkeypatch):
    spent = COST | {
        "model_cpu_seconds": 3000.0,
        "decoding_cpu_seconds": 600.0,
        "model_seconds": 50.0,
        "reading_seconds": 80.0,
        "blocks_decoded": 120,
        "blocks_again": 20,
        "blocks_from_disk": 7,
    }
    newest = NEW | {"stages": {"plan": spent, "mask": spent}}
    monkeypatch.setattr(history, "all_records", lambda _: [newest, OLD])
    said = cloudmask("runs", "store", "--profile").stdout
    for words in (newest["run_id"], "CPU decoding", "0:50:00", "from disk"):
        assert words in said
    found = json.loads(cloudmask("runs", "store", "--profile", "--json").stdout)
    # The wall time of planning has no part that models or reading could overlap.
    assert found["ratios"] == {"cpu": 2.0, "wall": 1.25, "blocks": 1.2}
    assert found["stages"]["together"]["bytes_fetched"] == 2**31


def test_a_profile_of_an_older_run_leaves_out_what_was_not_counted(cloudmask):
    arguments = ("runs", "store", "--run", OLD["run_id"], "--profile")
    assert "–" in cloudmask(*arguments).stdout
    found = json.loads(cloudmask(*arguments, "--json").stdout)
    assert found["ratios"] == {"cpu": None, "wall": None, "blocks": None}
    assert found["stages"]["mask"]["cpu_seconds"] == 70.5
    assert found["stages"]["mask"]["blocks_decoded"] is None


def test_a_store_without_runs_says_so(cloudmask, monkeypatch):
    monkeypatch.setattr(history, "all_records", lambda _: [])
    result = cloudmask("runs", "store")
    assert (result.exit_code, result.stdout) == (
        0,
        "no run of this store has published or failed yet\n",
    )
    assert json.loads(cloudmask("runs", "store", "--json").stdout) == []
