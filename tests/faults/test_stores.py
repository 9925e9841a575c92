"""Stores that cannot be used, and models that fail: one clear error, and the store as it was."""

import icechunk
import pytest
import zarr

from pipeline import run, store
from pipeline.errors import ModelError, StoreConflictError, StoreError
from tests.faults.small_region import EAST, assert_same, contents, refused, snapshot

RUN = ("--plain", "--no-report", "--quiet")


def changed(region):
    """Give the next run something to do."""
    region.edit(
        EAST,
        lambda item: item["properties"].update({"s2:generation_time": "2025-01-01T00:00:00Z"}),
    )


# -- no store can be there ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("job.yaml/store", ("cannot make the store", "job.yaml is a file")),
        ("/dev/null/store", ("cannot make the store", "/dev/null is a file")),
        ("/proc/cloudmask/store", ("cannot make the lock",)),
        ("ftp://example.com/store", ("cannot store at 'ftp://", "s3://bucket/prefix")),
    ],
    ids=["below-a-file", "below-a-device", "not-writable", "unknown-scheme"],
)
def test_a_place_where_no_store_can_be(cloudmask, region, where, words):
    path = region.job_file(("store: store", f"store: {where}"))
    refused(cloudmask("run", path, *RUN), 6, *words)


def test_a_file_in_the_place_of_the_store(region):
    region.store.write_text("mine")
    try:
        with pytest.raises(StoreError, match="store"):
            run.run(region.job())
    finally:
        assert region.store.read_text() == "mine"


def test_a_folder_that_may_not_be_written(cloudmask, region, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Root may write anywhere, so that modes of folders would show nothing here.
    monkeypatch.setattr("pipeline.store.base.location.FileLock.acquire", forbidden)
    refused(cloudmask("run", region.job_file(), *RUN), 6, "Permission denied")


def test_a_folder_with_other_things(cloudmask, region):
    region.store.mkdir()
    (region.store / "thesis.txt").write_text("mine")
    refused(cloudmask("run", region.job_file(), *RUN), 6, str(region.store))
    assert [path.name for path in region.store.iterdir()] == ["thesis.txt"]


def test_a_repository_of_somebody_else(cloudmask, region):
    icechunk.set_logs_filter("error")
    repository = icechunk.Repository.create(
        icechunk.local_filesystem_storage(str(region.store))
    )
    session = repository.writable_session("main")
    zarr.create_group(session.store, attributes={"mine": 1})
    theirs = session.commit("mine")
    refused(cloudmask("run", region.job_file(), *RUN), 6, "no archive of cloudmask")
    assert repository.lookup_branch("main") == theirs


def test_asking_a_store_that_is_not_there(cloudmask, region):
    result = cloudmask("query", region.store, "--aoi", "11,48,12,49", "--datetime", "2023")
    refused(result, 6, "there is no store", "cloudmask run")


# -- the store is another's --------------------------------------------------------------------


def test_a_store_of_another_grid(cloudmask, ran):
    before = snapshot(ran)
    path = ran.job_file(("resolution_m: 10.0", "resolution_m: 20.0"))
    refused(
        cloudmask("run", path, *RUN),
        6,
        "another grid",
        "resolution_m is 10.0, the job has 20.0",
    )
    assert snapshot(ran) == before


def test_a_store_that_another_run_writes(cloudmask, ran):
    changed(ran)
    plan = run.plan_job(ran.job())
    with store.open_writer(str(ran.store), plan.grid, title="other", run_key="other"):
        refused(cloudmask("run", ran.job_file(), *RUN), 6, "another run writes to")
        with pytest.raises(StoreConflictError) as caught:
            run.execute(plan)
        assert caught.value.retryable
        # Readers need no lock.
        assert store.open_archive(str(ran.store)).sensors
    assert run.execute(plan).snapshot


# -- the store is damaged ----------------------------------------------------------------------


def rubbish(region, part):
    files = [path for path in region.store.rglob("*") if path.is_file() and part in str(path)]
    assert files
    for path in files:
        path.write_bytes(b"rubbish")


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "part",
    [
        "refs",
        "config",
        "snapshots",
        "manifests",
        "chunks",
    ],
)
def test_a_damaged_store(cloudmask, ran, part):
    changed(ran)
    rubbish(ran, f"/{part}")
    refused(cloudmask("run", ran.job_file(), *RUN), 6, str(ran.store))


# -- the model ---------------------------------------------------------------------------------


def break_model(threshold, error, at=4):
    """Let the model fail at a window."""
    real, calls = threshold.model.predict, []

    def predict(window):
        calls.append(1)
        if len(calls) == at:
            raise error
        return real(window)

    threshold.model.predict = predict


ERRORS = [
    ModelError("the weights are not what they should be"),
    RuntimeError("CUDA out of memory"),
]


@pytest.mark.quick(1)
@pytest.mark.parametrize("error", ERRORS, ids=["model-error", "runtime-error"])
def test_a_model_that_fails_in_one_window(cloudmask, region, threshold, undisturbed, error):
    break_model(threshold, error)
    refused(cloudmask("run", region.job_file(), *RUN), 5, str(error))
    archive = store.open_archive(str(region.store))
    assert archive.sensors == ()
    # It recovers, and nobody sees that it ever failed.
    run.run(region.job())
    assert_same(contents(region), undisturbed)


def test_a_model_that_fails_leaves_what_was_there(ran, threshold):
    before = snapshot(ran)
    changed(ran)
    break_model(threshold, ModelError("no"), at=1)
    with pytest.raises(ModelError):
        run.run(ran.job())
    assert snapshot(ran) == before
