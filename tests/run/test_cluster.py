"""Tiles on the workers of a cluster: the same store as on threads, whoever dies meanwhile."""

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from distributed import Client, LocalCluster

from pipeline import cube, run
from pipeline.errors import MemoryBudgetError, WorkersError
from pipeline.run.executors import dask as clusters
from pipeline.run.tile.task import make_task
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.types import ClusterSettings, CompositeSettings, MaskSettings
from tests.laws.conftest import contents, make_job, same


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """Return the catalogue of an archive of 3.8 km and three dates."""
    settings = ArchiveSettings(size_px=384, sentinel2_dates=3, landsat_dates=0)
    return make_archive(tmp_path_factory.mktemp("archive"), settings, workers=1)


@pytest.fixture(scope="module")
def job(week):
    """Return what makes a job of four tiles whose model any worker process has: the product's."""

    def made(where, cluster=None, **changes):
        plain = make_job(week, where, tile_px=192, chunk_px=192, workers=1)
        settings = plain.run.replace(cluster=cluster or ClusterSettings())
        changes = {"mask": MaskSettings(model="scl"), "run": settings} | changes
        return plain.replace(**changes)

    return made


@pytest.fixture(scope="module")
def expected(job, tmp_path_factory):
    """Return what a run on threads gives."""
    plain = job(tmp_path_factory.mktemp("threads") / "store")
    record = run.run(plain)
    return record, contents(plain.store)


@pytest.fixture(scope="module")
def cluster():
    """Start a scheduler and three workers as an operator does, one of them flagged as a GPU's."""
    with _Processes() as processes:
        yield processes


class _Processes:
    def __enter__(self):
        dask = [sys.executable, "-m", "dask"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._dask, self._quiet = dask, quiet
        self.port = _free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(self.port)]
        self.running = [
            subprocess.Popen([*scheduler, "--dashboard-address", "127.0.0.1:0"], **quiet)
        ]
        for resources in ("GPU=1", "", ""):
            self.add(resources)
        self.wait(3)
        return self

    def add(self, resources=""):
        flags = [
            "--host",
            "127.0.0.1",
            "--nthreads",
            "1",
            "--memory-limit",
            "0",
            "--no-dashboard",
        ]
        flags += ["--resources", resources] if resources else []
        worker = [*self._dask, "worker", self.address, *flags]
        self.running.append(subprocess.Popen(worker, **self._quiet))

    def wait(self, n_workers):
        with Client(self.address, timeout="60 s", set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout="60 s")

    def __exit__(self, *_):
        family = [psutil.Process(each.pid) for each in self.running if each.poll() is None]
        family += [child for each in family for child in each.children(recursive=True)]
        for each in family:
            each.kill()
        for process in self.running:
            process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _kill_one_at_work(cluster, gpu):
    """Kill a worker in the middle of a tile; one without a GPU for ever, the other comes back."""
    with Client(cluster.address, set_as_default=False) as client:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            workers = clusters._workers(client)
            busy = [
                address
                for address, keys in client.processing().items()
                if keys and address in workers and bool(workers[address]["resources"]) == gpu
            ]
            if busy:
                pid = client.run(os.getpid, workers=busy[:1])[busy[0]]
                victim = psutil.Process(pid)
                if not gpu:
                    victim.parent().kill()
                victim.send_signal(signal.SIGKILL)
                return busy[0]
            time.sleep(0.005)
    return None


def test_a_task_is_small_and_survives_pickling(job, tmp_path):
    plan = run.plan_job(job(tmp_path / "store"))
    with run.open_session(plan) as session:
        side = session._store_side
        tasks = [make_task(plan, tile, side, last_try=True) for tile in plan.tiles]
    for task in tasks:
        sent = pickle.dumps(task)
        assert len(sent) < 8_000 * max(1, len(task.items))
        back = pickle.loads(sent)
        assert [item.to_dict(transform_hrefs=False) for item in back.items] == [
            item.to_dict(transform_hrefs=False) for item in task.items
        ]
        changed = {"items": None, "positions": None}
        assert {**vars(back), **changed} == {**vars(task), **changed}
        assert back.positions.tolist() == task.positions.tolist()


def test_workers_of_this_machine_give_what_threads_give(job, expected, tmp_path):
    there = job(tmp_path / "store", ClusterSettings(kind="local", workers=2))
    record = run.run(there)
    before, stored = expected
    same(contents(there.store), stored)
    assert record.complete == before.complete == record.expected
    assert {each.tile for each in record.tiles} == {each.tile for each in before.tiles}
    assert record.stages["mask"].bytes_read == before.stages["mask"].bytes_read
    assert run.plan_job(there).nothing_to_do


@pytest.mark.slow
def test_workers_mask_all_tiles_before_they_compose_where_clouds_of_others_count(job, tmp_path):
    options = {"preset": "griffiths2013", "cloud_m": 300.0}
    far = CompositeSettings(method="best", options=options, bands=("blue", "red"))
    plain = job(tmp_path / "threads", composite=far)
    there = job(tmp_path / "workers", ClusterSettings(kind="local", workers=2), composite=far)
    one, other = run.run(plain), run.run(there)
    same(contents(there.store), contents(plain.store))
    assert {each.tile: each.composites for each in other.tiles} == {
        each.tile: each.composites for each in one.tiles
    }
    assert other.stages.keys() == one.stages.keys()
    assert run.plan_job(there).nothing_to_do


