"""Rows of the table of catalogues, and that they agree with the table of collections."""

from urllib.parse import urlparse

import pytest

from pipeline import catalogs, sensors

ROWS = pytest.mark.parametrize("name", catalogs.CATALOGS)


def test_every_catalogue_of_the_promise_has_a_row():
    assert set(catalogs.CATALOGS) == {
        "earth-search",
        "planetary-computer",
        "cdse",
        "usgs-landsatlook",
        "deafrica",
        "dea",
        "cmr-lpcloud",
    }


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
def test_signing_that_is_not_done_yet_is_said_with_a_source(name):
    row = catalogs.CATALOGS[name]
    words = {row.signing, *row.signing_of.values()} - {"none"}
    assert ("not implemented yet" in row.note or "is implemented yet" in row.note) == bool(
        words
    )
    assert "https://" in row.note or "#" in row.note


def test_a_collection_may_be_signed_otherwise_than_its_catalogue():
    row = catalogs.CATALOGS["earth-search"]
    assert row.signing_for("sentinel-2-l2a") == "none"
    assert row.signing_for("landsat-c2-l2") == "requester-pays"


def test_a_url_that_no_row_has_gets_the_defaults():
    found = catalogs.find("https://stac.example.org")
    assert found == catalogs.Catalog(url="https://stac.example.org")
