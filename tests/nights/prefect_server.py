"""A Prefect server of its own, on SQLite, that can be killed and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

from pipeline.config.settings import PREFECT_DEFAULTS
from tests.integration.processes import free_port
from tests.nights.killing import bury

PATIENCE_S = 600.0


class PrefectServer:
    """``prefect server start``."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What makes a flow use it."""
        return {
            "PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api",
            "PREFECT_HOME": str(self._home),
        }

    def ensure(self) -> None:
        """Start it unless it runs; wait until it answers."""
        if self._process is None or self._process.poll() is not None:
            self._home.mkdir(exist_ok=True)
            kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
            arguments = ["server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
            with (self._home / "said").open("ab") as said:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "prefect", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    env=kept | PREFECT_DEFAULTS | {"PREFECT_HOME": str(self._home)},
                    start_new_session=True,
                )
        ends = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError((self._home / "said").read_text()[-3000:])
            time.sleep(0.2)

    def restart(self) -> None:
        """Start it again after it was killed."""
        if self._process is not None:
            self._process.wait(PATIENCE_S)
        self.ensure()

    def processes(self) -> list[psutil.Process]:
        """Return the server's processes."""
        if self._process is None or self._process.poll() is not None:
            return []
        first = psutil.Process(self._process.pid)
        return [*first.children(recursive=True), first]

    def _answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self._port}/api/health"
            with urllib.request.urlopen(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> PrefectServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        bury(self.processes())
        if self._process is not None:
            self._process.wait()
