"""Bad jobs, catalogues and items: one clear error, or a dropped item with its reason; never a blank."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio

from pipeline import cube, run, store
from pipeline.cube.metadata.roles import frame
from pipeline.errors import EmptySearchError, IncompleteError
from pipeline.types import Period
from tests.faults.small_region import DAY, EAST, LANDSAT, WEST, contents, mask_of_day, refused

RUN = ("--plain", "--no-report", "--quiet")

ONE_DAY = Period(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 7, 1, tzinfo=UTC))
IN_JUNE = ("2023-06-01/2023-07-20", "2023-06")


# -- the job -----------------------------------------------------------------------------------


def test_a_job_file_that_is_not_there(cloudmask):
    refused(cloudmask("run", "nowhere.yaml"), 2, "nowhere.yaml: there is no such file")


def test_a_job_file_that_is_a_folder(cloudmask, region):
    refused(cloudmask("run", region.archive), 2, "cannot be read: Is a directory")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("catalog.json", "nowhere.json"), 2, ("job.yaml:4", "nowhere.json")),
        (("2023-06-01/2023-07-20", "2019"), 3, ("no usable item", "2019-01-01")),
        (("[11.645", "[-11.645"), 2, ("UTM zone",)),
        (("aoi: [11.645, 48.2245, 11.6685, 48.2295]", "aoi: [0, 10, 0.1, 10.1]"), 3, ("AOI",)),
        (("tile_px", "crs: EPSG:999999, tile_px"), 2, ("job.yaml:5", "EPSG:999999")),
        (("tile_px", "crs: EPSG:4326, tile_px"), 2, ("degree",)),
        (("threshold", "nonsense"), 5, ("no model 'nonsense'", "ukis-csmask-6b-l2a")),
        (("min_completeness: 0.5", "memory_bytes: 100 MB"), 2, ("needs about", "tile_px")),
    ],
    ids=[
        "no-catalogue",
        "empty-search",
        "aoi-too-wide",
        "aoi-outside-the-data",
        "wrong-crs-code",
        "crs-in-degrees",
        "unknown-model",
        "too-little-memory",
    ],
)
def test_a_job_that_cannot_be_run(cloudmask, region, change, code, words):
    before = cube.METER.total()
    refused(cloudmask("run", region.job_file(change), *RUN), code, *words)
    assert cube.METER.total() == before
    assert not region.store.exists()


def test_missing_weights(cloudmask, region, monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.models.weights.ukis_csmask.package_folder", lambda: tmp_path)
    result = cloudmask("run", region.job_file(("threshold", "ukis-csmask")), *RUN)
    refused(result, 5, "is missing; install ukis-csmask")


def test_the_command_itself(region):
    """In a process of its own, with the real entry point."""
    called = [sys.executable, "-c", "from pipeline.cli import main; main()", "run"]
    path = region.job_file(("threshold", "nonsense"))
    ended = subprocess.run([*called, path, *RUN], capture_output=True, text=True, check=False)
    assert ended.returncode == 5
    assert ended.stderr.startswith("error: there is no model 'nonsense'")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


# -- the catalogue -----------------------------------------------------------------------------


def cut(path):
    path.write_text(path.read_text()[:100])


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda region: cut(region.catalog), "catalog.json cannot be read as JSON"),
        (lambda region: (region.archive / "landsat-c2-l2/collection.json").unlink(), "landsat"),
    ],
    ids=[
        "truncated",
        "missing-collection",
    ],
)
def test_a_broken_catalogue_is_named(cloudmask, region, damage, word):
    damage(region)
    refused(cloudmask("run", region.job_file(), *RUN), 3, word)
    assert not region.store.exists()


# -- items -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.pop("properties"),
        lambda item: item["properties"].update(datetime="yesterday"),
    ],
    ids=["without-properties", "of-yesterday"],
)
def test_a_broken_item_costs_itself_alone(region, change):
    region.edit(EAST, change)
    # It lowers the completeness of the day that it is of.
    with pytest.raises(IncompleteError, match=f"{EAST}: it is no valid STAC item"):
        run.run(region.job(period=ONE_DAY))
    record = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    (said,) = dropped_reasons(record, EAST)
    assert "no valid STAC item" in said
    assert WEST in record.items
    assert record.complete < record.expected


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda path: path.unlink(), "No such file"),
        (cut, "cannot be read as JSON"),
        (lambda path: path.write_text("[]"), "is of type list"),
    ],
    ids=["missing", "truncated", "list"],
)
def test_an_item_whose_document_is_broken_costs_itself_alone(region, damage, word):
    path = region.document(EAST)
    damage(path)
    record = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    (said,) = dropped_reasons(record, str(path))
    assert word in said
    assert WEST in record.items
    assert record.complete < record.expected


def dropped_reasons(record, item):
    return {each.reason for each in record.dropped if each.item_id == item}


def of_nowhere(item):
    """Leave nothing that says what satellite or product it is."""
    item["collection"] = "naip"
    item["properties"] = {"datetime": item["properties"]["datetime"], "platform": "aeroplane"}


def without_baseline(item):
    """Leave nothing that says how it was processed."""
    properties = item["properties"]
    item["properties"] = {k: v for k, v in properties.items() if not k.startswith("s2:")}


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda item: item["assets"].pop("blue"), "it has no asset for blue"),
        (lambda item: item.update(assets={}), "it has no asset for"),
        (of_nowhere, "collection 'naip' is not known"),
        (without_baseline, "no processing baseline"),
    ],
    ids=["asset-not-listed", "no-assets", "unknown-collection", "no-baseline"],
)
def test_an_item_that_cannot_be_used_is_dropped_with_its_reason(region, change, reason):
    region.edit(EAST, lambda item: item["properties"].pop("earthsearch:boa_offset_applied"))
    region.edit(EAST, change)
    record = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    (said,) = dropped_reasons(record, EAST)
    assert reason in said
    assert WEST in record.items
    assert EAST not in record.items
    (kept,) = store.open_archive(str(region.store)).records()
    assert {"item_id": EAST, "reason": said, "tile": None} in kept["dropped"]


def test_items_of_which_none_can_be_used(region):
    region.remove_items(WEST, LANDSAT, *others(region))
    region.edit(EAST, lambda item: item["assets"].pop("green"))
    with pytest.raises(
        EmptySearchError, match=f"none of 1 item can be used.*{EAST}.*no asset for green"
    ):
        run.run(region.job(period=ONE_DAY))


def others(region):
    """Return the ids of the other days."""
    names = {path.parent.name for path in region.archive.glob("*/*/*.json")}
    return names - {EAST, WEST, LANDSAT}


def stated(**fields):
    """State projection fields in an item's properties and in all of its assets."""

    def change(item):
        for holder in (item["properties"], *item["assets"].values()):
            for name, value in fields.items():
                if name.replace("_", ":") in holder:
                    holder[name.replace("_", ":")] = value

    return change


