"""Hostile requests: each is a clear 4xx, and nothing is read from where it should not be."""

import gzip
import json
import re
from pathlib import Path
from tempfile import gettempdir

import pytest
import shapely

from tests.serve.conftest import client_of

A = "/archives/alps"
MASK = f"{A}/tiles/WebMercatorQuad/10/537/356.png"
GOOD = {"layer": "mask", "time": "2026-06-01T10:30:20Z"}
BOX = {"bbox": "9,47.8,9.02,47.82"}
FOLDERS = "|".join(re.escape(f"{each}/") for each in (gettempdir(), Path(__file__).parents[2]))
LEAKS = re.compile(rf"Traceback|site-packages|{FOLDERS}|\.py\b|icechunk|zarr", re.IGNORECASE)

GETS = {
    "an archive that is a path": ("/archives/..%2f..%2fetc%2fpasswd", {}),
    "dots": ("/archives/%2e%2e/%2e%2e/etc/passwd", {}),
    "a null": ("/archives/alps%00", {}),
    "a URL as id": ("/archives/http:%2f%2f169.254.169.254%2flatest", {}),
    "a backslash": ("/archives/..%5c..%5cwindows", {}),
    "a very long id": (f"/archives/{'a' * 5000}", {}),
    "a url parameter": (A, {"url": "http://169.254.169.254/"}),
    "a store parameter": (f"{A}/point", {"lon": 9, "lat": 47.8, "store": "/etc"}),
    "as_of is a path": (A, {"as_of": "../../etc/passwd"}),
    "as_of is a URL": (A, {"as_of": "s3://bucket/x"}),
    "as_of is no snapshot": (A, {"as_of": "Z" * 20}),
    "as_of is before the first": (A, {"as_of": "1970-01-01"}),
    "a new line in a parameter": (A, {"as_of": "2026\r\nSet-Cookie: a=b"}),
    "NaN": (f"{A}/point", {"lon": "nan", "lat": 47.8}),
    "infinity": (f"{A}/point", {"lon": 9, "lat": "inf"}),
    "beyond the pole": (f"{A}/point", {"lon": 9, "lat": 91}),
    "a place elsewhere": (f"{A}/point", {"lon": 100, "lat": 0}),
    "a box of NaN": (f"{A}/clear-sky", {"bbox": "nan,nan,nan,nan"}),
    "a box that is a file": (f"{A}/clear-sky", {"bbox": "/etc/passwd"}),
    "a box of five": (f"{A}/clear-sky", {"bbox": "1,2,3,4,5"}),
    "a box in the wrong order": (f"{A}/clear-sky", {"bbox": "47.8,9,47.9,9.1"}),
    "the whole world": (f"{A}/clear-sky", {"bbox": "-180,-90,180,90"}),
    "a thousand years": (f"{A}/clear-sky", BOX | {"datetime": "1026/2026"}),
    "no date": (f"{A}/clear-sky", BOX | {"datetime": "'; drop table"}),
    "a sensor that is not there": (f"{A}/clear-sky", BOX | {"sensor": "../landsat"}),
    "a class that is not there": (f"{A}/clear-sky", BOX | {"classes": "99999999999999999999"}),
    "a form that is not there": (f"{A}/masks", BOX | {"f": "exe"}),
    "a composite that is a path": (f"{A}/composites/..%2f..%2fitems", BOX),
    "a band that is code": (f"{A}/composites/monthly", BOX | {"bands": "__import__('os')"}),
    "bands that are code": (
        MASK,
        {"layer": "composite", "time": "2026-06", "bands": "red*1e9**9"},
    ),
    "a tile beyond its matrix": (f"{A}/tiles/WebMercatorQuad/3/99/1.png", GOOD),
    "a tile of zoom 99": (f"{A}/tiles/WebMercatorQuad/99/1/1.png", GOOD),
    "a matrix that is a file": (f"{A}/tiles/..%2f..%2fx/3/1/1.png", GOOD),
    "a colossal tile": (MASK, GOOD | {"tilesize": "100000"}),
    "a time that is none": (MASK, GOOD | {"time": "9999-99-99"}),
    "an asset that is a path": (f"{A}/assets/masks/..%2f/20260601T103020/mask.tif", {}),
    "an asset of no scene": (f"{A}/assets/masks/landsat/%2e%2e/mask.tif", {}),
    "an array that is no asset": (
        f"{A}/assets/masks/landsat/20260604T103020123456/items.tif",
        {},
    ),
    "a token that is code": ("/stac/search", {"token": "../../x"}),
    "a shape that is a URL": ("/stac/search", {"intersects": "http://169.254.169.254/"}),
    "a static file above the map": ("/..%2f..%2f..%2fpyproject.toml", {}),
}


