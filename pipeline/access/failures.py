"""Which failures are worth another attempt: one table for catalogues, rasters, stores and runs.

==============================================================  =========  ==========================
failure                                                         verdict    attempts of one call
==============================================================  =========  ==========================
HTTP 408, 425, 429 and 5xx, but 501 and 505                     TRANSIENT  as many as the policy has
S3's SlowDown, InternalError, Throttling … (`TRANSIENT_CODES`)  TRANSIENT  "
no connection, no name, a cut or silent one (`NETWORK`)         TRANSIENT  "
EIO, ESTALE, ETIMEDOUT … of a network disk (`TRANSIENT_ERRNOS`) TRANSIENT  "
our own errors whose class says `retryable`                     TRANSIENT  "
any other error of GDAL, curl or the disk                       UNKNOWN    "
HTTP 401 and 403                                                FORBIDDEN  4: throttled hosts say it, too
no JSON, no raster, half of a header                            MALFORMED  3: a cut answer looks alike
other HTTP 4xx, 501, 505; certificates; permissions             PERMANENT  1
our own errors otherwise; mistakes in code                      PERMANENT  1
==============================================================  =========  ==========================

`pipeline.access.retry` decides how long to wait in between.
"""

from __future__ import annotations

import errno
import math
import re
from enum import Enum

from pipeline.errors import CloudmaskError


class Verdict(Enum):
    """What a failure means for the next attempt."""

    TRANSIENT = "a later attempt may succeed"
    UNKNOWN = "broken for good, or on the way here"
    FORBIDDEN = "another token, or a less busy host, may help"
    MALFORMED = "broken for good, or a part of it was lost"
    PERMANENT = "a later attempt fails, too"

    @property
    def attempts(self) -> float:
        """Most attempts of one call that may end so."""
        return _ATTEMPTS.get(self, math.inf)


_ATTEMPTS = {Verdict.PERMANENT: 1, Verdict.MALFORMED: 3, Verdict.FORBIDDEN: 4}

TRANSIENT_CODES = {
    "InternalError",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
"""S3's names for errors that pass."""

TRANSIENT_ERRNOS = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
}
"""Of a network disk that is away; a full disk or a lost permission stays so."""

_STATUS = re.compile(
    r"(?:HTTP\D{0,24}|response_?code\D{0,3}|returned error: |status(?: code)?:? ?\(?|server error \(?)"
    r"([45]\d\d)\b",
    re.IGNORECASE,
)
"""Where GDAL, curl and Icechunk's client name a status; a bare number may be a date in a path."""

NETWORK = re.compile(
    r"timed? ?out|failed to connect|(?:could ?n.t|could not) (?:connect|resolve)|dns error"
    r"|connection (?:reset|refused|aborted|closed|was|died)|transfer closed|empty reply|recv failure"
    r"|bytes missing|remaining to read|dispatch failure|error sending request",
    re.IGNORECASE,
)
"""What GDAL, curl and Icechunk's client say of a network that may recover."""

_PHRASES = (
    # Of buckets GDAL tells the words of the storage, and not the status.
    (
        re.compile(
            r"certificate|permission denied|the specified \w+ does not exist", re.IGNORECASE
        ),
        Verdict.PERMANENT,
    ),
    # S3 answers an expired token with 400.
    (
        re.compile(r"forbidden|unauthorized|access ?denied|Expired ?Token", re.IGNORECASE),
        Verdict.FORBIDDEN,
    ),
)
"""Phrases that take precedence over everything else in the text."""


def verdict_of_status(status: int) -> Verdict:
    """Judge an HTTP status that is no success."""
    if status in (401, 403):
        return Verdict.FORBIDDEN
    passes = status in (408, 425, 429) or (status >= 500 and status not in (501, 505))
    return Verdict.TRANSIENT if passes else Verdict.PERMANENT


def verdict_of_text(text: str) -> Verdict:
    """Judge what GDAL, curl or a store's client says: by its phrases and by the statuses in it."""
    for phrase, verdict in _PHRASES:
        if phrase.search(text):
            return verdict
    found = {verdict_of_status(int(status)) for status in _STATUS.findall(text)}
    for verdict in (Verdict.PERMANENT, Verdict.FORBIDDEN, Verdict.TRANSIENT):
        if verdict in found:
            return verdict
    return Verdict.TRANSIENT if NETWORK.search(text) else Verdict.UNKNOWN


def verdict_of_os_error(error: OSError) -> Verdict:
    """Judge an error of the disk or the network by its number, or else by its text."""
    if isinstance(error, TimeoutError) or error.errno in TRANSIENT_ERRNOS:
        return Verdict.TRANSIENT
    return verdict_of_text(str(error)) if error.errno is None else Verdict.PERMANENT


def verdict_of(error: Exception) -> Verdict:
    """Judge our own errors by their class; any other is a mistake in code, or not for us to judge."""
    if isinstance(error, FailedAttempt):
        return error.verdict
    passes = isinstance(error, CloudmaskError) and error.retryable
    return Verdict.TRANSIENT if passes else Verdict.PERMANENT


class FailedAttempt(Exception):
    """A failed attempt of which more is known than a message: verdict, wait, deadline."""

    def __init__(
        self,
        reason: str,
        verdict: Verdict,
        *,
        retry_after_s: float | None = None,
        deadline: float = math.inf,
    ) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.retry_after_s = retry_after_s
        """Seconds that the server asks to wait; none: it did not say."""
        self.deadline = deadline
        """Time of `time.monotonic` after which no attempt begins."""
