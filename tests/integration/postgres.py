"""A PostgreSQL of the tests' own: a new data folder, a free port of loopback, gone afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.processes import as_user, free_port, running

_VERSIONS = Path("/usr/lib/postgresql")
_EXTENSION = "/usr/share/postgresql/{version}/extension/postgis.control"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # Nothing here has to survive a crash.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Compiling costs more than these small queries.
    "jit": "off",
}

_OPTIONS = "-c search_path=pgstac,public -c client_min_messages=warning"


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    programs: Path
    """Folder of its client programs."""
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """Return what every client of PostgreSQL reads, pypgstac and stac-fastapi among them."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD": "trusted",
            "PGDATABASE": "postgres",
        }

    def execute(self, sql: str) -> None:
        """Run SQL, or a command of psql, that sees the tables of pgstac by their bare names."""
        subprocess.run(
            [
                self.programs / "psql",
                "--no-psqlrc",
                "--quiet",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                sql,
            ],
            env=os.environ | self.environment | {"PGOPTIONS": _OPTIONS},
            check=True,
            stdout=subprocess.DEVNULL,
        )


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL that has PostGIS; none: there is none."""
    versions = sorted(
        (int(each.name), each / "bin")
        for each in _VERSIONS.glob("*")
        if each.name.isdigit()
        and (each / "bin" / "postgres").exists()
        and Path(_EXTENSION.format(version=each.name)).exists()
    )
    return versions[-1][1] if versions else None


@contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    """Run a new, empty server until the block ends."""
    # It refuses to run as root; Debian's package brings a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="cloudmask-postgres-"))
    try:
        if user:
            shutil.chown(folder, user, user)
        data = folder / "data"
        _initialise(programs, data, user)
        server = Postgres(programs, free_port())
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with running(
            [programs / "postgres", "-D", data, "-p", str(server.port), *settings],
            log=folder / "log",
            ready=lambda: _is_ready(server),
            # What PostgreSQL calls fast shutdown: clients are sent away.
            stop=signal.SIGINT,
            user=user,
        ):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(programs: Path, data: Path, user: str | None) -> None:
    subprocess.run(
        [
            *("setpriv", *as_user(user), "--"),
            *(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust"),
            *("-E", "UTF8", "--no-locale", "--no-sync"),
        ],
        check=True,
        cwd="/",
        stdout=subprocess.DEVNULL,
    )


def _is_ready(server: Postgres) -> bool:
    asked = [server.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(server.port)]
    return subprocess.run(asked, check=False).returncode == 0
