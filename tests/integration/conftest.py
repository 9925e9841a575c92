"""A real STAC API, once a session: stac-fastapi-pgstac on PostgreSQL with PostGIS."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pystac
import pytest

from pipeline import catalogs
from pipeline.search import search
from pipeline.testing import make_job
from pipeline.types import Items, Source
from tests.integration import material
from tests.integration.postgres import find_programs, postgres
from tests.integration.stac_api import ENVIRONMENT, StacApi, stac_api


def pytest_addoption(parser):
    parser.addoption(
        "--require-api",
        action="store_true",
        help="fail, instead of skipping, where the STAC API cannot be started",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


def _missing() -> str | None:
    """Say what the API lacks on this machine; none: nothing."""
    if shutil.which("setpriv") is None:
        return "there is no setpriv (util-linux)"
    if find_programs() is None:
        return "PostgreSQL with PostGIS is not installed; on Debian: apt-get install postgresql-15-postgis-3"
    if not (ENVIRONMENT / "installed").exists():
        return f"there is no {ENVIRONMENT.name}; `make api` makes it"
    return None


@pytest.fixture(scope="session")
def database(pytestconfig):
    reason = _missing()
    if reason:
        required = pytestconfig.getoption("--require-api", default=False)
        (pytest.fail if required else pytest.skip)(f"no STAC API: {reason}")
    before = signal.signal(signal.SIGTERM, _interrupt)
    programs = find_programs()
    assert programs is not None
    try:
        with postgres(programs) as server:
            yield server
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_):
    """End as by Ctrl-C, so that the servers are stopped and their folders removed."""
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def empty_api(database, tmp_path_factory) -> Iterator[StacApi]:
    with stac_api(database, tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture(scope="session")
def made_up() -> list[pystac.Item]:
    return material.made_up_items()


@pytest.fixture(scope="session")
def api(empty_api, made_up) -> StacApi:
    """The API with the made-up items."""
    collections = material.collections_of((material.SENTINEL, material.LANDSAT))
    empty_api.load(collections, [item.to_dict() for item in made_up])
    return empty_api


@pytest.fixture(scope="session")
def find(api) -> Callable[..., Items]:
    """Search the API; `page_size`, and parts of the source and of the job by their names."""

    def ask(*, page_size: int = 100, **parts) -> Items:
        asked = {
            name: parts.pop(name)
            for name in ("collections", "query", "filter")
            if name in parts
        }
        whole = {"aoi": material.FIELD, "period": material.SUMMER} | parts
        with pytest.MonkeyPatch.context() as patch:
            row = catalogs.Catalog(url=api.url, page_size=page_size)
            patch.setitem(catalogs.CATALOGS, "pgstac", row)
            return search(make_job(sources=(Source(catalog="pgstac", **asked),), **whole))

    return ask
