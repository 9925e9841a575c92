"""What stops a run at its start is found by the plan: same text, same exit code, nothing written."""

import dataclasses
import socket
import sys

import pytest
from typer.testing import CliRunner

from pipeline import config, models, run, store
from pipeline.cli import app
from pipeline.errors import ConfigError, IncompleteError, ModelError, StoreError, WorkersError
from pipeline.models.engine.device import TorchDevice
from pipeline.models.families import machine
from pipeline.run import ready
from pipeline.types import ClusterSettings, CubeSettings, StacSettings
from tests.faults import small_region as small


@pytest.fixture(autouse=True)
def _model(threshold):
    """Every run masks with the threshold."""


def checked(region, *options: str) -> str:
    """Plan by the command line, and see that nothing was written."""
    job = region.job_file()
    before = sorted(region.folder.rglob("*"))
    result = CliRunner().invoke(app, ["plan", str(job), *options])
    assert sorted(region.folder.rglob("*")) == before
    assert result.exit_code == 0 or result.stderr.count("error:") == 1
    return f"{result.exit_code} {result.stderr}"


def refusal(region, error, **parts):
    """Return the text of the error with which a plan is refused."""
    plan = run.plan_job(region.job(**parts))
    with pytest.raises(error) as planned:
        run.require_ready(plan)
    return str(planned.value)


# -- the store ---------------------------------------------------------------------------------


def test_a_plan_that_can_be_run_is_accepted(region):
    assert checked(region).startswith("0 ")


def test_a_folder_of_other_things_is_no_store(region):
    region.store.mkdir()
    (region.store / "thesis.txt").write_text("mine")
    assert "holds other things than a store" in checked(region)
    assert checked(region).startswith("6 ")


def test_a_file_in_the_way_of_the_store_s_folder(region):
    (region.folder / "file").write_text("")
    words = refusal(region, StoreError, store=str(region.folder / "file/below/store"))
    assert f"{region.folder / 'file'} is a file" in words


def test_a_store_that_may_not_be_written(region, monkeypatch):
    # Root may write anywhere, and tests often run as root.
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "may not be written by this user" in refusal(region, StoreError)


def test_a_store_whose_creation_was_killed_may_be_written(tmp_path):
    (tmp_path / "store/chunks").mkdir(parents=True)
    store.require_writable(str(tmp_path / "store"))
    (tmp_path / "plain/masks").mkdir(parents=True)
    with pytest.raises(StoreError, match="other things"):
        store.require_writable(f"zarr+{tmp_path / 'plain'}")


# -- models, packages, folders, clusters -------------------------------------------------------


def test_a_gpu_that_is_not_there(region):
    plan = run.plan_job(region.job())
    cards = {
        sensor: dataclasses.replace(card, options={"device": "cuda"})
        for sensor, card in plan.cards.items()
    }
    wanted = dataclasses.replace(plan, cards=cards)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "has_cuda", lambda: False)
        with pytest.raises(ModelError, match="no usable GPU") as caught:
            run.require_ready(wanted)
        assert str(caught.value) == machine.NO_GPU
        far = ClusterSettings(kind="address", address="tcp://127.0.0.1:1")
        job = wanted.job.replace(run=plan.job.run.replace(cluster=far))
        run.require_ready(dataclasses.replace(wanted, job=job))


def test_a_composite_on_a_gpu_that_is_not_there(region, monkeypatch):
    plan = run.plan_job(region.job())
    job = plan.job.replace(composite=plan.job.composite.replace(device="cuda"))
    monkeypatch.setattr(machine, "has_cuda", lambda: False)
    with pytest.raises(ModelError, match="composite.device is 'cuda', but torch finds no"):
        run.require_ready(dataclasses.replace(plan, job=job))
    assert models.composing_device("auto") is models.composing_device("cpu") is None
    monkeypatch.setattr(machine, "has_cuda", lambda: True)
    assert models.composing_device("auto") == TorchDevice("cuda")
    assert models.composing_device("cpu") is None


def test_a_loader_that_is_not_installed(region, monkeypatch):
    monkeypatch.setitem(sys.modules, "stackstac", None)
    words = refusal(region, ConfigError, cube=CubeSettings(loader="stackstac"))
    assert "install cloudmask[stackstac]" in words


def test_a_catalogue_s_folder_that_cannot_be_made(region):
    (region.folder / "file").write_text("")
    folder = StacSettings(folder=str(region.folder / "file/told"))
    assert "stac.folder" in refusal(region, ConfigError, stac=folder)


def test_a_scheduler_that_does_not_answer(region):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
        settings = ClusterSettings(kind="address", address=address)
        job = region.job()
        job = job.replace(run=job.run.replace(cluster=settings))
        with pytest.raises(WorkersError, match=f"run.cluster.address {address}"):
            run.require_scheduler(job)
        bound.listen()
        run.require_scheduler(job)


# -- rasters -----------------------------------------------------------------------------------


def test_rasters_that_are_not_there_are_found_by_their_headers(region):
    assert checked(region, "--check").startswith("0 every raster can be opened")
    region.asset(small.EAST, "blue").unlink()
    plan = run.plan_job(region.job())
    (missing,) = run.missing_rasters(plan)
    assert missing.item_id == small.EAST
    assert "'blue'" in missing.reason
    # Four of six cells would do; more than that is refused, as a run would.
    run.require_readable(plan, [missing])
    strict = plan.job.replace(run=plan.job.run.replace(min_completeness=0.9))
    with pytest.raises(IncompleteError, match="4 of 6 cells"):
        ready.require_readable(dataclasses.replace(plan, job=strict), [missing])


# -- output over what is read ------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["store", "store/stac", ".", "archive", "archive/.."])
def test_a_catalogue_on_the_store_or_on_the_archive_is_refused(region, folder):
    text = small.JOB + f"stac: {{folder: {folder}}}\n"
    path = region.folder / "job.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"job.yaml:\d+: stac.folder: .*a path apart from"):
        config.load_job(path)


def test_a_catalogue_beside_them_is_fine(region):
    path = region.folder / "job.yaml"
    path.write_text(small.JOB + "stac: {folder: told}\n")
    config.load_job(path)


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("--items", "store/items.json"),
        ("--items", "job.yaml"),
        ("--items", "archive/catalog.json"),
    ],
)
def test_outputs_do_not_overwrite_what_is_read_or_stored(region, option, path):
    job = region.job_file()
    before = job.read_bytes()
    result = CliRunner().invoke(app, ["plan", str(job), option, str(job.parent / path)])
    assert result.exit_code == 2
    assert f"error: {option}: expected a path apart from" in result.stderr
    assert job.read_bytes() == before
