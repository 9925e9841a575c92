"""Stores of an older format: read, with a word about it; not written."""

import logging
import shutil

import pytest
import zarr

from pipeline import store
from pipeline.errors import StoreError
from pipeline.store.arrays import layout, stored_grid
from pipeline.store.base.location import PUBLISHED, locate_store
from tests.store.flipping import content, fill
from tests.store.making import Make


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> str:
    """A store as format 1 was written: no checksums, and its number."""
    with pytest.MonkeyPatch.context() as before:
        before.setattr(layout, "COMPRESSORS", layout.COMPRESSORS[:1])
        url = str(tmp_path_factory.mktemp("written") / "old")
        fill(url, Make())
    renumbered(url, 1)
    return url


@pytest.fixture
def old(written, tmp_path) -> str:
    stored_grid.warn_once.cache_clear()
    return str(shutil.copytree(written, tmp_path / "old"))


def renumbered(url: str, number: int) -> None:
    session = locate_store(url).open().writable_session("main")
    zarr.open_group(session.store, mode="r+").attrs["format_version"] = number
    session.commit("as it was", metadata=PUBLISHED)


def test_what_is_written_has_the_number_2(path, put_filled):
    put_filled(path)
    assert store.open_archive(path).format == 2


def test_an_old_store_is_read_and_says_so_once(old, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(content(old)) > 5
        content(old)
    (line,) = [each.getMessage() for each in caplog.records]
    assert "format 1" in line
    assert "new store folder" in line
    assert "docs/format.md" in line


def test_an_old_store_is_not_written(old, make):
    before = content(old)
    with (
        pytest.raises(StoreError, match=r"format 1.*new store folder"),
        store.open_writer(old, make.grid(), title="t", run_key="three"),
    ):
        pass
    with pytest.raises(StoreError, match="format 1"):
        store.open_archive(old).require_grid(make.grid())
    assert content(old) == before


def test_an_old_store_without_pixels_becomes_one_of_today(path, make):
    with store.open_writer(path, make.grid(), title="t", run_key="one"):
        pass
    renumbered(path, 1)
    fill(path, make)
    assert store.open_archive(path).format == 2


def test_a_later_format_is_refused(old):
    renumbered(old, 3)
    with pytest.raises(StoreError, match=r"format 3.*or a later one"):
        store.open_archive(old)
