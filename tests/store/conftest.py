import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.flipping import fill
from tests.store.making import Make, MakeTwoTiles
from tests.store.object_store import ObjectStore, serving


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture(scope="session")
def put_filled(tmp_path_factory) -> Callable[[str], None]:
    """Return what puts a local store of two tiles at a URL: each kind is filled once, and copied."""
    filled = {}

    def put(url: str) -> None:
        kind = "zarr+" if url.startswith("zarr+") else ""
        if kind not in filled:
            filled[kind] = tmp_path_factory.mktemp("filled") / "store"
            fill(f"{kind}{filled[kind]}", MakeTwoTiles())
        shutil.copytree(filled[kind], url.removeprefix("zarr+").removeprefix("file://"))

    return put


@pytest.fixture(scope="session")
def object_store(tmp_path_factory) -> ObjectStore:
    """An S3 server of this session's own, in another process."""
    with serving(tmp_path_factory.mktemp("s3")) as store:
        yield store


def _place(request, tmp_path: Path, monkeypatch) -> str:
    if request.param == "local":
        return str(tmp_path / "store")
    objects = request.getfixturevalue("object_store")
    objects.credentials(monkeypatch)
    return objects.url()


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def url(request, tmp_path: Path, monkeypatch) -> str:
    """A place for a store, where nothing is yet: a path, and (slow) an S3 server."""
    return _place(request, tmp_path, monkeypatch)


@pytest.fixture(params=["local", "s3"])
def anywhere(request, tmp_path: Path, monkeypatch) -> str:
    """A place for a store, as `url`, for what must hold on S3 at every change."""
    return _place(request, tmp_path, monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A local place, for what is about files or locks."""
    return str(tmp_path / "store")
