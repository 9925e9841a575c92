"""What composing a tile is said to take counts what is held of the whole tile."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import grid, models
from pipeline.run.common.together import ToCompose
from pipeline.run.plan.memory import composing_bytes, memory_of
from pipeline.testing.jobs import make_job
from pipeline.types import CompositeSettings, GridSettings, Items, Period, RunSettings
from tests.run.test_ahead import item_at

CARD = models.resolve("ukis-csmask", level="L2A", roles=["blue", "green", "red", "nir"])
JOB = make_job(grid=GridSettings(tile_px=1024), composite=CompositeSettings())
GRID = grid.make_grid(JOB)
SUMMER, JUNE, JULY = (
    Period(start=datetime(2023, first, 1, tzinfo=UTC), end=datetime(2023, end, 1, tzinfo=UTC))
    for first, end in ((6, 9), (6, 7), (7, 8))
)


def composing(*steps, workers=2):
    """Return what steps need at once: settings, period, most scenes."""
    return composing_bytes([ToCompose(*each) for each in steps], GRID, workers)


@given(st.integers(1, 1000), st.floats(10, 10_000))
def test_distances_to_clouds_are_held_for_the_whole_tile(n_scenes, cloud_m):
    """Both of them, and of each worker's scene the masks around the tile, as far as clouds count."""
    settings = CompositeSettings(method="best", options={"cloud_m": cloud_m})
    plain = settings.replace(options={"weights": {"doy": 1.0}})
    far, none = (composing((each, SUMMER, n_scenes)) for each in (settings, plain))
    wide = GRID.tile_px + 2 * int(cloud_m / GRID.resolution_m)
    held = 8 * n_scenes * GRID.tile_px**2
    assert far - none >= held
    assert far >= held + JOB.run.workers * wide**2


@given(st.integers(1, 300))
def test_confidence_is_held_for_the_whole_tile_and_angles_in_blocks(n_scenes):
    doy, confidence, view = (
        composing(
            (
                CompositeSettings(method="best", options={"weights": {each: 1.0}}),
                SUMMER,
                n_scenes,
            )
        )
        for each in ("doy", "confidence", "view")
    )
    assert confidence - doy > n_scenes * GRID.tile_px**2
    assert view - doy >= 4 * n_scenes * 16**2


@given(st.integers(1, 1000))
def test_where_scenes_show_the_ground_is_held_for_the_whole_tile(n_scenes):
    """Blocks get smaller with more scenes; masks do not, and stand twice: scene by scene, and as one array."""
    assert composing((CompositeSettings(), SUMMER, n_scenes)) >= 2 * n_scenes * GRID.tile_px**2


@given(st.integers(1, 200), st.integers(0, 200), st.integers(1, 4))
def test_steps_at_once_take_no_more_than_their_sum_and_no_less_than_the_longest(
    in_june, in_july, workers
):
    summer, months = CompositeSettings(name="summer"), CompositeSettings(name="months")
    steps = [
        (summer, SUMMER, in_june + in_july),
        (months, JUNE, in_june),
        (months, JULY, in_july),
    ]
    apart = [composing(each, workers=workers) for each in steps]
    # Its blocks are the smallest: a month by itself may take more, in larger ones.
    assert apart[0] <= composing(*steps, workers=workers) <= sum(apart)


def test_blocks_of_one_step_are_in_work_at_a_time():
    first = CompositeSettings(name="a", method="geomedian")
    one, *more = (
        composing(*((first.replace(name=f"c{n}"), SUMMER, 24) for n in range(many)))
        for many in (1, 2, 3)
    )
    # What is made, where each scene shows the ground, and tasks.
    each = GRID.tile_px**2 * (4 * len(first.bands) + 12 + 2 * 24)
    assert more[0] - one < 1.2 * each
    assert more[1] - more[0] < 1.2 * each


@pytest.mark.parametrize(
    ("href", "asked", "ahead"),
    [
        ("/data/blue.tif", None, 0),
        ("/data/blue.tif", 3, 3),
        ("https://example.com/blue.tif", None, 2),
        ("https://example.com/blue.tif", 0, 0),
    ],
)
def test_windows_read_ahead_are_counted_where_threads_read_ahead(href, asked, ahead):
    """Each has at least a window of the model, and the blocks that it is cut from."""

    def needed(asked, href):
        job = JOB.replace(run=RunSettings(workers=2, read_ahead=asked))
        items = Items(items=(item_at(href),))
        return memory_of(job, [CARD], GRID, items, composing=0, available=0).needed

    more = needed(asked, href) - needed(0, href)
    each = CARD.lattice.window_px**2 * len(CARD.roles) * 4
    assert more >= ahead * each
    assert (more > 0) == (ahead > 0)


@given(
    st.integers(0, 2**34), st.integers(0, 2**35), st.sampled_from(["/data", "https://x.org"])
)
def test_both_halves_are_counted_where_tiles_overlap_and_none_does_without_room(
    composing, available, folder
):
    items = Items(items=(item_at(f"{folder}/blue.tif"),))
    apart, found, masking = (
        memory_of(JOB, [CARD], GRID, items, composing=each, available=most)
        for each, most in ((composing, 0), (composing, available), (0, 0))
    )
    assert not apart.across_tiles
    if found.across_tiles:
        assert folder != "/data"
        assert masking.needed + composing == found.needed <= available
    else:
        assert found == apart
        # Nothing is given up that there is room for.
        assert folder == "/data" or masking.needed + composing > available