def test_a_crs_that_does_not_exist_in_an_item_is_not_needed(region, undisturbed):
    region.edit(EAST, stated(proj_epsg=999_999))
    run.run(region.job(period=ONE_DAY))
    np.testing.assert_array_equal(mask_of_day(contents(region)), mask_of_day(undisturbed))


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "code",
    [
        32633,
        4326,
    ],
    ids=["other-zone", "degrees"],
)
def test_an_item_with_the_wrong_crs_code_is_no_silent_blank(region, undisturbed, code):
    region.edit(EAST, stated(proj_epsg=code))
    record = run.run(region.job(period=ONE_DAY))
    right = np.array_equal(mask_of_day(contents(region)), mask_of_day(undisturbed))
    assert right or dropped_reasons(record, EAST)


def test_a_raster_with_the_wrong_crs_is_no_silent_blank(region):
    move_to_zone_33(region, EAST)
    record = run.run(region.job(period=ONE_DAY, min_completeness=0.0))
    assert dropped_reasons(record, EAST)
    cells = {
        (cell.tile, cell.time): cell.status for tile in record.tiles for cell in tile.cells
    }
    assert cells["r000c001", DAY] == "unreadable"


def move_to_zone_33(region, item):
    for path in region.document(item).parent.glob("*.tif"):
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
            raster.crs = "EPSG:32633"


def test_a_projection_without_bounds_is_not_believed(region):
    """A run would densify its outline, point by point, for ever: its header is asked instead."""
    region.edit(EAST, stated(proj_shape=[10**12, 10**12]))
    (item,) = (each for each in run.plan_job(region.job()).items if each.id == EAST)
    outline = frame(item).rectangle()
    assert outline.crs.epsg == 32632
    assert max(outline.boundingbox.span_x, outline.boundingbox.span_y) < 50_000


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": "x"},
        {"type": "Blob", "coordinates": []},
        {"type": "Point"},
    ],
    ids=["words", "unknown-type", "no-coordinates"],
)
def test_a_geometry_that_is_none(cloudmask, region, geometry):
    region.edit(EAST, lambda item: item.update(geometry=geometry))
    named_or_dropped(cloudmask("run", region.job_file(IN_JUNE), *RUN), region)


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "fields",
    [
        {"proj_shape": "abc"},
        {"proj_shape": [3]},
        {"proj_transform": [1, 2]},
        {"proj_transform": ["a"] * 6},
        {"proj_transform": [0] * 6},
    ],
    ids=[
        "shape-of-words",
        "short-shape",
        "short-transform",
        "transform-of-words",
        "flat-transform",
    ],
)
def test_a_projection_that_is_none(cloudmask, region, fields):
    region.edit(EAST, stated(**fields))
    named_or_dropped(cloudmask("run", region.job_file(IN_JUNE), *RUN), region)


def test_an_asset_whose_name_has_no_extension(cloudmask, region, undisturbed):
    path = region.asset(EAST, "blue")
    path.rename(path.with_suffix(""))
    region.edit(EAST, lambda item: item["assets"]["blue"].update(href="./B02"))
    result = cloudmask("run", region.job_file(IN_JUNE), *RUN)
    assert result.exit_code == 0, result.exception
    np.testing.assert_array_equal(mask_of_day(contents(region)), mask_of_day(undisturbed))


def named_or_dropped(result, region):
    """Check that the command ended with an error that names the item, or went on."""
    if result.exit_code:
        refused(result, 3, EAST)
        return
    assert store.open_archive(str(region.store)).records()
