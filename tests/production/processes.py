"""Processes that a test kills and starts again, and that never outlive it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


def wait_until(what: str, ready: Callable[[], object], patience_s: float = 300.0) -> object:
    """Return the first true answer; fail when it takes too long."""
    ends = time.monotonic() + patience_s
    while not (answer := ready()):
        assert time.monotonic() < ends, f"after {patience_s:.0f} s still not: {what}"
        time.sleep(0.2)
    return answer


class Service:
    """A command that runs until it is told to end, with all that it started."""

    def __init__(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], folder: Path, log: Path
    ) -> None:
        self._command = [str(each) for each in command]
        self._env = dict(env)
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                # The kernel ends it when the tests are killed and nobody else can.
                ["setpriv", "--pdeathsig", "KILL", "--", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._folder,
                start_new_session=True,
            )

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it started, youngest first."""
        assert self._process is not None
        try:
            parent = psutil.Process(self._process.pid)
            return [*reversed(parent.children(recursive=True)), parent]
        except psutil.NoSuchProcess:
            return []

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal; SIGKILL goes to all of its family, as when a machine dies."""
        if self._process is None:
            return
        family = self.family()
        for each in family if how == signal.SIGKILL else family[-1:]:
            _send(each, how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            how = signal.SIGKILL
        for each in family:
            _send(each, signal.SIGKILL)
        self._process.wait(30)
        self._process = None


def _send(process: psutil.Process, how: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        # By the process and not by its number, which may be another's by now.
        process.send_signal(how)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of the tests without what their user set for Prefect and for us."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "CLOUDMASK_", "COV_", "PYTEST_"))
    }
    return kept | more
