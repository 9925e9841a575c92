"""What work costs: seconds, bytes, requests and blocks, counted in this process."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage of the work took; costs of several stages, tiles or processes add up."""

    seconds: float = 0.0
    """Wall time; tiles that ran at the same time count each for itself."""
    cpu_seconds: float = 0.0
    """Of all threads of the process, also of those that did something else."""
    device_seconds: float = 0.0
    """Wall time inside models that run on a GPU."""
    model_seconds: float = 0.0
    """Wall time in which at least one thread of the process was inside a model."""
    model_cpu_seconds: float = 0.0
    """CPU time of the threads that called a model."""
    reading_seconds: float = 0.0
    """Wall time in which at least one thread waited for blocks of rasters or decoded them."""
    decoding_cpu_seconds: float = 0.0
    """CPU time of the threads that read blocks of rasters, inside GDAL."""
    bytes_read: int = 0
    """Decoded bytes of source pixels that the reader returned."""
    reads: int = 0
    """Windows read from source rasters."""
    bytes_spared: int = 0
    """Bytes of reflectance on the grid (float32) that composites did not read, since stored masks show no usable pixel."""
    bytes_not_needed: int = 0
    """Bytes of reflectance on the grid that composites did not read of usable pixels: clearer scenes gave `max_observations`."""
    blocks_decoded: int = 0
    """Blocks of source rasters that were read and decoded."""
    blocks_again: int = 0
    """Of them, those that the same process had decoded before."""
    blocks_from_disk: int = 0
    """Blocks that were found in the cache on disk instead."""
    bytes_fetched: int | None = 0
    """Bytes that GDAL downloaded, headers of rasters included; none: they could not be counted."""
    requests: int | None = 0
    """HTTP requests, to catalogues and for rasters; none: they could not be counted."""

    def __add__(self, other: Cost) -> Cost:
        return self._with(other, operator.add)

    def __sub__(self, other: Cost) -> Cost:
        return self._with(other, operator.sub)

    def _with(self, other: Cost, operation: Callable[[Any, Any], Any]) -> Cost:
        """Combine each field; what is not known in one of both is not known."""
        combined: dict[str, Any] = {
            name: None if one is None or another is None else operation(one, another)
            for name, one, another in zip(_NAMES, _values(self), _values(other), strict=True)
        }
        return Cost(**combined)


_NAMES = tuple(each.name for each in dataclasses.fields(Cost))
_values: Callable[[Cost], tuple[Any, ...]] = operator.attrgetter(*_NAMES)


class Meter:
    """Counts what this process did; the difference of two totals is what happened between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Cost()
        self._counted: dict[str, int] = {}

    def count(self, **amounts: int) -> None:
        """Count whole numbers of fields of `Cost`, as `add` does in a tenth of the time: windows are counted so."""
        with self._lock:
            for name, amount in amounts.items():
                self._counted[name] = self._counted.get(name, 0) + amount

    def add(self, cost: Cost) -> None:
        """Count something; threads may do so at once."""
        with self._lock:
            self._total += cost

    def total(self) -> Cost:
        """Return everything so far."""
        with self._lock:
            counted: dict[str, Any] = dict(self._counted)
            return self._total + Cost(**counted)


METER = Meter()
"""What the rooms count in this process: windows, requests to catalogues, seconds of a GPU. GDAL counts
its requests itself: `pipeline.cube.METER` adds both."""


class BusyTime:
    """Measures the time in which at least one thread does something; overlaps count once.

    Parameters
    ----------
    count
        Called with wall seconds that no other thread has counted, and the CPU seconds of the thread that is done.
    """

    def __init__(self, count: Callable[[float, float], None]) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Count the time inside."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        begun = time.thread_time()
        try:
            yield
        finally:
            cpu = time.thread_time() - begun
            with self._lock:
                self._inside -= 1
                now = time.perf_counter()
                self._count(now - self._since, cpu)
                self._since = now
