"""No test asks a name server or leaves the loopback; none sees the accounts of who runs it."""

import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.access import network, signing
from pipeline.access.open_location import _DISTRUSTED

VARIABLES = (
    *(
        f"CLOUDMASK_{name}"
        for name in (
            "CDSE_S3_KEY",
            "CDSE_S3_SECRET",
            "EARTHDATA_TOKEN",
            "PLANETARY_COMPUTER_KEY",
        )
    ),
    *("EARTHDATA_TOKEN", "PC_SDK_SUBSCRIPTION_KEY", "NETRC"),
    *("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
)


@pytest.fixture(autouse=True)
def _nobody_in_particular(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(autouse=True)
def _nothing_remembered():
    for memory in (network._NAMES, network._TARGETS, signing.TOKENS, _DISTRUSTED):
        memory.clear()


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """The name server of the tests: what is not in this table does not exist."""
    table = {"127.0.0.1": ["127.0.0.1"]}
    asked = []

    def lookup(host, port, *args, **kwargs):
        asked.append(host)
        if host not in table:
            raise socket.gaierror(f"{host} is unknown here")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in table[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    table["asked"] = asked
    return table


class Server:
    """A host on the loopback that answers by a function of the path and remembers what it was asked."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                answer = outer.answers.get(self.path.partition("?")[0], (404, {}, b""))
                status, headers, body = answer() if callable(answer) else answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def asked(self, path):
        return sum(asked.partition("?")[0] == path for asked, _ in self.requests)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server():
    found = Server()
    yield found
    found.close()


@pytest.fixture
def second_server():
    found = Server()
    yield found
    found.close()


@pytest.fixture
def raster_server(tmp_path):
    """A host in a process of its own, as GDAL holds Python's lock while it reads: (URL, log)."""
    log = tmp_path / "requests.log"
    ready = tmp_path / "port"
    script = Path(__file__).with_name("raster_server.py")
    process = subprocess.Popen([sys.executable, str(script), str(log), str(ready)])
    try:
        for _ in range(500):
            if ready.is_file() and ready.read_text():
                break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{ready.read_text()}", log
    finally:
        process.terminate()
        process.wait()
