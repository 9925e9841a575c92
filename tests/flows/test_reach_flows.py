"""Composites that look beyond their tile, on Prefect: all tiles are masked before the first is composed."""

import itertools
from pathlib import Path

import pytest

from pipeline import config, run
from pipeline.types import (
    ClusterSettings,
    CompositeSettings,
    GridSettings,
    MaskSettings,
    RunSettings,
)
from tests.faults.small_region import LANDSAT, Region, assert_same, contents

BANDS = ("blue", "red")
NEAR = {"preset": "griffiths2013", "cloud_m": 400.0}
COMPOSITES = (
    CompositeSettings(name="griffiths", method="best", options=NEAR, bands=BANDS),
    CompositeSettings(name="wasp", method="weighted_mean", bands=BANDS),
    CompositeSettings(name="plain", bands=BANDS),
)


@pytest.fixture
def job(region):
    """Return what makes a job, with a store of its own, whose model any worker process has: the product's."""
    region.remove_items(LANDSAT)

    def made(name, cluster=None):
        return region.job(
            composite=None,
            composites=COMPOSITES,
            grid=GridSettings(resolution_m=10.0, tile_px=128, chunk_px=64),
            mask=MaskSettings(model="scl"),
            run=RunSettings(min_completeness=0.5, cluster=cluster or ClusterSettings()),
            store=str(region.folder / name / "store"),
        )

    return made


def stored(job):
    return contents(Region(Path(job.store).parent))


def tasks_of_latest(asked):
    """Return which half of the work each batch did, in the order in which they began, without repeats."""
    ended = max(asked("read_flow_runs"), key=lambda each: each.start_time)
    tasks = [each for each in asked("read_task_runs") if each.flow_run_id == ended.id]
    names = [each.name for each in sorted(tasks, key=lambda each: each.start_time)]
    halves = (
        "composed" if name.startswith("composites of ") else "masked"
        for name in names
        if "tile" in name
    )
    return [half for half, _ in itertools.groupby(halves)]


@pytest.mark.slow
def test_prefect_dask_and_a_plain_run_make_the_same_composites(flow, job, asked):
    plain = job("plain")
    run.run(plain)
    expected = stored(plain)
    assert {"composites/griffiths/score", "composites/wasp/blue"} <= expected.keys()

    local = ClusterSettings(kind="local", workers=2)
    for made in (job("prefect"), job("both", local)):
        record = flow.region(config.dump_job(made), wait_min=0)
        assert record.complete == record.expected
        assert tasks_of_latest(asked) == ["masked", "composed"]
        assert_same(stored(made), expected)
        assert flow.region(config.dump_job(made), wait_min=0) is None

    dask = job("dask", local)
    run.run(dask)
    assert_same(stored(dask), expected)


@pytest.mark.slow
def test_the_flow_of_masks_makes_all_that_composites_look_at(flow, job):
    """So that workers without a model can compose what it leaves."""
    plain, made = job("plain"), job("halves")
    run.run(plain)
    flow.mask(config.dump_job(made), wait_min=0)
    assert flow.mask(config.dump_job(made), wait_min=0) is None
    record = flow.composite(config.dump_job(made), missing="fail", wait_min=0)
    assert all(cell.status != "masked" for tile in record.tiles for cell in tile.cells)
    assert_same(stored(made), stored(plain))
