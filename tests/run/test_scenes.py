"""Scenes: items grouped by pass, the same whatever part of them is found, in whatever order."""

import itertools
from datetime import UTC, datetime, timedelta

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import EmptySearchError
from pipeline.run.common.fingerprint import mask_fingerprint
from pipeline.run.common.scenes import KnownScene, find_passes, of_period, scenes_of
from pipeline.testing.models import ThresholdModel
from pipeline.types import (
    UNCOVERED,
    CleanSettings,
    Items,
    MaskSettings,
    Period,
    ShadowSettings,
)


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


def items_of(*items):
    """Return items as a search gives them, in mosaic order."""
    return Items(items=tuple(sorted(items, key=lambda item: (item.datetime, item.id))))


def ids_of(items, scenes):
    """Return the ids of each scene's items."""
    return [{items.items[p].id for p in scene.items} for scene in scenes]


def stored(items, scenes, known=()):
    """Return what a store has after a run that made these scenes, on top of what it had."""
    rows = {(sensor, each.time): each for sensor, its in dict(known).items() for each in its}
    for scene in scenes:
        ids = tuple(items.items[p].id for p in scene.items)
        row = KnownScene(time=scene.time, platform=scene.platform, items=ids)
        rows[scene.sensor, scene.time] = row
    return {
        sensor: tuple(row for (its, _), row in sorted(rows.items()) if its == sensor)
        for sensor, _ in rows
    }


def test_a_scene_is_a_sensor_and_a_pass():
    items = items_of(
        make_item("north", MORNING),
        make_item("south", MORNING + timedelta(seconds=14)),
        make_item("landsat", MORNING + timedelta(minutes=1), "landsat-c2-l2", "landsat-8"),
        make_item("other", MORNING + timedelta(minutes=10), platform="Sentinel-2B"),
        make_item("orbit", MORNING + timedelta(minutes=99)),
        make_item("tomorrow", MORNING + timedelta(days=1)),
    )
    scenes = scenes_of(items)
    expected = [
        ({"north", "south"}, "sentinel-2a"),
        ({"landsat"}, "landsat-8"),
        ({"other"}, "sentinel-2b"),
        ({"orbit"}, "sentinel-2a"),
        ({"tomorrow"}, "sentinel-2a"),
    ]
    platforms = [scene.platform for scene in scenes]
    assert list(zip(ids_of(items, scenes), platforms, strict=True)) == expected
    assert scenes[0].items == (0, 1)
    assert scenes[0].time == MORNING


def test_a_pass_over_midnight_is_one_scene():
    midnight = datetime(2019, 1, 1, tzinfo=UTC)
    items = items_of(
        make_item("before", midnight - timedelta(seconds=20)),
        make_item("after", midnight + timedelta(seconds=20)),
    )
    (scene,) = scenes_of(items)
    assert scene.items == (0, 1)
    assert scene.time == midnight - timedelta(seconds=20)


HLS_S30 = "HLS.S30.T{tile}.2025179T{began}.v2.0"


def test_harmonized_items_are_grouped_by_product_name_and_time():
    items = items_of(
        make_item("a", MORNING, "HLSL30_2.0", platform=None),
        make_item("b", MORNING + timedelta(seconds=24), "HLSL30_2.0", platform=None),
        # Half an orbit apart: Landsat 8 and 9.
        make_item("c", MORNING + timedelta(minutes=49), "HLSL30_2.0", platform=None),
        *(
            make_item(
                HLS_S30.format(tile=tile, began=began),
                MORNING + timedelta(minutes=minute, seconds=second),
                "HLSS30_2.0",
                platform=None,
            )
            # Of two passes that a long region sees at once.
            for tile, began, minute, second in (
                ("32UPU", "101559", 3, 0),
                ("32TPT", "101559", 3, 15),
                ("33UUP", "102021", 3, 5),
                ("33TUN", "102021", 3, 20),
            )
        ),
    )
    found = dict(zip(("L", "S1", "S2", "L9"), scenes_of(items), strict=True))
    assert [items.items[p].id for p in found["L"].items] == ["a", "b"]
    assert (found["L"].sensor, found["L"].platform) == ("hls", "landsat")
    assert {items.items[p].id[8:14] for p in found["S1"].items} == {"T32UPU", "T32TPT"}
    assert {items.items[p].id[8:14] for p in found["S2"].items} == {"T33UUP", "T33TUN"}
    assert found["S1"].platform == found["S2"].platform == "sentinel-2"
    assert [items.items[p].id for p in found["L9"].items] == ["c"]


