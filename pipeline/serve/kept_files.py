"""Rasters that others open by their address: made once, kept for a while, read in parts."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path


class KeptFiles:
    """Files by key in a folder of the process; those used longest ago go when there are too many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._folder = Path(tempfile.mkdtemp(prefix="cloudmask-kept-"))
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def get(self, key: str, make: Callable[[Path], object]) -> Path:
        """Return a file, made if it is not there; `key` is a name of a file.

        Parameters
        ----------
        make
            Writes the file.
        """
        path = self._folder / key
        # One at a time: a raster takes seconds and memory, and its reader asks for it in several parts at once.
        with self._lock:
            if key in self._sizes:
                self._sizes.move_to_end(key)
                return path
            make(path)
            self._sizes[key] = path.stat().st_size
            while sum(self._sizes.values()) > self._most and len(self._sizes) > 1:
                (self._folder / self._sizes.popitem(last=False)[0]).unlink(missing_ok=True)
        return path
