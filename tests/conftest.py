"""What every test stands on: real data if it is there, no network, a quick hypothesis profile."""

import os
from pathlib import Path

import dask
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real imagery, labels and STAC items."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CLOUDMASK_TEST_DATA", default))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real data in {folder}; set CLOUDMASK_TEST_DATA")
    return folder


@pytest.fixture
def single_thread():
    """Run dask in the calling thread."""
    with dask.config.set(scheduler="synchronous"):
        yield
