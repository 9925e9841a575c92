"""One site: PostgreSQL, Prefect's server on it, a worker of a process pool, a region and its job.

::

    PostgreSQL ◀─ server ◀─ worker ─▶ flow runs ─▶ store
                    ▲
                    └── set-up.sh: limits, automations, the deployments of deploy/prefect.yaml
"""

import copy
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import icechunk
import yaml

from pipeline import store
from pipeline.config.settings import PREFECT_DEFAULTS
from tests.integration.postgres import Postgres
from tests.integration.processes import free_port
from tests.production.processes import Service, environment, wait_until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMMANDS = 5
"""Of Prefect, that deploy/set-up.sh runs for one deployment."""
KINDS = ("catalogue", "gpu")
HEARTBEAT_S, SILENCE_S, PAUSE_S = 30, 60, 5
"""How often runs say that they live (Prefect takes no less), after how long they count as lost, and
how soon a crashed one is run again: minutes in deploy/, too long for a test."""

JOB = """\
name: alpine-foreland
aoi: [11.645, 48.2135, 11.668, 48.2225]
datetime: 2023-06-01/2023-08-31
sources: {{catalog: {catalog}, collections: [sentinel-2-l2a]}}
grid: {{resolution_m: 10.0, tile_px: 32, chunk_px: 32}}
mask: {{model: scl}}
composite: {{name: {name}, period: {period}, bands: [blue, green, red]}}
run: {{workers: 1, min_completeness: 0.9}}
store: {store}
"""
"""A mask that comes with the product: what is tested is not the network."""


