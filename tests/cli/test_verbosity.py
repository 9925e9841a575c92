"""What every command takes: -v, -q, and --json where it has numbers."""

import json
import logging
from datetime import UTC, datetime

import pytest
import typer.main

from pipeline import store
from pipeline.cli import app
from pipeline.store import Expired, Snapshot

WITHOUT_NUMBERS = {
    *("demo", "export", "fetch", "init", "report", "schema", "serve"),
    *("simulate", "stac", "train"),
}


def commands(group):
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        yield from commands(command) if inner else [(name, command)]


@pytest.mark.parametrize(("name", "command"), list(commands(typer.main.get_command(app))))
def test_every_command_takes_them(name, command):
    options = {option for param in command.params for option in param.opts}
    assert {"-v", "--verbose", "-q", "--quiet"} <= options
    assert ("--json" in options) == (name not in WITHOUT_NUMBERS)


@pytest.mark.parametrize(("given", "level"), [([], 30), (["-v"], 20), (["-vv"], 10)])
def test_what_is_logged(cloudmask, rooms, job, given, level):
    assert cloudmask("plan", job, "--json", *given).exit_code == 0
    assert logging.getLogger("pipeline").level == level


def test_a_run_as_json(cloudmask, rooms, job):
    result = cloudmask("run", job, "--plain", "--json")
    assert json.loads(result.stdout)["run_id"] == "r"
    assert "tiles: 1 of 20" not in result.stdout
    rooms.nothing_to_do = True
    told = json.loads(cloudmask("run", job, "--plain", "--json").stdout)
    assert told["nothing_to_do"]
    assert told["dropped"][0]["item_id"] == "odd"


def test_going_back_and_forgetting_as_json(cloudmask, monkeypatch):
    back = Snapshot(id="ONE", time=datetime(2024, 5, 3, tzinfo=UTC), message="run 1")
    monkeypatch.setattr(store, "roll_back", lambda *_: back, raising=False)
    gone = Expired(snapshots=2, bytes=3, chunks=4)
    monkeypatch.setattr(store, "expire", lambda *_: gone, raising=False)
    assert json.loads(cloudmask("rollback", "store", "ONE", "--json").stdout) == {
        "snapshot": "ONE",
        "published": "2024-05-03 00:00:00",
        "what": "run 1",
    }
    assert json.loads(cloudmask("expire", "store", "--json").stdout) == {
        "snapshots": 2,
        "bytes": 3,
        "chunks": 4,
    }
