"""A host of one GeoTIFF at every path; writes method, path and headers of each request as JSON lines."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import MemoryFile


def raster():
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=64,
            height=64,
            count=1,
            dtype="uint16",
            crs="EPSG:32631",
            transform=rasterio.Affine(10, 0, 500000, 0, -10, 5000000),
        ) as target:
            target.write(np.full((64, 64), 7, np.uint16), 1)
        return bytes(memory.getbuffer())


class Handler(BaseHTTPRequestHandler):
    body = raster()
    log = Path(sys.argv[1])

    def answer(self, *, with_body):
        with self.log.open("a") as log:
            log.write(json.dumps([self.command, self.path, dict(self.headers)]) + "\n")
        if self.path.startswith("/elsewhere/"):
            port = self.server.server_address[1]
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{port}/found.tif")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        part, status = self.body, 200
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(part)), len(part) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end}/{len(part)}")
            part, status = part[begin : end + 1], 206
        if status == 200:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if with_body:
            self.wfile.write(part)

    def do_GET(self):
        self.answer(with_body=True)

    def do_HEAD(self):
        self.answer(with_body=False)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Path(sys.argv[2]).write_text(str(server.server_address[1]))
server.serve_forever()
