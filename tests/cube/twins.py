"""One scene as each catalogue would serve it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import mapping

ROLES = ("green", "red", "nir08", "swir16", "swir22")
GEOBOX = GeoBox((192, 192), Affine(20, 0, 600_000, 0, -20, 5_400_000), "EPSG:32632")

Encoding = tuple[float, float, int, str]
"""Scale, offset, nodata, dtype: number = (reflectance - offset) / scale."""

AS_WAS: Encoding = (1e-4, 0.0, 0, "uint16")
PLUS_1000: Encoding = (1e-4, -0.1, 0, "uint16")
LANDSAT: Encoding = (2.75e-5, -0.2, 0, "uint16")
HLS: Encoding = (1e-4, 0.0, -9999, "int16")
NBART: Encoding = (1e-4, 0.0, -999, "int16")

NAMED = {role: role for role in ROLES}
NUMBERED = {"green": "B03", "red": "B04", "nir08": "B8A", "swir16": "B11", "swir22": "B12"}
CDSE = {
    role: f"{band}_{'10m' if role in ('green', 'red') else '20m'}"
    for role, band in NUMBERED.items()
}
OLI = {"green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7}
TM = {"green": 2, "red": 3, "nir08": 4, "swir16": 5, "swir22": 7}
DEA = {"green": "green", "red": "red", "swir16": "swir_2", "swir22": "swir_3", "nir08": "nir_2"}
DEA_LANDSAT = {**DEA, "nir08": "nir", "swir16": "swir_1", "swir22": "swir_2"}


@dataclass(frozen=True)
class Twin:
    """How a catalogue serves the scene, and how it is to be understood."""

    collection: str | None
    encoding: Encoding
    keys: dict[str, str] = field(default_factory=lambda: NAMED)
    properties: dict[str, Any] = field(default_factory=dict)
    asset: dict[str, Any] = field(default_factory=dict)
    asked: bool = False
    """Whether the pixels are asked, since the metadata cannot be trusted."""
    overruled: bool = False
    """Whether they contradict the metadata."""
    folder: str = "assets"


def es(baseline: str, flag: Any, announced: float, encoding: Encoding, **more: Any) -> Twin:
    """Return a twin of Earth Search v1."""
    properties = {"s2:processing_baseline": baseline}
    if flag is not None:
        properties["earthsearch:boa_offset_applied"] = flag
    return Twin(
        "sentinel-2-l2a",
        encoding,
        properties=properties,
        asset={"raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": announced}]},
        folder="sentinel-cogs",
        **more,
    )


def pc(baseline: str, encoding: Encoding) -> Twin:
    return Twin("sentinel-2-l2a", encoding, NUMBERED, {"s2:processing_baseline": baseline})


def cdse(version: str | None, announced: float, encoding: Encoding, **more: Any) -> Twin:
    return Twin(
        "sentinel-2-l2a",
        encoding,
        CDSE,
        {"processing:version": version, "eopf:origin_datetime": "2023-06-05T10:20:00Z"},
        {"raster:scale": 1e-4, "raster:offset": announced},
        **more,
    )


def by_baseline(collection: str | None, baseline: str, announced: float, **more: Any) -> Twin:
    made = PLUS_1000 if baseline >= "04" else AS_WAS
    properties = {
        "s2:processing_baseline": baseline,
        "s2:product_type": more.pop("level", "S2MSI2A"),
    }
    asset = {"raster:bands": [{"scale": 1e-4, "offset": announced}]}
    return Twin(collection, more.pop("encoding", made), NAMED, properties, asset, **more)


def landsat(collection: str, keys: dict[str, str], instrument: str) -> Twin:
    return Twin(collection, LANDSAT, keys, {"instruments": [instrument], "platform": "landsat"})


TWINS = {
    "earth search 02.14": es("02.14", False, 0, AS_WAS),
    "earth search 04.00 shifted, offset stale": es("04.00", True, -0.1, AS_WAS),
    "earth search 05.11 shifted, offset stale": es("05.11", True, -0.1, AS_WAS),
    "earth search 05.11 shifted, flag spelled out": es("05.11", "True", 0, AS_WAS),
    "earth search 04.00 not shifted": es("04.00", False, -0.1, PLUS_1000, asked=True),
    "earth search 04.00 flag wrong": es(
        "04.00", False, -0.1, AS_WAS, asked=True, overruled=True
    ),
    "earth search 05.11 flag wrong": es(
        "05.11", False, -0.1, AS_WAS, asked=True, overruled=True
    ),
    "earth search 05.11 not shifted": es("05.11", False, 0, PLUS_1000, asked=True),
    "earth search 04.00 no flag": es("04.00", None, -0.1, PLUS_1000, asked=True),
    "earth search 04.00 no flag, shifted": es(
        "04.00", None, -0.1, AS_WAS, asked=True, overruled=True
    ),
    "earth search collection 1": by_baseline("sentinel-2-c1-l2a", "05.11", -0.1),
    "earth search before collection 1": by_baseline("sentinel-2-pre-c1-l2a", "02.14", 0),
    "announced offset missing": by_baseline("sentinel-2-c1-l2a", "05.11", 0, asked=True),
    "announced offset too much": by_baseline("S2MSI2A", "02.14", -0.1, asked=True),
    "as ESA made it": by_baseline(None, "04.00", -0.1),
    "made by a user, recent": by_baseline(None, "99.99", -0.1, asked=True),
    "made by a user, old": by_baseline(
        None, "99.99", 0, encoding=AS_WAS, asked=True, overruled=True
    ),
    "planetary computer 02.14": pc("02.14", AS_WAS),
    "planetary computer 04.00": pc("04.00", PLUS_1000),
    "planetary computer 05.11": pc("05.11", PLUS_1000),
    "copernicus 05.11": cdse("05.11", -0.1, PLUS_1000),
    "copernicus 02.14 by a template": cdse("02.14", -0.1, AS_WAS, asked=True),
    "copernicus without a baseline": cdse(None, -0.1, PLUS_1000, asked=True),
    "copernicus without a baseline, old": cdse(None, -0.1, AS_WAS, asked=True, overruled=True),
    "digital earth africa": by_baseline("s2_l2a_c1", "05.10", -0.1),
    "level 1c 02.09": by_baseline("sentinel-2-l1c", "02.09", 0, level="S2MSI1C"),
    "level 1c 05.11": by_baseline("sentinel-2-l1c", "05.11", -0.1, level="S2MSI1C"),
    "level 1c, announced offset missing": by_baseline(
        "sentinel-2-l1c", "05.11", 0, level="S2MSI1C", asked=True
    ),
    "landsat": landsat("landsat-c2-l2", NAMED, "oli"),
    "landsatlook oli": landsat(
        "landsat-c2l2-sr", {role: f"SR_B{n}.TIF" for role, n in OLI.items()}, "OLI_TIRS"
    ),
    "landsat of digital earth africa": landsat(
        "ls8_sr", {role: f"SR_B{n}" for role, n in OLI.items()}, "OLI_TIRS"
    ),
    "landsatlook tm": landsat(
        "landsat-c2l2-sr", {role: f"SR_B{n}.TIF" for role, n in TM.items()}, "TM"
    ),
    "hls sentinel": Twin("hls2-s30", HLS, NUMBERED),
    "hls landsat": Twin("HLSL30_2.0", HLS, {role: f"B{n:02d}" for role, n in OLI.items()}),
    "dea sentinel": Twin(
        "ga_s2am_ard_3", NBART, {role: f"nbart_{name}" for role, name in DEA.items()}
    ),
    "dea landsat": Twin(
        "ga_ls8c_ard_3", NBART, {role: f"nbart_{name}" for role, name in DEA_LANDSAT.items()}
    ),
}


def make_truth() -> np.ndarray:
    """Return reflectances (role, y, x): a lake, forest, fields, a cloud; NaN = no data."""
    rng = np.random.default_rng(11)
    spectra = np.array(
        [
            [0.03, 0.02, 0.01, 0.004, 0.003],
            [0.03, 0.02, 0.25, 0.10, 0.04],
            [0.08, 0.06, 0.40, 0.22, 0.11],
            [0.55, 0.55, 0.58, 0.40, 0.28],
        ]
    )
    kinds = np.kron(rng.choice(4, (12, 12), p=[0.2, 0.3, 0.4, 0.1]), np.ones((16, 16), int))
    light = rng.uniform(0.8, 1.2, GEOBOX.shape)
    scene = np.moveaxis(spectra[kinds], -1, 0) * light
    # The correction of the atmosphere takes too much here and there; darker than black.
    scene[:2, :10, :10] = -0.012
    rows, cols = np.indices(GEOBOX.shape)
    scene[:, rows + cols > 330] = np.nan
    return scene


def serve(twin: Twin, truth: np.ndarray, folder: Path, name: str = "twin") -> pystac.Item:
    """Write the scene as a catalogue would."""
    geographic = GEOBOX.geographic_extent.geom
    item = pystac.Item(
        id=name,
        geometry=mapping(geographic),
        bbox=list(geographic.bounds),
        datetime=datetime(2023, 6, 5, 10, 20, tzinfo=UTC),
        collection=twin.collection,
        properties={
            "proj:epsg": 32632,
            "proj:shape": list(GEOBOX.shape),
            "proj:transform": list(GEOBOX.transform)[:6],
            **twin.properties,
        },
    )
    place = folder / twin.folder
    place.mkdir(exist_ok=True)
    scale, offset, nodata, dtype = twin.encoding
    lowest = 1 if nodata == 0 else -9998
    for plane, role in zip(truth, ROLES, strict=True):
        numbers = np.clip(np.round((np.nan_to_num(plane) - offset) / scale), lowest, 32767 * 2)
        pixels = np.where(np.isnan(plane), nodata, numbers).astype(dtype)
        path = place / f"{name}_{role}.tif"
        with rasterio.open(
            path,
            "w",
            driver="COG",
            height=GEOBOX.shape.y,
            width=GEOBOX.shape.x,
            count=1,
            dtype=dtype,
            nodata=nodata,
            crs=str(GEOBOX.crs),
            transform=GEOBOX.transform,
            blocksize=128,
        ) as raster:
            raster.write(pixels, 1)
        item.add_asset(
            twin.keys[role], pystac.Asset(href=str(path), extra_fields=dict(twin.asset))
        )
    return item
