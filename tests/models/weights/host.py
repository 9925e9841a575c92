"""A host of weights on this machine, in a process of its own: ``python host.py FOLDER``.

Prints its port. Paths ask for what is to go wrong: ``/plain/NAME``, ``/cut/NAME`` (half of the promised
bytes), ``/endless/NAME``, ``/moved/NAME`` (a redirect), ``/broken/NAME`` (status 500).
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])


class Host(BaseHTTPRequestHandler):
    def do_GET(self):
        _, how, name = self.path.split("/", 2)
        with (FOLDER / "asked.txt").open("a") as log:
            log.write(f"{self.path}\n")
        if how == "moved":
            self.send_response(302)
            self.send_header("Location", f"/plain/{name}")
            self.end_headers()
            return
        path = FOLDER / name
        if how == "broken" or not path.is_file():
            self.send_error(500 if how == "broken" else 404)
            return
        content = path.read_bytes()
        self.send_response(200)
        if how != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if how == "cut" else content)
        while how == "endless":
            self.wfile.write(b"\0" * 65536)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
print(server.server_port, flush=True)
server.serve_forever()
