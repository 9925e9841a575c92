"""`cloudmask inspect`: what it understands of items, real and broken, and how it ends."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio

S2 = "earthsearch_v1/sentinel-2-l2a__S2A_32TMT_20200302_1_L2A.json"
SIGNED = "https://me:secret@blobs.example.org/B04.tif?sig=TOKEN"


def item(**parts) -> dict:
    """Return a small item of Earth Search, baseline 05.11."""
    properties = {
        "datetime": "2023-06-05T10:20:00Z",
        "s2:processing_baseline": "05.11",
        "proj:epsg": 32632,
        "proj:shape": [200, 200],
        "proj:transform": [20, 0, 600000, 0, -20, 5400000],
        **parts.pop("properties", {}),
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "made",
        "collection": "sentinel-2-l2a",
        "geometry": None,
        "bbox": [10.3, 48.6, 10.5, 48.8],
        "links": [],
        "assets": {"red": {"href": "red.tif"}},
        **parts,
        "properties": properties,
    }


def write(path, document) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_a_real_item_is_told_in_words(cloudmask, shared_data):
    result = cloudmask("inspect", shared_data / "stac_items" / S2)
    assert result.exit_code == 0, result.output
    told = result.stdout
    for line in (
        "item                 S2A_32TMT_20200302_1_L2A",
        "catalogue            earth-search",
        "correction           esa",
        "processing baseline  05.00",
        "host                 sentinel-cogs.s3.us-west-2.amazonaws.com",
        "  DN × 0.0001; no data 0",
        "already shifted; the offset in raster:bands is stale",
        "it would be used",
    ):
        assert line in told
    assert (
        "│ swir22   │ swir22   │ EPSG:32632 │ 5490 × 5490   │ 20    │ 399960, 5300040 │" in told
    )
    assert "│ scl  │ scl   │" in told
    assert result.stderr == ""


def test_json_holds_the_whole(cloudmask, shared_data):
    result = cloudmask("inspect", shared_data / "stac_items" / S2, "--json")
    told = json.loads(result.stdout)
    assert (told["sensor"], told["level"], told["saturated"]) == ("sentinel-2", "L2A", 65535)
    (rule,) = told["radiometry"]
    assert (rule["scale"], rule["offset"], rule["nodata"]) == (1e-4, 0.0, 0)
    assert told["masks"][0]["role"] == "scl"
    assert told["assets"][0]["transform"] == [60, 0, 399960, 0, -60, 5300040]
    assert told["refused"] == []


def test_every_real_item_is_told_or_refused_by_name(cloudmask, shared_data, tmp_path):
    """One run over all of them: each is described, and none ends in an unexpected error."""
    features = []
    for path in sorted((shared_data / "stac_items").glob("*/*.json")):
        document = json.loads(path.read_text())
        if document.get("type") == "Feature":
            features.append(document)
    assert len(features) == 199
    whole = write(tmp_path / "all.json", {"type": "FeatureCollection", "features": features})
    result = cloudmask("inspect", whole, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert len(rows) == 199
    for row in rows:
        known = row["scale"] is not None
        assert known or "not known" in row["refused"] or "radiances" in row["refused"], row


def test_a_collection_is_a_table_and_item_takes_one(cloudmask, tmp_path):
    two = [item(), item(id="other", collection="modis")]
    path = write(tmp_path / "two.json", {"type": "FeatureCollection", "features": two})
    result = cloudmask("inspect", path)
    assert result.exit_code == 0
    assert "2 items; --item shows one" in result.stdout
    assert "'modis' is not known" in result.stdout
    assert "it would be used" in cloudmask("inspect", path, "--item", "made").stdout
    missing = cloudmask("inspect", path, "--item", "absent")
    assert missing.exit_code == 3
    assert "does not hold an item 'absent'; it holds made, other" in missing.stderr


def test_what_would_be_refused_says_why_and_ends_so(cloudmask, tmp_path):
    result = cloudmask("inspect", write(tmp_path / "a.json", item(collection="modis")))
    assert result.exit_code == 4
    assert "item        made" in result.stdout
    assert "error: item made: collection 'modis' is not known" in result.stderr
    assert "it would be used" not in result.stdout
    no_baseline = item(properties={"s2:processing_baseline": None})
    result = cloudmask("inspect", write(tmp_path / "b.json", no_baseline), "--json")
    assert result.exit_code == 4
    assert "no processing baseline" in json.loads(result.stdout)["refused"][0]
    bare = cloudmask("inspect", write(tmp_path / "c.json", item(assets={})))
    assert bare.exit_code == 4
    assert "no asset of a band that is known" in bare.stderr
    elsewhere = item(bbox=[100, 10, 101, 11])
    result = cloudmask("inspect", write(tmp_path / "d.json", elsewhere))
    assert result.exit_code == 3
    assert "puts its rasters at" in result.stderr


def test_a_stack_of_bands_would_be_refused(cloudmask, tmp_path):
    stack = {"href": "all.tif", "bands": [{"name": "B02"}, {"name": "B04"}]}
    path = write(tmp_path / "a.json", item(assets={"red": stack}))
    result = cloudmask("inspect", path)
    assert result.exit_code == 4
    assert "asset 'red': is a stack of bands" in result.stderr


def test_doubt_is_told(cloudmask, tmp_path):
    doubtful = item(properties={"earthsearch:boa_offset_applied": False})
    result = cloudmask("inspect", write(tmp_path / "a.json", doubtful))
    assert result.exit_code == 0
    assert "DN × 0.0001 − 0.1; no data 0; doubtful: the pixels should be asked" in result.stdout


def test_secrets_of_hrefs_are_not_shown(cloudmask, tmp_path):
    path = write(tmp_path / "a.json", item(assets={"red": {"href": SIGNED}}))
    for flags in ([], ["--json"]):
        result = cloudmask("inspect", path, *flags)
        assert "blobs.example.org" in result.stdout
        assert "secret" not in result.output
        assert "TOKEN" not in result.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>not found</html>", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1, 2]", "is of type None"),
        (b'{"type": "Catalog"}', "is of type 'Catalog'; expected a STAC item"),
        (b'{"type": "Feature"}', "is no valid STAC item"),
        (b'{"type": "FeatureCollection", "features": [3]}', "is no valid STAC item"),
        (b'{"type": "FeatureCollection"}', "does not hold any item; it holds none"),
    ],
)
def test_what_is_no_item_is_said_in_one_line(cloudmask, tmp_path, content, said):
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    result = cloudmask("inspect", path)
    assert result.exit_code == 3, result.output
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_file_that_is_not_there_is_named(cloudmask):
    result = cloudmask("inspect", "nowhere.json")
    assert result.exit_code == 3
    assert "nowhere.json: cannot be read" in result.stderr


# -- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("added", "verdict"), [(0, "no offset"), (1000, "offset")])
def test_pixels_are_asked(cloudmask, tmp_path, added, verdict):
    rng = np.random.default_rng(1)
    dark = {"green": 250, "red": 150, "nir08": 60, "swir16": 30, "swir22": 20}
    for role, number in dark.items():
        pixels = np.where(rng.random((200, 200)) < 0.3, number, 3000) + added
        with rasterio.open(
            tmp_path / f"{role}.tif",
            "w",
            driver="GTiff",
            width=200,
            height=200,
            count=1,
            dtype="uint16",
            crs="EPSG:32632",
            transform=rasterio.Affine(20, 0, 6e5, 0, -20, 5.4e6),
        ) as raster:
            raster.write(pixels.astype("uint16"), 1)
    document = item(assets={role: {"href": f"{role}.tif"} for role in dark})
    path = write(tmp_path / "a.json", document)
    result = cloudmask("inspect", path, "--pixels", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pixels"]["verdict"] == verdict
    assert f"pixels: {verdict};" in cloudmask("inspect", path, "--pixels").stdout


def test_pixels_that_are_not_there_are_said_to_be(cloudmask, tmp_path):
    path = write(tmp_path / "a.json", item())
    result = cloudmask("inspect", path, "--pixels")
    assert result.exit_code == 0, result.output
    assert "pixels: inconclusive; they cannot be read: item made, asset 'red'" in result.stdout


def test_only_sentinel_2_is_asked(cloudmask, tmp_path):
    landsat = item(collection="landsat-c2-l2", assets={"red": {"href": "red.tif"}})
    result = cloudmask("inspect", write(tmp_path / "a.json", landsat), "--pixels")
    assert "pixels: not asked" in result.stdout


# -- by URL ------------------------------------------------------------------------------------

SERVER = """
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def served(tmp_path):
    """Serve a folder from another process; return its URL."""
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    server.kill()
    server.wait()
    server.stdout.close()


def test_an_item_is_read_by_url_and_may_not_point_at_this_machine(cloudmask, tmp_path, served):
    write(tmp_path / "a.json", item(assets={"red": {"href": "https://cogs.example.org/r.tif"}}))
    result = cloudmask("inspect", f"{served}/a.json")
    assert result.exit_code == 0, result.output
    assert "host                 cogs.example.org" in result.stdout
    write(tmp_path / "b.json", item(assets={"red": {"href": "file:///etc/passwd"}}))
    result = cloudmask("inspect", f"{served}/b.json")
    assert result.exit_code == 4
    assert "item made, asset 'red':" in result.stderr


def test_a_url_that_does_not_answer_is_named(cloudmask, served):
    result = cloudmask("inspect", f"{served}/none.json")
    assert result.exit_code == 3
    assert "none.json: did not answer: 404" in result.stderr
