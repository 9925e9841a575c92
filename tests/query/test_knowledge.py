"""Dates with scenes, dates searched without one and dates never searched are told apart."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipeline import query, store, types
from pipeline.errors import NotArchivedError
from pipeline.query.knowledge import stretches
from pipeline.types import Code, Period, SceneShares, Searched, Series, outline_of
from pipeline.wording import counted, dates

BOX = shapely.box(10, 50, 11, 51)
SPRING = Period(start=datetime(2023, 4, 1, tzinfo=UTC), end=datetime(2023, 7, 1, tzinfo=UTC))


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def searched(start: str, end: str, aoi=BOX, sensors=(), *, filtered=False) -> Searched:
    return Searched(
        start=day(start), end=day(end), aoi=outline_of(aoi), sensors=sensors, filtered=filtered
    )


def found(searches, times=(), asked=SPRING, aoi=BOX, sensor="sentinel-2"):
    told = stretches(sensor, asked, searches, aoi, [day(each) for each in times])
    return [(dates(each.start, each.end), each.state, each.scenes) for each in told]


def test_three_answers():
    told = found([searched("2023-05-01", "2023-08-01")], ["2023-06-03T10:00", "2023-06-08"])
    assert told == [
        ("2023-04-01 – 2023-04-30", "never searched", 0),
        ("2023-05-01 – 2023-05-31", "no scene", 0),
        ("2023-06-01 – 2023-06-30", "scenes", 2),
    ]


def test_runs_of_a_night_each_are_one_stretch():
    nights = [searched("2023-01-01", f"2023-06-{n:02d}") for n in range(1, 30)]
    assert found(nights) == [
        ("2023-04-01 – 2023-06-28", "no scene", 0),
        ("2023-06-29 – 2023-06-30", "never searched", 0),
    ]


def test_an_area_searched_in_part_is_not_searched():
    half = shapely.box(10, 50, 10.5, 51)
    (told,) = stretches("s", SPRING, [searched("2023-01-01", "2024-01-01", half)], BOX, [])
    assert (told.state, told.searched) == ("partly searched", 0.5)
    elsewhere = shapely.box(20, 50, 21, 51)
    assert found([searched("2023-01-01", "2024-01-01", elsewhere)])[0][1] == "never searched"
    both = [searched("2023-01-01", "2024-01-01", each) for each in (half, BOX - half)]
    assert found(both)[0][1] == "no scene"


def test_sensors_are_searched_one_by_one():
    runs = [searched("2023-01-01", "2024-01-01", sensors=("landsat",))]
    assert found(runs)[0][1] == "never searched"
    assert found(runs, sensor="landsat")[0][1] == "no scene"


@given(
    st.lists(st.tuples(st.integers(0, 120), st.integers(1, 60)), max_size=6),
    st.lists(st.integers(0, 90), max_size=8),
)
def test_every_day_is_told_once_and_rightly(spans, scenes):
    first = day("2023-03-15")
    runs = [
        Searched(
            start=first + timedelta(days=start),
            end=first + timedelta(days=start + length),
            aoi=outline_of(BOX),
            sensors=(),
        )
        for start, length in spans
    ]
    times = sorted(SPRING.start + timedelta(days=each, hours=11) for each in scenes)
    told = stretches("s", SPRING, runs, BOX, times)
    assert (told[0].start, told[-1].end) == (SPRING.start, SPRING.end)
    assert all(one.end == other.start for one, other in pairwise(told))
    assert sum(each.scenes for each in told) == sum(time in SPRING for time in times)
    for each in told:
        for n in range((each.end - each.start).days):
            instant = each.start + timedelta(days=n)
            known = any(run.start <= instant < run.end for run in runs)
            if each.state != "scenes":
                assert each.state == ("no scene" if known else "never searched")


# -- of an archive -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(region, tmp_path_factory):
    """A store that a run of April to June made: scenes in June, only in the tiles of the west."""
    url = str(tmp_path_factory.mktemp("known") / "store")
    west = region.grid.geobox[:, :64].geographic_extent.geom
    record = {
        "run_id": "r",
        "searched": {
            "start": "2026-04-01T00:00:00+00:00",
            "end": "2026-07-01T00:00:00+00:00",
            "sensors": ["sentinel-2"],
            "aoi": outline_of(west),
            "filtered": True,
        },
    }
    with store.open_writer(url, region.grid, title="t", run_key="r") as writer:
        times = [day("2026-06-03T10:00"), day("2026-06-20T10:00"), day("2026-06-20T10:08")]
        writer.set_scenes("sentinel-2", [(time, "s", [f"{time}"]) for time in times])
        for at, time in enumerate(times):
            for tile in region.grid.tiles():
                if tile.col > 1:
                    continue
                codes = np.full(tile.geobox.shape, Code.CLEAR, np.uint8)
                codes[: (30, 0, 10)[at]] = Code.THICK_CLOUD
                writer.write_mask("sentinel-2", time, tile, codes, 100)
        writer.publish(record)
    return store.open_archive(url)


def asked(start: str, end: str) -> Period:
    return Period(start=day(start), end=day(end))


def series_of(archive, aoi, period):
    masks = {sensor: archive.stored_masks(sensor) for sensor in archive.sensors}
    return query.clear_sky(masks, aoi, period)


def test_the_series_knows_which_dates_have_no_scene(archive, region):
    series = series_of(archive, region.box(2, 2, 40, 40), asked("2026-03-01", "2026-07-01"))
    assert [(dates(s.start, s.end), s.state, s.scenes) for s in series.stretches] == [
        ("2026-03-01 – 2026-03-31", "never searched", 0),
        ("2026-04-01 – 2026-05-31", "no scene", 0),
        ("2026-06-01 – 2026-06-30", "scenes", 3),
    ]
    told = series.summary
    # Two scenes of one day, one of them clear, are one clear date.
    assert (told.scenes, told.dates, told.clear_dates) == (3, 2, 1)
    assert told.gap_days == (day("2026-06-20") - day("2026-03-01")).days
    words = query.in_words(series)
    assert words[0].startswith(
        "3 scenes on 2 dates, 1 of them clear (80 % of the area or more)"
    )
    assert "longest gap without a clear date 111 days (2026-03-01 – 2026-06-19)" in words[0]
    assert words[1:] == [
        "2026-03-01 – 2026-03-31: never searched: whether there are scenes is not known",
        "2026-04-01 – 2026-05-31: searched, no scene that passes the query or filter of the job",
    ]
    as_json = query.to_dict(series)
    assert as_json["summary"]["clear_dates"] == 1
    assert [each["state"] for each in as_json["dates"]] == [s.state for s in series.stretches]
    assert len(as_json["scenes"]) == 3


def test_a_year_that_nobody_searched_is_no_answer(archive, region):
    series = series_of(archive, region.box(2, 2, 40, 40), asked("2020-01-01", "2021-01-01"))
    assert not series.is_archived
    with pytest.raises(NotArchivedError, match="2020-01-01 – 2020-12-31; it has 2026-04-01 – "):
        query.require_archived(series)
    query.require_archived(
        series_of(archive, region.box(2, 2, 40, 40), asked("2026-04-05", "2026-04-09"))
    )


def test_tiles_that_were_never_masked_are_told(archive, region):
    june = asked("2026-06-01", "2026-07-01")
    # East of what was masked, in the region all the same.
    east = series_of(archive, region.box(100, 2, 140, 40), june)
    assert len(east.scenes) == 3
    with pytest.raises(NotArchivedError):
        query.require_archived(east)
    half = series_of(archive, region.box(32, 32, 96, 64), june)
    assert half.unmasked == pytest.approx(0.5, abs=0.03)
    assert "50.0% of the area was never masked on these dates" in query.in_words(half)
    beyond = series_of(archive, region.box(-40, 32, 40, 64), june)
    assert beyond.outside == pytest.approx(0.5, abs=0.03)
    assert any("outside the region" in line for line in query.in_words(beyond))


def test_without_dates_all_that_is_known_is_asked_for(archive):
    series = series_of(archive, None, None)
    assert (series.asked.start, series.asked.end) == (day("2026-04-01"), day("2026-07-01"))
    assert [each.state for each in series.stretches] == ["no scene", "scenes"]


def test_a_run_of_before_says_its_dates_by_its_manifest(region, tmp_path):
    url = str(tmp_path / "store")
    row = {"tile": "r000c000", "period": "2026-05-01/2026-06-01"}
    with store.open_writer(url, region.grid, title="t", run_key="r") as writer:
        writer.set_scenes("sentinel-2", [(day("2026-05-03"), "s", ["a"])])
        tile = region.grid.tile(0, 0)
        writer.write_mask("sentinel-2", day("2026-05-03"), tile, None, types.UNREADABLE)
        writer.publish({"run_id": "old", "manifest": [row]})
    (told,) = store.open_archive(url).searched()
    assert (told.start, told.end) == (day("2026-05-01"), day("2026-06-01"))


@pytest.mark.parametrize(
    ("days", "gap"),
    [
        ([], ("2023-04-01", "2023-06-30", 91)),
        (["2023-04-01", "2023-06-30"], ("2023-04-02", "2023-06-29", 89)),
        (["2023-04-11", "2023-05-01"], ("2023-05-02", "2023-06-30", 60)),
    ],
)
def test_the_longest_gap_counts_the_ends(days, gap):
    scenes = tuple(
        SceneShares(
            sensor="s", time=day(each), platform="", pixels=10, counts={Code.CLEAR: 9}, unread=1
        )
        for each in days
    )
    told = Series(scenes=scenes, asked=SPRING).summary
    assert (*map(str, told.gap), told.gap_days) == gap


def test_things_are_counted_in_english():
    assert [counted(n, "scene") for n in (0, 1, 2, 1200)] == [
        "0 scenes",
        "1 scene",
        "2 scenes",
        "1200 scenes",
    ]
    assert counted(2, "copy", "copies") == "2 copies"
