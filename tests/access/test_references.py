"""Hrefs and paths: what is written is read, and nothing that lies beside it."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import pytest
import rasterio
from hypothesis import example, given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from pipeline import access
from pipeline.access.locations import locate
from pipeline.access.open_location import opening
from pipeline.cube.opening import AssetRef, read_asset

PIECES = [*"ab1#?%& +:;=@!'(),[]{}~$\\*|<>\"é日🛰.", "%20", "%23", "%2F", "zip:", "s3:", "?a=b"]
NAMES = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8)
    .map("".join)
    .filter(lambda name: name.strip("."))
)


@given(folder=NAMES, name=NAMES, beside=NAMES)
def test_what_is_written_is_read_again(folder, name, beside):
    with TemporaryDirectory() as top:
        place = Path(top) / folder
        place.mkdir()
        file, other = place / name, place / beside
        other.touch()
        file.touch()
        document = place / "item.json"
        for seen_from in (place, Path(top)):
            written = access.reference(file, seen_from)
            assert access.resolved(written, str(seen_from / document.name)) == str(file)
        # Whatever there is beside it, and however its name looks.
        assert access.resolved(f"./{name}", str(document)) == str(file)
        assert access.resolved(str(file), "/elsewhere/item.json") == str(file)
        assert access.resolved(file.as_uri(), "/elsewhere/item.json") == str(file)


@given(folder=NAMES, name=NAMES)
def test_an_encoded_name_is_decoded_where_no_file_has_it(folder, name):
    with TemporaryDirectory() as top:
        place = Path(top) / folder
        place.mkdir()
        (place / name).touch()
        encoded = quote(name)
        assert access.resolved(f"./{encoded}", str(place / "item.json")) == str(place / name)
        (place / encoded).touch()
        assert access.resolved(f"./{encoded}", str(place / "item.json")) == str(place / encoded)


@given(name=NAMES, beside=NAMES)
@example(name="%2F", beside="a")
@example(name="%2Fa", beside="a")
@example(name="%2E%2E%2Fb", beside="a")
def test_a_file_that_is_gone_is_replaced_by_no_other(name, beside):
    with TemporaryDirectory() as top:
        (Path(top) / beside).touch()
        found = access.resolved(f"./{name}", f"{top}/item.json")
        assert not os.path.exists(found) or beside in (
            name,
            os.fsdecode(unquote_to_bytes(name)),
        )


@given(folder=NAMES, name=NAMES)
def test_gdal_opens_the_file_and_no_other(folder, name):
    with TemporaryDirectory() as top:
        place = Path(top) / folder
        place.mkdir()
        file = place / name
        with rasterio.open(
            Path(top) / "made.tif",
            "w",
            driver="GTiff",
            width=1,
            height=1,
            count=1,
            dtype="uint8",
            crs="EPSG:32632",
            transform=from_origin(500_000, 5_000_000, 10, 10),
        ) as raster:
            raster.write(np.full((1, 1, 1), 7, np.uint8))
        (Path(top) / "made.tif").rename(file)
        where = AssetRef(item_id="i", asset="a", href=str(file), remote=False)
        assert read_asset(where, lambda raster: raster.read(1).item()) == 7


@pytest.mark.parametrize(
    ("href", "base", "leads_to"),
    [
        ("./B02.tif", "https://a.org/x/item.json?sig=1", "https://a.org/x/B02.tif"),
        ("./B02%20blue.tif", "https://a.org/x/item.json", "https://a.org/x/B02%20blue.tif"),
        ("B02.tif?sig=1", "https://a.org/x/item.json", "https://a.org/x/B02.tif?sig=1"),
        ("//b.org/B02.tif", "https://a.org/x/item.json", "https://b.org/B02.tif"),
        ("/B02.tif", "https://a.org/x/item.json", "https://a.org/B02.tif"),
        ("s3://bucket/a#b", "/here/item.json", "s3://bucket/a#b"),
        ("../B02.tif", "/here/a #1/b?/item.json", "/here/a #1/B02.tif"),
        ("file:///a/b%20c", "/here/item.json", "/a/b c"),
        ("file://localhost/a/b#c", "/here/item.json", "/a/b#c"),
        ("file:///a/b%20c", "https://a.org/item.json", "file:///a/b%20c"),
        ("HDF5:x", "/here/item.json", "HDF5:x"),
        ("", "/here/item.json", ""),
    ],
)  # fmt: skip
def test_where_an_href_leads(href, base, leads_to):
    assert access.resolved(href, base) == leads_to


def test_names_of_windows_are_found(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/B02.tif").touch()
    assert access.resolved(r".\x\B02.tif", f"{tmp_path}/item.json") == f"{tmp_path}/x/B02.tif"


@pytest.mark.parametrize("key", ["a#b/c d.tif", "a?b.tif", "a%20b.tif", "ü.tif"])
def test_every_letter_of_a_key_counts(key):
    assert locate(f"s3://bucket/{key}").key == key
    assert opening(f"s3://bucket/{key}", remote=True).path == f"/vsis3/bucket/{key}"


def test_a_key_in_a_url_is_decoded():
    found = locate("https://usgs-landsat.s3.amazonaws.com/a%20b/c%23d.TIF")
    assert (found.bucket, found.key) == ("usgs-landsat", "a b/c#d.TIF")
    assert opening(found.url, remote=True).path == "/vsis3/usgs-landsat/a b/c#d.TIF"


@pytest.mark.parametrize("href", ["s3://bucket/a?/../../b", "s3://bucket/a#/../../b"])
def test_no_key_leaves_its_bucket(href):
    assert "leaves its bucket" in access.refused(href, remote=True)
