"""A server of files with faults, in a process of its own: GDAL holds the GIL while it opens.

::

    python fault_server.py FOLDER        prints its port
    PUT  /_plan/RUN      {"seed": 7, "share": 0.2, "kinds": ["503", "stall"], ...}: see `Plan`
    GET  /_log/RUN       what was asked, and how it was answered
    GET  /_token/RUN     a new token; every token lasts for so many requests
    GET  /RUN/PATH       a file of the folder, or a fault

Every RUN is a URL of its own, so that no run sees what GDAL remembers of another. Which request
meets which fault follows from the seed, the path and how often the path was asked for.
"""

import dataclasses
import hashlib
import http.server
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HTML = b"<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"


@dataclasses.dataclass
class Plan:
    """The faults of one run."""

    seed: int = 0
    share: float = 0.0
    """Of requests that meet a fault."""
    kinds: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """Faults of the first requests of each path; after them `share` counts."""
    broken: dict[str, str] = dataclasses.field(default_factory=dict)
    """Ending of a path -> the fault that it meets every time."""
    token_life: int = 0
    """Requests after which each token expires; 0: none is asked for."""
    stall_s: float = 2.0
    redirect: str = ""
    head: str = ""
    """Fault of every HEAD, as of a host that answers GET alone."""


class State:
    """What the server knows of a run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.log: list[dict[str, object]] = []
        self.tokens: Counter[str] = Counter()
        """Token -> requests that it is still good for."""

    def fault(self, path: str, token: str) -> str:
        """Return the fault that a request meets, or nothing."""
        with self.lock:
            plan, count = self.plan, self.asked[path]
            self.asked[path] += 1
            for ending, kind in plan.broken.items():
                if path.endswith(ending):
                    return kind
            if plan.token_life:
                self.tokens[token] -= 1
                if self.tokens[token] < 0:
                    return "403"
            if count < len(plan.first):
                return plan.first[count]
            draw = random.Random(f"{plan.seed}/{path}/{count}")
            return draw.choice(plan.kinds) if draw.random() < plan.share else ""

    def new_token(self) -> int:
        with self.lock:
            new = len(self.tokens) + 1
            self.tokens[str(new)] = self.plan.token_life
            return new


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    runs: dict[str, State] = {}

    def log_message(self, *_): ...

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.runs[self.path.split("/")[2]] = State(Plan(**json.loads(content)))
        self.answer(b"")

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path)
        run, _, path = parts.path[1:].partition("/")
        if run == "_log":
            state = self.runs[path]
            with state.lock:
                self.answer(json.dumps(state.log).encode())
        elif run == "_token":
            self.answer(str(self.runs[path].new_token()).encode())
        else:
            state = self.runs.setdefault(run, State(Plan()))
            token = parse_qs(parts.query).get("token", [""])[0]
            fault = state.fault(path, token)
            if self.command == "HEAD":
                fault = state.plan.head or fault
            self.serve(state, path, fault)

    def serve(self, state, path, fault):
        file = self.folder / path
        if not fault and not file.is_file():
            fault = "404"
        content = file.read_bytes() if file.is_file() else b""
        first, last = self.range(len(content))
        sent = 0 if self.command == "HEAD" or fault not in ("", "html") else last + 1 - first
        with state.lock:
            state.log.append(
                {
                    "method": self.command,
                    "path": path,
                    "range": self.headers.get("Range"),
                    "fault": fault,
                    "bytes": sent,
                }
            )
        if not fault:
            self.answer(content, 206 if "Range" in self.headers else 200, (first, last))
        elif fault == "html":
            self.answer(HTML)
        elif fault == "redirect":
            self.answer(b"", 302, location=state.plan.redirect)
        elif fault == "reset":
            # Unread, with no time to linger: the other end sees a reset.
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.connection.close()
            self.close_connection = True
        elif fault == "stall":
            time.sleep(state.plan.stall_s)
            self.close_connection = True
        elif fault == "truncated":
            self.answer(
                content, 206 if "Range" in self.headers else 200, (first, last), cut=True
            )
        elif fault == "garbage":
            self.answer(
                bytes(len(content)), 206 if "Range" in self.headers else 200, (first, last)
            )
        else:
            self.answer(b"busy or gone", int(fault))

    def range(self, size):
        asked = self.headers.get("Range")
        if not asked:
            return 0, size - 1
        start, _, stop = asked.removeprefix("bytes=").partition("-")
        return int(start), min(int(stop or size - 1), size - 1)

    def answer(self, content, status=200, span=None, *, cut=False, location=""):
        part = content if span is None else content[span[0] : span[1] + 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {span[0]}-{span[1]}/{len(content)}")
        if status in (200, 206):
            self.send_header("Accept-Ranges", "bytes")
            if content != HTML:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
        if status == 429:
            self.send_header("Retry-After", "1")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part[: len(part) // 2] if cut else part)
        if cut:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_): ...


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
