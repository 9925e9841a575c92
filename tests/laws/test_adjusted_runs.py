"""Laws of runs whose composites are adjusted: two sensors in one, any partition, run twice is run once."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import run, store
from pipeline.errors import ConfigError, EmptySearchError, StoreError
from pipeline.types import CompositeSettings, GridSettings, Period
from tests.faults.small_region import LANDSAT
from tests.laws.test_runs import in_aoi

pytestmark = pytest.mark.usefixtures("threshold")

BANDS = ("blue", "red", "nir")
PLAIN = CompositeSettings(name="plain", period="season", bands=BANDS)
ADJUSTED = PLAIN.replace(name="both", harmonize="hls", brdf="c-factor")
SEEN = {"view:azimuth": 105.0, "view:incidence_angle": 8.0}


@pytest.fixture
def seen(region):
    """A region whose items state from where they were seen; a season has both sensors."""
    for path in region.archive.glob("*/*/*.json"):
        name = path.stem
        stated = {"view:off_nadir": 0} if name == LANDSAT else SEEN
        region.edit(name, lambda document, stated=stated: document["properties"].update(stated))
    return region


def composed(job):
    archive = store.open_archive(job.store)
    # The outermost row may lie in a tile that the AOI does not touch.
    inner = {"y": slice(1, -1), "x": slice(1, -1)}
    found = in_aoi(archive.composite(job.composite.name).load(), job).isel(inner)
    ids = np.array([*archive.item_ids, ""])
    return found.assign(source=found["source"].copy(data=ids[found["source"].values]))


def test_composites_say_how_they_are_adjusted_and_of_which_sensors_and_keep_it(seen):
    """One job, one reading: both sensors as they are, adjusted, and each alone."""
    # Landsat lacks red edge: only the named sensor's items need a composite's bands.
    alone = [
        PLAIN.replace(name=name, sensors=(name,), bands=bands)
        for name, bands in (("sentinel-2", (*BANDS, "rededge1")), ("landsat", BANDS))
    ]
    job = seen.job(composite=None, composites=(PLAIN, ADJUSTED, *alone))
    run.run(job)
    assert run.plan_job(job).nothing_to_do
    made = {}
    for each in job.composites:
        # As if each had a job of its own.
        one = job.replace(composite=each, composites=())
        assert run.plan_job(one).nothing_to_do
        made[each.name] = composed(one)
    plain, both = made["plain"], made["both"]
    assert not {"harmonize", "brdf", "only_sensors"} & set(plain.attrs)
    assert (both.attrs["harmonize"], both.attrs["brdf"]) == ("hls", "c-factor")
    assert set(both.attrs["sensors"]) == {"landsat", "sentinel-2"}
    np.testing.assert_array_equal(both["count"], plain["count"])
    change = (both["blue"] - plain["blue"]).values[plain["count"].values > 0]
    # Blue of Sentinel-2 falls by about .004 and by what the view makes it brighter.
    assert -0.02 < np.median(change) < -0.003
    for name in ("sentinel-2", "landsat"):
        assert made[name].attrs["sensors"] == made[name].attrs["only_sensors"] == [name]
        assert made[name]["count"].values.any()
    total = made["sentinel-2"]["count"] + made["landsat"]["count"]
    # An observation counts where all bands of its composite have data.
    assert (total.values == plain["count"].values).mean() > 0.95
    for other in (
        ADJUSTED.replace(brdf=None),
        PLAIN.replace(name="both"),
        PLAIN.replace(sensors=("landsat",)),
    ):
        with pytest.raises(StoreError, match="give the new one another name"):
            run.plan_job(job.replace(composite=other, composites=()))


@pytest.mark.slow
def test_any_tiles_and_any_nights_give_the_same_adjusted_composites(seen):
    whole = seen.job(composite=ADJUSTED)
    run.run(whole)
    expected = composed(whole)
    small = GridSettings(resolution_m=10.0, tile_px=64, chunk_px=32)
    july = datetime(2023, 7, 1, tzinfo=UTC)
    nights = [
        Period(start=whole.period.start, end=july),
        Period(start=july, end=whole.period.end),
    ]
    for name, grid, spans in (
        ("tiles", small, [whole.period]),
        ("nights", whole.grid, nights),
        ("backwards", whole.grid, nights[::-1]),
    ):
        job = seen.job(composite=ADJUSTED, grid=grid, store=str(seen.folder / name))
        for span in spans:
            run.run(job.replace(period=span))
        assert run.plan_job(job).nothing_to_do
        found = composed(job)
        for variable in (*BANDS, "count", "day", "source"):
            np.testing.assert_array_equal(
                found[variable], expected[variable], err_msg=f"{name} {variable}"
            )


def test_items_that_cannot_be_adjusted_are_dropped_with_the_reason(seen):
    seen.edit(LANDSAT, lambda document: document["properties"].update(platform="landsat-7"))
    plan = run.plan_job(seen.job(composite=ADJUSTED))
    lacking = {each.item_id for each in plan.items.dropped if "no coefficients" in each.reason}
    assert lacking == {LANDSAT}
    assert LANDSAT in {each.id for each in plan.items.missed}


def test_a_catalogue_that_states_no_views_says_so(region):
    with pytest.raises(EmptySearchError, match="view:incidence_angle"):
        run.plan_job(region.job(composite=PLAIN.replace(brdf="c-factor")))


def test_a_sensor_that_does_not_exist_is_refused(seen):
    with pytest.raises(ConfigError, match=r"found landsat-8, expected hls \| landsat"):
        run.plan_job(seen.job(composite=PLAIN.replace(sensors=("landsat-8",))))
