"""``python -m tests.nights.file_host FOLDER LOG ADDRESS``: files over HTTP, ranges too, and what was asked.

Each line of LOG is one answer: path and bytes. The port is written to ADDRESS. In a process of its
own, because GDAL reads from it while it holds the interpreter of the tests.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Host(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder.resolve()
        self._log = log.open("a")
        self._lock = threading.Lock()

    def note(self, path: str, n_bytes: int) -> None:
        with self._lock:
            print(json.dumps([path, n_bytes]), file=self._log, flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Host

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        file = (self.server.folder / path.lstrip("/")).resolve()
        if not file.is_relative_to(self.server.folder) or not file.is_file():
            self._send(404, b"", {}, with_body=with_body)
            self.server.note(path, 0)
            return
        whole = file.read_bytes()
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(whole)), len(whole) - 1)
            said = {"Content-Range": f"bytes {start}-{end}/{len(whole)}"}
            part, status = whole[start : end + 1], 206
        else:
            part, status, said = whole, 200, {}
        said["ETag"] = f'"{hashlib.sha256(whole).hexdigest()[:16]}"'
        # Before it is sent: whoever has read it finds it in the log.
        self.server.note(path, len(part) if with_body else 0)
        self._send(status, part, said, with_body=with_body)

    def _send(self, status: int, part: bytes, said: dict[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in said.items():
            self.send_header(name, value)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if with_body:
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    host = Host(Path(sys.argv[1]), Path(sys.argv[2]))
    Path(sys.argv[3]).write_text(str(host.server_port))
    host.serve_forever()
