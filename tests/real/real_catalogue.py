"""A static STAC catalogue over the real rasters, in the words of Earth Search v1.

The rasters are stacks of bands; a catalogue serves one COG an asset, so they are split into a
temporary folder. What an item says is read from the product's own metadata where that is at hand;
where it is not, a comment says how it is known.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyproj
import rasterio
import shapely

IRELAND = "S2A_29UNU_20221005_0_L2A"
LAKE_SENTINEL = "S2B_11UPT_20200804_0_L2A"
LAKE_LANDSAT = "LC08_L2SP_043024_20200802_02_T1"
COLOMBIA = "LC08_L2SP_008059_20191201_02_T1"
ANTARCTICA = "LC08_L2SR_099120_20191129_02_T2"

RASTERS = {
    IRELAND: "S2A_L2A_20221005_T29UNU_60m_crop.tif",
    LAKE_SENTINEL: "S2_L2A_20200804_T11UPT_60m_overlapL8.tif",
    LAKE_LANDSAT: "LC08_L2SP_043024_20200802_SR_30m_crop.tif",
    COLOMBIA: "landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1.tif",
    ANTARCTICA: "landsat_c2/LC08_L2SR_099120_20191129_20201016_02_T2.tif",
}
METADATA = {
    IRELAND: "S2A_L2A_20221005_T29UNU_MTD_MSIL2A.xml",
    COLOMBIA: "landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1_MTL.json",
    ANTARCTICA: "landsat_c2/LC08_L2SR_099120_20191129_20201016_02_T2_MTL.json",
}

SENTINEL_2_BANDS = {
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "rededge2": "B06",
    "rededge3": "B07",
    # A 60 m product has no B08: B8A, the narrow near infrared, is the only one, so it serves as
    # both. It is also the one whose wavelengths are those of Landsat 8 (855-875 and 851-879 nm).
    "nir": "B8A",
    "nir08": "B8A",
    "swir16": "B11",
    "swir22": "B12",
    "scl": "SCL",
}
LANDSAT_BANDS = {
    "coastal": "SR_B1",
    "blue": "SR_B2",
    "green": "SR_B3",
    "red": "SR_B4",
    "nir08": "SR_B5",
    "swir16": "SR_B6",
    "swir22": "SR_B7",
    "lwir11": "ST_B10",
    "qa_pixel": "QA_PIXEL",
}
CLASSES = ("scl", "qa_pixel")
NODATA = {"qa_pixel": 1}

Json = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """One of the shared rasters."""

    path: Path

    @property
    def bands(self) -> dict[str, int]:
        """Name of a band, as the file says it -> its number."""
        with rasterio.open(self.path) as raster:
            return {name: number for number, name in enumerate(raster.descriptions, start=1)}

    def read(self, band: str):
        """Return the numbers of a band (y, x)."""
        with rasterio.open(self.path) as raster:
            return raster.read(self.bands[band])

    @property
    def profile(self) -> Mapping[str, Any]:
        with rasterio.open(self.path) as raster:
            return dict(raster.profile)


def make_catalogue(imagery: Path, folder: Path) -> Path:
    """Split the rasters of `imagery` and write a catalogue over them; return its path."""
    items = [
        _item(IRELAND, imagery, folder, _ireland(imagery / METADATA[IRELAND])),
        _item(LAKE_SENTINEL, imagery, folder, LAKE_SENTINEL_PROPERTIES),
        _item(LAKE_LANDSAT, imagery, folder, LAKE_LANDSAT_PROPERTIES),
        _item(COLOMBIA, imagery, folder, _whole_scene(imagery / METADATA[COLOMBIA])),
        _item(ANTARCTICA, imagery, folder, _whole_scene(imagery / METADATA[ANTARCTICA])),
    ]
    by_collection: dict[str, list[Json]] = {}
    for item in items:
        by_collection.setdefault(item["collection"], []).append(item)
    for name, members in by_collection.items():
        for item in members:
            _write(folder / name / item["id"] / f"{item['id']}.json", item)
        _write(folder / name / "collection.json", _collection(name, members))
    children = [_link("child", f"./{name}/collection.json") for name in by_collection]
    root = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "real",
        "description": "Crops of real scenes, one COG an asset.",
        "links": children,
    }
    _write(folder / "catalog.json", root)
    return folder / "catalog.json"


# -- what the products say ---------------------------------------------------------------------


def _ireland(metadata: Path) -> Json:
    """Read the product's own metadata; Earth Search has not shifted these pixels."""
    tree = ET.parse(metadata)

    def text(tag: str) -> str:
        found = tree.findtext(f".//{tag}")
        assert found is not None, tag
        return found

    granule, datatake = tree.find(".//Granule"), tree.find(".//Datatake")
    assert granule is not None
    assert datatake is not None
    offsets = {int(each.text or 0) for each in tree.iter("BOA_ADD_OFFSET")}
    assert offsets == {-1000}
    return {
        "datetime": text("PRODUCT_START_TIME"),
        "platform": text("SPACECRAFT_NAME").lower(),
        "grid:code": "MGRS-29UNU",
        "eo:cloud_cover": float(text("Cloud_Coverage_Assessment")),
        "s2:processing_baseline": text("PROCESSING_BASELINE"),
        "s2:product_uri": text("PRODUCT_URI"),
        "s2:generation_time": text("GENERATION_TIME"),
        "s2:datatake_id": datatake.attrib["datatakeIdentifier"],
        "s2:datastrip_id": granule.attrib["datastripIdentifier"],
        "earthsearch:boa_offset_applied": False,
    }


