"""`cloudmask verify`: 0 and a line if all is whole; else what is damaged, 6, and what to do."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from tests.store.flipping import fill
from tests.store.making import Make
from tests.store.test_repair import break_chunk


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "store"
    fill(str(path), Make())
    whole = CliRunner().invoke(app, ["verify", str(path)])
    assert whole.exit_code == 0
    assert "30 cells read, all is whole" in whole.output
    break_chunk(path, "masks/sentinel-2/mask", (1, 3, 1))
    return path


@pytest.mark.slow
def test_damage_is_told_and_mended(damaged):
    found = CliRunner().invoke(app, ["verify", str(damaged)])
    assert found.exit_code == 6
    assert "masks/sentinel-2/mask" in found.output
    assert "2026-06-02T10:30:20Z" in found.output
    assert "r001c000" in found.output
    assert f"`cloudmask verify {damaged} --repair`" in found.output
    told = CliRunner().invoke(app, ["verify", str(damaged), "--json", "--quiet"])
    (row,) = json.loads(told.stdout)["damages"]
    assert row["chunk"] == "1/3/1"
    box = ["--aoi", "9.0,47.8,9.04,47.85", "--datetime", "2026-06"]
    query = CliRunner().invoke(app, ["query", str(damaged), "--out", f"{damaged}.nc", *box])
    assert query.exit_code == 6
    assert "masks/sentinel-2/mask, chunk 1/3/1, is damaged" in query.output
    assert "Traceback" not in query.output
    mended = CliRunner().invoke(app, ["verify", str(damaged), "--repair", "--quiet"])
    assert mended.exit_code == 0
    assert "run the job again" in mended.output
    assert CliRunner().invoke(app, ["verify", str(damaged)]).exit_code == 0
