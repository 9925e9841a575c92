"""Windows at the edges of tiles, cached on disk: the first tile that needs one runs it for its neighbours.

The windows that decide a tile reach into its neighbours: a tile of 2048 px, which has the area of 16 windows of
512 px or of 4 of 1024 px, needs 25 or 9 of them. The result of a window depends only on its pixels and the model, so
that a hash of the pixels is its key: tiles need not know of each other, nor whether they read the same pixels.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from weakref import WeakKeyDictionary, finalize

import numpy as np
from numpy.typing import NDArray

from pipeline.mask.overlap_add import WindowResult
from pipeline.types import Model

log = logging.getLogger(__name__)

CAPACITY_BYTES = 2 * 2**30
"""Size on disk per process and model: enough for the windows that a row of some hundred tiles shares with the next
row, of one scene."""

LARGEST_SHARE = 0.25
"""Largest share of the free disk space."""


def window_key(image: NDArray[np.float32], *, confidence: bool) -> bytes:
    """Return the cache key of a window.

    Parameters
    ----------
    image
        (B, window_px, window_px), as it was read.
    confidence
        Whether the result has a second plane, the probability in per cent.
    """
    digest = hashlib.sha256(b"confidence" if confidence else b"")
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    shapes: tuple[tuple[int, ...], ...]


class SharedWindows:
    """Cache of one model's window results; new ones replace the oldest. Thread-safe.

    The cache is an unnamed file, which the system deletes when the process ends, even if it is killed. A disk that is
    full or cannot be written to costs time only: windows are run again.
    """

    def __init__(self, capacity: int = CAPACITY_BYTES) -> None:
        """Make an empty cache; its file is created on first use.

        Parameters
        ----------
        capacity
            Bytes on disk, at most.
        """
        self._capacity = capacity
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        # In the order of writing; the file is a ring buffer.
        self._spans: OrderedDict[bytes, _Span] = OrderedDict()
        self._end = 0

    def recall(self, key: bytes) -> WindowResult | None:
        """Return the result cached under a key, None if there is none."""
        with self._lock:
            span = self._spans.get(key)
            if span is None or self._file is None:
                return None
            try:
                self._file.seek(span.start)
                content = self._file.read(span.stop - span.start)
            except OSError as error:
                self._give_up(error)
                return None
        return _read(content, span.shapes)

    def keep(self, key: bytes, window: WindowResult) -> None:
        """Cache the result of a window."""
        parts = _parts(window)
        size = sum(each.nbytes for each in parts)
        with self._lock:
            if key in self._spans or not self._ready(size):
                return
            assert self._file is not None
            start = self._room(size)
            try:
                self._file.seek(start)
                for each in parts:
                    self._file.write(np.ascontiguousarray(each).data)
                self._file.flush()
            except OSError as error:
                self._give_up(error)
                return
            shapes = tuple(each.shape for each in parts)
            self._spans[key] = _Span(start, start + size, shapes)
            self._end = start + size

    def _ready(self, size: int) -> bool:
        """Create the file if there is none; return whether `size` bytes fit into it."""
        if self._file is None and self._capacity:
            try:
                folder = scratch_folder()
                free = shutil.disk_usage(folder).free
                self._capacity = min(self._capacity, int(free * LARGEST_SHARE))
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with this
                finalize(self, self._file.close)
            except OSError as error:
                self._give_up(error)
        return size <= self._capacity

    def _room(self, size: int) -> int:
        """Return the position for `size` bytes, and drop the entries there."""
        wraps = self._end + size > self._capacity
        start = 0 if wraps else self._end
        for key, span in list(self._spans.items()):
            in_the_way = span.start < start + size and span.stop > start
            # The entries between here and the end of the file are the oldest.
            if not in_the_way and not (wraps and span.start >= self._end):
                break
            del self._spans[key]
        return start

    def _give_up(self, error: OSError) -> None:
        log.warning(
            "windows at the edges of tiles are no longer cached for neighbouring tiles, which only costs time: %s",
            error,
        )
        self._capacity = 0
        self._spans.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


_kept: WeakKeyDictionary[Model, SharedWindows] = WeakKeyDictionary()
_making = threading.Lock()


def shared_windows(model: Model) -> SharedWindows | None:
    """Return this process's cache of a model's windows; None if the model sees single pixels."""
    if not model.card.lattice.halo_px:
        return None
    with _making:
        return _kept.setdefault(model, SharedWindows())


# A forked process would share the file with its parent, but not the index.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.clear)


def scratch_folder() -> Path:
    """Return the folder for a large temporary file: Python's, but ``/var/tmp`` in place of ``/tmp``.

    ``/tmp`` is memory on some machines.
    """
    usual, large = Path(tempfile.gettempdir()), Path("/var/tmp")
    return large if usual == Path("/tmp") and os.access(large, os.W_OK) else usual


def _parts(window: WindowResult) -> tuple[NDArray[Any], ...]:
    return window.top, window.bottom, window.left, window.right, window.codes


def _read(content: bytes, shapes: tuple[tuple[int, ...], ...]) -> WindowResult:
    top, bottom, left, right, codes = _split(content, shapes)
    return WindowResult(codes=codes, top=top, bottom=bottom, left=left, right=right)


def _split(content: bytes, shapes: tuple[tuple[int, ...], ...]) -> Iterator[NDArray[Any]]:
    """Yield consecutive arrays of the given shapes: float32, the last one uint8 codes."""
    start = 0
    for index, shape in enumerate(shapes):
        dtype = np.uint8 if index == len(shapes) - 1 else np.float32
        array: NDArray[Any] = np.ndarray(shape, dtype, content, start)
        yield array
        start += array.nbytes