LAKE_SENTINEL_PROPERTIES: Json = {
    # The start of the datatake, as the files' names have it. The platform is not stated: 791.71 days
    # are 11321.5 orbits before the scene of Ireland, half an orbit off Sentinel-2A's: it is 2B.
    "datetime": "2020-08-04T18:39:19.000Z",
    "platform": "sentinel-2b",
    "grid:code": "MGRS-11UPT",
    # Not stated either; 02.14 was in force from 2020-02 to 2021-02, and numbers down to 2 say that
    # nothing was added to them.
    "s2:processing_baseline": "02.14",
    "earthsearch:boa_offset_applied": False,
}
LAKE_LANDSAT_PROPERTIES: Json = {
    # The day and the product are in the file; the minute is Landsat 8's usual one at that longitude.
    "datetime": "2020-08-02T18:37:00.000Z",
    "platform": "landsat-8",
    "grid:code": "WRS2-043024",
    "landsat:wrs_path": "043",
    "landsat:wrs_row": "024",
    "landsat:collection_category": "T1",
    "landsat:collection_number": "02",
    "landsat:correction": "L2SP",
    "landsat:scene_id": "LC80430242020215LGN00",
    "landsat:product_generated": "2020-09-14T00:00:00Z",
}


def landsat_metadata(path: Path) -> Json:
    """Return the groups of an MTL file."""
    groups: Json = json.loads(path.read_text())["LANDSAT_METADATA_FILE"]
    return groups


def _whole_scene(metadata: Path) -> Json:
    groups = landsat_metadata(metadata)
    image, product = groups["IMAGE_ATTRIBUTES"], groups["PRODUCT_CONTENTS"]
    path, row = int(image["WRS_PATH"]), int(image["WRS_ROW"])
    return {
        "datetime": f"{image['DATE_ACQUIRED']}T{image['SCENE_CENTER_TIME'][:12]}Z",
        "platform": "landsat-8",
        "grid:code": f"WRS2-{path:03d}{row:03d}",
        "eo:cloud_cover": float(image["CLOUD_COVER"]),
        "view:sun_azimuth": float(image["SUN_AZIMUTH"]),
        "view:sun_elevation": float(image["SUN_ELEVATION"]),
        "landsat:wrs_path": f"{path:03d}",
        "landsat:wrs_row": f"{row:03d}",
        "landsat:collection_category": product["COLLECTION_CATEGORY"],
        "landsat:collection_number": product["COLLECTION_NUMBER"],
        "landsat:correction": product["PROCESSING_LEVEL"],
        "landsat:scene_id": groups["LEVEL1_PROCESSING_RECORD"]["LANDSAT_SCENE_ID"],
        "landsat:product_generated": groups["LEVEL2_PROCESSING_RECORD"][
            "DATE_PRODUCT_GENERATED"
        ],
    }


# -- STAC --------------------------------------------------------------------------------------


def _item(name: str, imagery: Path, folder: Path, properties: Json) -> Json:
    source = Source(imagery / RASTERS[name])
    profile = source.profile
    is_landsat = name.startswith("LC08")
    owner = "landsat-c2-l2" if is_landsat else "sentinel-2-l2a"
    bands = LANDSAT_BANDS if is_landsat else SENTINEL_2_BANDS
    offered = {role: band for role, band in bands.items() if band in source.bands}
    grid = {
        "proj:shape": [profile["height"], profile["width"]],
        "proj:transform": list(profile["transform"])[:6],
    }
    # Earth Search has them on the items of Landsat and on the assets of Sentinel-2.
    on_item, on_assets = (grid, {}) if is_landsat else ({}, grid)
    assets = {}
    for role, band in offered.items():
        path = folder / owner / name / f"{band}.tif"
        if not path.exists():
            _write_cog(path, source, band, role)
        assets[role] = {
            "href": f"./{path.name}",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            **on_assets,
        }
    footprint = _footprint(profile)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "id": name,
        "collection": owner,
        "geometry": shapely.geometry.mapping(footprint),
        "bbox": list(footprint.bounds),
        "properties": {"proj:epsg": profile["crs"].to_epsg(), **on_item, **properties},
        "links": [_link("collection", "../collection.json")],
        "assets": assets,
    }


def _write_cog(path: Path, source: Source, band: str, role: str) -> None:
    profile, pixels = source.profile, source.read(band)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=profile["width"],
        height=profile["height"],
        count=1,
        dtype=profile["dtype"],
        crs=profile["crs"],
        transform=profile["transform"],
        nodata=NODATA.get(role, 0),
        blocksize=256,
        compress="deflate",
        overview_resampling="nearest" if role in CLASSES else "average",
    ) as raster:
        raster.write(pixels, 1)


def _footprint(profile: Mapping[str, Any]) -> shapely.Polygon:
    """Draw the raster in degrees; corners alone would be off in between."""
    left, top = profile["transform"] @ (0, 0)
    right, bottom = profile["transform"] @ (profile["width"], profile["height"])
    outline = shapely.segmentize(shapely.box(left, bottom, right, top), (right - left) / 20)
    to_degrees = pyproj.Transformer.from_crs(profile["crs"], "EPSG:4326", always_xy=True)
    return shapely.transform(outline, to_degrees.transform, interleaved=False)


def _collection(name: str, items: list[Json]) -> Json:
    boxes = [item["bbox"] for item in items]
    times = sorted(item["properties"]["datetime"] for item in items)
    west, south, east, north = zip(*boxes, strict=True)
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "description": "Real scenes.",
        "license": "proprietary",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "links": [
            _link("root", "../catalog.json"),
            *(_link("item", f"./{item['id']}/{item['id']}.json") for item in items),
        ],
    }


def _link(relation: str, href: str) -> Json:
    return {"rel": relation, "href": href, "type": "application/json"}


def _write(path: Path, document: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
