"""Tiles on the workers of a Dask cluster: two tasks a tile, and nothing that grows with the region.

::

    task, fork ── mask_on_worker (where the job's resources are)
               ── compose_on_worker (anywhere) ──▶ receipt, fork ──▶ merged and committed here

Where composites need masks of other tiles, a batch does one of the two alone: `TileTask.waits`.

A worker writes chunks to the store itself, through a fork of the run's transaction, and sends back what
it wrote where: kilobytes. Until the batch is merged a worker may be lost without a trace: Dask gives its tiles to
others. No more than one batch is known to the scheduler at any time.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager

import dask
from distributed import (
    Client,
    Future,
    KilledWorker,
    Worker,
    WorkerPlugin,
    as_completed,
)
from distributed.comm import CommClosedError
from distributed.scheduler import NoValidWorkerError

from pipeline import models, store
from pipeline.errors import CloudmaskError, MemoryBudgetError, WorkersError
from pipeline.run.common.block_cache import use_block_cache
from pipeline.run.common.progress import Steps
from pipeline.run.executors.base import Result
from pipeline.run.executors.local_cluster import local_cluster
from pipeline.run.plan.plan import Plan
from pipeline.run.ready import no_scheduler
from pipeline.run.tile.task import TileTask
from pipeline.run.tile.work import compose_tile, mask_tile
from pipeline.types import PIXEL_VERSION, ClusterSettings, ModelCard, TileReceipt
from pipeline.watch import watch_output

TILES_A_WORKER = 4
"""Tiles of a batch for each worker: enough that they end at about the same time."""
WAIT = "60 s"
"""For a scheduler, and for the first worker, to answer."""

LIMITS: Mapping[str, object] = {
    "distributed.admin.low-level-log-length": 100,
    "distributed.scheduler.no-workers-timeout": "10 minutes",
}
"""What a scheduler needs for a long run, by Dask's own names; `deploy` sets them for schedulers that we do not start.

