"""What every test stands on: real data if it is there, no network, a quick hypothesis profile."""

import contextlib
import dataclasses
import os
import shutil
from collections import defaultdict
from pathlib import Path

import dask
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=200)
# Nothing is kept in the cache of who runs the tests; those of the cache set it.
os.environ["CLOUDMASK_BLOCK_CACHE__SIZE"] = "0"
# Every worker has a core; threads beyond it would burn it waiting for each other. Numpy and torch read this when they
# are first imported.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow all but `n` cases, evenly spread, of every test that is marked `quick(n)`."""
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("quick"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for found in cases.values():
        quick = found[0].get_closest_marker("quick").args[0]
        kept = {len(found) * each // quick for each in range(quick)}
        for number, item in enumerate(found):
            if number not in kept:
                item.add_marker(pytest.mark.slow)
    items.sort(key=_turn)


FIRST = (
    *("composite/test_methods.py", "composite/test_screen.py"),
    *("models/", "training/", "laws/", "flows/", "faults/", "run/", "store/", "cube/"),
)
"""What is run first. Two files that compile all kernels, so that other workers find them on disk; then the folders in
whose files a test takes long, models before them, which need no kernels. No worker is left alone with a long file."""


def _turn(item) -> int:
    name = item.nodeid.removeprefix("tests/")
    return next((n for n, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real imagery, labels and STAC items."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CLOUDMASK_TEST_DATA", default))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real data in {folder}; set CLOUDMASK_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """Folder of the small region of `tests/faults`: to be copied, never changed."""
    from tests.faults.small_region import make_pristine  # noqa: PLC0415

    return make_pristine(tmp_path_factory.mktemp("region") / "archive")


@pytest.fixture
def region(pristine, tmp_path):
    """Return a copy of the small region."""
    from tests.faults.small_region import copy_of  # noqa: PLC0415

    return copy_of(pristine, tmp_path)


@pytest.fixture
def threshold(monkeypatch):
    """Mask with a model that needs no weights, and return it."""
    from tests.faults.small_region import provide  # noqa: PLC0415

    return provide(monkeypatch)


@pytest.fixture(scope="session")
def plain_run(pristine, tmp_path_factory):
    """The small region with the store of a plain run, and the record of that run: `ran` is a copy."""
    from pipeline import run  # noqa: PLC0415
    from tests.faults.small_region import copy_of, provide  # noqa: PLC0415

    region = copy_of(pristine, tmp_path_factory.mktemp("plain"))
    with pytest.MonkeyPatch.context() as patch:
        provide(patch)
        for name in ("PRICES", "METRICS_FOLDER"):
            patch.delenv(f"CLOUDMASK_{name}", raising=False)
        return region, run.run(region.job())


@pytest.fixture
def ran(plain_run, tmp_path):
    """Return a copy of the small region that has had a plain run, for what comes after the first."""
    region, _ = plain_run
    shutil.copytree(region.folder, tmp_path, dirs_exist_ok=True)
    return dataclasses.replace(region, folder=tmp_path)


@pytest.fixture(scope="session")
def undisturbed(plain_run):
    """Contents of the store that a plain run makes of the small region."""
    from tests.faults.small_region import contents  # noqa: PLC0415

    region, _ = plain_run
    return contents(region)


@pytest.fixture
def single_thread():
    """Run dask in the calling thread."""
    with dask.config.set(scheduler="synchronous"):
        yield


class _Stream:
    def __init__(self, device=None):
        self.device = device

    def wait_stream(self, other):
        pass

    def synchronize(self):
        pass


@pytest.fixture(scope="module")
def gpu_stand_in():
    """Let models of the device ``cuda`` run on this CPU: all that is done, in the order in which it is asked for.

    Streams and pinned memory are not there; whether they are used rightly is for a GPU to say.
    """
    import torch  # noqa: PLC0415 - most tests do without

    from pipeline.models.engine import gpu  # noqa: PLC0415

    empty = torch.empty

    def unpinned(*size, pin_memory=False, **more):
        return empty(*size, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "usable_device", lambda: torch.device("cpu"))
        patch.setattr(torch.cuda, "Stream", _Stream)
        patch.setattr(torch.cuda, "synchronize", lambda device: None)
        patch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        patch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
        patch.setattr(torch, "empty", unpinned)
        yield
