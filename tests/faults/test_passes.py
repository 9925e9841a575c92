"""F01 and F02: two passes over one place on one day, and one acquisition that was processed twice.

The archives are those of ../shared/faults, built here: one value a raster, masks of the products.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

from pipeline import run, store
from pipeline.config import load_job
from pipeline.publish import publish
from pipeline.query import clear_sky, select_masks, to_rows

PX, EDGE = 64, 30
"""Pixels along an edge, and their size in metres."""
WEST, NORTH = 702000, 5335020
"""In EPSG:32632, on multiples of 30 m, as HLS and Digital Earth Australia have it."""
AOI = [11.719, 48.116, 11.742, 48.131]


@dataclass(frozen=True, kw_only=True)
class Product:
    """How a catalogue's product looks: its files, its codes and how its numbers are meant."""

    collection: str
    bands: tuple[str, ...]
    qa: str
    model: str
    clear: int
    cloud: int
    dtype: str = "int16"
    nodata: int = -9999

    def number(self, reflectance: float) -> int:
        """Return the number that means a reflectance."""
        if self.collection == "landsat-c2-l2":
            return round((reflectance + 0.2) / 2.75e-5)
        return round(reflectance * 1e4)


LANDSAT = Product(
    collection="landsat-c2-l2",
    bands=("blue", "green", "red", "nir08"),
    qa="qa_pixel",
    model="qa-pixel",
    clear=21824,
    cloud=22280,
    dtype="uint16",
    nodata=0,
)
SENTINEL = Product(
    collection="sentinel-2-l2a",
    bands=("blue", "green", "red", "nir"),
    qa="scl",
    model="scl",
    clear=4,
    cloud=9,
    dtype="uint16",
    nodata=0,
)
L30, S30 = (
    Product(
        collection=f"HLS{kind}30_2.0", bands=bands, qa="Fmask", model="fmask", clear=64, cloud=2
    )
    for kind, bands in (
        ("L", ("B02", "B03", "B04", "B05")),
        ("S", ("B02", "B03", "B04", "B8A")),
    )
)
DEA = Product(
    collection="ga_ls8c_ard_3",
    bands=("nbart_blue", "nbart_green", "nbart_red", "nbart_nir"),
    qa="oa_fmask",
    model="dea-fmask",
    clear=1,
    cloud=2,
    nodata=-999,
)

PROPERTIES = {
    "sentinel-2-l2a": {
        "s2:processing_baseline": "02.14",
        "earthsearch:boa_offset_applied": False,
    },
    "landsat-c2-l2": {"landsat:collection_number": "02"},
}


@dataclass(frozen=True)
class Archive:
    """A folder of items, and the job that reads it."""

    folder: Path

    def add(self, product, name, when, *, blue=None, **properties):
        """Add an item: cloud everywhere, or clear with a reflectance."""
        place = self.folder / name
        place.mkdir(parents=True)
        number = product.number(0.6 if blue is None else blue)
        code = product.cloud if blue is None else product.clear
        values = dict.fromkeys(product.bands, number) | {product.qa: code}
        assets = {}
        for key, value in values.items():
            mask = key == product.qa
            kind = (
                "uint16" if mask and product is LANDSAT else "uint8" if mask else product.dtype
            )
            with rasterio.open(
                place / f"{key}.tif",
                "w",
                driver="GTiff",
                width=PX,
                height=PX,
                count=1,
                dtype=kind,
                crs="EPSG:32632",
                transform=from_origin(WEST, NORTH, EDGE, EDGE),
                nodata=None if mask else product.nodata,
                tiled=True,
            ) as file:
                file.write(np.full((PX, PX), value, kind), 1)
            assets[key] = {"href": f"./{key}.tif", "type": "image/tiff; application=geotiff"}
        outline = GeoBox((PX, PX), from_origin(WEST, NORTH, EDGE, EDGE), "EPSG:32632")
        area = outline.geographic_extent.geom
        document = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "collection": product.collection,
            "geometry": area.__geo_interface__,
            "bbox": list(area.bounds),
            "links": [],
            "assets": assets,
            "properties": {
                "datetime": f"{when:%Y-%m-%dT%H:%M:%S.%fZ}",
                "proj:epsg": 32632,
                **PROPERTIES.get(product.collection, {}),
                **properties,
            },
        }
        (place / f"{name}.json").write_text(json.dumps(document))

    def run(self, product):
        """Run the job; return its record and the store."""
        record = run.run(load_job(self.list(product)))
        return record, store.open_archive(str(self.folder.parent / "store"))

    def list(self, product):
        """Write the catalogue and the job; return the job's file."""
        links = [
            {"rel": "item", "href": f"./{path.relative_to(self.folder)}"}
            for path in sorted(self.folder.glob("*/*.json"))
        ]
        catalogue = {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "own",
            "description": "own",
        }
        (self.folder / "catalog.json").write_text(json.dumps(catalogue | {"links": links}))
        job = self.folder.parent / "job.yaml"
        bands = "nir08" if product in (LANDSAT, L30, S30) else "nir"
        job.write_text(
            f"name: t\naoi: {AOI}\ndatetime: 2022-06-01/2022-06-30\n"
            f"sources: {{catalog: {self.folder / 'catalog.json'}}}\n"
            "grid: {crs: EPSG:32632, resolution_m: 30, tile_px: 128, chunk_px: 64}\n"
            f"mask: {{model: {product.model}}}\n"
            f"composite: {{name: monthly, period: month, bands: [blue, {bands}]}}\n"
            f"store: {self.folder.parent / 'store'}\n"
        )
        return job


@pytest.fixture
def archive(tmp_path) -> Archive:
    return Archive(tmp_path / "archive")


