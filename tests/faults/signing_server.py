"""A server whose documents open only to who brings the signature, and which tells it to everybody who does not.

::

    python signing_server.py FOLDER      prints its port

FOLDER/rules.json, read anew at every request, says by path: ``query`` and ``headers`` that a request must bring;
``status``, ``location`` and ``body`` of its answer. A path without a rule is a file of the folder.
"""

import http.server
import json
import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def log_message(self, *_): ...

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path)
        rules = json.loads((self.folder / "rules.json").read_text())
        rule = rules.get(parts.path, {})
        brought = dict(parse_qsl(parts.query, keep_blank_values=True))
        wanted, headers = rule.get("query", {}), rule.get("headers", {})
        if any(brought.get(name) != value for name, value in wanted.items()):
            self.refuse(f"expected {parts.path}?{json.dumps(wanted)}")
        elif any(self.headers.get(name) != value for name, value in headers.items()):
            self.refuse(f"expected {json.dumps(headers)}")
        elif "status" in rule or "body" in rule:
            body = rule.get("body", "")
            content = body if isinstance(body, str) else json.dumps(body)
            # As busy servers do: what was asked stands in the answer.
            content = content.replace("{asked}", self.path)
            self.answer(content.encode(), rule.get("status", 200), rule.get("location", ""))
        else:
            self.send_file(self.folder / unquote(parts.path)[1:])

    def refuse(self, words):
        self.answer(f"{words}, found {self.path}".encode(), 403)

    def send_file(self, file):
        if not file.is_file():
            self.answer(f"there is no {self.path}".encode(), 404)
            return
        content = file.read_bytes()
        asked = self.headers.get("Range")
        if not asked:
            self.answer(content)
            return
        start, _, stop = asked.removeprefix("bytes=").partition("-")
        last = min(int(stop or len(content) - 1), len(content) - 1)
        span = f"bytes {start}-{last}/{len(content)}"
        self.answer(content[int(start) : last + 1], 206, span=span)

    def answer(self, content, status=200, location="", span=""):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if span:
            self.send_header("Content-Range", span)
        if location:
            self.send_header("Location", location)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_): ...


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
