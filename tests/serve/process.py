"""`cloudmask serve` in a process of its own."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def serving(archives, *more):
    """Serve some archives; yield the address once it answers."""
    port = free_port()
    stores = [f"{name}={url}" for name, url in archives.items()]
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "serve",
        *stores,
        "--port",
        str(port),
        *more,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _wait(process, address) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            with urlopen(f"{address}/health/ready", timeout=5) as answer:
                assert answer.status == 200
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError("the server does not answer")
