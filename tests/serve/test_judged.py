"""``screened=true``: what a judge says is passed on, within bounds, and without telling where rasters lie."""

import csv
import dataclasses
import io

import pytest
from shapely.geometry import mapping

from pipeline.errors import AssetUnavailableError, QueryError
from pipeline.serve import Served
from tests.serve.conftest import ServeSettings, TestClient, make_app

PATH = "/archives/alps/clear-sky"
EACH = {"usable": 9, "cloud": 2, "shadow": 1, "restored": 1}
PIXELS = 500


def judge(archive, series, aoi, name, bounds):
    """Judge the first scene alone."""
    bounds.require_time()
    bounds.require_few(PIXELS)
    if name == "absent":
        raise QueryError("there is no such composite")
    if name == "away":
        raise AssetUnavailableError("S2A", "blue", "http://10.0.0.7/secret.tif: timeout")
    first, *rest = series.scenes
    judged = dataclasses.replace(first, screened=EACH)
    notes = (f"as composite {name}", "not looked at: S2B: asset 'blue' /data/b.tif: gone")
    return dataclasses.replace(series, scenes=(judged, *rest), notes=notes)


def served(region, tmp_path, judge=judge, **settings):
    settings = {"max_screened_pixels": 1000} | settings
    app = make_app({"alps": region.url}, ServeSettings(**settings), web=tmp_path, judge=judge)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def asked(region):
    west, south, east, north = region.box(8, 8, 40, 40).bounds
    return {"bbox": f"{west},{south},{east},{north}", "screened": "true"}


def test_what_the_judge_says_is_answered(region, tmp_path, asked):
    client = served(region, tmp_path)
    found = client.get(PATH, params=asked | {"composite": "monthly"}).json()
    scenes = [row for row in found["data"] if row["state"] == "scene"]
    expected = {
        "standing": 6,
        "aside_cloud": 2,
        "aside_shadow": 1,
        "restored": 1,
        "standing_percent": round(100 * 6 / scenes[0]["pixels"], 4),
    }
    assert [row.get("screened") for row in scenes] == [expected, *[None] * (len(scenes) - 1)]
    # Reasons tell where rasters lie.
    assert found["notes"] == ["as composite monthly", "not looked at: S2B"]
    plain = client.get(PATH, params={"bbox": asked["bbox"]}).json()
    for row in found["data"]:
        row.pop("screened", None)
    assert found["data"] == plain["data"]
    assert "notes" not in plain


def test_a_process_is_prepared_before_it_judges(region):
    done = []
    for most in (0, 1000):
        settings = ServeSettings(max_screened_pixels=most)
        Served(
            archives={"alps": region.url},
            settings=settings,
            judge=judge,
            prepare=lambda most=most: done.append(most),
        )()
    assert done == [1000]


def test_months_sum_and_csv_has_the_same_numbers(region, tmp_path, asked):
    client = served(region, tmp_path)
    months = client.get(PATH, params=asked | {"interval": "month"}).json()["data"]
    judged = [row["screened"] for row in months if "screened" in row]
    assert [row["standing"] for row in judged] == [6]
    text = client.get(PATH, params=asked | {"f": "csv"}).text
    rows = csv.DictReader(io.StringIO(text))
    first, *others = (row for row in rows if row["state"] == "scene")
    assert (first["standing"], first["aside_cloud"], first["restored"]) == ("6", "2", "1")
    assert {row["standing"] for row in others} == {""}
    assert "standing" not in client.get(PATH, params={"bbox": asked["bbox"], "f": "csv"}).text


@pytest.mark.parametrize(
    ("changed", "settings", "status", "says"),
    [
        ({}, {"max_screened_pixels": 0}, 422, "reads no rasters"),
        ({}, {"judge": None}, 422, "reads no rasters"),
        ({}, {"max_screened_pixels": 499}, 413, "500 pixels of scenes"),
        ({}, {"max_seconds": 1e-9}, 503, "takes longer"),
        ({"screened": "false", "composite": "monthly"}, {}, 422, "with screened=true only"),
        ({"composite": "absent"}, {}, 422, "no such composite"),
        ({"composite": "away"}, {}, 503, "cannot be read at present"),
    ],
)
def test_what_is_beyond_is_refused(region, tmp_path, asked, changed, settings, status, says):
    answer = served(region, tmp_path, **settings).get(PATH, params=asked | changed)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert says in answer.json()["detail"]
    assert "10.0.0.7" not in answer.text


def test_areas_of_a_body_share_what_may_be_read(region, tmp_path):
    features = [
        {"type": "Feature", "id": n, "geometry": mapping(region.box(8, 8, 20 + n, 20))}
        for n in range(3)
    ]
    client = served(region, tmp_path)
    for many, status in ((2, 200), (3, 413)):
        body = {"type": "FeatureCollection", "features": features[:many]}
        answer = client.post(PATH, json=body, params={"screened": "true"})
        assert answer.status_code == status