DAY = datetime(2022, 6, 8, tzinfo=UTC)
HLS_ID = "HLS.{}30.T32UPU.2022159T{}.v2.0"

TWO_PASSES = {
    # sensor, then for each pass: product, id, time of the day, properties, platform
    "Sentinel-2A and B, ten minutes apart": (
        "sentinel-2",
        (SENTINEL, "S2B_32UPU_20220608_0_L2A", "10:17:30", {}, "sentinel-2b"),
        (SENTINEL, "S2A_32UPU_20220608_0_L2A", "10:27:44", {}, "sentinel-2a"),
    ),
    "Sentinel-2C on two orbits, as at 75 degrees north": (
        "sentinel-2",
        (SENTINEL, "a", "10:17:30", {"platform": "Sentinel-2C"}, "sentinel-2c"),
        (SENTINEL, "b", "11:56:10", {"platform": "Sentinel-2C"}, "sentinel-2c"),
    ),
    "HLS L30 and S30": (
        "hls",
        (L30, HLS_ID.format("L", "100212"), "10:02:12.345", {}, "landsat"),
        (S30, HLS_ID.format("S", "102601"), "10:27:44.024", {}, "sentinel-2"),
    ),
    "Landsat 7 and 9": (
        "landsat",
        (LANDSAT, "LE07_L2SP_194026_20220608_02_T1", "08:52:00", {}, "landsat-7"),
        (LANDSAT, "LC09_L2SP_193026_20220608_02_T1", "10:02:00", {}, "landsat-9"),
    ),
    "Landsat 8 and 9 that know the day alone": (
        "landsat",
        (LANDSAT, "LC08_L2SP_194026_20220608_02_T1", "00:00:00", {}, "landsat-8"),
        (LANDSAT, "LC09_L2SP_193026_20220608_02_T1", "00:00:00", {}, "landsat-9"),
    ),
}


def at(time):
    return datetime.fromisoformat(f"{DAY:%Y-%m-%d}T{time}+00:00")


@pytest.mark.quick(2)
@pytest.mark.parametrize("clear", [0, 1])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", TWO_PASSES)
def test_two_passes_of_one_day_are_two_scenes(archive, name, late, clear):
    """Whichever is the clear one, and whether the second is found by the first run or a later."""
    sensor, *passes = TWO_PASSES[name]
    for n in (1, 0) if late else (0, 1):
        product, item, time, properties, _ = passes[n]
        blue = 0.05 if n == clear else None
        archive.add(product, item, at(time), blue=blue, **properties)
        if late:
            record, opened = archive.run(product)
    if not late:
        record, opened = archive.run(passes[0][0])
    masks = opened.masks(sensor)
    assert masks.sizes["time"] == 2
    found = dict(zip(masks["platform"].to_numpy().tolist(), range(2), strict=True))
    order = [found[each[4]] for each in passes] if len(found) == 2 else [0, 1]
    codes = [np.unique(masks["mask"].isel(time=n).to_numpy()).tolist() for n in order]
    assert codes[clear] == [0, 1]
    assert codes[1 - clear] == [0, 5]
    assert json.loads(str(masks["items"].to_numpy()[order[clear]])) == [passes[clear][1]]
    month = opened.composite("monthly").isel(time=0)
    seen = month["count"].to_numpy() == 1
    assert seen.sum() > 0.9 * PX * PX
    assert np.allclose(month["blue"].to_numpy()[seen], 0.05, atol=1e-4)
    assert set(month["day"].to_numpy()[seen].tolist()) == {
        (DAY - datetime(1970, 1, 1, tzinfo=UTC)).days
    }
    named = {opened.item_ids[n] for n in np.unique(month["source"].to_numpy()[seen])}
    assert named == {passes[clear][1]}
    assert record.expected == record.complete
    rows = to_rows(clear_sky({sensor: opened.stored_masks(sensor)}, None))
    assert sorted(row["clear_pct"] > 0 for row in rows) == [False, True]
    assert select_masks({sensor: masks}, None).sizes["time"] == 2
    published = publish(opened, archive.folder.parent / "stac")
    items = list(published.path.parent.glob("t-masks-*/*/*.json"))
    assert len(items) == 2
    assert len({path.stem for path in items}) == 2


MATURITIES = ("nrt", "interim", "final")


@pytest.mark.quick(1)
@pytest.mark.parametrize("late", [False, True])
def test_the_final_dataset_replaces_the_interim_one(archive, late):
    """Ids are UUIDs: the final one sorts last, and was made first."""
    for n, maturity in enumerate(MATURITIES):
        archive.add(
            DEA,
            f"{n}1d1b6a0-0000-4000-8000-000000000001",
            DAY + timedelta(hours=10, minutes=2),
            blue=0.05 if maturity == "final" else 0.25,
            **{
                "platform": "landsat-8",
                "odc:region_code": "193026",
                "landsat:landsat_scene_id": "LC81930262022159LGN00",
                "dea:dataset_maturity": maturity,
                "odc:processing_datetime": f"2022-06-{20 - n}T06:00:00Z",
            },
        )
        if late:
            record, opened = archive.run(DEA)
    if not late:
        record, opened = archive.run(DEA)
    assert [each.reason.split(" 21d1", maxsplit=1)[0] for each in record.dropped] == [
        "replaced by newer processing"
    ] * 2
    assert opened.masks("landsat").sizes["time"] == 1
    month = opened.composite("monthly").isel(time=0)
    seen = month["count"].to_numpy() > 0
    assert np.unique(month["count"].to_numpy()).tolist() == [0, 1]
    assert np.allclose(month["blue"].to_numpy()[seen], 0.05, atol=1e-4)
