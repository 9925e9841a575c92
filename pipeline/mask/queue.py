"""One queue of windows per model and process: batches are filled across blocks, dates and threads.

There is no worker thread and no waiting for a batch to fill up: a calling thread that gets a slot takes the windows
that wait, its own or others', and runs them. There are several slots: while a device computes one batch, the next
are prepared and the last one is copied back.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Cost, DeviceModel, Model, Then
from pipeline.types.record import METER

FloatArray = NDArray[np.float32]
Arrays = tuple[NDArray[Any], ...]
_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")

SLOTS = 6
"""Batches of one model at a time: one is computed, one is copied back, and the others are prepared, which takes
the host longer than a fast device computes."""


class WindowQueue(Generic[_Given, _Answer]):
    """Hands on as many windows at once as a batch has, a few batches at a time."""

    def __init__(self, batch: int, run: Callable[[list[_Given]], Sequence[_Answer]]) -> None:
        """Make a queue without anything in it.

        Parameters
        ----------
        batch
            Windows at a time, at most.
        run
            Takes a batch; returns for each window its answer.
        """
        self._batch = batch
        self._run_batch = run
        self._waiting: deque[tuple[_Given, Future[_Answer]]] = deque()
        self._taking = threading.Lock()
        self._slots = threading.Semaphore(SLOTS)

    def ask(self, windows: list[_Given]) -> list[_Answer]:
        """Have windows answered, in batches with those of other threads.

        Raises
        ------
        Exception
            What was raised for a batch that one of the windows was in.
        """
        asked: list[tuple[_Given, Future[_Answer]]] = [(each, Future()) for each in windows]
        with self._taking:
            self._waiting.extend(asked)
        for _, answer in asked:
            # Each turn answers the oldest windows, so this thread's come; a failure goes to all windows of its batch.
            while not answer.done() and self._turn():
                pass
        # Windows that no longer wait are with other threads, which answer them.
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
        # Not swallowed: it is raised wherever one of the windows came from.
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise


_queues: WeakKeyDictionary[Model, dict[Hashable, WindowQueue[Any, Any]]] = WeakKeyDictionary()
_making = threading.Lock()


def predict(model: Model, windows: list[FloatArray]) -> list[FloatArray]:
    """Score windows (B, H, W): through the model's queue, or at once where batches do not pay.

    Returns
    -------
    For each window what the model gave, unchecked.
    """
    run = partial(_scored, model)
    if model.card.batch == 1:
        return [run([window])[0] for window in windows]
    return _queue(model, "scores", run).ask(windows)


def predict_then(
    model: DeviceModel,
    windows: list[tuple[FloatArray, NDArray[Any]]],
    then: Then,
    purpose: Hashable,
) -> list[Arrays]:
    """Score windows and make something of the scores on the model's device, through the model's queue.

    Parameters
    ----------
    model
        The model.
    windows
        Each (B, H, W), and what goes with it.
    then
        What is made; see `pipeline.types.DeviceModel`.
    purpose
        Windows of one purpose meet in a batch: for them `then` does the same.

    Returns
    -------
    For each window what was made of it.
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


def _counted(model: Model) -> contextlib.AbstractContextManager[None]:
    """Count the time that what is done inside takes of a GPU."""
    on_gpu = model.card.options.get("device") == "cuda"
    return _GPU.taken() if on_gpu else contextlib.nullcontext()


class BusyTime:
    """Counts the time in which at least one thread has a model of the GPU at work, once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Count what happens inside."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                now = time.perf_counter()
                METER.add(Cost(device_seconds=now - self._since))
                self._since = now


_GPU = BusyTime()
