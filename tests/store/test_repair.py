"""`verify` names what is damaged; what it mends and what a run then makes is what was there before."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from pipeline import store
from pipeline.errors import StoreDamagedError, StoreError
from pipeline.store.base.checksums import arrays
from pipeline.store.base.location import PUBLISHED, locate_store
from pipeline.store.base.reading import chunk_slices
from tests.store.flipping import choose, content, fill_cells, flip
from tests.store.making import MakeTwoTiles

make = MakeTwoTiles()


@pytest.fixture(scope="module")
def undisturbed(put_filled, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("undisturbed") / "store"
    put_filled(str(path))
    return path


@pytest.fixture
def damaged(undisturbed, tmp_path) -> Path:
    return shutil.copytree(undisturbed, tmp_path / "store")


def run_again(url: str) -> None:
    """Do what the runs of `fill` do: the cells that are not there."""
    with store.open_writer(
        url, make.grid(), title="t", run_key="again", overviews=True
    ) as writer:
        writer.set_scenes(make.sensor, make.scenes(3), confidence=True)
        writer.item_positions(*make.documents(3))
        writer.set_composite("monthly", make.roles, [make.june, make.july], {"by": "hand"})
        fill_cells(writer, make, range(3), "two", only_never=True)
        writer.publish({"run_id": "again"})


def without_records(found: dict) -> dict:
    return {key: value for key, value in found.items() if key != "records"}


def assert_restored(damaged: Path, undisturbed: Path) -> None:
    run_again(str(damaged))
    assert without_records(content(str(damaged))) == without_records(content(str(undisturbed)))
    assert store.verify(str(damaged)).damages == ()


def test_a_whole_store_is_whole(undisturbed):
    before = locate_store(str(undisturbed)).open().lookup_branch("main")
    found = store.verify(str(undisturbed), mend=True)
    assert found.damages == ()
    # 2 tiles, 3 scenes and 2 months
    assert found.cells == 2 * 5
    assert found.repaired == ""
    assert locate_store(str(undisturbed)).open().lookup_branch("main") == before


def mended(damaged: Path, undisturbed: Path) -> store.Verified:
    found = store.verify(str(damaged))
    if not found.damages:
        # Nothing that readers see: a chunk or manifest of an earlier state.
        assert content(str(damaged)) == content(str(undisturbed))
        return found
    assert store.verify(str(damaged), mend=True).repaired
    assert_restored(damaged, undisturbed)
    assert len(store.open_archive(str(damaged)).log()) >= 3
    return found


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("part", ["chunks", "manifests", "snapshots"])
def test_a_flipped_bit_is_mended(damaged, undisturbed, part, seed):
    flip(*choose(damaged / part, random.Random(seed)))
    mended(damaged, undisturbed)


@pytest.mark.quick(1)
@pytest.mark.parametrize("bit", [112, 1000])
def test_the_first_empty_snapshot_is_mended_too(damaged, undisturbed, bit):
    """No history is read without it; bit 112, in the name of the program that wrote it, leaves it readable."""
    repository = locate_store(str(undisturbed)).open()
    first = list(repository.ancestry(branch="main"))[-1].id
    file = damaged / "snapshots" / first
    flip(file, bit)
    assert [each.path for each in mended(damaged, undisturbed).damages] == [
        f"snapshots/{first}"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
@pytest.mark.parametrize("part", ["chunks", "manifests", "snapshots"])
def test_forty_flipped_bits_of_each_kind_are_mended(damaged, undisturbed, part, seed):
    flip(*choose(damaged / part, random.Random(seed)))
    mended(damaged, undisturbed)


# -- what is named -----------------------------------------------------------------------------


def break_chunk(path: Path, array: str, where: tuple[int, ...]) -> None:
    """Damage one chunk, wherever its bytes are."""
    session = locate_store(str(path)).open().readonly_session("main")
    opened = zarr.open_group(session.store, mode="r")[array]
    for file in sorted((path / "chunks").iterdir()):
        good = file.read_bytes()
        for at in range(20, len(good) - 100, 200):
            flip(file, 8 * at)
            try:
                opened[chunk_slices(opened, where)]
            except ValueError:
                return
            file.write_bytes(good)
    raise AssertionError(f"{array} has no file for {where}")


def test_the_damaged_cell_is_named(damaged, undisturbed):
    break_chunk(damaged, "masks/sentinel-2/mask", (1, 3, 1))
    (found,) = store.verify(str(damaged)).damages
    assert (found.path, found.chunk) == ("masks/sentinel-2/mask", (1, 3, 1))
    # Tiles of two chunks.
    assert (found.time, found.tile) == (make.times(2)[1], "r001c000")
    assert found.mend == "again"
    assert store.damage_texts(found)["time"] == "2026-06-02T10:30:20Z"
    assert store.verify(str(damaged), mend=True).repaired
    cells = store.open_archive(str(damaged)).masks(make.sensor)["fingerprint"].to_numpy()
    assert [tuple(map(int, each)) for each in np.argwhere(cells == 0)] == [(1, 1, 0)]
    assert_restored(damaged, undisturbed)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("array", "where"),
    [("composites/monthly/by2/nir", (1, 1, 0)), ("composites/monthly/by2/red", (0, 0, 0))],
)
def test_overviews_are_made_anew_at_once(damaged, undisturbed, array, where):
    break_chunk(damaged, array, where)
    found = store.verify(str(damaged), mend=True)
    assert {each.mend for each in found.damages} == {"overview"}
    assert content(str(damaged)) == content(str(undisturbed))


def lose_manifest(path: Path, array: str) -> None:
    repository = locate_store(str(path)).open()
    (manifest,) = arrays(repository, repository.lookup_branch("main"))[array]
    flip(path / "manifests" / manifest, 8 * 60)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "array",
    [
        "masks/sentinel-2/blocks",
        "masks/sentinel-2/histogram",
        "masks/sentinel-2/by2/time",
        "masks/sentinel-2/by4/mask",
        "masks/sentinel-2/x",
        "composites/monthly/by8/spatial_ref",
    ],
)
def test_what_follows_from_the_rest_is_made_anew_at_once(damaged, undisturbed, array):
    lose_manifest(damaged, array)
    found = store.verify(str(damaged), mend=True)
    assert {each.path for each in found.damages} == {array}
    assert content(str(damaged)) == content(str(undisturbed))
    assert store.verify(str(damaged)).damages == ()


def test_counts_of_squares_are_counted_again(put_filled, tmp_path):
    """In a plain store, whose small chunks are files of their own."""
    url = f"zarr+{tmp_path / 'store'}"
    put_filled(url)
    flip(tmp_path / "store/masks/sentinel-2/blocks/c/0/1/0/0/0", 99)
    (found,) = store.verify(url, mend=True).damages
    assert (found.path, found.mend) == ("masks/sentinel-2/blocks", "histogram")
    assert store.verify(url).damages == ()


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "array",
    ["masks/sentinel-2/mask", "masks/sentinel-2/fingerprint", "composites/monthly/source"],
)
def test_what_does_not_is_made_again_by_a_run(damaged, undisturbed, array):
    lose_manifest(damaged, array)
    assert store.verify(str(damaged), mend=True).repaired
    assert_restored(damaged, undisturbed)


def test_where_only_an_earlier_state_helps_it_is_shown_again(damaged, undisturbed):
    main = locate_store(str(damaged)).open().lookup_branch("main")
    flip(damaged / "snapshots" / main, 999)
    (damaged / "checksums/copies/snapshots" / main).unlink()
    found = store.verify(str(damaged))
    assert found.lost
    assert found.earlier
    assert store.verify(str(damaged), mend=True).repaired
    assert_restored(damaged, undisturbed)
    assert any("back to" in each.message for each in store.open_archive(str(damaged)).log())


@pytest.mark.quick(1)
@pytest.mark.parametrize("harm", [lambda file: flip(file, 999), Path.unlink])
@pytest.mark.parametrize("kind", ["snapshots", "checksums"])
def test_snapshots_and_lists_come_back_from_their_copies(damaged, undisturbed, kind, harm):
    states = [each.id for each in locate_store(str(damaged)).open().ancestry(branch="main")]
    assert len(states) == 7
    logged = store.open_archive(str(damaged)).log()
    # The newest, one between, and the empty beginning.
    for state in states[::3]:
        file = damaged / kind / state
        good = file.read_bytes()
        harm(file)
        found = store.verify(str(damaged), mend=True)
        assert found.cleaned == ("1 file put back from copies",)
        assert file.read_bytes() == good
    assert store.open_archive(str(damaged)).log() == logged
    assert content(str(damaged)) == content(str(undisturbed))


def test_a_lost_history_is_told_and_readers_of_now_miss_nothing(damaged, undisturbed):
    older = list(locate_store(str(damaged)).open().ancestry(branch="main"))[3].id
    flip(damaged / "snapshots" / older, 999)
    (damaged / "checksums/copies/snapshots" / older).unlink()
    for mend in (False, True):
        (found,) = store.verify(str(damaged), mend=mend).damages
        assert (found.path, found.mend) == (f"snapshots/{older}", "none")
    archive = store.open_archive(str(damaged))
    for read in (archive.log, archive.records):
        with pytest.raises(StoreDamagedError, match=f"snapshot {older} is damaged"):
            read()
    assert archive.items() == store.open_archive(str(undisturbed)).items()
    run_again(str(damaged))


def test_without_an_earlier_state_it_says_what_to_do(damaged):
    shutil.rmtree(damaged / "checksums/copies")
    for snapshot in (damaged / "snapshots").iterdir():
        flip(snapshot, 999)
    with pytest.raises(StoreError, match="new store folder"):
        store.verify(str(damaged), mend=True)


# -- what no checksum finds --------------------------------------------------------------------


def write_behind(path: Path, array: str, where, value) -> None:
    """Write as a program with a fault would: all checksums are right."""
    repository = locate_store(str(path)).open()
    session = repository.writable_session("main")
    zarr.open_group(session.store, mode="r+")[array][where] = value
    session.commit("a fault", metadata=PUBLISHED)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("array", "where", "value"),
    [
        ("masks/sentinel-2/mask", (2, 70, 3), 9),
        ("masks/sentinel-2/histogram", (2, 1, 0, 3), 99_999),
        ("masks/sentinel-2/blocks", (2, 1, 0, 0, 3), 4_000),
        ("composites/monthly/source", (1, 70, 3), 1234),
        ("composites/monthly/by2/nir", (1, 40, 3), 5),
    ],
)
def test_what_contradicts_the_rest_is_found(damaged, undisturbed, array, where, value):
    write_behind(damaged, array, where, value)
    found = store.verify(str(damaged), mend=True)
    assert {(each.cell, each.tile) for each in found.damages} == {
        ((where[0], 1, 0), "r001c000")
    }
    assert_restored(damaged, undisturbed)


def test_a_plain_store_is_read_and_mended_too(put_filled, tmp_path):
    url = f"zarr+{tmp_path / 'store'}"
    put_filled(url)
    want = content(url)
    flip(tmp_path / "store/masks/sentinel-2/mask/c/2/1/0", 999)
    (found,) = store.verify(url).damages
    assert (found.tile, found.time) == ("r001c000", make.times(3)[2])
    store.verify(url, mend=True)
    run_again(url)
    assert without_records(content(url)) == without_records(want)


def test_items_that_were_stored_with_keys_are_stored_anew_without(damaged, monkeypatch):
    ids, documents = make.documents(3)
    href = "https://example.com/a.tif?sig=SECRET&se=2026"
    changed = {
        "properties": {"datetime": "2026-07-01T00:00:00Z"},
        "assets": {"a": {"href": href}},
    }
    with (
        monkeypatch.context() as before,
        store.open_writer(str(damaged), make.grid(), title="t", run_key="keys") as writer,
    ):
        before.setattr("pipeline.store.arrays.items_and_records._without_secrets", dict)
        writer.item_positions(ids, [each | changed for each in documents])
        writer.publish({"run_id": "keys"})
    assert "SECRET" in str(store.open_archive(str(damaged)).items())
    found = store.verify(str(damaged), mend=True)
    assert found.damages == ()
    assert found.cleaned[0] == "3 items stored again without keys"
    items = store.open_archive(str(damaged)).items()
    assert "SECRET" not in str(items)
    assert items[0]["assets"]["a"]["href"] == "https://example.com/a.tif"
    # A second time there is nothing to do.
    assert store.verify(str(damaged), mend=True).repaired == ""
