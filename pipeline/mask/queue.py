"""One queue of windows per model and process: batches are filled across blocks, dates and threads.

There is no worker thread, and no batch waits to be full: a calling thread that gets a slot runs the windows that are
waiting, its own or those of others. There are several slots: while a device computes one batch, the next are
prepared and the last one is copied back.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pipeline.cost import METER, BusyTime
from pipeline.types import Cost, DeviceModel, Model, Then

FloatArray = NDArray[np.float32]
Arrays = tuple[NDArray[Any], ...]
_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")

SLOTS = 6
"""Batches of one model in flight: one is computed, one is copied back, and the others are prepared, because the host
prepares a batch more slowly than a fast device computes it."""


class WindowQueue(Generic[_Given, _Answer]):
    """Collects windows of all threads into batches, and runs a few batches at a time."""

    def __init__(self, batch: int, run: Callable[[list[_Given]], Sequence[_Answer]]) -> None:
        """Make an empty queue.

        Parameters
        ----------
        batch
            Windows at a time, at most.
        run
            Takes a batch; returns one result per window.
        """
        self._batch = batch
        self._run_batch = run
        self._waiting: deque[tuple[_Given, Future[_Answer]]] = deque()
        self._taking = threading.Lock()
        self._slots = threading.Semaphore(SLOTS)

    def ask(self, windows: list[_Given]) -> list[_Answer]:
        """Run windows, in batches with those of other threads, and return their results.

        Raises
        ------
        Exception
            The error of a batch that one of the windows was in.
        """
        asked: list[tuple[_Given, Future[_Answer]]] = [(each, Future()) for each in windows]
        with self._taking:
            self._waiting.extend(asked)
        for _, answer in asked:
            # Each turn runs the oldest windows, so this thread's turn comes; an error goes to all windows of a batch.
            while not answer.done() and self._turn():
                pass
        # Windows that left the queue are being run by other threads.
        wait([answer for _, answer in asked])
        return [answer.result() for _, answer in asked]

    def _turn(self) -> bool:
        """Run a batch if windows wait; return whether there were any."""
        with self._slots:
            batch = self._take()
            if batch:
                self._run(batch)
        return bool(batch)

    def _take(self) -> list[tuple[_Given, Future[_Answer]]]:
        with self._taking:
            count = min(len(self._waiting), self._batch)
            return [self._waiting.popleft() for _ in range(count)]

    def _run(self, batch: list[tuple[_Given, Future[_Answer]]]) -> None:
        try:
            answers = self._run_batch([window for window, _ in batch])
            for (_, answer), each in zip(batch, answers, strict=True):
                answer.set_result(each)
        # Not swallowed: every thread with a window in the batch raises it.
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise


class Turns:
    """Lets so many threads of the process compute at once; at first any number."""

    def __init__(self) -> None:
        self._most: int | None = None
        self._gate: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self._changing = threading.Lock()
        self._mine = threading.local()

    def allow(self, most: int) -> None:
        """Let so many compute from now on; those that do are not counted if it was another number."""
        with self._changing:
            if most != self._most:
                self._most, self._gate = most, threading.BoundedSemaphore(most)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Compute inside; a thread that does so already, in a model of models, need not wait again."""
        if getattr(self._mine, "inside", False):
            yield
            return
        with self._gate:
            self._mine.inside = True
            try:
                yield
            finally:
                self._mine.inside = False


TURNS = Turns()
"""Of the models that each thread calls for itself, since these compute on the processor."""

_queues: WeakKeyDictionary[Model, dict[Hashable, WindowQueue[Any, Any]]] = WeakKeyDictionary()
_making = threading.Lock()


def predict(model: Model, windows: list[FloatArray]) -> list[FloatArray]:
    """Score windows (B, H, W): through the model's queue, or at once where batches do not pay.

    Returns
    -------
    The model's scores of each window, unchecked.
    """
    run = partial(_scored, model)
    if model.card.batch == 1:
        with TURNS.taken():
            return [run([window])[0] for window in windows]
    return _queue(model, "scores", run).ask(windows)


def predict_then(
    model: DeviceModel,
    windows: list[tuple[FloatArray, NDArray[Any]]],
    then: Then,
    purpose: Hashable,
) -> list[Arrays]:
    """Score windows and post-process the scores on the model's device, through the model's queue.

    Parameters
    ----------
    model
        The model.
    windows
        Each (B, H, W), and its companion array.
    then
        The post-processing; see `pipeline.types.DeviceModel`.
    purpose
        Key of the queue: windows with the same key share batches, so `then` must be the same for all of them.

    Returns
    -------
    The results of `then` for each window.
    """
    return _queue(model, purpose, partial(_made, model, then)).ask(windows)


def _queue(
    model: Model, purpose: Hashable, run: Callable[[list[Any]], Sequence[Any]]
) -> WindowQueue[Any, Any]:
    with _making:
        queues = _queues.setdefault(model, {})
        return queues.setdefault(purpose, WindowQueue(model.card.batch, run))


def _scored(model: Model, windows: list[FloatArray]) -> list[FloatArray]:
    given = windows[0][np.newaxis] if len(windows) == 1 else np.stack(windows)
    with _counted(model):
        return list(model.predict(given))


def _made(
    model: DeviceModel, then: Then, windows: list[tuple[FloatArray, NDArray[Any]]]
) -> list[Arrays]:
    images, beside = (np.stack(each) for each in zip(*windows, strict=True))
    with _counted(model):
        made = model.predict_then(images, beside, then)
    return list(zip(*made, strict=True))


_MODEL = BusyTime(lambda wall, cpu: METER.add(Cost(model_seconds=wall, model_cpu_seconds=cpu)))
_GPU = BusyTime(lambda wall, _: METER.add(Cost(device_seconds=wall)))


@contextlib.contextmanager
def _counted(model: Model) -> Iterator[None]:
    """Count the time inside, also as GPU time if the model runs on a GPU."""
    on_gpu = model.card.options.get("device") == "cuda"
    with _MODEL.taken(), _GPU.taken() if on_gpu else contextlib.nullcontext():
        yield
