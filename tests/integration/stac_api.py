"""A STAC API of the tests' own: stac-fastapi-pgstac on their PostgreSQL."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pystac

from tests.integration.postgres import Postgres
from tests.integration.processes import free_port, running

ENVIRONMENT = Path(__file__).parents[2] / ".venv-api"
"""Where `make api` installs what serves, apart from what is tested."""


@dataclass(frozen=True)
class StacApi:
    """A running API and the means to fill it."""

    url: str
    database: Postgres
    folder: Path

    def load(self, collections: Iterable[Mapping], items: Iterable[Mapping]) -> None:
        """Put collections and items in, or replace them."""
        if path := self._lines("collections", collections):
            _pypgstac(self.database, "load", "collections", str(path), "--method", "upsert")
        if path := self._lines("items", items):
            # pypgstac 0.10 compares times as texts to find the range of a partition, and tries for
            # minutes where 10:00:00Z and 10:00:00.5Z meet: the database itself does it right.
            self.database.execute(
                f"\\copy pgstac.items_staging_upsert (content) from '{path}'"
                " with (format csv, quote e'\\x01', delimiter e'\\x02')"
            )

    def _lines(self, kind: str, documents: Iterable[Mapping]) -> Path | None:
        lines = [json.dumps(each) + "\n" for each in documents]
        path = self.folder / f"{kind}.ndjson"
        path.write_text("".join(lines))
        return path if lines else None

    def create(self, item: pystac.Item) -> None:
        """Put one item in over HTTP, as somebody else would meanwhile."""
        document = json.dumps(item.to_dict(include_self_link=False)).encode()
        self._send(f"collections/{item.collection_id}/items", "POST", document)

    def delete(self, collection: str, *names: str) -> None:
        for name in names:
            self._send(f"collections/{collection}/items/{name}", "DELETE", None)

    def ask(self, **body: Any) -> dict[str, Any]:
        """Return the bare answer to a search, without our code in between."""
        return self._send("search", "POST", json.dumps(body).encode())

    def _send(self, path: str, method: str, content: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/{path}",
            content,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def stac_api(database: Postgres, folder: Path) -> Iterator[StacApi]:
    """Serve an empty catalogue until the block ends."""
    _pypgstac(database, "migrate")
    # Without it the API does not say how many items match.
    database.execute(
        "INSERT INTO pgstac.pgstac_settings (name, value) VALUES ('context', 'on')"
        " ON CONFLICT (name) DO UPDATE SET value = 'on'"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = [
        "--factory",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    with running(
        [ENVIRONMENT / "bin/uvicorn", "stac_fastapi.pgstac.app:create_app", *options],
        log=folder / "api.log",
        ready=lambda: answers(f"{url}/_mgmt/ping"),
        env=os.environ | database.environment | {"ENABLE_TRANSACTIONS_EXTENSIONS": "true"},
    ):
        yield StacApi(url, database, folder)


@contextmanager
def file_server(folder: Path, log: Path) -> Iterator[str]:
    """Serve the files of a folder, ranges of bytes too, at the URL that is yielded."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        [
            ENVIRONMENT / "bin/python",
            Path(__file__).with_name("file_server.py"),
            folder,
            str(port),
        ],
        log=log,
        ready=lambda: answers(f"{url}/catalog.json"),
    ):
        yield url


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _pypgstac(database: Postgres, *arguments: str) -> None:
    subprocess.run(
        [ENVIRONMENT / "bin/pypgstac", *arguments],
        env=os.environ | database.environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