@dataclass
class Site:
    """Everything of it; `server` and `worker` are for the tests to end and to start."""

    folder: Path
    url: str
    server: Service
    worker: Service
    database: Postgres
    pace: timedelta = timedelta(0)
    """What it takes, on this machine and now, to tell the server anything."""

    @property
    def store(self) -> Path:
        return self.folder / "store"

    # -- Prefect -------------------------------------------------------------------------------

    def ask(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.url}{path}", json=body, timeout=30.0)
        answer.raise_for_status()
        return answer.json()

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def start_server(self) -> None:
        self.server.start()
        wait_until("the server answers", self.healthy)

    def set_up(self) -> None:
        """Tell the server what it must know, as an operator does."""
        files = {
            "DEPLOYMENTS": self._rendered(datetime.now(UTC), KINDS),
            "AUTOMATIONS": _written(self.folder / "automations.yaml", _soon_lost()),
        }
        began = datetime.now(UTC)
        self._call("sh", ROOT / "deploy/set-up.sh", "backfill", **files)
        self.pace = (datetime.now(UTC) - began) / COMMANDS

    def schedule(self, name: str, limits: Sequence[str] = KINDS) -> None:
        """Deploy, to keep some limits; if it has a schedule, that begins soon."""
        starts = datetime.now(UTC) + 3 * self.pace + timedelta(seconds=5)
        self._deploy(name, starts, limits)
        assert datetime.now(UTC) < starts, (
            "deploying took too long, the schedule begins tomorrow"
        )

    def run_now(self, name: str) -> None:
        """Deploy with a schedule that begins tomorrow, and start a run besides."""
        self._deploy(name, datetime.now(UTC) + timedelta(days=1), KINDS)
        (found,) = self.ask("/deployments/filter", deployments={"name": {"any_": [name]}})
        self.ask(f"/deployments/{found['id']}/create_flow_run", state={"type": "SCHEDULED"})

    def _deploy(self, name: str, starts: datetime, limits: Sequence[str]) -> None:
        which = ("--prefect-file", self._rendered(starts, limits), "--name", name)
        self._call("prefect", "--no-prompt", "deploy", *which)

    def _call(self, *command: str | Path, **environment: Path) -> None:
        with (self.folder / "set-up.log").open("ab") as said:
            subprocess.run(
                command,
                cwd=ROOT,
                env=self.client_environment | {k: str(v) for k, v in environment.items()},
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    @property
    def client_environment(self) -> dict[str, str]:
        return client_environment(self.url, self.folder)

    def _rendered(self, starts: datetime, limits: Sequence[str]) -> Path:
        """Write deploy/prefect.yaml with our jobs, times and limits, and nothing else changed."""
        file = yaml.safe_load((ROOT / "deploy/prefect.yaml").read_text())
        jobs = {f"/etc/cloudmask/{name}.yaml": self.folder / f"{name}.yaml" for name in JOBS}
        deployments = []
        for each in copy.deepcopy(file["deployments"]):
            wanted = str(each["parameters"]["job"])
            each["parameters"]["job"] = str(jobs.get(wanted, wanted))
            each["parameters"]["limits"] = {kind: f"cloudmask-{kind}" for kind in limits}
            if "schedules" in each:
                each["schedules"] = [
                    {"interval": 86400, "anchor_date": starts.isoformat(), "timezone": "UTC"}
                ]
            for trigger in each.get("triggers", ()):
                if "schedule_after" in trigger:
                    trigger["schedule_after"] = PAUSE_S
            deployments.append(each)
        return _written(
            self.folder / "prefect.yaml", {"name": file["name"], "deployments": deployments}
        )

    def runs(self, deployment: str = "nightly") -> list[dict[str, Any]]:
        """Return the runs of a deployment that are begun or due, by the times expected."""
        due = {"before_": (datetime.now(UTC) + timedelta(minutes=10)).isoformat()}
        return self.ask(
            "/flow_runs/filter",
            deployments={"name": {"any_": [deployment]}},
            flow_runs={"expected_start_time": due},
            sort="EXPECTED_START_TIME_ASC",
        )

    def states(self, deployment: str = "nightly") -> list[str]:
        return [each["state_name"] for each in self.runs(deployment)]

    def tasks(self, run: Mapping[str, Any]) -> dict[str, int]:
        """Return how often each task of a run was tried, by name."""
        found = self.ask("/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return {each["name"]: each["run_count"] for each in found}

    def slots(self) -> dict[str, int]:
        """Return how many slots of each limit are taken."""
        found = self.ask("/v2/concurrency_limits/filter")
        names = {f"cloudmask-{kind}" for kind in KINDS}
        return {each["name"]: each["active_slots"] for each in found if each["name"] in names}

    def events(self, name: str) -> list[dict[str, Any]]:
        found = self.ask("/events/filter", filter={"event": {"name": [name]}})
        return list(found["events"])

    def log(self, run: Mapping[str, Any]) -> str:
        found = self.ask("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}})
        return "\n".join(each["message"] for each in found)

    # -- the store -----------------------------------------------------------------------------

    def repository(self) -> icechunk.Repository | None:
        where = icechunk.local_filesystem_storage(str(self.store))
        return icechunk.Repository.open(where) if icechunk.Repository.exists(where) else None

    def committed(self) -> list[str]:
        """Return the tiles that were committed, published or not, each as often as it was."""
        repository = self.repository()
        if repository is None:
            return []
        seen: dict[str, str] = {}
        for branch in repository.list_branches():
            try:
                for each in repository.ancestry(branch=branch):
                    seen[each.id] = each.message
            except icechunk.IcechunkError:
                # It was published, and so deleted, between the two lines.
                continue
        return [
            tile
            for message in seen.values()
            if message.startswith("tiles ")
            for tile in message.removeprefix("tiles ").split(", ")
        ]

    def records(self) -> list[dict[str, Any]]:
        archive = store.find_archive(str(self.store))
        return [] if archive is None else archive.records()


JOBS = {"region": ("monthly", "month"), "yearly": ("yearly", "year")}
"""Job file -> name and period of its composites."""


@contextmanager
def open_site(folder: Path, catalog: Path, database: Postgres) -> Iterator[Site]:
    """Start a server with an empty database, a worker, and what deploy/set-up.sh makes."""
    folder.mkdir()
    for name, (composite, period) in JOBS.items():
        text = JOB.format(
            catalog=catalog, name=composite, period=period, store=folder / "store"
        )
        (folder / f"{name}.yaml").write_text(text)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    server = Service(
        [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env=server_environment(folder, database),
        folder=folder,
        log=folder / "server.log",
    )
    worker = Service(
        [
            BIN / "prefect",
            *["worker", "start", "--pool", "cloudmask", "--type", "process", "--limit", "1"],
        ],
        env=client_environment(url, folder),
        folder=folder,
        log=folder / "worker.log",
    )
    site = Site(folder, url, server, worker, database)
    try:
        site.start_server()
        worker.start()
        site.set_up()
        yield site
    finally:
        worker.stop()
        server.stop(signal.SIGTERM)


def server_environment(folder: Path, database: Postgres) -> dict[str, str]:
    at = database.environment
    return environment(
        **PREFECT_DEFAULTS,
        PREFECT_HOME=str(folder / "server-home"),
        PREFECT_SERVER_DATABASE_DRIVER="postgresql+asyncpg",
        PREFECT_SERVER_DATABASE_HOST=at["PGHOST"],
        PREFECT_SERVER_DATABASE_PORT=at["PGPORT"],
        PREFECT_SERVER_DATABASE_USER=at["PGUSER"],
        PREFECT_SERVER_DATABASE_PASSWORD=at["PGPASSWORD"],
        PREFECT_SERVER_DATABASE_NAME=folder.name,
        PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=(
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    )


def client_environment(url: str, folder: Path) -> dict[str, str]:
    return environment(
        **PREFECT_DEFAULTS,
        PATH=f"{BIN}:/usr/bin:/bin",
        PREFECT_HOME=str(folder / "worker-home"),
        PREFECT_API_URL=url,
        PREFECT_CLIENT_MAX_RETRIES="8",
        PREFECT_LOGGING_EXTRA_LOGGERS="pipeline",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY=str(HEARTBEAT_S),
        # Every fifteen seconds otherwise.
        PREFECT_WORKER_QUERY_SECONDS="2",
    )


def _soon_lost() -> dict[str, Any]:
    file = yaml.safe_load((ROOT / "deploy/automations.yaml").read_text())
    for each in file["automations"]:
        each["trigger"]["within"] = SILENCE_S
    return dict(file)


def _written(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return path
