"""One raster of an item, opened and read with patience.

::

    read_asset(ref, use)
      └── a try ── access.opening   may it be read, and with which token?
          │        gate of its host at most so many reads at once
          │        datasets.opened  GDAL set up in this thread, the raster checked
          └──────  use(raster)
          failed:  for ever → AssetError
                   for now  → wait, let GDAL forget the answer, the next try

Whoever wants more patience, or less, passes it: `Patience`.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar
from weakref import WeakValueDictionary

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from pipeline import access
from pipeline.cube import datasets, gdal
from pipeline.errors import AccessError, AssetError, AssetUnavailableError
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a read is tried."""

    tries: int = 6
    first_wait_s: float = 0.5
    """Before the second try; doubled before each next one, and shortened by up to a half."""
    longest_wait_s: float = 16.0
    total_s: float = 90.0
    """After so long no further try is made."""
    timeout_s: float = 30.0
    """A request without an answer is given up."""

    def wait_s(self, tried: int) -> float:
        """Return the wait after so many tries, jittered: many readers fail at once."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (tried - 1))
        return longest * random.uniform(0.5, 1.0)


PATIENCE = Patience()
"""What is taken where no other is passed."""

FEW_TRIES = 3
"""Tries that end in 401 or 403, which a throttled host says, too, or find the raster unfit."""

IDLE = datasets.Idle(most=64, longest_s=300.0)
"""Rasters of other machines that are kept open: a block is read without asking for its header."""


def read_asset(
    ref: AssetRef,
    use: Callable[[DatasetReader], T],
    *,
    overview_level: int | None = None,
    patience: Patience | None = None,
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
    patience
        How long it is tried.

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
    effort = _Effort(ref, patience or PATIENCE)
    while True:
        opening = None
        try:
            opening = access.opening(ref.href, remote=ref.remote, hosts=ref.hosts)
            return _read(opening, use, overview_level, effort.patience.timeout_s)
        except FAILURES as error:
            effort.failed(error, here=opening is not None and opening.host is None)
        effort.wait()


def _read(
    opening: access.Opening,
    use: Callable[[DatasetReader], T],
    overview_level: int | None,
    timeout_s: float,
) -> T:
    """Try once."""
    options = dict(opening.options)
    with datasets.environment(options, timeout_s):
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


class Trouble(Enum):
    """What a failure means for the next try."""

    LASTING = "a later try fails, too"
    PASSING = "a later try may succeed"
    FORBIDDEN = "with another token it may succeed"
    UNCLEAR = "broken by nature, or on the way"
    UNFIT = "not fit to be read, or half of its header came"


GONE, REFUSED, BUSY = (404, 410), (401, 403), (408, 425, 429)

STATUS = re.compile(
    r"(?:HTTP\D{0,24}|response_?code\D{0,3}|returned error: )([45]\d\d)\b", re.IGNORECASE
)
"""Where GDAL and curl tell a status; a bare number may be a date in a path."""

PASSING = re.compile(
    r"timed? ?out|failed to connect|could ?n.t connect|connection (?:reset|refused|aborted|was|died)"
    r"|could ?n.t resolve|could not (?:connect|resolve)|transfer closed|empty reply|recv failure|bytes missing|remaining to read",
    re.IGNORECASE,
)
"""What GDAL and curl say of networks that may recover."""


class _Effort:
    """How often a read was tried, and with what success."""

    def __init__(self, ref: AssetRef, patience: Patience) -> None:
        self.patience = patience
        self._ref = ref
        self._begun = time.monotonic()
        self._tried = 0
        self._few = 0
        self._wait_s = 0.0

    def failed(self, error: Exception, *, here: bool) -> None:
        """Take note of a failure of a file of this machine, or of another.

        Raises
        ------
        AssetError, AssetUnavailableError
            No further try is made.
        """
        self._tried += 1
        said = _said(error)
        trouble = _trouble(error, said)
        self._few += trouble in (Trouble.FORBIDDEN, Trouble.UNFIT)
        if trouble in (Trouble.FORBIDDEN, Trouble.LASTING):
            access.forget(self._ref.href)
        self._wait_s = self.patience.wait_s(self._tried)
        spent = time.monotonic() - self._begun + self._wait_s
        if (
            here
            or trouble is Trouble.LASTING
            or self._few >= FEW_TRIES
            or self._tried >= self.patience.tries
            or spent > self.patience.total_s
        ):
            kind = AssetUnavailableError if trouble is Trouble.PASSING else AssetError
            tries = f" (tried {counted(self._tried, 'time')})" if self._tried > 1 else ""
            raise kind(
                self._ref.item_id, self._ref.asset, f"cannot be read: {said}{tries}"
            ) from error

    def wait(self) -> None:
        """Wait for the next try."""
        time.sleep(self._wait_s)


def _trouble(error: Exception, said: str) -> Trouble:
    if isinstance(error, AccessError):
        return Trouble.PASSING if error.retryable else Trouble.LASTING
    if isinstance(error, (ValueError, TypeError)):
        return Trouble.UNFIT
    statuses = {int(status) for status in STATUS.findall(said)}
    if statuses.intersection(GONE):
        return Trouble.LASTING
    if statuses.intersection(REFUSED):
        return Trouble.FORBIDDEN
    if PASSING.search(said) or any(each >= 500 or each in BUSY for each in statuses):
        return Trouble.PASSING
    return Trouble.UNCLEAR


def _said(error: BaseException) -> str:
    """Return the words of an error and of its causes, innermost last, without tokens.

    rasterio's wrapper often says only that a read failed; GDAL's own words are in the causes.
    """
    words: list[str] = []
    each: BaseException | None = error
    while each is not None:
        said = access.shown(str(each)).strip()
        if said and said not in words:
            words.append(said)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "; ".join(words)
