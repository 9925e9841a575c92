"""Which of an asset's locations is read, on real items and on odd ones."""

import json

import pytest

from pipeline import access

USGS = "https://landsatlook.usgs.gov/gen-browse/B2.TIF"
LOOK = "https://landsatlook.usgs.gov/data/collection02/B2.TIF"
BUCKET = "s3://usgs-landsat/collection02/B2.TIF"
OTHER = "https://data.example.org/B2.tif"
EODATA = "s3://eodata/a.jp2"
ZIPPER = "https://zipper.dataspace.copernicus.eu/odata/v1/Products(1)/$value"
OPEN = "s3://sentinel-cogs/B02.tif"


def asset(href, *others):
    return {
        "href": href,
        "alternate": {f"way{n}": {"href": each} for n, each in enumerate(others)},
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"href": OTHER}, OTHER),
        ({"href": "a/B2.tif"}, "a/B2.tif"),
        ({"href": "/data/B2.tif", "alternate": {"s3": {"href": BUCKET}}}, "/data/B2.tif"),
        (asset(USGS), USGS),
        (asset(LOOK, BUCKET), LOOK),
        (asset("http://10.0.0.1/B2.tif", OPEN), OPEN),
        (asset(USGS, BUCKET), BUCKET),
        (asset(USGS, OTHER, BUCKET), BUCKET),
        (asset(USGS, ZIPPER), USGS),
        (asset(USGS, "file:///etc/passwd"), USGS),
        (asset(USGS, "http://169.254.169.254/"), USGS),
        (asset(OTHER, BUCKET), OTHER),
        (asset(OTHER, OPEN), OTHER),
        (asset(EODATA, ZIPPER), EODATA),
        (asset(ZIPPER, EODATA), EODATA),
        (asset("ftp://data.example.org/B2.tif", OPEN), OPEN),
        ({"href": USGS, "alternate": [{"href": BUCKET}]}, BUCKET),
        ({"href": USGS, "alternate": [BUCKET]}, BUCKET),
        ({"href": USGS, "alternate": {"s3": BUCKET}}, BUCKET),
        ({"href": USGS, "alternate": {"s3": {"title": "no href"}, "b": None}}, USGS),
        ({"href": USGS, "alternate": None}, USGS),
    ],
)
def test_the_catalogues_choice_stands_unless_it_cannot_be_read(given, read):
    assert access.preferred_href(given) == read


HLS = "https://data.lpdaac.earthdatacloud.nasa.gov/a.tif"


@pytest.mark.parametrize("token", ["", "earthdata-token"])
@pytest.mark.parametrize(
    ("others", "better"),
    [
        ((OPEN,), OPEN),
        ((OTHER,), OTHER),
        ((OTHER, OPEN), OPEN),
        ((BUCKET,), None),
        ((ZIPPER,), None),
    ],
)
def test_without_the_account_another_way_is_taken(monkeypatch, token, others, better):
    monkeypatch.setenv("CLOUDMASK_EARTHDATA_TOKEN", token)
    assert access.preferred_href(asset(HLS, *others)) == (HLS if token else better or HLS)


def test_an_allowed_private_host_is_the_catalogues_choice():
    given = asset("http://10.0.0.1/B2.tif", OPEN)
    assert access.preferred_href(given, hosts=("10.0.0.1",)) == "http://10.0.0.1/B2.tif"


def test_every_file_of_landsatlook_is_read_from_the_bucket(shared_data):
    compared = bands = 0
    for path in (shared_data / "stac_items" / "usgs_landsatlook").glob("*.json"):
        for each in json.loads(path.read_text()).get("assets", {}).values():
            href = each["href"]
            if "://" not in href or "/data/" not in href:
                continue
            found = access.opening(access.preferred_href(each), remote=True)
            assert found.path.startswith("/vsis3/usgs-landsat/collection02/")
            assert found.options["AWS_REQUEST_PAYER"] == "requester"
            bands += 1
            for alternate in each.get("alternate", {}).values():
                assert found.path == alternate["href"].replace("s3://", "/vsis3/")
                compared += 1
    assert bands > 300
    assert compared > 100


def test_cdse_is_read_from_its_bucket_with_and_without_keys(shared_data, monkeypatch):
    items = list((shared_data / "stac_items" / "cdse").glob("sentinel-2-l2a*.json"))
    bands = [
        each
        for path in items
        for each in json.loads(path.read_text())["assets"].values()
        if each["type"] == "image/jp2"
    ]
    assert len(bands) > 100
    for key in ("", "key"):
        monkeypatch.setenv("CLOUDMASK_CDSE_S3_KEY", key)
        monkeypatch.setenv("CLOUDMASK_CDSE_S3_SECRET", key)
        assert all(access.preferred_href(each).startswith("s3://eodata/") for each in bands)
