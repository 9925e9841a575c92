"""Items that are odd but legal, and archives in folders with odd names: used, or at their own cost."""

import json
import shutil

import pytest

from pipeline import run, store
from pipeline.cube import opening
from pipeline.types import Source
from tests.faults.small_region import DAY, EAST, WEST, Region, assert_same, contents, refused
from tests.faults.test_inputs import ONE_DAY


def renamed(region: Region, name: str) -> Region:
    """Move the archive into a folder of another name; the job follows."""
    folder = region.folder / name
    folder.mkdir()
    shutil.move(region.archive, folder / "archive")
    return Region(folder)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["my arc #1", "arc?2", "100%25 #ü&+", "a:b"])
def test_a_folder_may_have_any_name(region, undisturbed, name):
    """F10: what stood behind the sign was left out of every path, and files beside were read."""
    moved = renamed(region, name)
    # Files of the same names, one folder up: nobody shall read them.
    for path in moved.archive.rglob("*.tif"):
        shutil.copy(next(moved.archive.rglob("SCL.tif")), region.folder / path.name)
    record = run.run(moved.job(min_completeness=1.0))
    assert not record.missed
    assert_same(contents(moved), undisturbed)


def encoded(item):
    item["assets"]["blue"]["href"] = "./B02%20blue%231.tif"


@pytest.mark.quick(1)
@pytest.mark.parametrize("aside", [False, True], ids=["alone", "beside-another"])
def test_a_percent_encoded_href_is_decoded(region, undisturbed, aside):
    path = region.asset(EAST, "blue")
    path.rename(path.with_name("B02 blue#1.tif"))
    if aside:
        shutil.copy(region.asset(EAST, "green"), path.with_name("B02 blue"))
    region.edit(EAST, encoded)
    run.run(region.job(min_completeness=1.0))
    assert_same(contents(region), undisturbed)


# -- items that are odd but legal ----------------------------------------------------------------


def without_href(item):
    item["assets"]["aot"] = {"title": "Aerosol optical thickness", "roles": ["data"]}
    item["assets"]["wvp"] = None


def of_a_range(item):
    when = item["properties"]["datetime"]
    item["properties"] |= {"datetime": None, "start_datetime": when, "end_datetime": when}


def of_half_a_pair(item):
    item["properties"]["title"] = "half \ud83d of a pair"


def of_wrong_types(item):
    item["links"] = [None, 3, {"rel": 7, "href": []}, {"rel": "self"}]
    item["stac_extensions"] = [None, {}]
    item["properties"] |= {"gsd": [], "eo:cloud_cover": float("nan"), "created": {}}


@pytest.mark.quick(1)
@pytest.mark.parametrize("change", [without_href, of_a_range, of_half_a_pair, of_wrong_types])
def test_an_odd_item_is_used(region, undisturbed, change):
    """F04: an asset without href, and a datetime of null beside a range of no length, cost the item."""
    region.edit(EAST, change)
    record = run.run(region.job(min_completeness=1.0))
    assert not record.missed
    assert_same(contents(region), undisturbed)


def of_a_month(item):
    item["properties"] |= {
        "datetime": None,
        "start_datetime": "2023-06-13T00:00:00Z",
        "end_datetime": "2023-07-13T00:00:00Z",
    }


def without_time(item):
    del item["properties"]["datetime"]


def of_a_number(item):
    item["id"] = 7


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (of_a_month, "only a range, 2023-06-13"),
        (without_time, "datetime"),
        (of_a_number, "no id that is a text"),
    ],
)
def test_what_cannot_be_used_lowers_the_completeness(region, change, word):
    whole = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    shutil.rmtree(region.store)
    region.edit(EAST, change)
    record = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    (dropped,) = record.dropped
    assert word in dropped.reason
    assert whole.complete == whole.expected
    assert record.complete < record.expected
    assert WEST in record.items
    assert DAY.date().isoformat() in str(record.manifest) or record.missed


def test_two_collections_may_use_one_id(region, undisturbed):
    """Its masks, its provenance and its place in the record are its own."""
    landsat = next(region.archive.glob("landsat*/*/*.json"))
    document = json.loads(landsat.read_text())
    document["id"] = WEST
    landsat.write_text(json.dumps(document))
    record = run.run(region.job(min_completeness=1.0))
    assert not record.missed
    names = {f"sentinel-2-l2a/{WEST}", f"{document['collection']}/{WEST}"}
    assert names <= set(record.items)
    found = contents(region)
    sources = set(found["composites/monthly/source"].ravel())
    assert names <= sources
    same = [name for name in undisturbed if "source" not in name and "items" not in name]
    for name in same:
        if "fingerprint" not in name:
            assert_same({name: found[name]}, {name: undisturbed[name]})