It keeps the last messages to each worker, and waits for ever for a worker that never comes.
"""

MASK = "mask-"
"""Begins the keys of first halves; Dask groups tasks by what stands before the first dash."""

Made = tuple[TileReceipt, store.Fork]


def mask_on_worker(task: bytes, fork: bytes) -> tuple[bytes, Made]:
    """Do the first half of a tile, in a worker; return the task for the second half.

    The arguments are pickled already, because a scheduler unpickles its tasks: a hundred STAC items take twenty
    kilobytes as bytes and ten megabytes as objects.
    """
    writer: store.Fork = pickle.loads(fork)
    receipt = mask_tile(pickle.loads(task), writer)
    writer.flush()
    return task, (receipt, writer)


def compose_on_worker(masked: tuple[bytes, Made]) -> Made:
    """Do the second half of a tile, in a worker that need not be the same."""
    task, (receipt, writer) = masked
    receipt = compose_tile(pickle.loads(task), receipt, writer)
    writer.flush()
    return receipt, writer


def mask_alone_on_worker(task: bytes, fork: bytes) -> Made:
    """Do the first half of a tile whose second half waits for the masks of others."""
    return mask_on_worker(task, fork)[1]


def compose_later_on_worker(task: bytes, fork: bytes) -> Made:
    """Do the second half of such a tile, when they are committed."""
    masked = pickle.loads(task).masked
    return compose_on_worker((task, (masked, pickle.loads(fork))))


class DaskExecutor:
    """The workers behind a client; a `pipeline.run.executors.base.Executor`."""

    def __init__(
        self, client: Client, mask_resources: Mapping[str, float], steps: Steps
    ) -> None:
        self._client = client
        self._steps = steps
        self._mask_resources = dict(mask_resources)

    @property
    def batch(self) -> int:
        """See `pipeline.run.executors.base.Executor`: it follows the workers that come and go."""
        return TILES_A_WORKER * max(1, len(_workers(self._client)))

    ahead = 0

    def do(
        self, tasks: Sequence[TileTask], writer: store.Writer, _: Sequence[TileTask] = (), /
    ) -> Sequence[Result]:
        """See `pipeline.run.executors.base.Executor`."""
        futures = [self._submit(task, writer.fork()) for task in tasks]
        names = {each.key: task.tile.name for each, task in zip(futures, tasks, strict=True)}
        try:
            made = self._collected(futures, names)
        finally:
            self._client.cancel(futures)
        # In the order of the tasks, whichever ended first: the same work leaves the same bytes.
        results = [made[task.tile.name] for task in tasks]
        writer.merge([each[1] for each in results if isinstance(each, tuple)])
        return [each[0] if isinstance(each, tuple) else each for each in results]

    def _submit(self, task: TileTask, fork: store.Fork) -> Future:
        named, sent = f"{task.tile.name}-{id(task)}", (pickle.dumps(task), pickle.dumps(fork))
        if task.masked is not None:
            return self._client.submit(
                compose_later_on_worker, *sent, key=f"tile-{named}", pure=False
            )
        masked = self._client.submit(
            mask_alone_on_worker if task.waits else mask_on_worker,
            *sent,
            key=f"{MASK}{named}",
            resources=self._mask_resources or None,
            pure=False,
        )
        if task.waits:
            return masked
        return self._client.submit(compose_on_worker, masked, key=f"tile-{named}", pure=False)

    def _collected(
        self, futures: Sequence[Future], names: Mapping[str, str]
    ) -> dict[str, Made | CloudmaskError]:
        """Wait for futures; return what became of each tile, by name."""
        made: dict[str, Made | CloudmaskError] = {}
        for future in as_completed(futures, loop=self._client.loop):
            name = names[future.key]
            try:
                made[name] = future.result()
                if not future.key.startswith(MASK):
                    self._steps.tile_done(name)
            except CloudmaskError as error:
                made[name] = error
            except KilledWorker as error:
                raise WorkersError(
                    f"tile {name}: every worker that took it died ({error.last_worker.address} was "
                    "the last); look for the kernel's out-of-memory killer there, and take a "
                    "smaller grid.tile_px or fewer run.workers"
                ) from error
            except NoValidWorkerError as error:
                raise WorkersError(
                    f"tile {name}: no worker that may do it has been there for long ({error}); start "
                    "one, then the run again: it goes on after the last batch"
                ) from error
            except (CancelledError, CommClosedError, OSError) as error:
                raise WorkersError(
                    f"the cluster was lost while tile {name} was done ({type(error).__name__}): "
                    "start the run again, it goes on after the last batch"
                ) from error
        return made


class SetUp(WorkerPlugin):  # type: ignore[misc]
    """Prepares a worker for tiles: checks its version, and lets it reuse memory between layers of a network."""

    name = "cloudmask"

    def __init__(self) -> None:
        self._version = PIXEL_VERSION

    def setup(self, worker: Worker) -> None:
        """Run when a worker joins, and in those that are there."""
        if self._version != PIXEL_VERSION:
            raise WorkersError(
                f"worker {worker.address} makes pixels of version {PIXEL_VERSION}, the run of "
                f"version {self._version}: install the same cloudmask on both"
            )
        watch_output()
        models.prepare_process()
        use_block_cache()


@contextmanager
def open_cluster(plan: Plan, steps: Steps) -> Iterator[DaskExecutor]:
    """Connect to the cluster that a job names, or start one on this machine for as long as it lasts.

    Raises
    ------
    WorkersError
        It does not answer, has no worker, or none with what masking needs.
    MemoryBudgetError
        A worker may take less memory than a tile needs.
    """
    settings = plan.job.run.cluster
    resources = _mask_resources(settings, plan.cards)
    with _client(settings, resources) as client:
        _check_workers(client, resources, plan.bytes_needed)
        client.register_plugin(SetUp())
        yield DaskExecutor(client, resources, steps)


def _mask_resources(
    settings: ClusterSettings, cards: Mapping[str, ModelCard]
) -> Mapping[str, float]:
    on_gpu = any(card.options.get("device") == "cuda" for card in cards.values())
    return settings.mask_on or ({"GPU": 1} if on_gpu else {})


@contextmanager
def _client(settings: ClusterSettings, resources: Mapping[str, float]) -> Iterator[Client]:
    if settings.kind == "local":
        with (
            dask.config.set(LIMITS),
            local_cluster(settings.workers, resources) as cluster,
            # As the default it would take over what threads compute elsewhere in this process.
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        client = Client(settings.address, timeout=WAIT, set_as_default=False)
        client.wait_for_workers(1, timeout=WAIT)
    except (OSError, TimeoutError, ValueError) as error:
        raise no_scheduler(settings.address, error) from error
    with client:
        yield client


def _workers(client: Client) -> Mapping[str, Mapping[str, object]]:
    # Not `client.scheduler_info`: what it hands out may be the summary, without workers, that the client
    # fetches every few seconds.
    identity = client.sync(client.scheduler.identity, n_workers=-1)
    workers: Mapping[str, Mapping[str, object]] = identity["workers"]
    return workers


def _check_workers(client: Client, resources: Mapping[str, float], needed: int) -> None:
    workers = _workers(client)
    for name, amount in resources.items():
        if not any(dict(each["resources"]).get(name, 0) >= amount for each in workers.values()):  # type: ignore[call-overload]
            raise WorkersError(
                f"masking needs a worker with {name}={amount:g}, and none of the {len(workers)} has "
                f"it: start one with `dask worker --resources {name}={amount:g}`"
            )
    for address, each in workers.items():
        limit = each["memory_limit"]
        if isinstance(limit, int) and 0 < limit < needed:
            raise MemoryBudgetError(
                f"a tile needs about {needed / 2**30:.1f} GiB, worker {address} may take "
                f"{limit / 2**30:.1f} GiB: give it more, or take a smaller grid.tile_px"
            )
