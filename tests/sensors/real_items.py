"""The 199 real items of ../shared/data/stac_items, and what was derived by hand about each."""

import csv
import functools
import json
from pathlib import Path

import pystac

FOLDER = "stac_items"

S2 = ("sentinel-2", "L2A")
S2_TOA = ("sentinel-2", "L1C")
LANDSAT = ("landsat", "L2A")
HLS = ("hls", "L2A")

AS_IS = (1e-4, 0.0, 0)
"""Sentinel-2 before baseline 04.00, or shifted back by the catalogue."""
PLUS_1000 = (1e-4, -0.1, 0)
"""Sentinel-2 since baseline 04.00, as ESA made it: (DN - 1000) / 10000."""
SR = (2.75e-5, -0.2, 0)
"""Landsat Collection 2 surface reflectance (LSDS-1619, table 6-1)."""
HLS_SR = (1e-4, 0.0, -9999)
"""HLS Product User Guide v2.0, table 10."""
NBART = (1e-4, 0.0, -999)
"""Digital Earth Australia, ARD Collection 3."""

EXPECTED = {
    # folder, collection, baseline and flag as INDEX.tsv lists them -> sensor and level, numbers.
    # Earth Search v1: the flag wins; it is set wherever a shift was due (Element84/earth-search#9).
    ("earthsearch_v1", "sentinel-2-l2a", "02.14", "False"): (S2, AS_IS),
    ("earthsearch_v1", "sentinel-2-l2a", "05.00", "True"): (S2, AS_IS),
    ("earthsearch_v1", "sentinel-2-l2a", "05.11", "True"): (S2, AS_IS),
    # Collection 1 and L1C there are copies of ESA's, unshifted (Element84/earth-search#41).
    ("earthsearch_v1", "sentinel-2-c1-l2a", "05.10", ""): (S2, PLUS_1000),
    ("earthsearch_v1", "sentinel-2-c1-l2a", "05.11", ""): (S2, PLUS_1000),
    ("earthsearch_v1", "sentinel-2-l1c", "05.10", ""): (S2_TOA, PLUS_1000),
    ("earthsearch_v1", "sentinel-2-l1c", "05.11", ""): (S2_TOA, PLUS_1000),
    ("earthsearch_v1", "landsat-c2-l2", "", ""): (LANDSAT, SR),
    # Earth Search v0: with the flag shifted (cirrus-geo/cirrus-earth-search#21). The two without are
    # N0214 and N0301 by the name of their product: nothing was ever added.
    ("earthsearch_v0", "sentinel-s2-l2a-cogs", "", ""): (S2, AS_IS),
    ("earthsearch_v0", "sentinel-s2-l2a-cogs", "05.11", "True"): (S2, AS_IS),
    ("earthsearch_v0_bucket", "sentinel-s2-l2a-cogs", "", ""): (S2, AS_IS),
    ("earthsearch_v0_bucket", "sentinel-s2-l2a-cogs", "04.00", "True"): (S2, AS_IS),
    # Planetary Computer: as ESA made them, no word of the offset (microsoft/PlanetaryComputer#134).
    ("pc", "sentinel-2-l2a", "02.12", ""): (S2, AS_IS),
    ("pc", "sentinel-2-l2a", "04.00", ""): (S2, PLUS_1000),
    ("pc", "sentinel-2-l2a", "05.10", ""): (S2, PLUS_1000),
    ("pc", "sentinel-2-l2a", "05.11", ""): (S2, PLUS_1000),
    ("pc", "landsat-c2-l2", "", ""): (LANDSAT, SR),
    ("pc", "landsat-8-c2-l2", "", ""): (LANDSAT, SR),
    # All of these are of MSS: radiance, whose reflectance coefficients are in the MTL file alone.
    ("pc", "landsat-c2-l1", "", ""): "holds radiances",
    # Copernicus Data Space: ESA's own files; baseline 05 and raster:offset -0.1 of every band agree.
    ("cdse", "sentinel-2-l2a", "05.00", ""): (S2, PLUS_1000),
    ("cdse", "sentinel-2-l2a", "05.11", ""): (S2, PLUS_1000),
    ("cdse", "sentinel-2-global-mosaics", "", ""): "'sentinel-2-global-mosaics' is not known",
    # USGS LandsatLook, STAC 0.7, 1.0.0-beta.2 and 1.0.0
    ("usgs_landsatlook", "landsat-c2l2-sr", "", ""): (LANDSAT, SR),
    ("usgs_landsatlook", "landsat-c2l2-st", "", ""): "'landsat-c2l2-st' has no reflectances",
    ("usgs_landsatlook", "landsat-c2l1", "", ""): "'landsat-c2l1' of LANDSAT_. holds radiances",
    # Digital Earth Africa: copies of Earth Search, v1 and Collection 1
    ("deafrica", "sentinel-2-l2a", "02.14", "False"): (S2, AS_IS),
    ("deafrica", "s2_l2a_c1", "05.10", ""): (S2, PLUS_1000),
    # Digital Earth Australia; the item without a collection says odc:product ga_ls8c_ard_3.
    ("dea", "ga_s2am_ard_3", "", ""): (S2, NBART),
    ("dea", None, "", ""): (LANDSAT, NBART),
    (
        "dea",
        "fc_percentile_albers_annual",
        "",
        "",
    ): "'fc_percentile_albers_annual' is not known",
    ("dea", "ga_ls5t_nbart_gm_cyear_3", "", ""): "'ga_ls5t_nbart_gm_cyear_3' is not known",
    # HLS, through CMR-STAC and made by stactools
    ("cmr_stac", "HLSL30.v1.5", "", ""): (HLS, HLS_SR),
    ("stactools_hls", "hls", "", ""): (HLS, HLS_SR),
    # Made by stactools from the products as ESA and USGS deliver them: the baseline decides.
    ("stactools_sentinel2", None, "02.07", ""): (S2_TOA, AS_IS),
    ("stactools_sentinel2", None, "02.09", ""): (S2_TOA, AS_IS),
    ("stactools_sentinel2", None, "03.01", ""): (S2_TOA, AS_IS),
    ("stactools_sentinel2", None, "02.11", ""): (S2, AS_IS),
    ("stactools_sentinel2", None, "02.12", ""): (S2, AS_IS),
    ("stactools_sentinel2", None, "02.14", ""): (S2, AS_IS),
    ("stactools_sentinel2", None, "04.00", ""): (S2, PLUS_1000),
    ("stactools_sentinel2", None, "05.00", ""): (S2, PLUS_1000),
    ("stactools_sentinel2", None, "05.09", ""): (S2, PLUS_1000),
    ("stactools_sentinel2", None, "05.10", ""): (S2, PLUS_1000),
    ("stactools_sentinel2", "sentinel2-l1c-example", "02.09", ""): (S2_TOA, AS_IS),
    ("stactools_sentinel2", "sentinel2-l2a-example", "02.12", ""): (S2, AS_IS),
    ("stactools_landsat", "landsat-c2-l2", "", ""): (LANDSAT, SR),
    (
        "stactools_landsat",
        "landsat-c2-l1",
        "",
        "",
    ): "'landsat-c2-l1' of landsat-. holds radiances",
}


@functools.cache
def index(shared_data: Path) -> dict[str, dict[str, str]]:
    """File -> its row of INDEX.tsv."""
    with (shared_data / FOLDER / "INDEX.tsv").open(encoding="utf-8", newline="") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t")}


def read(shared_data: Path, name: str) -> pystac.Item:
    return as_item(document(shared_data, name))


def document(shared_data: Path, name: str) -> dict:
    return json.loads((shared_data / FOLDER / name).read_text(encoding="utf-8"))


def as_item(parsed: dict) -> pystac.Item:
    # As recorded: pystac's migration to STAC 1.1 warns of assets that are of no concern here.
    return pystac.Item.from_dict(parsed, migrate=False)


def key(shared_data: Path, name: str) -> tuple[str, str | None, str, str]:
    """Return the row of `EXPECTED` that a file should hit."""
    row = index(shared_data)[name]
    collection = document(shared_data, name).get("collection")
    return (
        name.split("/", maxsplit=1)[0],
        collection,
        row["baseline"],
        row["boa_offset_applied"],
    )


def files_of(shared_data: Path, wanted: tuple) -> list[str]:
    return [name for name in index(shared_data) if key(shared_data, name) == wanted]