def require_problem(answer):
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == answer.status_code
    assert len(found["detail"]) > 5
    assert not LEAKS.search(answer.text), answer.text
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("what", GETS)
def test_a_hostile_address_is_refused(client, what):
    path, asked = GETS[what]
    require_problem(client.get(path, params=asked))


def polygon(*ring, **more):
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [list(ring)]},
    } | more


SQUARE = [[9, 47.8], [9.02, 47.8], [9.02, 47.82], [9, 47.82], [9, 47.8]]
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "deep": b"[" * 200_000,
    "a number": b"1",
    "NaN": b'{"type": "Polygon", "coordinates": [[[NaN, 1], [2, 2], [3, 1], [NaN, 1]]]}',
    "a path": b'"/etc/passwd"',
    "a bow tie": json.dumps(
        polygon([9, 47.8], [9.02, 47.82], [9.02, 47.8], [9, 47.82], [9, 47.8])
    ),
    "latitude first": json.dumps(polygon([47.8, 100], [47.8, 101], [48, 101], [47.8, 100])),
    "a line": json.dumps({"type": "LineString", "coordinates": SQUARE}),
    "a point": json.dumps(
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [9, 47]}}
    ),
    "words": json.dumps(polygon(["a", "b"], ["c", "d"], ["e", "f"])),
    "no features": json.dumps({"type": "FeatureCollection", "features": []}),
    "features of nothing": json.dumps({"type": "FeatureCollection", "features": [None]}),
    "too many features": json.dumps({"type": "FeatureCollection", "features": [1] * 1001}),
    "a million vertices": json.dumps(polygon(*[[9 + n * 1e-7, 47.8] for n in range(200_000)])),
    "a CRS": json.dumps(polygon(*SQUARE) | {"crs": {"properties": {"name": "EPSG:3857"}}}),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body_is_refused(client, what):
    found = client.post(f"{A}/clear-sky", content=BODIES[what])
    if what == "a CRS":
        assert found.status_code in (200, 400, 422)
        return
    require_problem(found)


def test_large_and_compressed_bodies_are_refused(client):
    require_problem(client.post(f"{A}/clear-sky", content=b" " * 10_000_001))
    require_problem(client.post(f"{A}/clear-sky", content=(b" " * 100_000 for _ in range(101))))
    bomb = gzip.compress(b" " * 5_000_000)
    headers = {"Content-Encoding": "gzip"}
    require_problem(client.post(f"{A}/clear-sky", content=bomb, headers=headers))


@pytest.mark.parametrize("host", ["a/b", "evil.example\\@x", "a b", "<script>", "x" * 300, ""])
def test_a_host_that_is_none_is_refused(client, host):
    require_problem(client.get("/archives", headers={"Host": host}))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_nothing_can_be_written(client, method):
    require_problem(client.request(method, A))
    require_problem(client.request(method, "/stac/collections"))


def test_heights_are_left_out_and_the_antimeridian_is_no_matter(client, region):
    flat = shapely.geometry.mapping(region.box(5, 5, 50, 50))
    high = {
        "type": "Polygon",
        "coordinates": [[[*each, 7.0] for each in flat["coordinates"][0]]],
    }
    one, other = (
        client.post(f"{A}/clear-sky", json=each).json()["data"] for each in (flat, high)
    )
    assert one == other
    across = {
        "type": "Polygon",
        "coordinates": [[[179, 1], [181, 1], [181, 2], [179, 2], [179, 1]]],
    }
    answer = client.post(f"{A}/clear-sky", json=across)
    assert "lies outside the region" in answer.json()["detail"]


def test_without_the_key_only_the_page_and_probes_answer(region, tmp_path):
    client = client_of({"alps": region.url}, tmp_path, api_key="s3cret")
    for path in ("/archives", A, "/api", "/api.html", "/metrics", "/stac", "/stac/search"):
        require_problem(client.get(path))
        require_problem(client.get(path, headers={"X-API-Key": "other"}))
    for path in ("/", "/health/live", "/health/ready"):
        assert client.get(path).status_code == 200
    assert client.get("/archives", headers={"X-API-Key": "s3cret"}).status_code == 200


def test_other_origins_are_not_allowed(client, region, tmp_path):
    origin = {"Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in client.get("/archives", headers=origin).headers
    assert "access-control-allow-origin" not in client.get("/stac", headers=origin).headers
    open_to = client_of({"alps": region.url}, tmp_path, cors_origins=("https://maps.example",))
    assert "access-control-allow-origin" not in open_to.get("/archives", headers=origin).headers
    mine = {"Origin": "https://maps.example"}
    allowed = open_to.get("/archives", headers=mine).headers["access-control-allow-origin"]
    assert allowed == "https://maps.example"
