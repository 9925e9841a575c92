"""A plan counts the items that do not state the angles which a composite asks for."""

import pytest
from typer.testing import CliRunner

from pipeline import run
from pipeline.cli import app
from pipeline.types import CompositeSettings
from tests.faults.small_region import EAST, LANDSAT

BANDS = ("blue", "red")
STEEP = CompositeSettings(
    name="steep", method="best", options={"weights": {"view": 1}}, bands=BANDS
)
NADIR = CompositeSettings(name="nadir", brdf="c-factor", bands=BANDS)
SEEN = {"view:azimuth": 105.0, "view:incidence_angle": 8.0}

pytestmark = pytest.mark.usefixtures("threshold")


@pytest.fixture
def seen(region):
    """A region whose items state from where they were seen, all but one."""
    for path in region.archive.glob("*/*/*.json"):
        stated = {"view:off_nadir": 0} if path.stem == LANDSAT else SEEN
        if path.stem != EAST:
            region.edit(
                path.stem, lambda item, stated=stated: item["properties"].update(stated)
            )
    return region


def test_items_without_angles_are_counted(seen):
    plan = run.plan_job(seen.job(composite=STEEP))
    assert run.lacking_angles(plan) == [
        "composite steep: 1 of 5 items state no view angle, and score 0 for it"
    ]
    plan = run.plan_job(seen.job(composite=NADIR))
    assert len(plan.items) == 4
    assert run.lacking_angles(plan) == [
        "composite nadir: 1 of 5 items lack the view or sun angles that composite.brdf needs, and are dropped"
    ]
    other = STEEP.replace(sensors=("landsat",))
    assert run.lacking_angles(run.plan_job(seen.job(composite=other))) == []
    assert run.lacking_angles(run.plan_job(seen.job())) == []


def test_the_command_says_so(seen):
    asked = "{method: best, options: {weights: {view: 1}}, bands: [blue, green, red]}"
    job = seen.job_file(("{period: month, bands: [blue, green, red]}", asked))
    result = CliRunner().invoke(app, ["plan", str(job)])
    assert result.exit_code == 0, result.output
    assert "1 of 5 items state no view angle, and score 0 for it" in " ".join(
        result.stdout.split()
    )
