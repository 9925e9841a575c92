"""What composing a tile is said to take counts what is held of the whole tile."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline import grid
from pipeline.run.plan.memory import composing_bytes
from pipeline.testing.jobs import make_job
from pipeline.types import CompositeSettings, GridSettings

JOB = make_job(grid=GridSettings(tile_px=1024), composite=CompositeSettings())
GRID = grid.make_grid(JOB)


@given(st.integers(1, 1000))
def test_where_scenes_show_the_ground_is_held_for_the_whole_tile(n_scenes):
    """Blocks get smaller with more scenes; masks do not, and stand twice: scene by scene, and as one array."""
    assert composing_bytes(JOB, GRID, max_scenes=n_scenes) >= 2 * n_scenes * GRID.tile_px**2
