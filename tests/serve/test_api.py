"""What the paths of the API answer."""

import io
import json

import morecantile
import numpy as np
import pytest
import shapely
from PIL import Image

from tests.serve.conftest import client_of
from tests.serve.region import SENSORS

POINT = "/archives/alps/point"


def test_the_archives_are_listed_and_described(client, region):
    assert [each["id"] for each in client.get("/archives").json()["archives"]] == ["alps"]
    found = client.get("/archives/alps").json()
    assert found["sensors"] == sorted(SENSORS)
    assert found["crs"] == "EPSG:32632"
    assert len(found["scenes"]) == sum(map(len, SENSORS.values()))
    assert [each["name"] for each in found["composites"][0]["periods"]] == [
        "2026-06",
        "2026-07",
    ]
    assert found["snapshot"] == region.open().snapshot
    assert found["last_run"] == {"run_id": "r0", "started": "2026-08-01"}
    assert region.url not in json.dumps(found)


def test_the_share_of_a_scene_is_that_of_its_pixels(client, region):
    for scene in client.get("/archives/alps").json()["scenes"]:
        [codes] = [
            each
            for (sensor, time), each in region.codes.items()
            if sensor == scene["sensor"] and time.isoformat()[:26] == scene["time"][:26]
        ]
        clear = 100 * np.isin(codes, (1, 2, 3)).sum() / (codes > 0).sum()
        assert scene["clear_percent"] == pytest.approx(clear, abs=0.01)


def test_a_place_has_a_history(client, region):
    lon, lat = region.lonlat(20.5, 30.5)
    found = client.get(POINT, params={"lon": lon, "lat": lat}).json()
    assert found["pixel"] == {"row": 30, "col": 20}
    for row in found["observations"]:
        [codes] = [
            each
            for (sensor, time), each in region.codes.items()
            if (sensor, time.isoformat()[:26]) == (row["sensor"], row["time"][:26])
        ]
        assert row["class"] == max(codes[30, 20], 0)
    for number, row in enumerate(found["composites"]):
        month = {name: each[30, 20] for name, each in region.months[number].items()}
        assert row["count"] == month["count"]
        for band, value in row["values"].items():
            assert (value is None) == np.isnan(month[band])
            assert value is None or value == pytest.approx(month[band], abs=1e-4)
        if month["source"] >= 0:
            assert row["item_href"].endswith(row["item"])


def test_csv_and_json_have_the_same_rows(client, region):
    box = ",".join(map(str, region.box(5, 5, 60, 90).bounds))
    asked = {"bbox": box, "datetime": "2026"}
    rows = client.get("/archives/alps/clear-sky", params=asked).json()["data"]
    text = client.get("/archives/alps/clear-sky", params=asked, headers={"Accept": "text/csv"})
    assert text.headers["content-type"].startswith("text/csv")
    lines = text.text.splitlines()
    assert len(lines) == len(rows) + 1
    assert all(
        row["interval"]["from"] in line for row, line in zip(rows, lines[1:], strict=True)
    )


def test_a_collection_has_a_series_for_each_feature(client, region):
    inside, beside = region.box(5, 5, 60, 90), shapely.box(20, 10, 21, 11)
    features = [
        {
            "type": "Feature",
            "id": name,
            "properties": {},
            "geometry": shapely.geometry.mapping(each),
        }
        for name, each in (("a", inside), ("b", beside))
    ]
    body = {"type": "FeatureCollection", "features": features}
    a, b = client.post("/archives/alps/clear-sky", json=body).json()["features"]
    assert (a["id"], b["id"]) == ("a", "b")
    assert a["data"]
    assert "outside the region" in b["problem"]
    alone = client.post("/archives/alps/clear-sky", json=features[0]).json()
    assert alone["data"] == a["data"]
    assert client.post("/archives/alps/clear-sky", json=features[1]).status_code == 422


@pytest.mark.parametrize("bands", ["red,green,blue", "nir", "ndvi", "count", "day", "score"])
def test_tiles_of_composites_are_drawn(client, region, bands):
    asked = {"layer": "composite", "name": "monthly", "time": "2026-06", "bands": bands}
    x, y, z = morecantile.tms.get("WebMercatorQuad").tile(*region.lonlat(20, 20), 12)
    answer = client.get(f"/archives/alps/tiles/WebMercatorQuad/{z}/{x}/{y}.png", params=asked)
    assert answer.status_code == 200, answer.text
    assert np.asarray(Image.open(io.BytesIO(answer.content)))[..., -1].any()


def test_an_answer_is_known_by_its_etag(client):
    first = client.get("/archives/alps")
    again = client.get("/archives/alps", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    fixed = client.get("/archives/alps", params={"as_of": first.headers["x-snapshot"]})
    assert "immutable" in fixed.headers["cache-control"]
    assert "immutable" not in first.headers["cache-control"]


def test_the_page_that_stands_in_for_the_map_says_how_to_build_it(client):
    answer = client.get("/")
    assert "make web" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_probes(client):
    assert client.get("/health/live").json() == {"status": "up"}
    assert client.get("/health/ready").json() == {"status": "ready"}


@pytest.fixture
def with_map(region, tmp_path):
    """A server with a map: its page, and one file."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/main.js").write_text("//")
    (tmp_path / "index.html").write_text("<!doctype html>the map")
    return client_of({"alps": region.url}, tmp_path)


def test_the_map_is_served(with_map):
    assert with_map.get("/").text.endswith("the map")
    assert with_map.head("/").status_code == 200
    assert with_map.get("/assets/main.js").text == "//"
    assert with_map.get("/assets/absent.js").status_code == 404


@pytest.mark.parametrize(
    "path", ["/stac", "/stac/", "/archives", "/archives/", "/api", "/landing", "/absent"]
)
def test_a_built_map_hides_no_other_path(client, with_map, path):
    """Redirects too: a mount at the root would answer 404 in their place."""
    one, other = (each.get(path, follow_redirects=False) for each in (client, with_map))
    assert one.status_code == other.status_code
    assert (path == "/absent") == (one.status_code == 404)
