import pytest

from pipeline.notebook import Archive
from pipeline.store import open_as
from tests.serve.region import Region, fill


@pytest.fixture(scope="session")
def region(tmp_path_factory) -> Region:
    made = Region(str(tmp_path_factory.mktemp("shown") / "store"))
    fill(made)
    return made


@pytest.fixture(scope="session")
def archive(region) -> Archive:
    return open_as(Archive, region.url)
