"""A proxy before the S3 server that refuses, hangs up, loses answers, or tells the wrong time."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

CODES = {
    "400": "RequestTimeout",
    "403": "AccessDenied",
    "404": "NoSuchBucket",
    "429": "TooManyRequests",
    "500": "InternalError",
    "503": "SlowDown",
}
"""What S3 calls the errors of a status; a name may be given instead of it: 403:RequestTimeTooSkewed."""

HOP = {"connection", "transfer-encoding", "keep-alive", "content-encoding"}


class Trouble:
    """What goes wrong. By default, nothing does."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.endpoint = ""
        self.requests: Counter[str] = Counter()
        self.struck = 0
        self.clear()

    def clear(self) -> None:
        """Let everything work again."""
        self.kind = ""
        self.when: Callable[[str, str], bool] = lambda method, path: False
        self.left = 0
        self.skew = timedelta(0)
        self.struck = 0

    def strike(self, kind: str, method: str = "", part: str = "", times: int = 10**9) -> None:
        """Break requests.

        `kind` is a status, as text, with S3's name for it after a colon if it is not the usual one
        (``502:`` has no words: it comes from something between); ``lose``: done, but answered with 500; ``cut``: the connection
        is closed without an answer.
        """
        self.kind, self.left, self.struck = kind, times, 0
        self.when = lambda m, path: method in m and part in path

    def strike_each(self, kind: str, method: str, parts: list[str]) -> None:
        """Break the first request for each of the parts."""
        self.strike(kind, times=len(parts))
        waiting = list(parts)

        def first(found: str, path: str) -> bool:
            for part in waiting if found == method else ():
                if part in path:
                    waiting.remove(part)
                    return True
            return False

        self.when = first

    def hits(self, method: str, path: str) -> bool:
        """Say whether a request is broken."""
        self.requests[method] += 1
        if self.left <= 0 or not self.when(method, path):
            return False
        self.left -= 1
        self.struck += 1
        return True


def worded(code: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an error of S3."""
    if not code:
        return {}, b""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>broken</Message></Error>"
    return {"Content-Type": "application/xml"}, text.encode()


class Handler(BaseHTTPRequestHandler):
    """Passes requests on, but for those that trouble hits."""

    protocol_version = "HTTP/1.1"
    trouble: Trouble

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.trouble.kind if self.trouble.hits(self.command, self.path) else ""
        if kind == "cut":
            self.close_connection = True
            self.connection.close()
        elif kind not in ("", "lose"):
            status, colon, code = kind.partition(":")
            self.answer(int(status), *worded(code if colon else CODES.get(status, "")))
        else:
            answer = self.passed_on(body)
            self.answer(*((500, {}, b"") if kind == "lose" else answer))

    def passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with requests.request(
            self.command,
            self.trouble.server + self.path,
            headers=dict(self.headers),
            data=body,
            timeout=30,
            stream=True,
        ) as found:
            return found.status_code, dict(found.headers), found.raw.read()

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        kept = {name: value for name, value in headers.items() if name.lower() not in HOP}
        if self.command != "HEAD" or "Content-Length" not in kept:
            kept["Content-Length"] = str(len(content))
        for name, value in kept.items():
            self.send_header(name, self.skewed(name, value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def skewed(self, name: str, value: str) -> str:
        if name.lower() not in ("last-modified", "date") or not self.trouble.skew:
            return value
        return format_datetime(parsedate_to_datetime(value) + self.trouble.skew, usegmt=True)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

    def log_message(self, *_: object) -> None:
        pass


class Listening(ThreadingHTTPServer):
    """Says nothing of clients that hang up."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def proxy(server: str) -> Iterator[Trouble]:
    """Stand before a server while the block lasts."""
    trouble = Trouble(server)
    listening = Listening(("127.0.0.1", 0), type("Bound", (Handler,), {"trouble": trouble}))
    trouble.endpoint = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield trouble
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
