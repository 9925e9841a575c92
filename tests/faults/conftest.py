"""A command line, a faulty server, and quick retries; the small region is in `tests/conftest.py`."""

import pytest
from typer.testing import CliRunner

from pipeline import cube
from pipeline.access import RetryPolicy
from pipeline.cli import app
from pipeline.cube import opening
from pipeline.cube.blocks import raster
from tests.faults.faulty import Faulty, faulty_server


@pytest.fixture(autouse=True)
def _model(threshold):
    """Every run masks with the threshold."""


@pytest.fixture
def cloudmask(monkeypatch, tmp_path):
    """Call the command line in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOUDMASK_MEMORY_BYTES", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="session")
def faulty(tmp_path_factory) -> Faulty:
    """Serve every file of this session's tests, with faults."""
    with faulty_server(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(autouse=True)
def quick_reads(monkeypatch):
    """Try as often as ever, with next to no waits."""
    quick = RetryPolicy(attempts=8, first_wait_s=0.001, longest_wait_s=0.02, total_s=90)
    monkeypatch.setattr(opening, "RETRY", quick)
    monkeypatch.setattr(opening, "TIMEOUT_S", 0.4)
    yield
    opening.IDLE.drop()
    raster.HEADERS.drop()
    opening.VERSIONS.drop()
    cube.use_disk(None, 0)
