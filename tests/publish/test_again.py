"""Writing a catalogue over one that is there."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from pipeline import store
from pipeline.cli import app
from pipeline.config import parse_job
from pipeline.errors import ConfigError, QueryError, StoreConflictError
from pipeline.publish import catalogue, follow, publish
from pipeline.types import Period
from tests.publish.small_store import JULY, Region, write

LATER = Period(start=datetime(2030, 1, 1, tzinfo=UTC), end=datetime(2031, 1, 1, tzinfo=UTC))


def contents(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


def repaint(region: Region, at: int) -> None:
    """Write one tile of one landsat scene anew."""
    tile = list(region.grid.tiles())[at]
    with store.open_writer(
        region.url, region.grid, title="Upper Bavaria", run_key="again"
    ) as writer:
        (row,) = region.scenes("landsat", (3,))
        writer.set_scenes("landsat", [row])
        codes = region.masks["landsat", 0]
        codes[tile.window] = 1
        writer.write_mask("landsat", row[0], tile, codes[tile.window], 77_777)
        writer.publish({"run_id": "again", "models": {}, "tiles": []})


def test_twice_is_once(fresh, tmp_path):
    """The same bytes, whether the folder was there or not; unchanged files are the same files."""
    first = publish(fresh.open(), tmp_path / "a", cogs=True)
    nodes = {path: path.stat().st_ino for path in (tmp_path / "a").rglob("*.tif")}
    before = contents(tmp_path / "a")
    again = publish(fresh.open(), tmp_path / "a", cogs=True)
    publish(fresh.open(), tmp_path / "b", cogs=True)
    assert (first.written, first.kept) == (6, 0)
    assert (again.written, again.kept) == (0, 6)
    assert contents(tmp_path / "a") == before == contents(tmp_path / "b")
    assert {path: path.stat().st_ino for path in nodes} == nodes
    assert sorted(each.name for each in tmp_path.iterdir() if "lock" not in each.name) == [
        "a",
        "b",
        "store",
    ]


def test_only_what_changed_is_written_again(fresh, tmp_path):
    out = tmp_path / "out"
    publish(fresh.open(), out, cogs=True)
    before, heard = contents(out), []
    repaint(fresh, 4)
    done = publish(fresh.open(), out, cogs=True, on_item=heard.append)
    assert (done.written, done.kept) == (1, 5)
    after = contents(out)
    changed = {name for name in after if after[name] != before.get(name)}
    assert {Path(name).name for name in changed if "landsat-" in name} == {
        f"{heard[0]}.json",
        "mask.tif",
    }
    assert [name for name in changed if name.count("/") == 2 and "landsat" not in name] == []
    assert set(before) == set(after)


def test_an_earlier_state(fresh, tmp_path):
    earlier = fresh.open().snapshot
    publish(fresh.open(), tmp_path / "then", cogs=True)
    repaint(fresh, 4)
    publish(store.open_archive(fresh.url, as_of=earlier), tmp_path / "now", cogs=True)
    assert contents(tmp_path / "then") == contents(tmp_path / "now")


@pytest.mark.slow
def test_cogs_and_none_are_told_apart(fresh, tmp_path):
    publish(fresh.open(), tmp_path / "out")
    assert publish(fresh.open(), tmp_path / "out", cogs=True).written == 6
    assert publish(fresh.open(), tmp_path / "out").written == 6
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_a_lost_file_is_written_again(fresh, tmp_path):
    publish(fresh.open(), tmp_path / "out", cogs=True)
    next((tmp_path / "out").rglob("day.tif")).unlink()
    assert publish(fresh.open(), tmp_path / "out", cogs=True).written == 1


def test_a_store_that_moved_is_found(fresh, tmp_path):
    publish(fresh.open(), tmp_path / "out")
    (tmp_path / "deep").mkdir()
    moved = Region(str(tmp_path / "deep" / "store"), fresh.grid)
    os.rename(fresh.url, moved.url)
    assert publish(moved.open(), tmp_path / "out").written == 6
    for path in (tmp_path / "out").glob("*/*/*.json"):
        href = json.loads(path.read_text())["assets"]["store"]["href"]
        assert (path.parent / href).resolve() == Path(moved.url)


def test_a_failure_leaves_what_was_there(fresh, tmp_path, monkeypatch):
    out = tmp_path / "out"
    publish(fresh.open(), out, cogs=True)
    before = contents(out)
    repaint(fresh, 4)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalogue, "write_cog", full)
    with pytest.raises(ConfigError, match="No space left"):
        publish(fresh.open(), out, cogs=True)
    assert contents(out) == before
    assert not (tmp_path / ".out.new").exists()


def test_a_kill_between_the_renames_is_repaired(fresh, tmp_path):
    out = tmp_path / "out"
    publish(fresh.open(), out, cogs=True)
    before = contents(out)
    os.rename(out, tmp_path / ".out.old")
    (tmp_path / ".out.new").mkdir()
    assert publish(fresh.open(), out, cogs=True).kept == 6
    assert contents(out) == before


def test_nothing_else_is_replaced(fresh, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    # The store, what is in it and what holds it are named as such.
    for name in ("mine", "file", "store", "store/told", ""):
        with pytest.raises(ConfigError, match="no catalogue that cloudmask wrote|apart from"):
            publish(fresh.open(), tmp_path / name)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(ConfigError, match="local folder"):
        publish(fresh.open(), "s3://bucket/out")


def test_two_at_once(fresh, tmp_path):
    with FileLock(tmp_path / ".out.lock"), pytest.raises(StoreConflictError, match="wait"):
        publish(fresh.open(), tmp_path / "out")


def test_nothing_to_write(fresh, tmp_path):
    with pytest.raises(QueryError, match="2030-01-01"):
        publish(fresh.open(), tmp_path / "out", period=LATER)
    assert not (tmp_path / "out").exists()


def test_the_command(fresh, tmp_path):
    out = tmp_path / "out"
    call = ["stac", fresh.url, str(out), "--cogs", "--datetime", "2026-07"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert "2 items written, 0 unchanged" in result.output
    found = json.loads((out / "catalog.json").read_text())
    assert [each["rel"] for each in found["links"]] == ["root", "child", "child"]
    assert JULY.start.isoformat()[:7] in next(out.rglob("*monthly-*.json")).read_text()


@pytest.mark.slow
def test_another_store_in_the_same_folder(fresh, tmp_path):
    """Its items have other ids or other fingerprints: nothing of the first one stays."""
    publish(fresh.open(), tmp_path / "out", cogs=True)
    other = Region(str(tmp_path / "other"), fresh.grid)
    write(other, seed=1, title="Tyrol", base=900)
    publish(other.open(), tmp_path / "out", cogs=True)
    publish(other.open(), tmp_path / "clean", cogs=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")


def test_a_job_keeps_its_catalogue_up_to_date(fresh, tmp_path):
    """Written when it is missing, behind, partial or of other files; else not touched."""
    job = parse_job(
        {
            "name": "region",
            "aoi": [11.0, 48.0, 11.1, 48.1],
            "datetime": "2026",
            "sources": [{"catalog": "earth-search", "collections": ["sentinel-2-c1-l2a"]}],
            "store": fresh.url,
            "stac": {"folder": "told"},
        },
        base=tmp_path,
    )
    out = tmp_path / "told"
    assert follow(job).written == 6
    before = contents(out)
    assert follow(job) is None
    repaint(fresh, 0)
    assert follow(job).written > 0
    assert contents(out) != before
    assert follow(job) is None
    publish(fresh.open(), out, period=JULY)
    assert follow(job).collections
    with_cogs = job.replace(stac=job.stac.replace(cogs=True))
    assert follow(with_cogs).written == 6
    assert list(out.rglob("*.tif"))
    (out / "catalog.json").write_text("{")
    with pytest.raises(ConfigError, match="no catalogue that cloudmask wrote"):
        follow(with_cogs)
    assert follow(job.replace(stac=None)) is None
