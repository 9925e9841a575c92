"""What goes wrong below a store, said in one line, and told apart by whether waiting can help."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import icechunk

from pipeline.errors import (
    StoreConflictError,
    StoreDamagedError,
    StoreError,
    StoreUnavailableError,
)

ICECHUNK_ERRORS = (icechunk.IcechunkError, icechunk.ConflictError, icechunk.RebaseFailedError)
"""What Icechunk raises: the three have no ancestor of their own."""

CODE = re.compile(r'code: "(\w+)"')
"""How the client of S3 tells the server's name for an error."""
SKEWED = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
PASSING_CODES = {
    "InternalError",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
PASSING = re.compile(
    r"dispatch failure|timed? ?out|connection (refused|reset|closed)|dns error|"
    r"error sending request|(status|status code:?|server error) ?\(?(429|5\d\d)\b",
    re.IGNORECASE,
)
WHERE = re.compile(r"\s*\|\s|\s+at ")
LASTING = re.compile(r"certificate|permission denied|forbidden|unauthorized", re.IGNORECASE)
WORDLESS = re.compile(r"service error", re.IGNORECASE)
"""The server refused, and Icechunk's session has dropped its reason."""
PASSING_NUMBERS = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
}
"""Of a network file system that is not there; a full disk or a lost permission does not pass."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise the errors of Icechunk, of codecs and of the disk as `StoreError`, in one line.

    A lost race is a `StoreConflictError`, a storage that does not answer a
    `StoreUnavailableError`.
    """
    try:
        yield
    except StoreDamagedError as error:
        raise error.during(what) from error.__cause__
    except icechunk.ConflictError as error:
        raise StoreConflictError(
            f"{what}: another run was quicker; start again ({_reason(error)})"
        ) from error
    except (*ICECHUNK_ERRORS, OSError, RuntimeError, json.JSONDecodeError) as error:
        raise as_store_error(what, error) from error


def as_store_error(what: str, error: Exception) -> StoreError:
    """Say in one line what went wrong, and whether waiting can help."""
    text = f"{what}: {_reason(error)}"
    code = _code(error)
    if code in SKEWED:
        return StoreError(
            f"{what}: the clock of this machine differs too much from the store's ({code}): "
            "set it right, e.g. by NTP"
        )
    if "snapshot timestamp" in str(error).lower():
        return StoreError(
            f"{what}: the clock of this machine stands before the newest state of the store: set it "
            f"right, e.g. by NTP, and start again; nothing is lost ({_reason(error)})"
        )
    if not _passes(error, code):
        return StoreError(f"{text} ({code})" if code else text)
    if code:
        return StoreUnavailableError(f"{text} ({code}): the storage is busy, try again later")
    if WORDLESS.search(text) and not PASSING.search(str(error)):
        return StoreUnavailableError(
            f"{text}: the storage gave no reason; if this lasts, check the permission to write"
        )
    return StoreUnavailableError(f"{text}: the storage does not answer, try again later")


def _code(error: Exception) -> str:
    found = CODE.search(str(error))
    return found[1] if found else ""


def _passes(error: Exception, code: str) -> bool:
    """Say whether the same may work later."""
    if isinstance(error, OSError):
        return error.errno in PASSING_NUMBERS or isinstance(error, TimeoutError)
    if code:
        return code in PASSING_CODES
    # Not the lines between, which tell where in Icechunk it happened: they are full of numbers.
    said = "\n".join(line for line in str(error).splitlines() if not WHERE.match(line))
    if LASTING.search(said):
        return False
    return PASSING.search(said) is not None or WORDLESS.search(said) is not None


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0].lstrip("x ")