def test_items_without_a_time_of_day_are_grouped_by_their_path():
    midnight = datetime(2015, 7, 10, tzinfo=UTC)
    items = items_of(
        *(
            make_item(
                name, midnight, "landsat-c2l2-sr", "LANDSAT_8", **{"landsat:wrs_path": path}
            )
            for name, path in (("a", "5"), ("b", 5), ("c", "006"))
        ),
        # The same pass in a catalogue that knows when.
        make_item(
            "d",
            midnight + timedelta(hours=14),
            "landsat-c2-l2",
            "landsat-8",
            **{"landsat:wrs_path": "005"},
        ),
    )
    five, other = scenes_of(items)
    assert [items.items[p].id for p in five.items] == ["a", "b", "d"]
    assert [items.items[p].id for p in other.items] == ["c"]
    # The same instant, but two scenes.
    assert other.time - five.time == timedelta(microseconds=1)


def test_an_item_without_a_platform_joins_the_pass_beside_it():
    items = items_of(
        make_item("one", MORNING),
        make_item("unnamed", MORNING + timedelta(seconds=20), platform=None),
        make_item("other", MORNING + timedelta(minutes=10), platform="sentinel-2b"),
        make_item("nobody's", MORNING + timedelta(minutes=60), platform=None),
    )
    scenes = scenes_of(items)
    assert ids_of(items, scenes) == [{"one", "unnamed"}, {"other"}, {"nobody's"}]
    assert scenes[2].platform == "sentinel-2"


@pytest.mark.parametrize(
    "wrong", [{}, [], 7, True, "", None, float("nan"), "\ud800", {"a": 1}, "-1"]
)
def test_properties_of_any_kind_do_no_harm(wrong):
    names = ("sat:relative_orbit", "landsat:wrs_path", "s2:product_uri", "title", "eo:platform")
    item = make_item("one", MORNING, platform=wrong, **dict.fromkeys(names, wrong))
    assert len(scenes_of(Items(items=(item,)))) == 1


# -- what the store has ------------------------------------------------------------------------


def test_a_scene_keeps_its_time_in_the_store():
    first = items_of(make_item("known", MORNING + timedelta(seconds=40)))
    known = stored(first, scenes_of(first))
    items = items_of(make_item("late", MORNING), *first)
    (scene,) = scenes_of(items, known)
    assert scene.time == MORNING + timedelta(seconds=40)
    assert scene.items == (0, 1)
    # Also where all that the store knew of it has been processed again, under other ids.
    again = items_of(make_item("again", MORNING + timedelta(seconds=39)))
    assert scenes_of(again, known)[0].time == scene.time


def test_a_second_pass_that_comes_later_is_a_scene_of_its_own():
    first = items_of(make_item("a", MORNING))
    known = stored(first, scenes_of(first))
    other = make_item("b", MORNING - timedelta(minutes=10), platform="sentinel-2b")
    for items in (items_of(*first, other), items_of(other)):
        scenes = scenes_of(items, known)
        assert {"b"} in ids_of(items, scenes)
        (found,) = [scene for scene in scenes if scene.platform == "sentinel-2b"]
        assert found.time == other.datetime


def test_two_passes_of_one_instant_stay_two_scenes_whatever_comes_later():
    names = "abcde"
    items = [make_item(f"i{name}", MORNING, platform=f"sentinel-2{name}") for name in names]
    for order in itertools.permutations(items, 3):
        known, times = {}, {}
        for count in (1, 2, 3):
            found = items_of(*order[:count])
            scenes = scenes_of(found, known)
            assert len({scene.time for scene in scenes}) == count
            assert all(scene.time - MORNING < timedelta(microseconds=3) for scene in scenes)
            for scene in scenes:
                assert times.setdefault(scene.platform, scene.time) == scene.time
            known = stored(found, scenes, known)


def test_a_new_scene_never_takes_the_time_of_a_stored_one_that_is_gone():
    known = {"sentinel-2": [KnownScene(time=MORNING, platform="sentinel-2b", items=("gone",))]}
    (scene,) = scenes_of(items_of(make_item("a", MORNING)), known)
    assert scene.time == MORNING + timedelta(microseconds=1)


def test_a_pass_over_the_edge_of_the_dates_stays_in_its_scene():
    midnight = datetime(2023, 6, 1, tzinfo=UTC)
    before = make_item("before", midnight - timedelta(seconds=9))
    after, later = make_item("after", midnight), make_item("later", midnight + timedelta(1))
    june = Period(start=midnight, end=midnight + timedelta(days=30))
    both = items_of(before, after)
    known = stored(both, scenes_of(both))
    kept = of_period(items_of(after, later), known, june)
    assert [item.id for item in kept] == ["later"]
    assert [each.item_id for each in kept.dropped] == ["after"]
    assert "2023-05-31T23:59:51" in kept.dropped[0].reason
    with pytest.raises(EmptySearchError, match="2023-05-31T23:59:51"):
        of_period(items_of(after), known, june)
    # June's half alone, stored first, is a scene of its own, and stays one beside May's.
    known = stored(items_of(after), scenes_of(items_of(after)))
    may = Period(start=midnight - timedelta(days=31), end=midnight)
    (half,) = find_passes(items_of(before), known, may).scenes
    assert half.time == before.datetime
    known = stored(items_of(before), [half], known)
    assert ids_of(both, scenes_of(both, known)) == [{"before"}, {"after"}]