@pytest.mark.slow
@pytest.mark.parametrize("gpu", [False, True])
def test_a_worker_dies_and_its_tiles_are_done_elsewhere(job, expected, cluster, tmp_path, gpu):
    # Where only the flagged one masks, the others are seldom seen at work.
    mask_on = {"GPU": 1} if gpu else {}
    settings = ClusterSettings(kind="address", address=cluster.address, mask_on=mask_on)
    there = job(tmp_path / "store", settings)
    killed = []
    killer = threading.Thread(target=lambda: killed.append(_kill_one_at_work(cluster, gpu)))
    killer.start()
    record = run.run(there)
    killer.join()
    assert killed[0] is not None
    same(contents(there.store), expected[1])
    assert record.complete == record.expected
    assert len(record.tiles) == len(expected[0].tiles)
    if not gpu:
        cluster.add()
    cluster.wait(3)


@pytest.mark.slow
def test_only_workers_with_the_resource_mask(job, cluster, tmp_path):
    settings = ClusterSettings(kind="address", address=cluster.address, mask_on={"GPU": 1})
    there = job(tmp_path / "store", settings, composite=None)
    with Client(cluster.address, set_as_default=False) as client:
        before = client.run(cube.METER.total)
        run.run(there)
        after = client.run(cube.METER.total)
        workers = clusters._workers(client)
    read = {address for address in after if after[address] != before.get(address)}
    assert read == {address for address, each in workers.items() if each["resources"]}


@pytest.mark.slow
def test_a_tile_that_cannot_be_read_costs_its_item_alone(week, job, cluster, tmp_path):
    copy = tmp_path / "archive"
    shutil.copytree(week.parent, copy)
    band = next(copy.rglob("*SCL*.tif"), None) or next(copy.rglob("*scl*.tif"))
    band.write_bytes(b"nothing that is a raster")
    catalog = copy / week.name
    assert json.loads(catalog.read_text())
    settings = ClusterSettings(kind="address", address=cluster.address)
    broken = job(tmp_path / "there", settings)
    broken = broken.replace(
        sources=(broken.sources[0].replace(catalog=str(catalog)),),
        run=broken.run.replace(min_completeness=0.0),
    )
    here = broken.replace(
        store=str(tmp_path / "here"),
        run=broken.run.replace(cluster=ClusterSettings()),
    )
    one, other = run.run(broken), run.run(here)
    same(contents(broken.store), contents(here.store))
    assert one.dropped == other.dropped != ()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (ClusterSettings(kind="address", address="tcp://127.0.0.1:1"), WorkersError, "answers"),
        (ClusterSettings(kind="local", workers=1, mask_on={"GPU": 1}), WorkersError, "GPU=1"),
    ],
)
def test_a_cluster_that_cannot_do_it_says_so(
    job, tmp_path, monkeypatch, settings, error, words
):
    monkeypatch.setattr(clusters, "WAIT", "1 s")
    with pytest.raises(error, match=words):
        run.run(job(tmp_path / "store", settings))


@pytest.mark.slow
def test_a_run_does_not_wait_for_ever_for_a_worker_that_is_gone(job, tmp_path, monkeypatch):
    # As if the only one with a GPU had died after the check.
    monkeypatch.setattr(clusters, "_check_workers", lambda *_: None)
    monkeypatch.setitem(clusters.LIMITS, "distributed.scheduler.no-workers-timeout", "1 s")
    settings = ClusterSettings(kind="local", workers=1, mask_on={"GPU": 1})
    with pytest.raises(WorkersError, match="no worker that may do it"):
        run.run(job(tmp_path / "store", settings))


def test_workers_too_small_for_a_tile_are_refused(job, tmp_path, monkeypatch):
    """Before any has to work, so that one in a thread of this process will do."""
    small = {"tcp://one": {"resources": {}, "memory_limit": 2**20}}
    monkeypatch.setattr(clusters, "_workers", lambda _: small)
    thread = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp"}
    with LocalCluster(host="127.0.0.1", dashboard_address=None, **thread) as here:
        settings = ClusterSettings(kind="address", address=here.scheduler_address)
        with pytest.raises(MemoryBudgetError, match="tcp://one"):
            run.run(job(tmp_path / "store", settings))


@pytest.mark.slow
def test_a_run_with_nothing_to_do_starts_no_worker(job, tmp_path, monkeypatch):
    there = job(tmp_path / "store")
    run.run(there)
    settings = there.run.replace(
        cluster=ClusterSettings(kind="address", address="tcp://127.0.0.1:1")
    )
    monkeypatch.setattr(
        clusters, "open_cluster", lambda _: pytest.fail("a cluster was started")
    )
    assert run.run(there.replace(run=settings)).snapshot is None
