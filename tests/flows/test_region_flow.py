"""The flow end to end on a server of its own: the same store as a plain run, and what Prefect shows."""

import pytest
from small_region import EAST, assert_same, contents, copy_of, snapshot
from typer.testing import CliRunner

from pipeline import config, run, store
from pipeline.cli import app
from pipeline.cube.reader import ExactReader
from pipeline.errors import IncompleteError, ModelError


@pytest.fixture(scope="module")
def undisturbed(pristine, tmp_path_factory):
    """What a plain run makes of the region."""
    import small_region

    region = copy_of(pristine, tmp_path_factory.mktemp("undisturbed"))
    with pytest.MonkeyPatch.context() as patch:
        small_region.provide(patch)
        run.run(region.job())
    return contents(region)


def called(flow, region, **parts):
    return flow.region(config.dump_job(region.job(**parts)))


def tries(asked):
    """Return the runs of every task of the latest flow run, by its name."""
    (latest, *_) = asked("read_flow_runs", sort=None)
    found = asked("read_task_runs")
    return {each.name: each.run_count for each in found if each.flow_run_id == latest.id}


def test_the_flow_makes_what_a_plain_run_makes(flow, region, undisturbed, asked):
    record = called(flow, region)
    assert record.snapshot
    assert_same(contents(region), undisturbed)
    artifacts = asked("read_artifacts")
    print([(a.key,a.type,len(str(a.data))) for a in artifacts])
    print(tries(asked))
