"""What the documents say, and that they are what STAC asks for."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pystac
import pytest
import shapely
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.datacube import DatacubeExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from pystac_client import Client

from pipeline.publish import publish
from pipeline.publish.items import _platform
from pipeline.publish.provenance import home
from pipeline.publish.words import adjusted, slug, stamp
from tests.publish import extensions
from tests.publish.small_store import API, JUNE, MODEL, START, Region, grid_of, write

MASKS = "upper-bavaria-masks-sentinel-2"
MONTHLY = "upper-bavaria-composites-monthly"


@pytest.fixture(scope="module", params=[False, True], ids=["store", "cogs"])
def made(request, region: Region, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "catalogue"
    publish(region.open(), out, cogs=request.param)
    return out


def documents(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(out.rglob("*.json"))]


def items(out: Path, collection: str) -> list[dict]:
    found = [
        json.loads(path.read_text()) for path in sorted((out / collection).glob("*/*.json"))
    ]
    assert found
    return found


def test_every_document_is_valid_stac(made):
    """The core by the schemas that pystac ships, the extensions by what they ask for."""
    core = JsonSchemaSTACValidator()
    kinds = {"Feature": "Item", "Collection": "Collection", "Catalog": "Catalog"}
    found = documents(made)
    assert sorted({each["type"] for each in found}) == ["Catalog", "Collection", "Feature"]
    for each in found:
        core.validate_core(each, pystac.STACObjectType[kinds[each["type"]].upper()], "1.1.0")
        if each["type"] != "Catalog":
            extensions.check(each)


@pytest.mark.filterwarnings("ignore::pystac_client.warnings.PystacClientWarning")
def test_pystac_and_its_client_walk_the_catalogue(made):
    for opened in (
        pystac.Catalog.from_file(made / "catalog.json"),
        Client.open(str(made / "catalog.json")),
    ):
        ids = {
            each.id: [item.id for item in each.get_items()] for each in opened.get_children()
        }
        assert {name: len(each) for name, each in ids.items()} == {
            MASKS: 3,
            "upper-bavaria-masks-landsat": 1,
            MONTHLY: 2,
        }
        assert len({item for each in ids.values() for item in each}) == 6
        for item in opened.get_items(recursive=True):
            assert item.get_collection().id == item.collection_id
            assert item.get_root() is opened


def test_a_scene_says_what_it_is(made, region):
    first = items(made, MASKS)[0]
    properties = first["properties"]
    assert first["id"] == f"{MASKS}-20260601T103020123456"
    assert properties["datetime"] == "2026-06-01T10:30:20.123456Z"
    assert properties["platform"] == "sentinel-2a"
    assert properties["constellation"] == "sentinel-2"
    assert properties["cloudmask:models"] == {"sentinel-2": MODEL}
    assert properties["cloudmask:sources"] == {"0": "sentinel-2-0"}
    assert "threshold 1" in properties["processing:lineage"]
    assert properties["cloudmask:snapshot"] == region.open().snapshot
    published = region.open().log()[0].time
    assert datetime.fromisoformat(properties["created"]) == published


def test_shares_are_those_of_the_pixels(made, region):
    for number, item in enumerate(items(made, MASKS)):
        codes = region.masks["sentinel-2", number]
        asset = item["assets"].get("mask") or item["assets"]["store"]["bands"][0]
        told = {each["value"]: each for each in asset["classification:classes"]}
        counts = np.bincount(codes.ravel(), minlength=7)
        assert [told[code]["count"] for code in range(7)] == counts.tolist()
        seen = counts[1:].sum()
        properties = item["properties"]
        assert properties["eo:cloud_cover"] == pytest.approx(
            100 * counts[4:6].sum() / seen, abs=1e-4
        )
        clear = 100 * counts[1:4].sum() / seen
        assert properties["cloudmask:clear_percent"] == pytest.approx(clear, abs=1e-4)
        observed = properties["cloudmask:observed_percent"]
        assert observed == pytest.approx(100 * seen / codes.size, abs=1e-4)


def test_a_period_ends_within_itself(made):
    june = items(made, MONTHLY)[0]
    assert june["id"] == f"{MONTHLY}-20260601"
    properties = june["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2026-06-01T00:00:00Z"
    assert properties["end_datetime"] == "2026-06-30T23:59:59.999999Z"
    assert "constellation" not in properties
    assert properties["cloudmask:sources"] == {
        "0": "sentinel-2-0",
        "1": "sentinel-2-5",
        "3": "landsat-3",
    }
    assert set(properties["cloudmask:models"]) == {"sentinel-2", "landsat"}


def test_items_are_derived_from_the_items_they_were_made_of(made):
    """Where an address is known: the item's own without its query, or below its collection."""
    links = {
        item["id"]: [each["href"] for each in item["links"] if each["rel"] == "derived_from"]
        for item in items(made, MASKS)
    }
    assert list(links.values()) == [
        [f"{API}/items/sentinel-2-0"],
        [f"{API}/items/sentinel-2-5"],
        [],
    ]
    assert "secret" not in json.dumps(documents(made))


def test_the_outline_is_that_of_the_tiles_that_were_made(made, region):
    whole, *_ = (
        shapely.geometry.shape(i["geometry"])
        for i in items(made, "upper-bavaria-masks-landsat")
    )
    part = shapely.geometry.shape(items(made, MASKS)[0]["geometry"])
    extent = region.grid.geobox.geographic_extent.geom
    # Corners that move an edge by less than 0.1 m are left out.
    assert whole.symmetric_difference(extent).area < 1e-4 * extent.area
    # Tiles 1, 2 and 3 of six were not made; columns are 64 and 32 pixels, rows 64, 64 and 32.
    share = (64 * 64 + 32 * 96) / (160 * 96)
    assert part.area == pytest.approx(share * whole.area, rel=1e-3)


