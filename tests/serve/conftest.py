import pytest
from starlette.testclient import TestClient

from pipeline.config import ServeSettings
from pipeline.serve import make_app
from tests.serve.region import Region, fill


@pytest.fixture(scope="session")
def region(tmp_path_factory) -> Region:
    made = Region(str(tmp_path_factory.mktemp("served") / "store"))
    fill(made)
    return made


def client_of(archives, web, **settings) -> TestClient:
    app = make_app(archives, ServeSettings(**settings), web=web)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def client(region, tmp_path_factory) -> TestClient:
    return client_of({"alps": region.url}, tmp_path_factory.mktemp("web"))
