from datetime import UTC, date, datetime, timedelta

import pystac
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from pipeline.run.fingerprint import mask_fingerprint
from pipeline.run.scenes import scenes_of, solar_day
from pipeline.testing.models import ThresholdModel
from pipeline.types import UNCOVERED, CleanSettings, Items, MaskSettings, ShadowSettings


def make_item(name, when, collection="sentinel-2-l2a", platform="sentinel-2a", **properties):
    return pystac.Item(
        id=name,
        geometry=None,
        bbox=None,
        datetime=when,
        collection=collection,
        properties={"platform": platform, "s2:processing_baseline": "05.09", **properties},
    )


MORNING = datetime(2023, 6, 5, 10, 20, tzinfo=UTC)


def test_solar_day_is_the_day_by_the_sun():
    assert solar_day(datetime(2023, 6, 5, 23, 0, tzinfo=UTC), 150) == date(2023, 6, 6)
    assert solar_day(datetime(2023, 6, 5, 1, 0, tzinfo=UTC), -150) == date(2023, 6, 4)


def test_a_scene_is_a_sensor_and_a_solar_day():
    items = Items(
        items=(
            make_item("north", MORNING),
            make_item("south", MORNING + timedelta(seconds=14), platform="sentinel-2b"),
            make_item("landsat", MORNING + timedelta(minutes=1), "landsat-c2-l2", "landsat-8"),
            make_item("tomorrow", MORNING + timedelta(days=1)),
        )
    )
    one, landsat, two = scenes_of(items, box(9, 48, 9.1, 48.1), {})
    assert (one.sensor, one.time, one.items) == ("sentinel-2", MORNING, (0, 1))
    assert one.platform == "sentinel-2a/sentinel-2b"
    assert (landsat.sensor, landsat.items) == ("landsat", (2,))
    assert two.items == (3,)


def test_a_scene_keeps_the_time_by_which_the_store_knows_it():
    items = Items(
        items=(make_item("late", MORNING), make_item("known", MORNING.replace(hour=11)))
    )
    known = {"sentinel-2": [MORNING.replace(hour=11)]}
    (scene,) = scenes_of(items, box(9, 48, 9.1, 48.1), known)
    assert scene.time == MORNING.replace(hour=11)


@given(st.lists(st.integers(0, 60 * 24 * 20), min_size=1, max_size=20), st.floats(-180, 180))
def test_every_item_is_in_exactly_one_scene(minutes, longitude):
    times = sorted(MORNING + timedelta(minutes=minute) for minute in minutes)
    items = Items(items=tuple(make_item(f"i{n}", when) for n, when in enumerate(times)))
    scenes = scenes_of(items, box(longitude, 0, longitude + 0.1, 0.1), {})
    held = [position for scene in scenes for position in scene.items]
    assert sorted(held) == list(range(len(times)))
    assert all(scene.items == tuple(sorted(scene.items)) for scene in scenes)
    assert [scene.time for scene in scenes] == sorted(scene.time for scene in scenes)


def test_a_fingerprint_changes_with_whatever_changes_pixels():
    card, as_is = ThresholdModel().card, MaskSettings()

    def of(*items, card=card, settings=as_is):
        return mask_fingerprint(items, card, settings)

    sunny = {"view:sun_azimuth": 150.0, "view:sun_elevation": 50.0}
    one, two = make_item("one", MORNING, **sunny), make_item("two", MORNING, **sunny)
    plain = of(one)
    assert plain == of(make_item("one", MORNING, updated="later"))
    checked = MaskSettings(shadows=ShadowSettings())
    others = [
        of(),
        of(two),
        of(one, two),
        of(make_item("one", MORNING, **{"s2:processing_baseline": "03.01"})),
        of(make_item("one", MORNING, **{"s2:generation_time": "2024"})),
        of(one, card=ThresholdModel(roles=("red", "nir")).card),
        of(one, settings=MaskSettings(clean={"cloud": CleanSettings(dilate_m=60)})),
        of(one, settings=MaskSettings(clean={"shadow": CleanSettings(dilate_m=60)})),
        of(one, settings=checked),
        of(make_item("one", MORNING), settings=checked),
    ]
    assert plain not in others
    assert len(set(others)) == len(others)
    assert UNCOVERED in others
