"""Opens and reads one raster of an item, and retries temporary failures.

::

    read_asset(ref, use)
      └── an attempt ── access.opening   may it be read, and with which token?
          │             gate of its host at most so many reads at once
          │             datasets.opened  GDAL set up in this thread, the raster checked
          └───────────  use(raster)
          failed:       permanently → AssetError
                        temporarily → clear GDAL's cache, wait, the next attempt

`pipeline.access.failures` classifies failures. GDAL does not report Retry-After.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from pipeline import access
from pipeline.access import RetryPolicy, Verdict
from pipeline.access.failures import verdict_of, verdict_of_text
from pipeline.cube import datasets, gdal
from pipeline.cube.blocks.remote import Versions, disk, version
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
    """Hosts with private addresses that may be read nevertheless."""


RETRY = RetryPolicy(first_wait_s=0.5, longest_wait_s=16.0, total_s=90.0)
"""Default retry policy of reads."""

TIMEOUT_S = 30.0
"""Time limit of a request without an answer."""

IDLE = datasets.Idle(most=64, longest_s=300.0)
"""Pool of open rasters, whose blocks are read without opening them again."""


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
        Reads from the open raster. It may be called again after a failure, must neither close nor keep the raster,
        and must not call `read_asset`. Its ``ValueError`` and ``TypeError`` mean that the raster is not as expected.
    overview_level
        The overview to open, 0 = the finest; None: the raster itself.
    retry
        The retry policy; None: `RETRY`.

    Returns
    -------
    The result of `use`.

    Raises
    ------
    AssetError
        The raster cannot be read, or may not be: wrong host, size, format or place.
    AssetUnavailableError
        A temporary failure outlasted the retries.
    """
    return attempt(ref, partial(_read, use, overview_level), retry)


def attempt(
    ref: AssetRef, read: Callable[[access.Opening], T], retry: RetryPolicy | None = None
) -> T:
    """Read a raster as it may be opened now, and retry temporary failures: see `read_asset`."""
    attempts = _Attempts(ref, read)
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
    read: Callable[[access.Opening], T]
    made: int = 0
    local: bool = False
    """Whether the last attempt was at a local file, for which waiting is no use."""

    def __call__(self) -> T:
        self.made += 1
        self.local = False
        href, remote, hosts = self.ref.href, self.ref.remote, self.ref.hosts
        try:
            opening = access.opening(href, remote=remote, hosts=hosts)
            self.local = opening.host is None
            return self.read(opening)
        except FAILURES as error:
            if _verdict(error) in (Verdict.FORBIDDEN, Verdict.PERMANENT):
                access.forget(href)
            raise

    def verdict(self, error: Exception) -> Verdict:
        return Verdict.PERMANENT if self.local else _verdict(error)


def _read(
    use: Callable[[DatasetReader], T], overview_level: int | None, opening: access.Opening
) -> T:
    """Try once."""
    if opening.host is None:
        # Not pooled: it is read once.
        with (
            datasets.environment(opening.options, TIMEOUT_S),
            datasets.opened(opening.path, overview_level) as raster,
        ):
            return use(raster)
    try:
        with lent(opening, overview_level) as raster:
            return use(raster)
    except Exception:
        forget_raster(opening.path)
        raise


@contextmanager
def lent(
    opening: access.Opening, overview_level: int | None, file_version: Hashable = None
) -> Iterator[DatasetReader]:
    """Lend an open raster of the pool, with GDAL set up in this thread.

    Parameters
    ----------
    opening
        How it is opened.
    overview_level
        The overview, 0 = the finest; None: the raster itself.
    file_version
        Tells a file of this machine from the one that it replaced.
    """
    with admitted(opening):
        if opening.host is not None and disk() is not None:
            present_version(opening.path)
        with pooled(opening, overview_level, file_version) as raster:
            yield raster


@contextmanager
def admitted(opening: access.Opening) -> Iterator[None]:
    """Set GDAL up in this thread for a location, and wait until it may be read."""
    with ExitStack() as held:
        held.enter_context(datasets.environment(dict(opening.options), TIMEOUT_S))
        if opening.host is not None:
            held.enter_context(_turn(opening.path))
            held.enter_context(_gate(opening.host, opening.connections))
        yield


def pooled(
    opening: access.Opening, overview_level: int | None, file_version: Hashable = None
) -> AbstractContextManager[DatasetReader]:
    """Lend an open raster of the pool, inside `admitted`; arguments as of `lent`."""
    options = frozenset(opening.options.items())
    return IDLE.lent((opening.path, options, overview_level, file_version))


VERSIONS = Versions(most=4096, fresh_s=IDLE.longest_s)
"""Of remote rasters, where blocks are kept on disk."""


def present_version(path: str) -> str | None:
    """Return what tells a remote raster from the one that it replaced, None if nothing does; inside `admitted`.

    It is asked for before anything is read and again after some minutes, when what was read before is forgotten: nothing
    is taken for a part of this version that is of an earlier one.
    """
    known = VERSIONS.get(path)
    if known is not None:
        return known[0]
    forget_raster(path)
    found = version(gdal.answer_headers(path))
    VERSIONS.set(path, found)
    return found


def forget_raster(path: str) -> None:
    """Close a remote raster that could not be read, and let GDAL forget what its server answered."""
    VERSIONS.drop(path)
    IDLE.drop(path)
    gdal.forget_answers(path)


_turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_gates: dict[tuple[str, int], threading.BoundedSemaphore] = {}
_gates_lock = threading.Lock()


def _turn(path: str) -> threading.Lock:
    """Return the lock that admits one thread at a time to a remote raster.

    It avoids a deadlock: GDAL lets a thread wait for a range that another one fetches; some calls of rasterio hold the
    GIL while they wait, and the other thread needs the GIL to report an error. It also saves requests: the next thread
    finds the header cached, the raster open and its blocks decoded.
    """
    with _gates_lock:
        return _turns.setdefault(path, threading.Lock())


def _gate(host: str, connections: int) -> threading.BoundedSemaphore:
    """Return the semaphore that limits concurrent reads of a host."""
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
    """Return the messages of an error and of its causes, innermost last, without tokens.

    rasterio's own message is often only that a read failed; GDAL's is in the causes.
    """
    words: list[str] = []
    each: BaseException | None = error
    while each is not None:
        said = shown(str(each)).strip()
        if said and said not in words:
            words.append(said)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "; ".join(words)
