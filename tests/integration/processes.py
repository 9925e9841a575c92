"""Processes of the tests that never outlive them."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 60.0
"""Until a server answers, or has stopped."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    stop: signal.Signals = signal.SIGTERM,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server until the block ends, or this process dies, however that happens.

    Parameters
    ----------
    command
        What to run.
    log
        File for what it says; shown when it does not start.
    ready
        Whether it answers.
    stop
        Signal that ends it in good order.
    user
        Who runs it; none: who runs the tests.
    env
        Its whole environment; none: this process's own.
    """
    name = Path(command[0]).name
    # The kernel sends the signal when the tests are killed and no `finally` is reached.
    prefix = ["setpriv", "--pdeathsig", stop.name.removeprefix("SIG"), *as_user(user), "--"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*prefix, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd="/",
            # Ctrl-C is for the tests alone; they stop their servers themselves.
            start_new_session=True,
        ) as process,
    ):
        try:
            ends = time.monotonic() + PATIENCE_S
            while not ready():
                if process.poll() is not None or time.monotonic() > ends:
                    said = log.read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"{name} does not start; it said:\n{said}")
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def as_user(user: str | None) -> list[str]:
    """Return the options of setpriv that make somebody else of root."""
    return [] if user is None else ["--reuid", user, "--regid", user, "--init-groups"]
