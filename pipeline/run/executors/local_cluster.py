"""Worker processes of a Dask cluster on this machine, for as long as a run lasts."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import dask
from distributed import Nanny, Scheduler, SpecCluster

from pipeline import models

ONE_HEAP: Mapping[str, object] = {"distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1}
"""Makes the threads of a worker share one heap from its first instruction on; `deploy` does it for workers that we do not start.

`models.prepare_process` comes too late for that: Dask runs it when the worker's own threads have heaps already, among which the C library
then spreads later threads. What one heap holds free, threads of another cannot use.
"""


def local_cluster(n_workers: int, resources: Mapping[str, float]) -> SpecCluster:
    """Start worker processes on this machine; each GPU belongs to one of them.

    Parameters
    ----------
    n_workers
        Processes.
    resources
        What those with a GPU have, e.g. ``{"GPU": 1}``; empty: none needs one.
    """
    n_gpus = models.count_gpus() if resources else 0
    options = {
        "nthreads": 1,
        "host": "127.0.0.1",
        # The plan has checked the memory of a tile; Dask's own limit would kill workers and retry.
        "memory_limit": 0,
        "dashboard": False,
        "silence_logs": logging.ERROR,
    }
    workers = {
        number: {
            "cls": Nanny,
            "options": options
            | (
                {"resources": dict(resources), "env": {"CUDA_VISIBLE_DEVICES": str(number)}}
                if number < n_gpus
                else {}
            ),
        }
        for number in range(n_workers)
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
    }
    with dask.config.set(ONE_HEAP):
        return SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.ERROR)
