"""A server of files that is busy at first: it knows ranges, as GDAL asks for them."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def busy_server(folder: Path, *, fails: int, status: int = 503) -> Iterator[str]:
    """Serve a folder at the URL that is yielded; the first requests fail."""
    left = [fails]

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_): ...

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = folder / self.path.lstrip("/")
            if left[0] > 0:
                left[0] -= 1
                self.send_error(status)
            elif path.is_file():
                self.answer(path.read_bytes())
            else:
                self.send_error(404)

        def answer(self, content):
            asked = self.headers.get("Range")
            first, last = 0, len(content) - 1
            if asked:
                start, _, stop = asked.removeprefix("bytes=").partition("-")
                first, last = int(start), min(int(stop or last), last)
            self.send_response(206 if asked else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last + 1 - first))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[first : last + 1])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
