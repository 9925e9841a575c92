"""One queue of windows per model and process: batches are filled across blocks, dates and threads.

There is no thread of its own and no waiting for a batch to fill up: whoever finds the model free
takes what has gathered while it was busy, its own windows or others', and runs it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Cost, Model
from pipeline.types.record import METER

FloatArray = NDArray[np.float32]
_Asked = tuple[FloatArray, "Future[FloatArray]"]


class WindowQueue:
    """Hands a model as many windows at once as its card says, one batch at a time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: deque[_Asked] = deque()
        self._busy = threading.Lock()

    def predict(self, windows: list[FloatArray]) -> list[FloatArray]:
        """Score windows (B, H, W), in batches with those of other threads.

        Raises
        ------
        Exception
            What the model raised for a batch that one of the windows was in.
        """
        asked: list[_Asked] = [(window, Future()) for window in windows]
        self._waiting.extend(asked)
        for _, answer in asked:
            # Each turn answers the oldest windows, so this one's comes; whoever fails tells all.
            while not answer.done():
                with self._busy:
                    if not answer.done():
                        self._run(self._take())
        return [answer.result() for _, answer in asked]

    def _take(self) -> list[_Asked]:
        # Only the holder of the lock takes out, so what is counted here stays.
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
    begun = time.perf_counter()
    try:
        return model.predict(windows)
    finally:
        METER.add(Cost(device_seconds=time.perf_counter() - begun))
