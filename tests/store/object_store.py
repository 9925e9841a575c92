"""An S3 server (moto) in a process of its own, on the loopback, killed by its id."""

import itertools
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

BUCKET = "archives"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "testtest",
    # Without it, the client would ask an address outside this machine for credentials.
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_S = 60


@dataclass(frozen=True)
class ObjectStore:
    """Where the server is."""

    endpoint: str
    _names: Iterator[int] = field(default_factory=itertools.count)

    def url(self, prefix: str | None = None, endpoint: str | None = None) -> str:
        """Return the URL of a place; of a new, empty one if no prefix is given."""
        name = prefix or f"{uuid.uuid4().hex[:8]}/store-{next(self._names)}"
        return f"s3://{BUCKET}/{name}?endpoint_url={endpoint or self.endpoint}&region=us-east-1"

    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the credentials where a user has them."""
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path) -> Iterator[ObjectStore]:
    """Run a server with an empty bucket while the block lasts."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | CREDENTIALS
        )
        try:
            endpoint = f"http://127.0.0.1:{port}"
            _make_bucket(endpoint, process)
            yield ObjectStore(endpoint)
        finally:
            process.kill()
            process.wait()


def _make_bucket(endpoint: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            # Moto checks no signature.
            if requests.put(f"{endpoint}/{BUCKET}", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise RuntimeError(f"the S3 server at {endpoint} did not start")
