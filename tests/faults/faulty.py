"""Talks to the server of faults."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Faulty:
    """A server of a folder, in a process of its own."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def href(self, run: str, path: Path) -> str:
        """Return the URL of a file in a run."""
        return f"{self.url}/{run}/{path.relative_to(self.folder)}"

    def plan(self, run: str, **plan: Any) -> None:
        """Say which faults a run meets: see `fault_server.Plan`."""
        body = json.dumps(plan).encode()
        self._ask(urllib.request.Request(f"{self.url}/_plan/{run}", body, method="PUT"))

    def log(self, run: str) -> list[dict[str, Any]]:
        return json.loads(self._ask(f"{self.url}/_log/{run}"))

    def token(self, run: str) -> int:
        return int(self._ask(f"{self.url}/_token/{run}"))

    def _ask(self, request: Any) -> bytes:
        # No proxy of this machine's environment.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return answer.read()


@contextmanager
def faulty_server(folder: Path) -> Iterator[Faulty]:
    script = Path(__file__).with_name("fault_server.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Faulty(int(process.stdout.readline()), folder)
        finally:
            process.kill()
