"""Errors below a store: one line each, and whether waiting can help."""

import errno

import icechunk
import pytest

from pipeline.errors import StoreConflictError, StoreError, StoreUnavailableError
from pipeline.store.base.translate_errors import explained

S3 = """  x error writing object to object store service error
  |
  | context:
  |    0: icechunk::storage::s3::put
  |              at icechunk/src/storage/s3.rs:503
  |
  |-> service error
  `-> Error { code: "CODE", message: "broken" }
"""


def told(error: Exception) -> StoreError:
    with pytest.raises(StoreError) as caught, explained("cannot do it"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        S3.replace("CODE", "SlowDown"),
        S3.replace("CODE", "InternalError"),
        "error getting object from object store dispatch failure",
        "session error: error writing object to object store service error",
        "Generic S3 error: Server returned non-2xx status code: 503 Service Unavailable",
        "Generic GCS error: HTTP status server error (502 Bad Gateway) for url",
        "Generic Azure error: error sending request for url",
        "operation timed out",
    ],
)
def test_what_passes(text):
    error = told(icechunk.IcechunkError(text))
    assert isinstance(error, StoreUnavailableError)
    assert error.retryable
    assert str(error).startswith("cannot do it: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        S3.replace("CODE", "AccessDenied"),
        S3.replace("CODE", "NoSuchBucket"),
        S3.replace("CODE", "RequestTimeTooSkewed"),
        "client error (Connect) dispatch failure: invalid peer certificate",
        "Generic S3 error: Server returned non-2xx status code: 403 Forbidden",
        "object store error Generic LocalFileSystem error: No space left on device (os error 28)",
        "snapshot not found, id: `503`",
    ],
)
def test_what_does_not(text):
    error = told(icechunk.IcechunkError(text))
    assert not error.retryable
    assert "\n" not in str(error)


def test_files_of_a_server_that_is_not_there():
    assert told(OSError(errno.ESTALE, "Stale file handle")).retryable
    assert told(OSError(errno.EIO, "Input/output error")).retryable
    assert told(TimeoutError("timed out")).retryable
    assert not told(OSError(errno.ENOSPC, "No space left on device")).retryable
    assert not told(PermissionError(errno.EACCES, "Permission denied")).retryable


def test_a_lost_race_is_a_conflict():
    assert isinstance(told(icechunk.ConflictError("a", "b")), StoreConflictError)


def test_a_clock_is_named_with_what_to_do():
    error = told(icechunk.IcechunkError(S3.replace("CODE", "RequestTimeTooSkewed")))
    assert "clock of this machine" in str(error)
    assert "NTP" in str(error)


def test_a_clock_that_went_back_is_named(tmp_path):
    text = "invalid snapshot timestamp ordering. parent: `2026-11-30`, child: `2020-01-01`"
    error = told(icechunk.IcechunkError(text))
    assert not error.retryable
    assert "clock of this machine stands before" in str(error)
    assert "NTP" in str(error)
