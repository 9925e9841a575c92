"""The map of `pipeline.serve` in a frame of a notebook, from a server in a thread of this process."""

from __future__ import annotations

import threading
import time
from html import escape

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.config import read_settings
from pipeline.errors import ConfigError
from pipeline.serve import make_app
from pipeline.serve.app import WEB
from pipeline.serve.server import listen

HOST = "127.0.0.1"
START_S = 30.0
FRAMED_BY = "frame-ancestors http://localhost:* http://127.0.0.1:* vscode-webview:"
"""Pages that may show the map in a frame: notebooks of this machine."""


class Map:
    """The map of a store; a notebook shows it in a frame. It ends with `close`, or with the process."""

    def __init__(self, store: str, *, height: int) -> None:
        self._height = height
        self._server, self._thread, port = _serve(store)
        self.url = f"http://{HOST}:{port}/"

    def close(self) -> None:
        """Stop the server."""
        self._server.should_exit = True
        self._thread.join()

    def __repr__(self) -> str:
        return f"Map({self.url})"

    def _repr_html_(self) -> str:
        url = escape(self.url)
        return (
            f'<iframe src="{url}" title="Map of the archive" width="100%" height="{self._height}" '
            f'style="border: 1px solid #ccc"></iframe><a href="{url}" target="_blank">{url}</a>'
        )


def explore(store: str, *, height: int = 640) -> Map:
    """Serve a store's map on the loopback address of this machine.

    Parameters
    ----------
    store
        Path or URL of the store.
    height
        Of the frame, pixels.

    Raises
    ------
    ConfigError
        The map is not built: a checkout without ``make web``.
    """
    if not (WEB / "index.html").is_file():
        raise ConfigError(
            "explore() shows the web map, which is not built: run `make web` in the checkout; wheels have it"
        )
    return Map(store, height=height)


def _serve(store: str) -> tuple[uvicorn.Server, threading.Thread, int]:
    settings = read_settings().serve.model_copy(update={"api_key": None})
    app = TrustedHostMiddleware(
        _Framed(make_app({"archive": store}, settings)), allowed_hosts=[HOST, "localhost"]
    )
    listening = listen(HOST, 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise ConfigError(f"the server of the map did not start within {START_S:.0f} s")
        time.sleep(0.02)
    return server, thread, listening.getsockname()[1]


class _Framed:
    """Lets notebooks of this machine show pages in a frame, which the server refuses everybody otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                del headers["X-Frame-Options"]
                policy = headers.get("Content-Security-Policy", "")
                headers["Content-Security-Policy"] = policy.replace(
                    "frame-ancestors 'none'", FRAMED_BY
                )
            await send(message)

        await self._app(scope, receive, sent)
