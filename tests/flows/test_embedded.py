"""`cloudmask run` on Prefect's embedded server: what it shows, and whom the server listens to."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pipeline import run
from tests.faults.small_region import contents, copy_of

ROOT = Path(__file__).parents[2]

HOLD = """
import os, sys, time
from pathlib import Path
import pytest
from pipeline.run import session
import small_region as small

hold = Path(sys.argv[2])
small.provide(pytest.MonkeyPatch())
real = session.Session.finish

def finish(self):
    while not hold.exists():
        time.sleep(0.05)
    return real(self)

session.Session.finish = finish
sys.argv = ["cloudmask", "run", sys.argv[1], "--no-report"]
from pipeline.cli import main
main()
"""


class Seen:
    def __init__(self):
        self.told = []

    def start(self, stage, total):
        self.told.append((stage, total))

    def advance(self, stage, n=1):
        self.told.append(stage)

    def message(self, text):
        self.told.append(text)


@pytest.mark.slow
def test_a_flow_shows_what_a_plain_run_shows(flow, pristine, tmp_path):
    shown = {}
    for name in ("plain", "prefect"):
        region, seen = copy_of(pristine, tmp_path / name), Seen()
        if name == "plain":
            run.run(region.job(), seen)
        else:
            flow.run_region(region.job(), seen)
        shown[name] = seen.told
    stages = [each for each in shown["plain"] if isinstance(each, tuple)]
    assert stages == [("tiles", 2), ("cells", 6), ("periods", 2 * 2)]
    for stage, total in stages:
        assert shown["plain"].count(stage) == total
    assert shown["prefect"] == shown["plain"]


def test_warnings_of_prefect_s_log_reach_the_watcher_and_nothing_else_does(flow, monkeypatch):
    embedded = sys.modules["flows.embedded"]
    seen, log = Seen(), logging.getLogger("prefect.flow_runs")
    # The handler there wants a flow.
    monkeypatch.setattr(log, "handlers", [])
    with embedded.watched(seen):
        log.warning("the catalogue is busy; planning again in %.0f s", 15)
        log.info("Beginning flow run 'x'")
        log.error("Finished in state Failed('ModelError')")
        logging.getLogger("prefect.events").error("no events")
        logging.getLogger("elsewhere").warning("not Prefect's")
    log.warning("later")
    assert seen.told == ["the catalogue is busy; planning again in 15 s", "no events"]


@pytest.fixture
def running(region, tmp_path):
    """Start `cloudmask run` on Prefect's embedded server; it is held before it publishes."""
    script, hold = tmp_path / "held.py", tmp_path / "go"
    script.write_text(HOLD)
    inside = (ROOT, ROOT / "tests/faults")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    } | {
        "PYTHONPATH": os.pathsep.join(map(str, inside)),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    process = subprocess.Popen(
        [sys.executable, str(script), str(region.job_file()), str(hold)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, hold
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def server_of(process):
    """Wait for the server that a process has started, and return its URL."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends and process.poll() is None:
        for child in (
            Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ):
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            if "prefect.server.api.server:create_app" in words:
                url = f"http://127.0.0.1:{words[words.index('--port') + 1]}/api"
                try:
                    httpx.get(f"{url}/health")
                except httpx.TransportError:
                    break
                assert words[words.index("--host") + 1] == "127.0.0.1"
                return url
        time.sleep(0.1)
    raise AssertionError(process.communicate(timeout=60))


@pytest.mark.slow
def test_the_embedded_server_listens_to_its_run_alone(running, region, undisturbed):
    """C18: it did what any page in a browser of this machine asked, and any other user."""
    process, hold = running
    url = server_of(process)
    origin = {"Origin": "https://evil.example"}
    for headers in ({}, origin, {"Host": "evil.example"}, {"Authorization": "Basic eDp5"}):
        asked = httpx.post(f"{url}/flow_runs/filter", json={}, headers=headers)
        assert asked.status_code == 401
    # What a page may send without asking first.
    text = {"Content-Type": "text/plain"} | origin
    asked = httpx.post(f"{url}/variables/", content='{"name":"x","value":1}', headers=text)
    assert asked.status_code == 401
    asking = origin | {"Access-Control-Request-Method": "POST"}
    asked = httpx.options(f"{url}/flow_runs/filter", headers=asking)
    assert asked.status_code in (400, 401)
    assert "access-control-allow-origin" not in asked.headers
    hold.touch()
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "6 of 6 cells" in printed
    assert not re.search("Finished in state|INFO|temporary server", printed + errors)
    lines = errors.splitlines()
    assert lines[:2] == [
        "starting Prefect (--plain runs without it) …",
        "starting Prefect's embedded server …",
    ]
    assert {"tiles: 2 of 2", "cells: 6 of 6", "periods: 4 of 4"} <= set(lines)
    assert contents(region).keys() == undisturbed.keys()
