"""``python -m pipeline.testing.file_host FOLDER LOG [LATENCY_MS [ADDRESS]]``: files over HTTP on loopback, ranges too.

Every line of LOG is one answer: path, first byte and first after, as JSON. The port is written to the file ADDRESS, or printed. It
runs in a process of its own, because GDAL reads from it while it holds the interpreter of the reader.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Host(ThreadingHTTPServer):
    """Serves a folder, each answer some seconds late."""

    daemon_threads = True

    def __init__(self, folder: Path, log: Path, latency_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.latency_s = folder.resolve(), latency_s
        self._log, self._lock = log.open("a"), threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that end in the midst of a connection."""

    def note(self, path: str, start: int, stop: int) -> None:
        """Log an answer."""
        with self._lock:
            print(json.dumps([path, start, stop]), file=self._log, flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Host

    def do_GET(self) -> None:
        """Answer with a range of a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        time.sleep(self.server.latency_s)
        path = unquote(urlsplit(self.path).path)
        file = (self.server.folder / path.lstrip("/")).resolve()
        found = file.is_relative_to(self.server.folder) and file.is_file()
        size = file.stat().st_size if found else 0
        start, stop, asked = 0, size, self.headers.get("Range", "")
        ranged = found and asked.startswith("bytes=")
        if ranged:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or size), size - 1) + 1
        self.send_response((206 if ranged else 200) if found else 404)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        if found:
            self.send_header("ETag", f'"{_digest(file, file.stat().st_mtime_ns, size)}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        # Before it is sent: whoever has read it finds it in the log.
        self.server.note(path, start, stop if with_body else start)
        self.end_headers()
        if with_body and found:
            with file.open("rb") as opened:
                opened.seek(start)
                self.wfile.write(opened.read(stop - start))

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@functools.lru_cache(maxsize=4096)
def _digest(file: Path, _changed: int, _size: int) -> str:
    """Name what a file holds, so that the same written again has the same name."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:16]


def main(folder: str, log: str, latency_ms: str = "0", address: str = "") -> None:
    """Serve until killed."""
    host = Host(Path(folder), Path(log), float(latency_ms) / 1e3)
    if address:
        Path(address).write_text(str(host.server_port))
    else:
        print(host.server_port, flush=True)
    host.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
