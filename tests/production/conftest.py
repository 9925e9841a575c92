"""Production on one machine: PostgreSQL once, and a site of its own for every test."""

import shutil
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipeline import run
from pipeline.config import load_job
from pipeline.simulate import ArchiveSettings, make_archive
from tests.integration.postgres import Postgres, postgres
from tests.production.site import JOB, JOBS, Site, open_site

SETTINGS = ArchiveSettings(
    size_px=192, sentinel2_dates=4, landsat_dates=0, start=date(2023, 6, 1)
)


def pytest_addoption(parser):
    parser.addoption(
        "--require-postgres",
        action="store_true",
        help="fail, instead of skipping, where PostgreSQL cannot be started",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL that has pg_trgm; none: there is none."""
    versions = sorted(
        (int(each.name), each / "bin")
        for each in Path("/usr/lib/postgresql").glob("*")
        if each.name.isdigit()
        and (each / "bin" / "postgres").exists()
        and Path(f"/usr/share/postgresql/{each.name}/extension/pg_trgm.control").exists()
    )
    return versions[-1][1] if versions else None


def _missing() -> str | None:
    if shutil.which("setpriv") is None:
        return "there is no setpriv (util-linux)"
    if find_programs() is None:
        return "PostgreSQL is not installed; on Debian: apt-get install postgresql"
    return None


@pytest.fixture(scope="session")
def database(pytestconfig) -> Iterator[Postgres]:
    reason = _missing()
    if reason:
        required = pytestconfig.getoption("--require-postgres", default=False)
        (pytest.fail if required else pytest.skip)(reason)
    before = signal.signal(signal.SIGTERM, _interrupt)
    programs = find_programs()
    assert programs is not None
    try:
        with postgres(programs) as server:
            yield server
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_):
    """End as by Ctrl-C, so that everything is stopped."""
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """The catalogue of a simulated archive."""
    return make_archive(tmp_path_factory.mktemp("archive") / "archive", SETTINGS, workers=2)


@pytest.fixture(scope="session")
def undisturbed(archive, tmp_path_factory) -> Path:
    """The store that a plain run makes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    name, period = JOBS["region"]
    text = JOB.format(catalog=archive, name=name, period=period, store=folder / "store")
    (folder / "job.yaml").write_text(text)
    run.run(load_job(folder / "job.yaml"))
    return folder / "store"


@pytest.fixture
def site(archive, database, tmp_path, request) -> Iterator[Site]:
    # The database has the name of the folder.
    folder = tmp_path / f"site{abs(hash(request.node.name)) % 10**6}"
    database.execute(f"create database {folder.name}")
    with open_site(folder, archive, database) as made:
        yield made
