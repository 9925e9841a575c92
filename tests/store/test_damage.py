"""Damage is told, by array and chunk; it never passes for other pixels, or for an empty store."""

import pickle
import random
import re
from pathlib import Path

import pytest
import zarr

from pipeline import store
from pipeline.errors import StoreDamagedError, StoreError
from pipeline.store.base.location import locate_store
from tests.store.flipping import choose, content, flipped
from tests.store.making import MakeTwoTiles


@pytest.fixture(scope="module")
def filled(put_filled, tmp_path_factory) -> Path:
    """A store that each test leaves as it was."""
    path = tmp_path_factory.mktemp("damage") / "store"
    put_filled(str(path))
    return path


def arrays_of(group: zarr.Group):
    for _, array in group.members(max_depth=None):
        if isinstance(array, zarr.Array):
            yield array


def test_every_array_has_checksums_within_its_shards_too(filled):
    root = zarr.open_group(
        locate_store(str(filled)).open().readonly_session("main").store, mode="r"
    )
    found = list(arrays_of(root))
    assert len(found) > 40
    for array in found:
        assert type(array.compressors[-1]).__name__ == "Crc32cCodec", array.path


def silent(filled: Path, part: str, tries: int, seed: int) -> list[str]:
    """Flip bits; return those that changed what is read without an error."""
    want, chosen, wrong = content(str(filled)), random.Random(seed), []
    for _ in range(tries):
        file, bit = choose(filled / part, chosen)
        with flipped(file, bit):
            try:
                if content(str(filled)) != want:
                    wrong.append(f"{file.name}:{bit}")
            except StoreError:
                pass
    return wrong


PARTS = ["chunks", "manifests", "snapshots", "transactions", "refs", "checksums"]


@pytest.mark.parametrize("part", PARTS)
def test_no_flipped_bit_is_silent(filled, part):
    assert silent(filled, part, 2, seed=1) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_of_many_flipped_bits_none_is_silent(filled, part):
    assert silent(filled, part, 40, seed=2) == []


def damaged_chunk(filled: Path, action) -> StoreDamagedError:
    """Damage the chunks of the masks' pixels one after the other until reading fails."""
    masks = store.open_archive(str(filled)).masks(MakeTwoTiles.sensor, chunks={})
    for file in sorted((filled / "chunks").iterdir(), key=lambda each: -each.stat().st_size):
        good = file.read_bytes()
        action(file)
        try:
            # Lazily, by Dask, far from the store's own code.
            masks["mask"].compute()
        except StoreDamagedError as error:
            return error
        finally:
            file.write_bytes(good)
    raise AssertionError("no chunk of the masks was found")


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "action",
    [Path.unlink, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"x" * 99)],
    ids=["lost", "emptied", "replaced"],
)
def test_damage_names_array_and_chunk_and_what_to_do(filled, action):
    error = damaged_chunk(filled, action)
    assert error.path == "masks/sentinel-2/mask"
    assert len(error.chunk) == 3
    assert re.search(r"masks/sentinel-2/mask, chunk \d/\d/\d, is damaged \(.+\)", str(error))
    assert str(filled) in str(error)
    assert "cloudmask verify STORE" in str(error)
    assert "\n" not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_wrong_index_is_no_damage(filled):
    masks = store.open_archive(str(filled)).masks(MakeTwoTiles.sensor)
    with pytest.raises(IndexError):
        masks["mask"].isel(time=99).to_numpy()


# -- damaged is not empty ----------------------------------------------------------------------


def test_a_new_repository_is_empty(tmp_path):
    locate_store(str(tmp_path / "store")).open_or_create()
    assert store.find_archive(str(tmp_path / "store")) is None
    with pytest.raises(StoreError, match="still empty"):
        store.open_archive(str(tmp_path / "store"))


def test_no_flipped_bit_of_a_snapshot_makes_a_store_empty(filled):
    newest = locate_store(str(filled)).open().lookup_branch("main")
    file, chosen = filled / "snapshots" / newest, random.Random(3)
    for _ in range(20):
        # Every bit of the newest one counts, so that each is found before anything is read.
        with (
            flipped(file, chosen.randrange(8 * file.stat().st_size)),
            pytest.raises(StoreDamagedError, match=newest),
        ):
            store.find_archive(str(filled))


def test_a_lost_branch_is_no_missing_store(put_filled, tmp_path):
    url = str(tmp_path / "store")
    put_filled(url)
    (tmp_path / "store/refs/branch.main/ref.json").unlink()
    for look in (store.open_archive, store.find_archive):
        with pytest.raises(StoreDamagedError, match=r"branch\.main"):
            look(url)
    with (
        pytest.raises(StoreDamagedError, match=r"branch\.main"),
        store.open_writer(url, MakeTwoTiles().grid(), title="t", run_key="new"),
    ):
        pass


def test_a_lost_root_of_a_plain_store_is_no_missing_store(put_filled, tmp_path):
    url = f"zarr+{tmp_path / 'store'}"
    put_filled(url)
    (tmp_path / "store/zarr.json").unlink()
    for look in (store.open_archive, store.find_archive):
        with pytest.raises(StoreDamagedError, match=r"zarr\.json"):
            look(url)
