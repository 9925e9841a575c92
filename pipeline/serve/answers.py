"""Answers: which snapshot they are of, for how long they hold, and what becomes of an expired one."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import Request, Response

from pipeline.errors import StoreError
from pipeline.serve.archives import Archive
from pipeline.serve.problems import Refused, answer_to
from pipeline.serve.state import State

log = logging.getLogger(__name__)

SNAPSHOT = "X-Snapshot"
"""Header with the id of the snapshot that an answer is of."""


def answer(
    request: Request,
    archive: Archive,
    as_of: str | None,
    make: Callable[[State], Response],
    body: bytes = b"",
) -> Response:
    """Answer a request from one snapshot; 304 where whoever asks has the answer already.

    Parameters
    ----------
    make
        Makes the answer of a state.
    body
        Of the request, which its ``ETag`` depends on.
    """
    state = archive.state(as_of)
    headers = headers_of(request, state, as_of, body)
    if headers["ETag"] in _known(request):
        return Response(status_code=304, headers=headers)
    try:
        found = make(state)
    except StoreError as error:
        if archive.is_gone(state):
            raise Refused(
                410, f"snapshot {state.snapshot} was expired meanwhile: ask again"
            ) from error
        return answer_to(error)
    for name, value in headers.items():
        found.headers.setdefault(name, value)
    return found


def headers_of(
    request: Request, state: State, as_of: str | None, body: bytes
) -> dict[str, str]:
    """Return what tells the snapshot of an answer."""
    asked = f"{request.url.path}?{request.url.query}\n{request.headers.get('accept', '')}\n"
    digest = hashlib.sha256(asked.encode() + body).hexdigest()[:20]
    whose = "private" if request.headers.get("x-api-key") else "public"
    # A snapshot never changes, the newest one may be another within seconds.
    until = "max-age=31536000, immutable" if as_of == state.snapshot else "no-cache"
    return {
        "ETag": f'"{state.snapshot}-{digest}"',
        "Cache-Control": f"{whose}, {until}",
        "Vary": "Accept",
        SNAPSHOT: state.snapshot,
    }


def _known(request: Request) -> list[str]:
    given = request.headers.get("if-none-match", "")
    return [each.strip().removeprefix("W/") for each in given.split(",")]


def as_json(content: Any, media_type: str = "application/json") -> Response:  # noqa: ANN401 -- JSON
    """Return JSON; numbers of numpy are numbers, what is not finite is null."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type=media_type
    )


def wants_csv(request: Request, form: str | None) -> bool:
    """Say whether ``f=`` or the header ``Accept`` asks for CSV."""
    if form is not None:
        return form == "csv"
    accepted = request.headers.get("accept", "")
    return "text/csv" in accepted and "json" not in accepted


def dumps(value: object) -> str:
    """Return compact JSON as text."""
    return json.dumps(value, separators=(",", ":"))
