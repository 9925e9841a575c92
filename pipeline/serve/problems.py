"""Errors as answers: problem details for HTTP (RFC 9457), without paths, URLs or tracebacks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from pipeline.errors import (
    CloudmaskError,
    NotArchivedError,
    QueryError,
    StoreUnavailableError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Refused(CloudmaskError):
    """A request that is answered with a status of 400 to 499; its message is shown to whoever asked."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status

    def __reduce__(self) -> tuple[type[Refused], tuple[int, str]]:
        """Allow pickling."""
        return type(self), (self.status, str(self))


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str
    """The words of the status."""
    status: int
    detail: str
    """What was expected, and what to do."""


STATUS: tuple[tuple[type[CloudmaskError], int], ...] = (
    (NotArchivedError, 404),
    (QueryError, 422),
)
"""Errors whose message is about the request, not about the store, and is shown."""

HIDDEN = "the archive cannot be read at present: try again; whoever runs this server finds the reason in its log"
FAILED = "the server failed: whoever runs it finds the reason in its log"

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (400, 401, 404, 405, 406, 410, 413, 422, 500, 503)
}
"""For the OpenAPI document of every route."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an answer of this status."""
    # 499: nobody reads it.
    title = HTTPStatus(status).phrase if status != 499 else "Closed"
    content = Problem(title=title, status=status, detail=detail)
    return JSONResponse(
        content.model_dump(),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        MEDIA_TYPE,
    )


def handle_errors(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""
    app.add_exception_handler(CloudmaskError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unexpected)


def answer_to(error: CloudmaskError) -> JSONResponse:
    """Return the answer that an error of ours becomes."""
    if isinstance(error, Refused):
        return problem(error.status, str(error))
    for kind, status in STATUS:
        if isinstance(error, kind):
            return problem(status, str(error))
    log.error("%s: %s", type(error).__name__, error)
    if isinstance(error, StoreUnavailableError):
        return problem(503, HIDDEN, {"Retry-After": "5"})
    return problem(500, HIDDEN)


def _of_ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CloudmaskError)
    return answer_to(error)


def _of_parameters(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(422, "; ".join(_mistake(each) for each in error.errors()[:5]))


def _mistake(found: Mapping[str, Any]) -> str:
    where = ".".join(str(each) for each in found["loc"][1:]) or str(found["loc"][0])
    return f"{where:.80}: {found['msg']:.200}"


def _of_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), error.headers)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, FAILED)