def test_extensions_read_back_by_pystac(made, region):
    catalogue = pystac.Catalog.from_file(made / "catalog.json")
    collection = catalogue.get_child(MASKS)
    cube = DatacubeExtension.ext(collection)
    assert cube.dimensions["x"].extent == [500_010.0, 501_910.0]
    assert cube.dimensions["y"].extent == [5_296_810.0, 5_299_990.0]
    assert cube.variables["mask"].dimensions == ["time", "y", "x"]
    assert {"histogram", "fingerprint"} <= set(cube.variables)
    item = next(iter(collection.get_items()))
    projection = ProjectionExtension.ext(item)
    assert projection.code == "EPSG:32632"
    assert projection.shape == [160, 96]
    assert projection.transform == [20, 0, 500_000, 0, -20, 5_300_000]
    if "mask" in item.assets:
        classes = ClassificationExtension.ext(item.assets["mask"]).classes
        assert [each.name for each in classes][4:] == [
            "thin_cloud",
            "thick_cloud",
            "cloud_shadow",
        ]


def test_the_store_is_where_the_asset_says(made, region):
    catalogue = pystac.Catalog.from_file(made / "catalog.json")
    for thing in [*catalogue.get_children(), *catalogue.get_items(recursive=True)]:
        asset = thing.assets["store"]
        assert Path(asset.get_absolute_href()).resolve() == Path(region.url).resolve()
        assert asset.media_type == "application/vnd.zarr; version=3"
        assert asset.extra_fields["cloudmask:group"].split("/")[0] in ("masks", "composites")
    assert asset.media_type.startswith("application/vnd.zarr")


# -- places ------------------------------------------------------------------------------------


def test_a_region_across_the_antimeridian(tmp_path):
    made = Region(str(tmp_path / "store"), grid_of(crs="EPSG:32601", x0=169_400, y0=1_000_000))
    write(made, title="")
    out = tmp_path / "out"
    publish(made.open(), out)
    item = items(out, "cloudmask-masks-landsat")[0]
    outline = shapely.geometry.shape(item["geometry"])
    west, south, east, north = item["bbox"]
    assert outline.is_valid
    assert outline.bounds[0] >= -180
    assert outline.bounds[2] <= 180
    assert outline.geom_type == "MultiPolygon"
    assert west > 179.99
    assert east < -179.98
    assert south < north < 10
    # As large as 3.2 km by 1.92 km.
    size = shapely.transform(outline, lambda p: p * [np.cos(np.radians(north)), 1]).area
    assert size * 111.2**2 == pytest.approx(3.2 * 1.92, rel=0.02)
    for each in documents(out):
        if each["type"] != "Catalog":
            extensions.check(each)


def test_a_crs_without_a_code_is_given_as_wkt(tmp_path):
    crs = "+proj=laea +lat_0=48 +lon_0=9 +datum=WGS84 +units=m"
    made = Region(str(tmp_path / "store"), grid_of(crs=crs, x0=0, y0=0))
    write(made)
    publish(made.open(), tmp_path / "out")
    properties = items(tmp_path / "out", MASKS)[0]["properties"]
    assert properties["proj:code"] is None
    assert "Lambert Azimuthal Equal Area" in properties["proj:wkt2"]


def test_only_some_dates(region, tmp_path):
    done = publish(region.open(), tmp_path / "out", period=JUNE)
    assert done.written == 4
    assert {item["id"] for item in items(tmp_path / "out", MONTHLY)} == {f"{MONTHLY}-20260601"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"id": "a", "links": [{"rel": "self", "href": "https://u:p@h/a.json?sig=1#f"}]},
            "https://h/a.json",
        ),
        (
            {"id": "a b", "links": [{"rel": "collection", "href": "https://h/c/"}]},
            "https://h/c/items/a%20b",
        ),
        (
            {"id": "a", "links": [{"rel": "collection", "href": "https://h/collection.json"}]},
            None,
        ),
        ({"id": "a", "links": [{"rel": "self", "href": "/data/a.json"}]}, "/data/a.json"),
        ({"id": "a"}, None),
    ],
)
def test_addresses_of_items(item, expected):
    assert home(item) == expected


def test_ids_tell_instants_apart():
    instants = [START, START.replace(microsecond=0), datetime(2026, 6, 1, tzinfo=UTC)]
    instants += [START.replace(microsecond=5), datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC)]
    assert len({stamp(each) for each in instants}) == len(instants)
    assert slug("Über / 2024 ../x") == "ber-2024-x"


@pytest.mark.parametrize(
    ("sensor", "platform", "told"),
    [
        ("hls", "landsat-9", {"platform": "landsat-9", "constellation": "landsat"}),
        ("hls", "landsat", {"constellation": "landsat"}),
        ("hls", "sentinel-2", {"constellation": "sentinel-2"}),
        ("sentinel-2", "sentinel-2", {"constellation": "sentinel-2"}),
        (
            "sentinel-2",
            "sentinel-2c",
            {"platform": "sentinel-2c", "constellation": "sentinel-2"},
        ),
        ("landsat", "", {"constellation": "landsat"}),
    ],
)
def test_a_family_is_no_platform(sensor, platform, told):
    subject = SimpleNamespace(scenes=[(sensor, None)], platform=platform)
    assert _platform(subject) == told


def test_a_collection_tells_how_reflectance_was_adjusted():
    assert adjusted({"method": "median"}) == ""
    assert adjusted({"harmonize": "hls", "brdf": "c-factor"}) == (
        " Adjusted before: Sentinel-2's bands to those of Landsat 8 (hls), the view to nadir (c-factor)."
    )
