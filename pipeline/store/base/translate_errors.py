"""Errors of storage as errors of ours: one line each, classified by whether a retry can help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import icechunk

from pipeline.access import failures
from pipeline.errors import (
    StoreConflictError,
    StoreDamagedError,
    StoreError,
    StoreUnavailableError,
)

ICECHUNK_ERRORS = (icechunk.IcechunkError, icechunk.ConflictError, icechunk.RebaseFailedError)
"""What Icechunk raises: the three have no common base class."""

CODE = re.compile(r'code: "(\w+)"')
"""The S3 client writes the server's error code so."""
SKEWED = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
WHERE = re.compile(r"\s*\|\s|\s+at ")
WORDLESS = re.compile(r"service error", re.IGNORECASE)
"""The server refused, and Icechunk's session has dropped its reason."""


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
    """Return an error as one of ours, in one line, of the class that says whether a retry can help."""
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
    if not _is_transient(error, code):
        return StoreError(f"{text} ({code})" if code else text)
    if code:
        return StoreUnavailableError(f"{text} ({code}): the storage is busy, try again later")
    if WORDLESS.search(text) and not _is_transient(error, code, wordless=False):
        return StoreUnavailableError(
            f"{text}: the storage gave no reason; if this lasts, check the permission to write"
        )
    return StoreUnavailableError(f"{text}: the storage does not answer, try again later")


def _code(error: Exception) -> str:
    found = CODE.search(str(error))
    return found[1] if found else ""


def _is_transient(error: Exception, code: str, *, wordless: bool = True) -> bool:
    """Say whether a retry may succeed; `wordless`: also where the server gave no reason."""
    if isinstance(error, OSError):
        return failures.verdict_of_os_error(error) is failures.Verdict.TRANSIENT
    if code:
        return code in failures.TRANSIENT_CODES
    # Without the lines that name source files of Icechunk: their line numbers look like status codes.
    message = "\n".join(line for line in str(error).splitlines() if not WHERE.match(line))
    verdict = failures.verdict_of_text(message)
    if verdict is failures.Verdict.UNKNOWN:
        return wordless and WORDLESS.search(message) is not None
    return verdict is failures.Verdict.TRANSIENT


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0].lstrip("x ")
