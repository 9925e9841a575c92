"""Laws of queries that screen: what they count is what a run composed, for any area, dates and tiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geom import point
from shapely.geometry import box
from starlette.testclient import TestClient

import cloudmask
from pipeline import query, run, store
from pipeline.config import ServeSettings
from pipeline.errors import QueryError
from pipeline.run.why import screened, why
from pipeline.serve import make_app
from pipeline.serve.routes.describe import written
from pipeline.testing import WindowMeanModel
from pipeline.types import (
    USABLE,
    CompositeSettings,
    GuardSettings,
    Period,
    ScreenSettings,
)
from pipeline.types.manifest import screened_rows
from tests.laws.conftest import BANDS, LATTICE, make_job, use

ASIDE = CompositeSettings(name="aside", bands=tuple(BANDS), screen=ScreenSettings())


@pytest.fixture(scope="module")
def made(summer, tmp_path_factory):
    """Return the record and the archive of a guarded, screened run, its job."""
    with pytest.MonkeyPatch.context() as patch:
        use(patch.setattr, WindowMeanModel(LATTICE))
        where = tmp_path_factory.mktemp("screened")
        job = make_job(summer, where / "store", tile_px=256, chunk_px=128)
        guard = GuardSettings(cell_px=64, min_dates=2, share=0.5)
        job = job.replace(composite=ASIDE, mask=job.mask.replace(guard=guard))
        yield run.run(job), store.open_archive(job.store), job


def asked(archive, aoi=None, period=None, name=None):
    masks = {sensor: archive.stored_masks(sensor) for sensor in archive.sensors}
    plain = query.clear_sky(masks, aoi, period)
    found = screened(archive, plain, aoi, name)
    # What the model said stays as it was.
    assert [each.counts for each in found.scenes] == [each.counts for each in plain.scenes]
    return found


def test_the_whole_region_is_what_the_record_counted(made):
    record, archive, _ = made
    found = asked(archive)
    counted = {
        (row["sensor"], row["time"]): [
            row[kind] for kind in ("usable", "cloud", "shadow", "restored")
        ]
        for row in screened_rows(record.to_dict())
        if row["time"]
    }
    assert sum(row[1] for row in counted.values()) > 0
    for scene in found.scenes:
        key = scene.sensor, scene.time.isoformat()
        assert [*scene.screened.values()] == counted.pop(key, [0, 0, 0, 0])
    assert not any(sum(row) for row in counted.values())
    assert len(found.notes) == 1
    assert "of the usable pixels" in found.notes[0]


def inside(archive, aoi):
    """Return the counts (time, y, x) of a composite, 0 outside of an area."""
    return query.select_composite(archive.composite("aside"), aoi, None, ["count"])["count"]


@pytest.mark.quick(3)
@settings(max_examples=3)
@given(corners=st.tuples(*[st.floats(0.02, 0.98) for _ in range(4)]))
def test_in_any_area_what_stands_is_what_was_composed(made, corners):
    _, archive, job = made
    west, south, east, north = job.aoi.bounds
    xs, ys = sorted(corners[:2]), sorted(corners[2:])
    width, height = east - west, north - south
    area = box(
        west + xs[0] * width,
        south + ys[0] * height,
        west + (xs[1] + 0.02) * width,
        south + (ys[1] + 0.02) * height,
    )
    found = asked(archive, area)
    stands = sum(scene.standing or 0 for scene in found.scenes)
    assert stands == int(inside(archive, area).sum())


def test_a_pixel_is_judged_as_why_tells(made):
    _, archive, _ = made
    geobox = archive.grid.geobox
    looked = aside_in_all = 0
    stands = archive.composite("aside")["count"].sum("time").to_numpy()
    masks = [archive.masks(each)["mask"].to_numpy() for each in archive.sensors]
    usable = sum(np.isin(each, USABLE).sum(axis=0) for each in masks)
    where = np.argwhere((usable > stands) & (stands > 0))
    for y, x in where[:: max(len(where) // 2, 1)].tolist():
        here = point(*(geobox.transform * (x + 0.5, y + 0.5)), geobox.crs).to_crs("EPSG:4326")
        (lon, lat) = here.points[0]
        edge = 2e-5
        area = box(lon - edge, lat - edge, lon + edge, lat + edge)
        found = {(s.sensor, s.time): s for s in asked(archive, area).scenes}
        for period in archive.periods("aside"):
            for each in why(archive, (lon, lat), period).seen:
                scene = found.get((each.sensor, each.time))
                if each.verdict == "history" or scene is None or scene.screened is None:
                    continue
                assert scene.pixels == 1
                assert scene.standing == (each.verdict in ("taken", "composed"))
                aside = scene.screened["cloud"] + scene.screened["shadow"]
                assert aside == (each.verdict == "put aside")
                looked += 1
                aside_in_all += aside
    assert looked > aside_in_all > 0


def test_some_dates_are_judged_by_all_of_their_period(made):
    _, archive, job = made
    whole = {(s.sensor, s.time): s.screened for s in asked(archive).scenes}
    middle = job.period.start + (job.period.end - job.period.start) / 2
    found = asked(archive, None, Period(start=job.period.start, end=middle))
    assert 0 < len(found.scenes) < len(whole)
    assert all(whole[s.sensor, s.time] == s.screened for s in found.scenes)


def test_it_says_what_it_cannot_know(summer, made, tmp_path, monkeypatch):
    _, _, job = made
    use(monkeypatch.setattr, WindowMeanModel(LATTICE))
    # The month that has Landsat's date.
    start, end = (job.period.start.replace(month=month) for month in (7, 8))
    other = job.replace(store=str(tmp_path / "other"), period=Period(start=start, end=end))
    one = CompositeSettings(name="plain", bands=tuple(BANDS), sensors=("sentinel-2",))
    run.run(other.replace(composite=one))
    plain = store.open_archive(other.store)
    found = asked(plain)
    assert "would use it by default (it is not screened)" in found.notes[0]
    assert {s.sensor for s in found.scenes if s.screened is None} == {"landsat"}
    rows = query.to_rows(found)
    assert all((row["standing_pct"] is None) == (row["sensor"] == "landsat") for row in rows)
    run.run(
        other.replace(composite=CompositeSettings(name="rgb", bands=("red", "green", "nir")))
    )
    several = store.open_archive(other.store)
    with pytest.raises(QueryError, match="name one of them"):
        asked(several)
    with pytest.raises(QueryError, match="has no blue, swir16"):
        asked(several, name="rgb")


def test_in_python_and_as_rows(made):
    _, archive, job = made
    series = cloudmask.clear_sky(archive, job.aoi, screened="aside")
    assert series.notes
    for row, scene in zip(query.to_rows(series), series.scenes, strict=True):
        assert row["standing_pct"] == round(100 * scene.standing / scene.pixels, 2)
    assert query.to_dict(series)["notes"] == list(series.notes)
    assert "standing_pct" not in query.to_rows(cloudmask.clear_sky(archive, job.aoi))[0]


def test_a_server_answers_the_same(made, tmp_path):
    _, archive, job = made
    box_of = ",".join(map(str, job.aoi.bounds))
    settings = ServeSettings(max_screened_pixels=10**8, max_seconds=600)
    client = TestClient(make_app({"law": job.store}, settings, web=tmp_path, judge=screened))
    answer = client.get(
        "/archives/law/clear-sky", params={"bbox": box_of, "screened": "true"}
    ).json()
    expected = asked(archive, job.aoi)
    assert answer["notes"] == [*expected.notes]
    found = {
        (row["sensor"], row["interval"]["from"]): row["screened"]["standing"]
        for row in answer["data"]
        if "screened" in row
    }
    stands = {
        (each.sensor, written(each.time)): each.standing
        for each in expected.scenes
        if each.is_there and each.screened is not None
    }
    assert found == stands
    assert sum(found.values()) > 0
