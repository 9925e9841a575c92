"""A secret in every field of an item, a link, a header and a URL of a job is found nowhere afterwards."""

import io
import json
import logging

import pytest

from pipeline import store
from pipeline.search import finding
from pipeline.watch import watch_output
from tests.faults.hostile_catalogue import Hostile, signing_server
from tests.faults.small_region import AOI
from tests.finding import Planted
from tests.search.serving import QUICK


@pytest.fixture
def hostile(region, monkeypatch):
    monkeypatch.setattr(finding, "RequestLimits", lambda: QUICK)
    with signing_server(region.folder) as url:
        yield Hostile(region, url, Planted())


@pytest.fixture
def logged():
    """Return what all libraries log, with all they know."""
    watch_output()
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield heard
    root.removeHandler(handler)
    root.setLevel(before)


class Heard:
    """Commands, and all that they said."""

    def __init__(self, cloudmask, planted):
        self._cloudmask = cloudmask
        self._planted = planted
        self.text = ""

    def __call__(self, *arguments, code=0):
        result = self._cloudmask(*arguments)
        said = f"{result.stdout}\n{result.stderr}\n"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, said
        assert not self._planted.found_in(said.encode()), (arguments, said)
        self.text += said
        return said


@pytest.fixture
def say(cloudmask, hostile):
    return Heard(cloudmask, hostile.planted)


def test_no_secret_is_found_anywhere(hostile, say, logged, tmp_path):
    planted = hostile.planted
    job = hostile.job("region")
    say("plan", job)
    say("plan", job, "--json")
    say("plan", job, "--check")
    for ending in ("json", "parquet"):
        say("plan", job, "--items", tmp_path / f"items.{ending}")
    say("run", job, "--plain", "--report", tmp_path / "report.html")

    # The signatures were needed, and used: all scenes have masks, but what fails for ever.
    archive = store.open_archive(str(tmp_path / "store"))
    (record,) = archive.records()
    assert len(archive.item_ids) == 3
    assert 0 < record["complete"] < record["expected"]
    assert record["dropped"]

    # A second night, in which a page of the catalogue fails.
    for number in range(2):
        say(
            "run",
            hostile.job("failing", f"/stac{number}", "/static/collection.json"),
            "--plain",
            code=3,
        )

    listed = say("inspect", tmp_path / "items.json")
    assert listed.count("signatures are not kept") >= 3
    for item in hostile.items:
        path = tmp_path / f"{item['id']}.json"
        path.write_text(json.dumps(item))
        # Nobody trusts the server here.
        say("inspect", path, code=4)
        say("inspect", path, "--json", code=4)
    for arguments in (
        ("runs", "store"),
        ("runs", "store", "--json"),
        ("runs", "store", "--run", record["run_id"]),
        ("log", "store"),
        ("query", "store", "--aoi", ",".join(map(str, AOI)), "--datetime", "2023"),
        ("report", "store", "--out", tmp_path / "again.html"),
        ("stac", "store", tmp_path / "stac", "--cogs"),
        ("verify", "store"),
        ("verify", "store", "--repair"),
    ):
        say(*arguments)
    (tmp_path / "terminal.txt").write_text(say.text)
    (tmp_path / "log.txt").write_text(logged.getvalue())
    assert "sig=***" in logged.getvalue(), "the log heard of the requests"
    assert found_in_results(planted, tmp_path) == {}

    # All the same, it would have been found.
    assert len(planted.kinds) > 30
    (tmp_path / "store" / "on purpose").write_text(next(iter(planted.kinds.values())))
    assert found_in_results(planted, tmp_path)


def found_in_results(planted, folder):
    names = (
        "store",
        "told",
        "stac",
        "report.html",
        "again.html",
        "items.json",
        "items.parquet",
        "terminal.txt",
        "log.txt",
    )
    return planted.found_below(*(folder / each for each in names))


WRONG_JOBS = {
    "login of a catalogue": {"sources": [{"catalog": "https://me:{}@a.org/stac"}]},
    "user of a catalogue": {"sources": [{"catalog": "https://{}@a.org/stac"}]},
    "code of a catalogue": {"sources": [{"catalog": "https://a.org/stac?code={}"}]},
    "key of a catalogue": {"sources": [{"catalog": "https://a.org/stac?x-unknown={}"}]},
    "header of a source": {"sources": [{"catalog": "earth-search", "headers": {"Authorization": "Bearer {}"}}]},
    "login of a store": {"store": "s3://{}:x@bucket/a"},
    "key of a store": {"store": "s3://bucket/a?secret_access_key={}"},
    "sas of a store": {"store": "az://account/container/a?sv=1&sig={}"},
    "login of the told": {"stac": {"folder": "https://me:{}@a.org/told"}},
    "url of an area": {"aoi": "https://a.org/aoi.json?token={}"},
    "login of a scheduler": {"run": {"cluster": {"scheduler": "tcp://me:{}@10.0.0.1:8786"}}},
    "login of a host": {"cube": {"hosts": ["me:{}@10.0.0.1"]}},
    "an unknown key": {"apikey": "{}"},
    "a password of the run": {"run": {"password": "{}"}},
}  # fmt: skip


@pytest.mark.parametrize("command", [("plan",), ("run", "--plain")], ids=" ".join)
def test_a_job_with_a_secret_is_refused_without_it(hostile, say, logged, tmp_path, command):
    planted = hostile.planted
    name, *options = command
    for kind, wrong in WRONG_JOBS.items():
        text = json.dumps(wrong).replace("{}", planted(kind))
        job = hostile.job("wrong", **json.loads(text))
        say(name, job, *options, code=2)
        assert planted.found_in(job.read_bytes()) == {kind}
    assert not planted.found_in(logged.getvalue().encode())
    assert set(planted.found_below(tmp_path)) == {str(job), str(tmp_path / "rules.json")}
