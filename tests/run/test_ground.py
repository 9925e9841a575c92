"""What of the scenes of a period is composed, what judges it, and what need not be read."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline.composite import ALL_TIME
from pipeline.cost import METER
from pipeline.run.tile.ground import Ground
from pipeline.types import CompositeSettings, Period, Scene, ScreenSettings
from pipeline.types.grid import CELL_PX

JUNE = Period(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 7, 1, tzinfo=UTC))
SCREENED = CompositeSettings(max_observations=2, screen=ScreenSettings())


def clear(*days):
    """Return scenes of June that show everything."""
    times = [JUNE.start + timedelta(days=day - 1, hours=10) for day in days]
    scenes = [Scene(sensor="s", time=time, items=(n,)) for n, time in enumerate(times)]
    return {scene: np.ones((CELL_PX, 2 * CELL_PX), bool) for scene in scenes}


def days_of(ground):
    return [scene.time.day for scene, shown in ground.composed.items() if shown.any()]


@pytest.mark.parametrize(("period", "days"), [(JUNE, [13, 17]), (ALL_TIME, [20, 28])])
def test_of_equally_clear_scenes_those_near_the_middle_come_first(period, days):
    usable = clear(2, 13, 17, 20, 28)
    settings = CompositeSettings(max_observations=2)
    ground = Ground.of(period, usable, settings)
    assert days_of(ground) == days
    assert ground.judging == {}
    assert ground.held == 2
    assert days_of(Ground.of(period, usable, CompositeSettings())) == [2, 13, 17, 20, 28]


def test_what_is_not_composed_judges_and_what_is_spared_is_counted():
    usable = clear(2, 13, 17, 20, 40)
    [*usable.values()][1][:, CELL_PX:] = False
    ground = Ground.of(JUNE, usable, SCREENED)
    for scene, shown in usable.items():
        parts = [each[scene] for each in (ground.composed, ground.judging) if scene in each]
        np.testing.assert_array_equal(np.sum(parts, axis=0), shown)
    assert ground.held == 2 + 1 + 3
    before = METER.total().bytes_not_needed
    ground.count_not_needed(SCREENED, CELL_PX)
    # The 2nd in both cells and the 20th in the left one; of five bands three judge.
    left = 2 + 1
    assert METER.total().bytes_not_needed - before == 4 * left * CELL_PX**2 * (5 - 3)
