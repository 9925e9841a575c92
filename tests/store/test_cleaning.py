"""`verify --repair` of a store that an older version wrote with signatures in it."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zarr
from typer.testing import CliRunner

from pipeline import store
from pipeline.cli import app
from pipeline.store.arrays import items_and_records
from pipeline.store.versions.failed_runs import failed_records
from tests.finding import Planted
from tests.store.making import MakeTwoTiles

make = MakeTwoTiles()


@pytest.fixture
def planted() -> Planted:
    return Planted()


def old_items(planted: Planted) -> tuple[list[str], list[dict]]:
    """Items as catalogues give them, whole."""
    asset = {
        "href": f"https://me:{planted('login')}@a.org/B04.tif?sig={planted('sig')}&se=2026",
        "alternate": {"s3": {"href": f"s3://b/B04.tif?X-Amz-Signature={planted('alternate')}"}},
        "auth:refs": [planted("auth")],
    }
    link = {
        "rel": "self",
        "href": f"https://a.org/i?apikey={planted('link')}",
        "headers": {"X-Api-Key": planted("header")},
    }
    ids, documents = make.documents(3)
    properties = {"datetime": "2026-07-01T00:00:00Z", "description": planted("text")}
    return ids, [
        each | {"properties": properties, "assets": {"red": asset}, "links": [link]}
        for each in documents
    ]


def old_record(planted: Planted, kind: str) -> dict:
    reason = f"https://a.org/B04.tif?token={planted(kind)}: HTTP 403"
    return {
        "run_id": kind,
        "failure": f"client_secret={planted(kind + ' failure')}",
        "dropped": [{"item_id": "item-0", "tile": None, "reason": reason}],
        "searched": {
            "start": "2026-06-01T00:00:00+00:00",
            "end": "2026-07-01T00:00:00+00:00",
            "sensors": [],
            "aoi": f"https://a.org/aoi.json?code={planted(kind + ' area')}",
            "filtered": False,
        },
        "radiometry": {f"item-0?sig={planted(kind + ' name')}": "× 0.0001"},
    }


def write_as_before(url: str, planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write what nothing looks at any more."""
    with monkeypatch.context() as before:
        before.setattr(items_and_records, "_without_secrets", dict)
        with store.open_writer(url, make.grid(), title="t", run_key="old") as writer:
            ids, documents = old_items(planted)
            writer.item_positions(ids, documents)
            named = f"item-9?X-Amz-Signature={planted('id')}"
            time = make.times(4)[-1]
            rows = [*make.scenes(3), (time, "sentinel-2a", [named])]
            writer.set_scenes(make.sensor, rows, confidence=True)
            writer.set_composite(
                "other", make.roles, [make.june], {"by": f"s3://b?token={planted('setting')}"}
            )
            writer.publish(old_record(planted, "record"))
        if not url.startswith("zarr+"):
            with store.open_writer(url, make.grid(), title="t", run_key="failing") as writer:
                writer.keep_failure(old_record(planted, "failed record"))


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["", "zarr+file://"])
def test_repair_cleans_all_that_a_store_holds(put_filled, tmp_path, planted, monkeypatch, kind):
    """The records, those of failed runs, names and settings were left as they were."""
    path = tmp_path / "store"
    url = f"{kind}{path}"
    put_filled(url)
    whole = read(url)
    write_as_before(url, planted, monkeypatch)
    # There is something to find, of every kind.
    assert set().union(*planted.found_below(path).values()) == set(planted.kinds)

    said = CliRunner().invoke(app, ["verify", url, "--repair"])
    assert said.exit_code == 0, said.output
    assert "3 items" in said.stdout
    assert "1 record of a run" in said.stdout
    assert ("1 record of a failed run" in said.stdout) == (kind == "")
    assert ("cloudmask expire" in said.stdout) == (kind == "")
    assert not planted.found_in(said.output.encode())
    assert not planted.found_in(repr(read(url)).encode())
    if not kind:
        # What readers do not see any more is there until it expires.
        assert planted.found_below(path)
        store.expire(url, datetime.now(UTC))
    assert planted.found_below(path) == {}

    again = store.verify(url, mend=True)
    assert (again.damages, again.cleaned, again.repaired) == ((), (), "")
    assert read(url)["pixels"] == whole["pixels"]


def read(url: str) -> dict:
    """Return all that readers see, attributes and records of failed runs included."""
    archive = store.open_archive(url)
    datasets = [archive.masks(each) for each in archive.sensors]
    datasets += [archive.composite(each) for each in archive.composite_names]
    return {
        "items": archive.items(),
        "records": archive.records(),
        "failed": failed_records(url),
        "text": [repr((each.attrs, each.coords, list(each["items"].values if "items" in each else ()))) for each in datasets],
        "pixels": archive.masks(make.sensor)["mask"].isel(time=slice(3)).to_numpy().tobytes(),
    }  # fmt: skip


def test_a_clean_store_is_left_alone(put_filled, tmp_path):
    url = str(tmp_path / "store")
    put_filled(url)
    found = store.verify(url, mend=True)
    assert (found.repaired, found.cleaned) == ("", ())


def test_the_finder_finds_what_is_packed(tmp_path: Path, planted):
    """As text, in a chunk, in base64 and in an attribute."""
    group = zarr.open_group(tmp_path / "store.zarr", mode="w")
    names = group.create_array("names", shape=(40,), dtype=str, chunks=(40,))
    names[...] = [f"{n} {planted('chunk')} and words that repeat" for n in range(40)]
    group.attrs["a"] = f"https://a.org?x=%2F{planted('attribute')}%3D"
    for n in range(3):
        login = base64.b64encode(f"{'me' * n}:{planted(f'login {n}')}".encode())
        (tmp_path / f"{n}.txt").write_bytes(login)
    (tmp_path / planted("name")).touch()
    assert set().union(*planted.found_below(tmp_path).values()) == set(planted.kinds)
    raw = (tmp_path / "store.zarr/names/c/0").read_bytes()
    assert not planted.found_in(raw), "it is compressed: bytes alone would not show it"