def test_dropped_items_are_of_passes_too():
    items = Items(
        items=(make_item("a", MORNING),),
        missed=(
            make_item("beside", MORNING - timedelta(seconds=9)),
            make_item("other", MORNING, platform="sentinel-2b"),
            make_item("other's", MORNING + timedelta(seconds=9), platform="sentinel-2b"),
            make_item("unknown", MORNING, collection="nobody-knows"),
        ),
    )
    found = find_passes(items)
    (scene,) = found.scenes
    assert (scene.items, scene.time) == ((0,), MORNING)
    assert found.missed == (0, 1, 1, 2)


# -- laws --------------------------------------------------------------------------------------

PLATFORMS = {
    "sentinel-2-l2a": ("sentinel-2a", "sentinel-2b", "sentinel-2c"),
    "landsat-c2-l2": ("landsat-7", "landsat-8", "landsat-9"),
}


@st.composite
def archives(draw):
    """Draw items of passes as satellites make them, with the pass of each in its id.

    Passes of one platform are an orbit or more apart, begin to begin, and last less than half an hour;
    of several they may begin at the same instant. Some items give the time at which their pass began,
    and some tell the orbit.
    """
    items, number = [], 0
    for collection, platforms in PLATFORMS.items():
        mark = "landsat:wrs_path" if collection.startswith("landsat") else "sat:relative_orbit"
        for platform in platforms:
            when = MORNING + timedelta(minutes=draw(st.integers(0, 20)))
            for _ in range(draw(st.integers(0, 3))):
                number += 1
                for n, minute in enumerate(
                    draw(st.lists(st.floats(0, 29), min_size=1, max_size=4))
                ):
                    began = draw(st.booleans())
                    items.append(
                        make_item(
                            f"p{number:02d}-{n}",
                            when if began else when + timedelta(minutes=minute),
                            collection,
                            draw(st.sampled_from([platform, platform.upper()])),
                            **({mark: number} if draw(st.booleans()) else {}),
                        )
                    )
                when += timedelta(minutes=99 * draw(st.integers(1, 20)))
    return items


def true_passes(items):
    """Return the ids of each pass."""
    return {frozenset(i.id for i in items if i.id[:3] == number) for number in _numbers(items)}


def _numbers(items):
    return {item.id[:3] for item in items}


@given(archives())
def test_scenes_are_the_passes(drawn):
    items = items_of(*drawn)
    scenes = scenes_of(items)
    assert set(map(frozenset, ids_of(items, scenes))) == true_passes(drawn)
    positions = [position for scene in scenes for position in scene.items]
    assert sorted(positions) == list(range(len(items)))
    assert all(scene.items == tuple(sorted(scene.items)) for scene in scenes)
    assert len({(scene.sensor, scene.time) for scene in scenes}) == len(scenes)
    assert list(scenes) == sorted(scenes, key=lambda scene: (scene.time, scene.sensor))


@given(archives(), st.data())
def test_any_order_of_finding_items_gives_the_same_scenes(drawn, data):
    """Nights that find more and more, or a part alone: what the store ends with are the passes."""
    known, times = {}, {}
    shuffled = data.draw(st.permutations(drawn))
    found = []
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        found, shuffled = [*found, *shuffled[:size]], shuffled[size:]
        items = items_of(*found)
        scenes = scenes_of(items, known)
        assert set(map(frozenset, ids_of(items, scenes))) == true_passes(found)
        for scene in scenes:
            key = items.items[scene.items[0]].id[:3]
            assert times.setdefault(key, scene.time) == scene.time
        known = stored(items, scenes, known)
    assert sum(map(len, known.values())) == len(_numbers(drawn))


@given(archives(), st.data())
def test_any_part_of_a_search_finds_its_scenes_again(drawn, data):
    items = items_of(*drawn)
    known = stored(items, scenes_of(items)) if drawn else {}
    before = {i: s.time for s in scenes_of(items) for p in s.items for i in [items.items[p].id]}
    part = items_of(*(item for item in drawn if data.draw(st.booleans())))
    for scene in scenes_of(part, known):
        assert {before[part.items[p].id] for p in scene.items} == {scene.time}


@given(st.lists(st.integers(0, 60 * 24 * 20), min_size=1, max_size=20))
def test_every_item_is_in_exactly_one_scene(minutes):
    """Also of times that no satellite keeps."""
    times = sorted(MORNING + timedelta(minutes=minute) for minute in minutes)
    items = Items(items=tuple(make_item(f"i{n}", when) for n, when in enumerate(times)))
    positions = [position for scene in scenes_of(items) for position in scene.items]
    assert sorted(positions) == list(range(len(times)))


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
