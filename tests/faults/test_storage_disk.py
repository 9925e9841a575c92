"""A disk that is full and a folder that may not be written: an error, and the state as it was.

Each is real and happens in a process of its own: root may write anywhere, and a disk has no limit.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import store
from tests.store.making import Make

ROOT = Path(__file__).parents[2]
make = Make()

# Publishes, then goes on until it fails; says why; then finds what was published.
WORK = """
import os, resource, sys
from pipeline import store
from pipeline.errors import StoreError
from tests.store.making import Make

url, limit, lock = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
make = Make()
grid = make.grid(2048, 2048, tile_px=512, chunk_px=256)

def run(key, turns):
    with store.open_writer(url, grid, title="t", run_key=key) as writer:
        writer.set_scenes(make.sensor, make.scenes(turns))
        for turn, time in enumerate(make.times(turns)):
            for tile in grid.tiles():
                writer.write_mask(make.sensor, time, tile, make.mask(tile, turn), 100 + turn)
            writer.commit("scene")
        writer.publish({"run_id": key})

if not os.path.exists(url):
    run("first", 1)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if lock:
    for folder, _, files in os.walk(url):
        os.chmod(folder, 0o555)
try:
    run("second", 8)
except StoreError as error:
    print("REFUSED", "retryable" if error.retryable else "for good:", error)
found = store.open_archive(url)
tile = grid.tile(1, 1)
same = (found.masks(make.sensor)["mask"].values[0][tile.window] == make.mask(tile, 0)).all()
print("PUBLISHED", [each["run_id"] for each in found.records()], bool(same))
"""


def tried(url, *before: str, limit: int = 0, lock: bool = False) -> str:
    """Run the work; return why it was refused."""
    done = subprocess.run(
        [*before, sys.executable, "-c", WORK, str(url), str(limit), str(int(lock))],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "PUBLISHED ['first'] True" in done.stdout
    said = next((line for line in done.stdout.splitlines() if line.startswith("REFUSED")), "")
    # Waiting makes no room, and gives no permission.
    assert "for good" in said
    return said


def assert_goes_on(url):
    """Where nothing is broken, the same run finishes."""
    grid = make.grid(2048, 2048, tile_px=512, chunk_px=256)
    tile = grid.tile(3, 3)
    with store.open_writer(str(url), grid, title="t", run_key="second") as writer:
        writer.set_scenes(make.sensor, make.scenes(2))
        writer.write_mask(make.sensor, make.times(2)[1], tile, make.mask(tile, 7), 107)
        writer.publish({"run_id": "second"})
    archive = store.open_archive(str(url))
    found = archive.masks(make.sensor)["mask"].values[1][tile.window]
    np.testing.assert_array_equal(found, make.mask(tile, 7))
    assert [each["run_id"] for each in archive.records()] == ["first", "second"]


def test_a_disk_that_is_full(tmp_path):
    # A namespace of one's own lets anybody mount a small disk.
    mount = f'mount -t tmpfs -o size=6m none {tmp_path} && exec "$@"'
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-Urm", "true"], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("no user namespaces here: a small disk cannot be mounted without root")
    said = tried(tmp_path / "store", unshare, "-Urm", "sh", "-c", mount, "sh")
    assert "No space left on device" in said
    assert "cannot" in said


def test_a_file_that_may_not_grow(tmp_path):
    said = tried(tmp_path / "store", limit=20_000)
    assert "File too large" in said
    assert_goes_on(tmp_path / "store")


def test_permission_lost(tmp_path):
    url = tmp_path / "store"
    # Root obeys modes like anybody else without these capabilities.
    lesser = "--bounding-set=-dac_override,-dac_read_search"
    before = [] if os.getuid() else [shutil.which("setpriv") or "setpriv", lesser]
    if (
        before
        and subprocess.run([*before, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("root, and no setpriv that can give its capabilities up")
    said = tried(url, *before, lock=True)
    assert "ermission denied" in said
    for folder in (url, *url.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)
    assert_goes_on(url)


# Publishes twice, fills the disk to the last byte, and forgets what is old.
FULL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline import store
from pipeline.errors import StoreError
from tests.store.making import Make

url, make = sys.argv[1], Make()
grid = make.grid(1024, 1024, tile_px=512, chunk_px=256)

def run(key, seed):
    with store.open_writer(url, grid, title="t", run_key=key) as writer:
        writer.set_scenes(make.sensor, make.scenes(1))
        for tile in grid.tiles():
            writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile, seed), 100 + seed)
        writer.publish({"run_id": key})

run("first", 1)
run("second", 2)
try:
    with (Path(url).parent / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
except OSError as error:
    print(error)
try:
    run("third", 3)
except StoreError as error:
    print("REFUSED", error)
gone = store.expire(url, datetime.now(UTC))
print("FREED", gone.bytes > 100_000, gone.snapshots)
run("third", 3)
print("PUBLISHED", [each["run_id"] for each in store.open_archive(url).records()])
print("DAMAGED", store.verify(url).damages)
"""


def test_expire_works_on_a_disk_that_is_full(tmp_path):
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-Urm", "true"], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("no user namespaces here: a small disk cannot be mounted without root")
    mount = f'mount -t tmpfs -o size=4m none {tmp_path} && exec "$@"'
    done = subprocess.run(
        [
            unshare,
            "-Urm",
            "sh",
            "-c",
            mount,
            "sh",
            sys.executable,
            "-c",
            FULL,
            str(tmp_path / "s"),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout
    assert "REFUSED" in done.stdout
    assert "FREED True" in done.stdout
    assert "PUBLISHED ['first', 'second', 'third']" in done.stdout
    assert "DAMAGED ()" in done.stdout
