"""Rows of the table of catalogues, and that they agree with the table of collections."""

import json
from urllib.parse import urlparse

import pytest

from pipeline import access, catalogs, sensors
from pipeline.access.locations import find_storage

ROWS = pytest.mark.parametrize("name", catalogs.CATALOGS)


@ROWS
def test_a_row_is_an_https_endpoint_without_a_trailing_slash(name):
    url = urlparse(catalogs.CATALOGS[name].url)
    assert url.scheme == "https"
    assert url.hostname
    assert not url.path.endswith("/")
    assert catalogs.find(name) is catalogs.CATALOGS[name]


@ROWS
def test_its_collections_are_known_and_named_once(name):
    row = catalogs.CATALOGS[name]
    named = row.collections + row.also
    assert len(set(named)) == len(named)
    assert set(named) <= set(sensors.PROFILES)
    assert set(row.signing_of) <= set(named)


@ROWS
def test_what_is_asked_for_unasked_is_surface_reflectance(name):
    assert {sensors.PROFILES[c].level for c in catalogs.CATALOGS[name].collections} == {"L2A"}


@ROWS
def test_notes_have_sources_and_name_the_account_that_is_needed(name):
    row = catalogs.CATALOGS[name]
    assert "https://" in row.note or "#" in row.note
    assert "implemented" not in row.note
    needed = {
        "requester-pays": "AWS account",
        "cdse-s3": "CLOUDMASK_CDSE_S3_KEY",
        "earthdata": "CLOUDMASK_EARTHDATA_TOKEN",
    }
    for kind in (row.signing, *row.signing_of.values()):
        assert needed.get(kind, "") in row.note


STORAGES = pytest.mark.parametrize("name", catalogs.STORAGES)


@STORAGES
def test_a_storage_says_all_that_its_signing_needs(name):
    row = catalogs.STORAGES[name]
    assert row.hosts or row.buckets
    assert row.connections > 0
    assert bool(row.account) == (row.signing != "none")
    assert bool(row.tokens) == (row.signing == "planetary-computer-sas")
    if row.buckets:
        assert row.region
    if row.tokens:
        assert row.tokens.startswith("https://")
        assert not row.tokens.endswith("/")


@STORAGES
def test_a_storage_is_found_by_what_it_names_and_by_nothing_longer(name):
    row = catalogs.STORAGES[name]
    for host in row.hosts:
        assert catalogs.storage_of(host=host.replace("*", "x")) is row
        assert catalogs.storage_of(host=host.upper().replace("*", "x")) is row
        assert catalogs.storage_of(host=f"{host}.example.org".replace("*", "x")) is None
        assert catalogs.storage_of(host=f"evil-{host}".replace("*", "x")) is None
    for bucket in row.buckets:
        assert catalogs.storage_of(bucket=bucket.replace("*", "x")) is row
        assert catalogs.storage_of(bucket=f"evil-{bucket}") is None
        assert catalogs.storage_of(host=bucket) is None


def test_nothing_lies_in_two_storages_and_nothing_nowhere():
    named = [each for row in catalogs.STORAGES.values() for each in row.hosts + row.buckets]
    assert len(named) == len(set(named))
    assert catalogs.storage_of() is None
    assert catalogs.storage_of(host="data.example.org") is None


FOLDERS = {
    "earthsearch_v1": "earth-search",
    "pc": "planetary-computer",
    "cdse": "cdse",
    "usgs_landsatlook": "usgs-landsatlook",
    "dea": "dea",
    "cmr_stac": "cmr-lpcloud",
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_assets_are_signed_as_their_catalogue_says(shared_data, folder):
    row, told = catalogs.CATALOGS[FOLDERS[folder]], 0
    for path in (shared_data / "stac_items" / folder).glob("*.json"):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            href = access.preferred_href(asset)
            is_band = href.lower().endswith((".tif", ".jp2")) and "://" in href
            # Earth Search also names ESA's own files beside its COGs: `blue-jp2`, `cloud`, `snow`.
            if is_band and not href.startswith("s3://sentinel-s2-l2a/"):
                storage = find_storage(href)[1]
                assert storage is not None, href
                assert storage.signing == row.signing_for(item.get("collection", "")), href
                told += 1
    assert told > 20


def test_a_collection_may_be_signed_otherwise_than_its_catalogue():
    row = catalogs.CATALOGS["earth-search"]
    assert row.signing_for("sentinel-2-l2a") == "none"
    assert row.signing_for("landsat-c2-l2") == "requester-pays"


def test_a_url_that_no_row_has_gets_the_defaults():
    found = catalogs.find("https://stac.example.org")
    assert found == catalogs.Catalog(url="https://stac.example.org")
