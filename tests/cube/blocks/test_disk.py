"""The cache on disk: whatever becomes of its files, a key has its own bytes or none, and the folder keeps to its size."""

import os
import random
import resource
import shutil
import signal
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import cube
from pipeline.cube.blocks import remote
from pipeline.cube.blocks.disk import FILE_BYTES, LEFTOVER_S, DiskCache

KEYS = [f"key {number}" for number in range(6)]


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def content_of(key, version=0):
    return random.Random(f"{key} {version}").randbytes(700)


def damage(kind, folder, draw):
    """Do to one file what crashes, disks and people do."""
    held = files(folder)
    if not held:
        return
    path, content = draw.choice(held), bytearray(draw.choice(held).read_bytes())
    if kind == "truncate":
        path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size or 1)])
    elif kind == "flip":
        content = bytearray(path.read_bytes() or b"\0")
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
    elif kind == "mix up":
        path.write_bytes(content)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "remove":
        path.unlink()
    elif kind == "remove folder":
        shutil.rmtree(path.parent)
    else:
        path.write_bytes(b"CMB1" + draw.randbytes(900))


DAMAGES = ("truncate", "flip", "mix up", "empty", "remove", "remove folder", "poison")
steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS)),
    st.tuples(st.just("get"), st.sampled_from(KEYS)),
    st.tuples(st.sampled_from(DAMAGES), st.randoms(use_true_random=False)),
)


@settings(max_examples=80)
@given(st.lists(steps, max_size=30))
def test_a_key_has_its_own_bytes_or_none_whatever_becomes_of_the_files(
    tmp_path_factory, history
):
    folder = tmp_path_factory.mktemp("cache")
    cache, other = (DiskCache(folder, 2**22) for _ in range(2))
    sound = set()
    for step, what in history:
        if step == "put":
            cache.put(what, content_of(what))
            sound.add(what)
        elif step == "get":
            found = other.get(what)
            assert found is None or bytes(found) == content_of(what)
            assert found is not None or what not in sound
        else:
            damage(step, folder, what)
            sound = set()
    shutil.rmtree(folder)


def test_the_folder_keeps_to_its_size_and_drops_what_was_used_longest_ago(tmp_path):
    most = 400 * FILE_BYTES
    cache = DiskCache(tmp_path, most)
    for number in range(600):
        cache.put(f"{number}", bytes(3000))
        if number % 50 == 49:
            assert len(files(tmp_path)) * FILE_BYTES <= most
            # Each fifty were used a second after those before; the first are used all the time.
            for path in files(tmp_path):
                if path.stat().st_mtime > time.time() - 1000:
                    os.utime(path, (time.time() - 9000 + number,) * 2)
            assert cache.get("0")
    kept = [number for number in range(1, 600) if cache.get(f"{number}")]
    # Of the oldest fifty, which were used in the same second, some may be gone.
    assert [each for each in kept if each >= kept[0] // 50 * 50 + 50] == list(
        range(kept[0] // 50 * 50 + 50, 600)
    )
    assert 300 < len(kept) < 400
    assert cache.get("0")


def test_files_of_others_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "s2").mkdir()
    others = [tmp_path / "s2" / name for name in ("scene.tif", ".hidden")]
    for path in others:
        path.write_bytes(bytes(300_000))
        os.utime(path, (time.time() - 2 * LEFTOVER_S,) * 2)
    cache = DiskCache(tmp_path, 2**18)
    for number in range(100):
        cache.put(f"{number}", bytes(3000))
    assert all(path.exists() for path in others)
    assert 0 < len(files(tmp_path)) - len(others) <= 2**18 // FILE_BYTES


def test_an_entry_that_is_too_large_is_not_kept(tmp_path):
    cache = DiskCache(tmp_path, 2**20)
    cache.put("large", bytes(2**18))
    assert cache.get("large") is None
    assert files(tmp_path) == []


def test_a_full_disk_costs_nothing_but_the_entries(tmp_path, caplog):
    cache = DiskCache(tmp_path, 2**24)
    cache.put("before", content_of("before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        for number in range(3):
            cache.put(f"{number}", bytes(9000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [cache.get(f"{number}") for number in range(3)] == [None] * 3
    assert bytes(cache.get("before")) == content_of("before")
    assert len(files(tmp_path)) == 1
    (said,) = caplog.messages
    assert "decoded blocks are not kept for now" in said


def test_no_more_than_half_of_what_is_free_is_taken(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=20 * FILE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    cache = DiskCache(tmp_path, 2**20)
    for number in range(100):
        cache.put(f"{number}", bytes(3000))
    # What it holds and what is free do not add up here, since the free space stays the same.
    assert len(files(tmp_path)) <= 20 + 2**20 // 64 // FILE_BYTES + 1


@pytest.mark.parametrize("seed", range(3))
def test_killed_writers_leave_no_wrong_entry_and_their_leftovers_go(tmp_path, seed):
    """Ten kills each."""
    draw = random.Random(seed)
    for kill in range(10):
        child = os.fork()
        if not child:
            cache = DiskCache(tmp_path, 2**24)
            version = kill
            while True:
                for key in KEYS:
                    cache.put(key, content_of(key, version) * draw.randint(1, 300))
        time.sleep(draw.uniform(0.001, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    reader = DiskCache(tmp_path, 2**24)
    for key in KEYS:
        found = bytes(reader.get(key) or b"")
        whole = [content_of(key, version) for version in range(10)]
        assert not found or found[:700] in whole
        assert found == found[:700] * (len(found) // 700)
    for path in files(tmp_path):
        if path.name.startswith("."):
            os.utime(path, (time.time() - 2 * LEFTOVER_S,) * 2)
    reader.put("more", b"1")
    assert not [path for path in files(tmp_path) if path.name.startswith(".")]


def test_a_folder_to_which_others_may_write_is_not_used(tmp_path, caplog):
    tmp_path.chmod(0o777)
    cube.use_disk(tmp_path, 2**20)
    assert remote.disk() is None
    (said,) = caplog.messages
    assert f"{tmp_path} is not this user's alone" in said


def test_a_folder_that_cannot_be_made_is_told_and_not_used(tmp_path, caplog):
    (tmp_path / "file").touch()
    cube.use_disk(tmp_path / "file" / "blocks", 2**20)
    assert remote.disk() is None
    assert "decoded blocks are not kept on disk" in caplog.text
