"""A server on loopback whose answers a test scripts, and a STAC API on it."""

import gzip
import json
import socket
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from pipeline.access import RetryPolicy
from pipeline.search import RequestLimits

QUICK = RequestLimits(
    connect_s=1,
    silence_s=0.3,
    answer_s=0.6,
    search_s=8,
    retry=RetryPolicy(first_wait_s=0.01, total_s=5),
)
PATIENT = replace(QUICK, silence_s=10, answer_s=20, search_s=120)
"""Where no server is slow on purpose: a busy machine is none either."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict
    body: dict


@dataclass
class Answer:
    """What the server says; `fault` says what goes wrong with it on the wire."""

    document: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    raw: bytes | None = None
    fault: str = ""

    def content(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.document).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), body)
        self.server.asked.append(asked)
        self.send(self.server.answer(asked))

    do_POST = do_GET

    def send(self, answer):
        if answer.fault == "reset":
            # Linger 0: closing sends RST.
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
            self.close_connection = True
            self.connection.close()
            return
        content = answer.content()
        if answer.headers.get("Content-Encoding") == "gzip":
            content = gzip.compress(content)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Type" not in answer.headers:
            self.send_header("Content-Type", "application/geo+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if answer.fault == "truncate":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif answer.fault == "stall":
            self.wfile.write(content[:10])
            self.wfile.flush()
            self.server.stopping.wait(20)
            self.close_connection = True
        elif answer.fault == "trickle":
            self.trickle(content)
        else:
            self.wfile.write(content)

    def trickle(self, content):
        """One byte at a time, each soon enough for a time limit of silence."""
        try:
            for byte in content:
                self.wfile.write(bytes([byte]))
                if self.server.stopping.wait(0.05):
                    break
        except OSError:
            pass
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = []
        self.answer = lambda _: Answer({}, status=404)
        self.stopping = threading.Event()

    def handle_error(self, *_):
        """A client that gave up is no error of the server."""


CORE = "https://api.stacspec.org/v1.0.0/core"
SEARCH = "https://api.stacspec.org/v1.0.0/item-search"


@dataclass
class Api:
    """A STAC API over a list of items that pages and, if told to, filters; the common part of three."""

    server: Server
    items: list
    conforms: tuple = (CORE, SEARCH)
    root: str = "/v1"
    largest: int = 10_000
    """More items than this on a page end in 502."""

    def __call__(self, asked):
        if asked.path.rstrip("/") == self.root:
            return Answer(self.landing())
        assert asked.path == f"{self.root}/search", asked.path
        return self.page(asked.body or asked.query)

    def landing(self):
        url = self.server.url + self.root
        search = {"rel": "search", "type": "application/geo+json", "href": f"{url}/search"}
        return {
            "type": "Catalog",
            "id": "api",
            "stac_version": "1.0.0",
            "description": "",
            "conformsTo": list(self.conforms),
            "links": [
                {"rel": "root", "type": "application/json", "href": f"{url}/"},
                {**search, "method": "GET"},
                {**search, "method": "POST"},
            ],
        }

    def page(self, body):
        limit = int(body["limit"])
        start = self.start(body)
        features = self.items[start : start + limit]
        if len(features) > self.largest:
            return Answer(raw=b'{"message": "Internal server error"}', status=502)
        more = start + limit < len(self.items)
        links = self.links(body, features) if more else []
        return Answer({"type": "FeatureCollection", "features": features, "links": links})

    def start(self, body):
        return int(body.get("token", 0))

    def links(self, body, features):
        token = str(self.start(body) + len(features))
        href = f"{self.server.url}{self.root}/search"
        return [
            {"rel": "next", "method": "POST", "href": href, "body": {**body, "token": token}}
        ]
