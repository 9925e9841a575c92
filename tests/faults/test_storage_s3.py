"""An S3 server that fails: the run recovers or says so, and what was published stays as it was."""

import re
from datetime import timedelta

import numpy as np
import pytest

from pipeline import store
from pipeline.errors import StoreError, StoreUnavailableError
from pipeline.store.base.location import locate_store
from tests.store.faulty_s3 import Trouble, proxy
from tests.store.making import Make
from tests.store.object_store import free_port, serving

make = Make()
PARTS = ["chunks", "manifests", "snapshots", "refs/branch.run", "refs/branch.main"]
"""Objects in the order in which a run writes them."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("s3")) as objects:
        yield objects


@pytest.fixture
def trouble(server, monkeypatch) -> Trouble:
    server.credentials(monkeypatch)
    with proxy(server.endpoint) as standing:
        yield standing


@pytest.fixture
def url(server, trouble) -> str:
    """A store with one published state, behind the proxy."""
    place = server.url(endpoint=trouble.endpoint)
    publish(place, 11)
    return place


def work(writer, fingerprint):
    tile = make.grid().tile(0, 0)
    writer.set_scenes(make.sensor, make.scenes(1))
    mask = make.mask(tile, seed=fingerprint)
    writer.write_mask(make.sensor, make.times(1)[0], tile, mask, fingerprint)
    writer.commit("tile")


def publish(url, fingerprint, key="run"):
    with store.open_writer(url, make.grid(), title="t", run_key=key) as writer:
        work(writer, fingerprint)
        return writer.publish({"run_id": str(fingerprint)})


def assert_published(url, *fingerprints):
    """The store shows the last of these writes, whole, and has a record of each of them, once."""
    archive = store.open_archive(url)
    tile = make.grid().tile(0, 0)
    found = archive.masks(make.sensor)["mask"].values[0][tile.window]
    np.testing.assert_array_equal(found, make.mask(tile, seed=fingerprints[-1]))
    assert [each["run_id"] for each in archive.records()] == [str(n) for n in fingerprints]
    assert len(archive.log()) == len(fingerprints) + 1


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["503", "cut", "lose"])
def test_what_passes_is_survived(url, trouble, kind):
    trouble.strike_each(kind, "PUT", PARTS)
    publish(url, 12)
    assert trouble.struck == len(PARTS)
    assert_published(url, 11, 12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        each if each == PARTS[-1] else pytest.param(each, marks=pytest.mark.slow)
        for each in PARTS
    ],
)
def test_permission_lost_within_a_run_leaves_what_was_published(url, trouble, part):
    trouble.strike("403", "PUT", part)
    with pytest.raises(StoreError, match="cannot"):
        publish(url, 12)
    assert trouble.struck
    assert_published(url, 11)
    trouble.clear()
    publish(url, 12)
    assert_published(url, 11, 12)


REFUSED = ["403", "403:ExpiredToken", "403:InvalidAccessKeyId", "404"]


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_waiting_does_not_mend_is_not_tried_again(url, trouble, kind, method):
    trouble.strike(kind, method, "chunks" if method == "PUT" else "")
    with pytest.raises(StoreError, match="cannot") as caught:
        publish(url, 12)
    assert not caught.value.retryable
    assert re.search(
        r"\((AccessDenied|ExpiredToken|InvalidAccessKeyId|NoSuchBucket)\)", str(caught.value)
    )


def test_a_clock_that_the_server_refuses_is_named(url, trouble):
    trouble.strike("403:RequestTimeTooSkewed", "PUT", "chunks")
    with pytest.raises(
        StoreError, match=r"clock of this machine .*\(RequestTimeTooSkewed\)"
    ) as caught:
        publish(url, 12)
    assert not caught.value.retryable
    trouble.clear()
    assert_published(url, 11)


@pytest.mark.slow
def test_a_server_that_is_not_there_can_be_tried_again(server, monkeypatch):
    server.credentials(monkeypatch)
    closed = server.url(endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        store.find_archive(closed)


@pytest.mark.slow
def test_publishing_again_with_the_same_writer(url, trouble):
    with store.open_writer(url, make.grid(), title="t", run_key="run") as writer:
        work(writer, 12)
        for part in ("refs/branch.run", "refs/branch.main"):
            trouble.strike("403", "PUT", part)
            with pytest.raises(StoreError):
                writer.publish({"run_id": "12"})
        trouble.clear()
        writer.publish({"run_id": "12"})
    assert_published(url, 11, 12)


def test_an_outage_within_a_tile_is_forgotten_with_it(url, trouble):
    tile = make.grid().tile(1, 0)
    with store.open_writer(url, make.grid(), title="t", run_key="run") as writer:
        work(writer, 12)
        writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile), 99)
        trouble.strike("403")
        with pytest.raises(StoreError, match="cannot"):
            writer.discard()
        with pytest.raises(StoreError, match="cannot"):
            writer.commit("what was to be forgotten")
        trouble.clear()
        writer.publish({"run_id": "12"})
    assert_published(url, 11, 12)
    cells = store.open_archive(url).masks(make.sensor)["fingerprint"].values[0]
    assert cells[1, 0] == 0


@pytest.mark.slow
def test_a_branch_that_cannot_be_deleted_does_not_undo_a_publish(url, trouble):
    trouble.strike("403", "DELETE")
    publish(url, 12)
    trouble.strike("403", "POST")
    publish(url, 13)
    trouble.clear()
    # A left branch on the newest state could still be published: it goes when that is old.
    publish(url, 14, key="other")
    publish(url, 15, key="other")
    assert_published(url, 11, 12, 13, 14, 15)
    assert locate_store(url).open().list_branches() == {"main"}


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "skew", [timedelta(days=1), timedelta(days=-1)], ids=["ahead", "behind"]
)
def test_a_clock_that_differs_from_the_servers_is_named(url, trouble, skew):
    trouble.skew = skew
    with pytest.raises(StoreError, match="clock"):
        publish(url, 12)
    trouble.clear()
    assert_published(url, 11)
    publish(url, 12)
    assert_published(url, 11, 12)


def test_readers_are_told(url, trouble):
    trouble.strike("403", "GET")
    for read in (store.open_archive, store.find_archive):
        with pytest.raises(StoreError, match="cannot"):
            read(url)
    trouble.clear()
    assert_published(url, 11)


def test_a_new_store_whose_making_failed(server, trouble):
    place = server.url(endpoint=trouble.endpoint)
    trouble.strike("403", "PUT", "refs/branch.main")
    with pytest.raises(StoreError, match="cannot open or make"):
        publish(place, 11)
    trouble.clear()
    assert store.find_archive(place) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["500", "502:", "429", "cut"])
@pytest.mark.parametrize("part", PARTS)
def test_an_outage_is_an_error_that_passes(url, trouble, kind, part):
    trouble.strike(kind, "PUT", part)
    with pytest.raises(StoreUnavailableError, match="cannot") as caught:
        publish(url, 12)
    assert caught.value.retryable
    assert trouble.struck > 1
    trouble.clear()
    assert_published(url, 11)
    publish(url, 12)
    assert_published(url, 11, 12)
