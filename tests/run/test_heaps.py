"""Threads of what we start share one heap: of several, each keeps what its threads free from all others."""

import os
import subprocess
import sys

import pytest
from distributed import Client

from pipeline.models.engine import allocator
from pipeline.run.executors.local_cluster import local_cluster
from tests.serve.region import Region, fill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(allocator._glibc() is None, reason="the C library is no glibc"),
]

COUNTING = """
import ctypes, sys, tempfile, threading

def heaps():
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile("r") as told:
        file = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
        libc.malloc_info(0, file)
        libc.fclose(file)
        return told.read().count("<heap nr=")

def heaps_with_threads(n=8):
    together = threading.Barrier(n + 1)
    def allocate():
        kept = bytearray(2**16)
        together.wait()
        together.wait()
    threads = [threading.Thread(target=allocate) for _ in range(n)]
    for each in threads:
        each.start()
    together.wait()
    found = heaps()
    together.wait()
    for each in threads:
        each.join()
    return found
"""
SERVED = """
import pipeline.serve
from pipeline.cli import app

served = []
pipeline.serve.serve = lambda found, **_: served.append(found)
try:
    app(["serve", "alps=" + sys.argv[1]])
except SystemExit as end:
    assert not end.code, end.code
served[0]()
print(heaps_with_threads())
"""


def test_workers_have_one_heap():
    def count(code):
        names = {}
        exec(code, names)
        return names["heaps_with_threads"]()

    with local_cluster(1, {}) as cluster, Client(cluster, set_as_default=False) as client:
        assert set(client.run(count, COUNTING).values()) == {1}


def served(url, **settings):
    told = {f"CLOUDMASK_SERVE__{name.upper()}": str(value) for name, value in settings.items()}
    # Dask leaves what it has set for its workers.
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", COUNTING + SERVED, url],
        env=plain | told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def test_requests_that_judge_share_a_heap(tmp_path):
    region = Region(str(tmp_path / "store"))
    fill(region)
    # Some library may have started a thread when it was imported.
    assert served(region.url, max_screened_pixels=1000) <= 2
    # Others look up what is stored, and do not wait for each other's memory.
    assert served(region.url) > 2
