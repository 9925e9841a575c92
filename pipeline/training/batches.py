"""Batches in order: batch number *n* is the same whoever makes it, in this process or in several.

A scene costs most of its time at once, so several crops are taken of it. They are shuffled among those of a whole
group of batches: with the same scenes in four batches in a row, F1 of shadows after 300 steps was .03, now it is .32.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait

import numpy as np
from numpy.typing import NDArray

from pipeline.training.augment import cropped, turned, varied
from pipeline.training.experiment import Experiment
from pipeline.training.sample import Floats, Sample
from pipeline.training.samples import Mixture

CROPS = 4
"""Crops of a scene."""

GROUP = 16
"""Batches whose crops are shuffled; a multiple of `CROPS`."""

COMPILED_BANDS = 6
"""Bands of batches for a compiled network, those of most samples and more."""

AHEAD = 2
"""Groups of batches that are made before they are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Samples with bands of different numbers side by side."""

    images: Floats
    """(N, B, Y, X); zero where a band is absent."""
    bands_um: Floats
    """(N, B, 2)."""
    present: NDArray[np.bool_]
    """(N, B)."""
    labels: NDArray[np.uint8]
    """(N, Y, X)."""


def together(samples: Sequence[Sample], least: int = 0) -> Batch:
    """Put samples of one size into a batch, with room for at least so many bands."""
    most = max(least, *(len(each.bands_um) for each in samples))
    shape = samples[0].labels.shape
    images = np.zeros((len(samples), most, *shape), np.float32)
    # What stands for an absent band is never looked at, but must have a logarithm.
    bands = np.full((len(samples), most, 2), (0.55, 0.05), np.float32)
    present = np.zeros((len(samples), most), bool)
    for row, each in enumerate(samples):
        count = len(each.bands_um)
        images[row, :count], bands[row, :count] = each.pixels, each.bands_um
        present[row, :count] = True
    return Batch(
        images=images,
        bands_um=bands,
        present=present,
        labels=np.stack([each.labels for each in samples]),
    )


def crops(mixture: Mixture, experiment: Experiment, number: int) -> list[Sample]:
    """Make the crops of a scene."""
    scene, rng = mixture.scene(number)
    how, size = experiment.augment, experiment.train.crop_px
    cut = (cropped(scene, rng, size, how.scale) for _ in range(CROPS))
    return [varied(turned(each, rng), rng, how) for each in cut]


def batches(
    experiment: Experiment, start: int, *, rank: int = 0, ranks: int = 1
) -> Generator[Batch, None, None]:
    """Yield batches from number `start` on, without end.

    Parameters
    ----------
    experiment
        Its `train.workers` says how many processes make them; they end when the iterator is closed.
    start
        Number of the first batch.
    rank, ranks
        Which of how many trainings that share the work.

    Raises
    ------
    LabelledDataError
        A data set cannot be read.
    """
    size = experiment.train.batch
    # Compiled once, and not again for every number of bands.
    least = COMPILED_BANDS if experiment.train.compile else 0
    group, first = divmod(start, GROUP)
    scenes = size * GROUP // CROPS
    with _Maker(experiment) as maker:
        waiting: deque[list[Future[list[Sample]]]] = deque()
        ahead = group
        while True:
            while len(waiting) < (AHEAD if experiment.train.workers else 1):
                begin = (ahead * ranks + rank) * scenes
                waiting.append([maker.crops(begin + slot) for slot in range(scenes)])
                ahead += 1
            made = [crop for each in waiting.popleft() for crop in each.result()]
            order = np.random.default_rng([experiment.seed, 23, group, rank]).permutation(
                len(made)
            )
            for batch in range(first, GROUP):
                yield together(
                    [made[i] for i in order[batch * size : (batch + 1) * size]], least
                )
            group, first = group + 1, 0


class _Maker:
    """Makes crops, here or in processes of its own."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        # Read here first: what is wrong with a data set should be said by this process.
        self._mixture = Mixture(experiment)
        self._pool: ProcessPoolExecutor | None = None
        if experiment.train.workers:
            self._pool = ProcessPoolExecutor(
                experiment.train.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                # Sent, not read again: a teacher's opinion takes its time.
                initargs=(self._mixture, experiment),
            )

    def crops(self, number: int) -> Future[list[Sample]]:
        if self._pool is not None:
            return self._pool.submit(_crops, number)
        done: Future[list[Sample]] = Future()
        done.set_result(crops(self._mixture, self._experiment, number))
        return done

    def __enter__(self) -> _Maker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


_here: list[tuple[Mixture, Experiment]] = []
"""Of a worker: what it makes crops of."""


def _begin(mixture: Mixture, experiment: Experiment) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here[:] = [(mixture, experiment)]


def _end_with_parent() -> None:
    """End this worker when the training that it works for was killed: nobody else would tell it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _crops(number: int) -> list[Sample]:
    mixture, experiment = _here[0]
    return crops(mixture, experiment, number)
