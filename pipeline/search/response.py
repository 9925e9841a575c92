"""A response of a catalogue as a JSON object, or as an attempt that failed."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from urllib3.util import Retry

from pipeline.access import FailedAttempt, Verdict
from pipeline.access.failures import verdict_of_status
from pipeline.errors import CatalogUnavailableError, SearchError
from pipeline.search.documents import parse_json
from pipeline.search.limits import RequestLimits
from pipeline.search.reaching import plain
from pipeline.shown import excerpt
from pipeline.watch import fit

TOO_LARGE = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
)
"""Statuses that servers return when a page is too large for them (Element84/earth-search#17)."""


class FailedRequest(FailedAttempt):
    """A request without an answer that can be used."""

    def __init__(
        self,
        reason: str,
        verdict: Verdict = Verdict.TRANSIENT,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        deadline: float = math.inf,
    ) -> None:
        super().__init__(fit(reason), verdict, retry_after_s=retry_after_s, deadline=deadline)
        self.status = status
        """HTTP status; none: there was no whole answer."""

    @property
    def error(self) -> type[SearchError]:
        """The error to raise once no further attempt is made."""
        # Earth Search answers 403 when it throttles (Element84/earth-search#19).
        passes = self.verdict in (Verdict.TRANSIENT, Verdict.FORBIDDEN)
        return CatalogUnavailableError if passes or self.status == 413 else SearchError


def content(response: requests.Response, limits: RequestLimits, ends: float) -> bytes:
    """Read a response whole.

    Parameters
    ----------
    response
        Opened as a stream.
    limits
        How large it may be.
    ends
        Time of `time.monotonic` by which it must be complete.

    Raises
    ------
    FailedRequest
        It is cut off, stalls, is too large, or never ends.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := response.raw.read1(2**20, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > limits.document_bytes:
                what = (
                    f"{excerpt(response.url, 200)} is larger than {limits.document_bytes} bytes"
                )
                raise FailedRequest(what, Verdict.PERMANENT)
            if time.monotonic() > ends:
                raise FailedRequest(f"its answer was not complete in {limits.answer_s:g} s")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise FailedRequest(plain(error)) from error
    return b"".join(chunks)


def json_object(response: requests.Response, content: bytes) -> dict[str, Any]:
    """Return the JSON object that a response is.

    Raises
    ------
    FailedRequest
        Its status is no success, or it is no JSON object.
    """
    start = excerpt(content[:3000].decode("utf-8", "replace"))
    if not response.ok:
        raise _failed_status(response, start)
    try:
        document = parse_json(content)
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type", "no content type")
        what = f"{excerpt(response.url, 200)} answered no JSON but {start!r} ({kind})"
        raise FailedRequest(what, Verdict.MALFORMED) from None
    if not isinstance(document, dict):
        what = f"{excerpt(response.url, 200)} answered {start!r}, expected a JSON object"
        raise FailedRequest(what, Verdict.PERMANENT)
    # Some servers report a rate limit with status 200 (e-sensing/sits#1560).
    if document.get("code") in (429, "429", "TooManyRequests") and "features" not in document:
        what = f"429 in disguise: {start}"
        raise FailedRequest(what, status=429, retry_after_s=_retry_after_s(response))
    return document


def _failed_status(response: requests.Response, start: str) -> FailedRequest:
    status = response.status_code
    verdict = verdict_of_status(status)
    if status == HTTPStatus.UNAUTHORIZED:
        # There is no token here that could be renewed.
        verdict = Verdict.PERMANENT
    try:
        reason = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        reason = str(status)
    if start:
        reason += f": {start}"
    if verdict is Verdict.FORBIDDEN:
        reason += " (it throttles, or wants a login)"
    wait_s = None if verdict is Verdict.PERMANENT else _retry_after_s(response)
    return FailedRequest(reason, verdict, status=status, retry_after_s=wait_s)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the seconds of Retry-After, which may also be a date."""
    text = response.headers.get("retry-after")
    try:
        return Retry().parse_retry_after(text) if text else None
    except urllib3.exceptions.InvalidHeader:
        return None
