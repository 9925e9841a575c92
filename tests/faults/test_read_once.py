"""A run asks servers for each byte once; whatever becomes of the cache on disk, the pixels are the same."""

import errno
import json
import shutil
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pytest

from pipeline import run
from pipeline.cube import opening
from pipeline.cube.blocks import raster as blocks
from pipeline.cube.blocks.disk import DiskCache
from pipeline.types import CubeSettings
from tests.faults.small_region import contents


class Served:
    """The small region, its rasters on a server that logs what it answers."""

    def __init__(self, region, log, url):
        self.region, self.log, self.cache = region, log, region.folder / "cache"
        for path in region.archive.glob("*/*/*.json"):
            document = json.loads(path.read_text())
            place = path.parent.relative_to(region.archive).as_posix()
            for asset in document.get("assets", {}).values():
                asset["href"] = f"{url}/{place}/{asset['href'].removeprefix('./')}"
            path.write_text(json.dumps(document))

    def run(self, name):
        """Run as a new process would, into a new store; return what it holds."""
        opening.IDLE.drop()
        blocks.HEADERS.drop()
        opening.VERSIONS.drop()
        blocks.BLOCKS.clear()
        region = type(self.region)(self.region.folder / name)
        region.folder.mkdir()
        (region.folder / "archive").symlink_to(self.region.archive)
        run.run(region.job(cube=CubeSettings(hosts=("127.0.0.1",))))
        return contents(region)

    def answers(self):
        """Return bytes sent, and those sent at least once."""
        seen, sent = defaultdict(set), 0
        for path, start, stop in map(json.loads, self.log.read_text().splitlines()):
            # One byte, by which redirects are followed, is no part of a raster that is read.
            if path.endswith(".tif") and stop - start > 1:
                sent += stop - start
                seen[path] |= set(range(start, stop))
        return sent, sum(map(len, seen.values()))


@pytest.fixture
def served(region, threshold, monkeypatch):
    monkeypatch.setenv("CLOUDMASK_BLOCK_CACHE__FOLDER", str(region.folder / "cache"))
    monkeypatch.setenv("CLOUDMASK_BLOCK_CACHE__SIZE", "64MiB")
    log, address = region.folder / "log", region.folder / "address"
    command = [sys.executable, "-m", "pipeline.testing.file_host"]
    process = subprocess.Popen([*command, region.archive, log, "0", address])
    try:
        until = time.monotonic() + 60
        while not (address.exists() and address.read_text()):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield Served(region, log, f"http://127.0.0.1:{address.read_text()}")
    finally:
        process.kill()
        process.wait()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def damage(cache):
    """Cut every third entry in the middle, and turn the last bytes of every third."""
    entries = sorted(path for path in cache.rglob("*") if path.is_file())
    assert len(entries) > 6
    for number, path in enumerate(entries):
        content = path.read_bytes()
        if number % 3 == 0:
            path.write_bytes(content[: len(content) // 2])
        elif number % 3 == 1:
            path.write_bytes(content[:-7] + bytes(each ^ 255 for each in content[-7:]))


def refuse(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_each_byte_is_downloaded_once_and_what_befalls_the_cache_costs_time_alone(
    served, monkeypatch
):
    first = served.run("first")
    sent, distinct = served.answers()
    assert distinct > 100_000
    assert sent <= 1.02 * distinct
    assert_same(served.run("second"), first)
    assert served.answers()[0] == sent

    damage(served.cache)
    assert_same(served.run("damaged"), first)
    assert sent < served.answers()[0] <= 2.04 * distinct

    sent = served.answers()[0]
    shutil.rmtree(served.cache)
    monkeypatch.setattr(DiskCache, "_write", refuse)
    assert_same(served.run("full"), first)
    assert served.answers()[0] > sent