def test_a_job_of_one_collection_does_not_take_the_place_of_another(region):
    """Two jobs, one store, one id."""
    landsat = next(region.archive.glob("landsat*/*/*.json"))
    document = json.loads(landsat.read_text())
    document["id"] = WEST
    landsat.write_text(json.dumps(document))
    for collection in ("sentinel-2-l2a", document["collection"]):
        source = Source(catalog=str(region.catalog), collections=(collection,))
        run.run(region.job(sources=(source,)))
    archive = store.open_archive(str(region.store))
    known = dict(zip(archive.item_ids, archive.items(), strict=True))
    assert known[WEST]["collection"] == "sentinel-2-l2a"
    assert known[f"{document['collection']}/{WEST}"]["collection"] == document["collection"]
    # Nothing is new to either of them when they come again.
    for collection in ("sentinel-2-l2a", document["collection"]):
        source = Source(catalog=str(region.catalog), collections=(collection,))
        plan = run.plan_job(region.job(sources=(source,), composite=None))
        assert plan.nothing_to_do


# -- assets that are no rasters ------------------------------------------------------------------


def as_zarr(item):
    for key, asset in item["assets"].items():
        asset |= {
            "href": f"https://objects.example.com/x.zarr/{key}",
            "type": "application/vnd.zarr",
        }


def test_an_item_of_zarr_is_refused_at_once_by_plan_and_inspect(cloudmask, region, monkeypatch):
    """F08: every header was tried six times."""
    monkeypatch.setattr(opening, "read_asset", None)
    region.edit(EAST, as_zarr)
    words = "is Zarr; GeoTIFF and JPEG 2000 are read"
    refused(cloudmask("inspect", region.document(EAST)), 4, words)
    plan = run.plan_job(region.job(period=ONE_DAY))
    (dropped,) = plan.items.dropped
    assert dropped.reason == f"asset 'blue' {words}"
    assert [item.id for item in plan.items.missed] == [EAST]


def test_one_band_of_zarr_costs_the_item_if_it_is_needed(region):
    region.edit(EAST, lambda item: item["assets"]["blue"].update(type="x", href="./B02.zarr"))
    (dropped,) = run.plan_job(region.job(period=ONE_DAY)).items.dropped
    assert "it has no asset for blue; asset 'blue' is Zarr" in dropped.reason
    region.edit(EAST, lambda item: item["assets"].update(B02={"href": "./B02.tif"}))
    assert not run.plan_job(region.job(period=ONE_DAY)).items.dropped


# -- items that do not say where they lie, or say it wrongly -------------------------------------


def of_nowhere(item):
    item["geometry"] = None
    item.pop("bbox", None)


def without_projection(item):
    of_nowhere(item)
    item["properties"].pop("proj:epsg", None)
    for asset in item["assets"].values():
        for name in [name for name in asset if name.startswith("proj:")]:
            del asset[name]


def of_another_code(item):
    """EPSG:3271, a plane of Antarctica, was written where zone 1 of the south was meant."""
    item["properties"]["proj:epsg"] = 3271


def of_two_codes(item):
    item["properties"] |= {"proj:code": "EPSG:32633", "proj:epsg": 32632}


def first_asset_gone(item):
    without_projection(item)
    item["assets"]["coastal"] = {"href": "./gone.tif"}


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "change",
    [of_nowhere, without_projection, of_another_code, of_two_codes, first_asset_gone],
)
def test_the_header_settles_where_an_item_lies(region, undisturbed, change):
    region.edit(EAST, change)
    record = run.run(region.job(min_completeness=1.0))
    assert not record.missed
    assert_same(contents(region), undisturbed)


def test_an_item_without_geometry_that_lies_elsewhere_is_none_of_the_job(region):
    def elsewhere(item):
        of_nowhere(item)
        for asset in item["assets"].values():
            if "proj:transform" in asset:
                asset["proj:transform"][2] += 400_000

    region.edit(EAST, elsewhere)
    plan = run.plan_job(region.job(period=ONE_DAY))
    assert [item.id for item in plan.items] == [WEST]
    assert not plan.items.missed
    assert not plan.items.dropped


def test_a_header_that_cannot_be_read_costs_its_item(region):
    region.edit(EAST, without_projection)
    for path in region.document(EAST).parent.glob("*.tif"):
        path.write_bytes(b"no raster")
    plan = run.plan_job(region.job(period=ONE_DAY))
    (dropped,) = plan.items.dropped
    assert "it does not say where its rasters lie" in dropped.reason
    assert [item.id for item in plan.items.missed] == [EAST]
    # It may have covered any tile.
    record = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    assert record.complete < record.expected
