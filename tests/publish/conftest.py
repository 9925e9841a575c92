"""A store to publish: one that no test changes, and one of the test's own."""

from pathlib import Path

import pytest

from tests.publish.small_store import Region, grid_of, write


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Region:
    """Return a store that no test changes."""
    made = Region(str(tmp_path_factory.mktemp("publish") / "store"), grid_of())
    write(made)
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Region:
    """Return a store of the test's own."""
    made = Region(str(tmp_path / "store"), grid_of())
    write(made)
    return made
