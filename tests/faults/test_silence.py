"""A query never takes "nobody looked" for "there was nothing"."""

import importlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import run
from pipeline.cli import app
from pipeline.types import Period

sys.path.append(str(Path(__file__).parent))
small = importlib.import_module("tests.faults.small_region")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A run of April to July, whose catalogue begins in June."""
    folder = tmp_path_factory.mktemp("silence")
    region = small.copy_of(small.make_pristine(folder / "pristine"), folder)
    april = Period(
        start=datetime(2023, 4, 1, tzinfo=UTC), end=datetime(2023, 7, 21, tzinfo=UTC)
    )
    with pytest.MonkeyPatch.context() as patch:
        small.provide(patch)
        job = region.job().replace(period=april)
        run.run(job)
    west, south, east, north = job.aoi.bounds
    return str(region.store), f"{west},{south},{east},{north}"


def query(store, when, *options):
    url, aoi = store
    words = ["query", url, "--aoi", aoi, "--datetime", when, *options]
    return CliRunner().invoke(app, words)


def test_months_without_a_scene_are_told(store):
    done = query(store, "2023-04/2023-06")
    assert done.exit_code == 0, done.output
    assert "2023-04-01 – 2023-05-31: searched, no scene" in done.stdout
    assert "median clear" in done.stdout
    assert "never" not in done.stdout


def test_dates_that_nobody_searched_are_told(store):
    done = query(store, "2023-03/2023-06")
    assert done.exit_code == 0
    assert "2023-03-01 – 2023-03-31: never searched" in done.stdout
    told = json.loads(query(store, "2023-03/2023-06", "--json").stdout)
    states = [
        (each["start"][:10], each["state"])
        for each in told["dates"]
        if each["sensor"] == "sentinel-2"
    ]
    assert states == [
        ("2023-03-01", "never searched"),
        ("2023-04-01", "no scene"),
        ("2023-06-01", "scenes"),
    ]
    assert told["summary"]["scenes"] > 0
    assert told["summary"]["longest_gap"][0] == "2023-03-01"


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_a_year_that_nobody_searched_has_a_status_of_its_own(store, tmp_path, form):
    out = tmp_path / "m.nc"
    done = query(store, "2020", *([form] if form else []), "--out", str(out))
    assert done.exit_code == 8
    assert (
        "no run of the archive ever searched or masked this area on 2020-01-01 – "
        in done.stderr
    )
    assert not out.exists()
    if form == "--json":
        assert not json.loads(done.stdout)["archived"]


def test_months_that_were_searched_in_vain_are_an_answer(store, tmp_path):
    done = query(store, "2023-05")
    assert (done.exit_code, done.stdout) == (0, "2023-05-01 – 2023-05-31: searched, no scene\n")
    refused = query(store, "2023-05", "--out", str(tmp_path / "m.tif"))
    assert refused.exit_code == 2
    assert "no scenes in the selection" in refused.stderr
