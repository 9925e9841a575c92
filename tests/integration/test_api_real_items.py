"""The real items of many catalogues, served by one API."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from shapely.geometry import box, shape

from pipeline.search import save_items, search
from pipeline.testing import make_job
from pipeline.types import Period, Source
from tests.integration.material import SENTINEL, collections_of, ids, real_items

EVERYWHERE = box(-180, -90, 180, 90)
ALL_YEARS = Period(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 1, tzinfo=UTC))
REASONS = {
    "it belongs to no collection",
    "another item of its collection has its id",
    "an API would take its relative hrefs for its own",
}


@pytest.fixture(scope="module")
def real(api, shared_data):
    """The real items that an API can hold, held by ours."""
    folder = shared_data / "stac_items"
    documents, left_out = real_items(folder)
    assert len(documents) > 150
    assert set(left_out.values()) <= REASONS, Counter(left_out.values())
    names = [document["collection"] for document in documents]
    api.load(collections_of(names, folder / "collections"), documents)
    return documents


def met(found):
    """Return the ids of all that a search met: used, or dropped with a reason."""
    names = [*ids(found), *(dropped.item_id for dropped in found.dropped)]
    # Items that share their id with one of another collection are called COLLECTION/ID.
    return sorted(name.rpartition("/")[2] for name in names)


def plain(value):
    """Leave out nulls, which pgstac does not keep, and the mark that it sets in their place."""
    if isinstance(value, dict):
        kept = {key: plain(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, "𒍟※")}
    return [plain(each) for each in value] if isinstance(value, list) else value


def search_file(path, **parts):
    return search(make_job(sources=(Source(catalog=str(path)),), **parts))


def test_every_real_item_comes_back(find, real):
    found = find(aoi=EVERYWHERE, period=ALL_YEARS, page_size=20)
    assert met(found) == sorted(document["id"] for document in real)


def test_the_way_to_us_changes_nothing(find, real, tmp_path):
    """What is used, what is dropped and why are those of a file of the same items."""
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": real}))
    whole = {"aoi": EVERYWHERE, "period": ALL_YEARS}
    from_file, from_api = search_file(path, **whole), find(**whole)
    assert ids(from_api) == ids(from_file)
    assert Counter(from_api.dropped) == Counter(from_file.dropped)
    for ours, theirs in zip(from_api, from_file, strict=True):
        assert ours.properties == theirs.properties
        assert shape(ours.geometry).equals(shape(theirs.geometry))
        assert plain(ours.to_dict()["assets"]) == plain(theirs.to_dict()["assets"])


def test_a_real_place_in_several_collections(find, real):
    place = box(8, 46, 9, 48)
    expected = [
        document["id"]
        for document in real
        if document["collection"] == SENTINEL and shape(document["geometry"]).intersects(place)
    ]
    found = find(aoi=place, period=ALL_YEARS, collections=(SENTINEL,), page_size=3)
    assert len(expected) > 5
    assert met(found) == sorted(expected)


@pytest.mark.parametrize("form", ["json", "ndjson", "parquet"])
def test_a_saved_answer_is_the_same_search(find, real, tmp_path, monkeypatch, form):
    """Nobody is asked again: neither to save the items nor to find them in the file."""
    whole = {"aoi": box(5, 40, 15, 55), "period": ALL_YEARS}
    found = find(**whole)
    assert len(found) > 10

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    save_items(found, tmp_path / f"items.{form}")
    assert ids(search_file(tmp_path / f"items.{form}", **whole)) == ids(found)
