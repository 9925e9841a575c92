"""One queue of windows per model and process: batches are filled across blocks, dates and threads.

There is no thread of its own and no waiting for a batch to fill up: whoever finds a place takes what has
gathered meanwhile, its own windows or others', and runs it. There are three places: while a device computes
one batch, the next is made ready for it and the last one comes back.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Cost, Model
from pipeline.types.record import METER

FloatArray = NDArray[np.float32]
_Asked = tuple[FloatArray, "Future[FloatArray]"]

PLACES = 3
"""Batches of one model at a time."""


class WindowQueue:
    """Hands a model as many windows at once as its card says, three batches at a time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: deque[_Asked] = deque()
        self._taking = threading.Lock()
        self._places = threading.Semaphore(PLACES)

    def predict(self, windows: list[FloatArray]) -> list[FloatArray]:
        """Score windows (B, H, W), in batches with those of other threads.

        Raises
        ------
        Exception
            What the model raised for a batch that one of the windows was in.
        """
        asked: list[_Asked] = [(window, Future()) for window in windows]
        with self._taking:
            self._waiting.extend(asked)
        for _, answer in asked:
            # Each turn answers the oldest windows, so this one's comes; whoever fails tells all.
            while not answer.done() and self._turn():
                pass
        # What nobody has to take any more is with others, who answer.
        wait([answer for _, answer in asked])
        return [answer.result() for _, answer in asked]

    def _turn(self) -> bool:
        """Run a batch if windows wait; say whether there were any."""
        with self._places:
            batch = self._take()
            if batch:
                self._run(batch)
        return bool(batch)

    def _take(self) -> list[_Asked]:
        with self._taking:
            count = min(len(self._waiting), self._model.card.batch)
            return [self._waiting.popleft() for _ in range(count)]

    def _run(self, batch: list[_Asked]) -> None:
        try:
            scores = _scored(self._model, np.stack([window for window, _ in batch]))
            answers = list(scores)
            for (_, answer), each in zip(batch, answers, strict=True):
                answer.set_result(each)
        # Not swallowed: it is raised wherever one of the windows came from.
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise


_queues: WeakKeyDictionary[Model, WindowQueue] = WeakKeyDictionary()
_making = threading.Lock()


def predict(model: Model, windows: list[FloatArray]) -> list[FloatArray]:
    """Score windows (B, H, W): through the model's queue, or at once where batches do not pay.

    Returns
    -------
    For each window what the model gave, unchecked.
    """
    if model.card.batch == 1:
        return [_alone(model, window) for window in windows]
    with _making:
        queue = _queues.setdefault(model, WindowQueue(model))
    return queue.predict(windows)


def _alone(model: Model, window: FloatArray) -> FloatArray:
    scores: FloatArray
    (scores,) = _scored(model, window[np.newaxis])
    return scores


def _scored(model: Model, windows: FloatArray) -> FloatArray:
    """Call a model, and count the time that it takes of a GPU."""
    if model.card.options.get("device") != "cuda":
        return model.predict(windows)
    with _GPU.taken():
        return model.predict(windows)


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
