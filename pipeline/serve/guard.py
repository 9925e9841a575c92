"""What stands before every request: size of the body, API key, security headers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.config import ServeSettings
from pipeline.serve import patience
from pipeline.serve.problems import problem

OPEN = ("/", "/index.html", "/health/live", "/health/ready", "/assets")
"""Paths that need no key: the page of the map, which asks for one, and the probes."""

HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
"""Links in answers begin with it."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), payment=()",
}
MAP_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:{basemap}; "
    "connect-src 'self'{basemap}; worker-src 'self' blob:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""For pages: nothing from elsewhere but tiles of a basemap that is set. MapLibre sets styles of elements and starts workers from blobs."""

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class TooLarge(Exception):
    """A body is larger than is allowed."""


class Guard:
    """Bounds bodies, asks for the key, adds headers."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._most = int(settings.max_body_bytes)
        self._key = settings.api_key
        self._seconds = settings.max_seconds
        basemap = f" {settings.basemap_origin}" if settings.basemap else ""
        self._policy = MAP_POLICY.format(basemap=basemap)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = _with_headers(send, self._policy)
        refusal = self._refusal(scope)
        if refusal is not None:
            await problem(*refusal)(scope, receive, sent)
            return
        await self._bounded(scope, receive, sent)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers, path = Headers(scope=scope), scope["path"]
        if self._key is not None and path not in OPEN and not path.startswith("/assets/"):
            given = headers.get("x-api-key", "").encode()
            if not secrets.compare_digest(given, self._key.get_secret_value().encode()):
                return 401, "expected the server's key in the header X-API-Key"
        if not HOST.fullmatch(headers.get("host", "")):
            return 400, "expected a host name in the header Host"
        if headers.get("content-encoding", "identity") != "identity":
            return 415, "expected a body that is not compressed"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:18]) > self._most:
            return 413, self._too_large
        return None

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self._most} bytes, the most"

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, begun = 0, False
        watched = patience.Watched(receive, patience.start(self._seconds))

        async def counted() -> Message:
            nonlocal size
            message = await watched.receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        if scope["method"] in ("GET", "HEAD"):
            watched.watch()
        try:
            await self._app(scope, counted, noted)
        except TooLarge:
            if not begun:
                await problem(413, self._too_large)(scope, receive, send)
        finally:
            watched.end()


def _with_headers(send: Send, policy: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if headers.get("content-type", "").startswith("text/html"):
                headers.setdefault("Content-Security-Policy", policy)
        await send(message)

    return sent


def protect(app: FastAPI, settings: ServeSettings) -> None:
    """Put the guard before an application, and answers for other origins where they are allowed."""
    app.add_middleware(Guard, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-API-Key"],
            expose_headers=["ETag", "X-Snapshot", "X-Overviews"],
        )
