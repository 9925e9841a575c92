"""One raster of an item, opened and read; what fails for a while is tried again.

::

    read_asset(ref, use)
      └── an attempt ── access.opening   may it be read, and with which token?
          │             gate of its host at most so many reads at once
          │             datasets.opened  GDAL set up in this thread, the raster checked
          └───────────  use(raster)
          failed:       for ever → AssetError
                        for now  → let GDAL forget the answer, wait, the next attempt

`pipeline.access.failures` says which failures pass. GDAL tells no Retry-After.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from pipeline import access
from pipeline.access import RetryPolicy, Verdict
from pipeline.access.failures import verdict_of, verdict_of_text
from pipeline.cube import datasets, gdal
from pipeline.errors import AccessError, AssetError, AssetUnavailableError
from pipeline.shown import shown
from pipeline.wording import counted

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRef:
    """One asset of one item."""

    item_id: str
    asset: str
    href: str
    remote: bool
    """Whether the item came from elsewhere, not from a file of this machine."""
    hosts: tuple[str, ...] = ()
    """Hosts of private addresses that may be read all the same."""


RETRY = RetryPolicy(first_wait_s=0.5, longest_wait_s=16.0, total_s=90.0)
"""Of reads that bring no policy of their own."""

TIMEOUT_S = 30.0
"""A request without an answer is given up."""

IDLE = datasets.Idle(most=64, longest_s=300.0)
"""Rasters of other machines that are kept open: a block is read without asking for its header."""


def read_asset(
    ref: AssetRef,
    use: Callable[[DatasetReader], T],
    *,
    overview_level: int | None = None,
    retry: RetryPolicy | None = None,
) -> T:
    """Open a raster and call a function with it.

    Parameters
    ----------
    ref
        Which raster.
    use
        Reads from the open raster. It may be called again after a failure, it must not close the
        raster nor keep it, and it calls no `read_asset` of its own. Its ``ValueError`` and
        ``TypeError`` mean that the raster is not what was expected.
    overview_level
        Which overview, 0 = the finest; none: the raster itself.
    retry
        How often it is tried; none: `RETRY`.

    Returns
    -------
    What `use` returns.

    Raises
    ------
    AssetError
        The raster cannot be read, or may not be: wrong host, size, format or place.
    AssetUnavailableError
        It could not be read for now.
    """
    attempts = _Attempts(ref, use, overview_level)
    try:
        return (retry or RETRY).call(attempts, judge=attempts.verdict)
    except FAILURES as error:
        passes = _verdict(error) is Verdict.TRANSIENT
        kind = AssetUnavailableError if passes else AssetError
        tries = f" (tried {counted(attempts.made, 'time')})" if attempts.made > 1 else ""
        reason = f"cannot be read: {_words(error)}{tries}"
        raise kind(ref.item_id, ref.asset, reason) from error


@dataclass(slots=True)
class _Attempts(Generic[T]):
    """The attempts of one read."""

    ref: AssetRef
    use: Callable[[DatasetReader], T]
    overview_level: int | None
    made: int = 0
    local: bool = False
    """Whether the last was at a file of this machine: there is nothing to wait for."""

    def __call__(self) -> T:
        self.made += 1
        self.local = False
        href, remote, hosts = self.ref.href, self.ref.remote, self.ref.hosts
        try:
            opening = access.opening(href, remote=remote, hosts=hosts)
            self.local = opening.host is None
            return _read(opening, self.use, self.overview_level)
        except FAILURES as error:
            if _verdict(error) in (Verdict.FORBIDDEN, Verdict.PERMANENT):
                access.forget(href)
            raise

    def verdict(self, error: Exception) -> Verdict:
        return Verdict.PERMANENT if self.local else _verdict(error)


def _read(
    opening: access.Opening,
    use: Callable[[DatasetReader], T],
    overview_level: int | None,
) -> T:
    """Try once."""
    options = dict(opening.options)
    with datasets.environment(options, TIMEOUT_S):
        if opening.host is None:
            # A file of this machine is opened in no time, and may be replaced at any.
            with datasets.opened(opening.path, overview_level) as raster:
                return use(raster)
        with _turn(opening.path), _gate(opening.host, opening.connections):
            try:
                key = (opening.path, frozenset(options.items()), overview_level)
                with IDLE.lent(key) as raster:
                    return use(raster)
            except Exception:
                IDLE.drop(opening.path)
                gdal.forget_answers(opening.path)
                raise


_turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_gates: dict[tuple[str, int], threading.BoundedSemaphore] = {}
_gates_lock = threading.Lock()


def _turn(path: str) -> threading.Lock:
    """Return what lets one thread at a time at a raster of another machine.

    GDAL lets a thread wait for a part that another one fetches, some calls of rasterio hold the GIL
    then, and the other one wants the GIL if it has an error to tell: both would wait for ever. It
    also saves requests: who comes next finds the header there, the raster open, its blocks decoded.
    """
    with _gates_lock:
        return _turns.setdefault(path, threading.Lock())


def _gate(host: str, connections: int) -> threading.BoundedSemaphore:
    """Return what lets so many reads of a host through at once."""
    with _gates_lock:
        return _gates.setdefault((host, connections), threading.BoundedSemaphore(connections))


# -- failures ----------------------------------------------------------------------------------

FAILURES = (AccessError, CPLE_BaseError, RasterioError, OSError, ValueError, TypeError)


def _verdict(error: Exception) -> Verdict:
    if isinstance(error, (ValueError, TypeError)):
        return Verdict.MALFORMED
    if isinstance(error, AccessError) or not isinstance(error, FAILURES):
        return verdict_of(error)
    return verdict_of_text(_words(error))


def _words(error: BaseException) -> str:
    """Return the words of an error and of its causes, innermost last, without tokens.

    rasterio's wrapper often says only that a read failed; GDAL's own words are in the causes.
    """
    words: list[str] = []
    each: BaseException | None = error
    while each is not None:
        said = shown(str(each)).strip()
        if said and said not in words:
            words.append(said)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "; ".join(words)
