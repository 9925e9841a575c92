"""A small store with everything in it: two sensors, two months, holes, a part that is missing."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline import store, types
from pipeline.store.arrays.composites import encode_reflectance
from pipeline.types import Grid, Period

START = datetime(2026, 6, 1, 10, 30, 20, 123456, tzinfo=UTC)
JUNE = Period(start=datetime(2026, 6, 1, tzinfo=UTC), end=datetime(2026, 7, 1, tzinfo=UTC))
JULY = Period(start=datetime(2026, 7, 1, tzinfo=UTC), end=datetime(2026, 8, 1, tzinfo=UTC))
ROLES = ("red", "nir")
API = "https://stac.example.org/v1/collections/s2"
MODEL = {
    "name": "threshold",
    "version": "1",
    "weights": "none",
    "weights_sha256": "ab" * 32,
    "licence": "Apache-2.0",
    "source": "cloudmask",
}


@dataclass
class Region:
    """A store, and what was written to it."""

    url: str
    grid: Grid
    masks: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    """Codes (y, x) by sensor and number of the scene."""
    composites: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    """Stored numbers (y, x) by number of the month."""

    def open(self) -> store.Archive:
        return store.open_archive(self.url)

    def scenes(self, sensor: str, days: tuple[int, ...]) -> list:
        return [
            (START + timedelta(days=day), f"{sensor}a", [f"{sensor}-{day}"]) for day in days
        ]


def grid_of(ny=160, nx=96, tile_px=64, chunk_px=32, crs="EPSG:32632", x0=500_000, y0=5_300_000):
    affine = Affine(20, 0, x0, 0, -20, y0)
    return Grid(geobox=GeoBox((ny, nx), affine, crs), tile_px=tile_px, chunk_px=chunk_px)


def document(name: str) -> dict:
    """A source item, as catalogues of the three kinds write their links."""
    links = {
        "sentinel-2-0": [{"rel": "self", "href": f"{API}/items/{name}?token=secret"}],
        "sentinel-2-5": [{"rel": "collection", "href": API}],
        "sentinel-2-31": [{"rel": "collection", "href": "./collection.json"}],
    }
    return {"id": name, "links": links.get(name, []), "properties": {"datetime": name}}


def write(
    region: Region, *, seed: int = 0, title: str = "Upper Bavaria", base: int = 100
) -> None:
    """Fill a store; another seed gives other pixels, another base other fingerprints."""
    random = np.random.default_rng(seed)
    days = {"sentinel-2": (0, 5, 31), "landsat": (3,)}
    ids = [f"{sensor}-{day}" for sensor, each in days.items() for day in each]
    with store.open_writer(region.url, region.grid, title=title, run_key="k") as writer:
        writer.item_positions(ids, [document(each) for each in ids])
        for sensor, each in days.items():
            rows = region.scenes(sensor, each)
            writer.set_scenes(sensor, rows)
            for number, (time, _, _) in enumerate(rows):
                write_scene(region, writer, sensor, number, time, random, base)
        writer.set_composite(
            "monthly", ROLES, [JUNE, JULY], {"method": "median", "period": "month"}
        )
        for number, period in enumerate((JUNE, JULY)):
            write_month(region, writer, number, period, random, base)
        cells = [
            {"sensor": sensor, "time": time.isoformat(), "status": "masked"}
            for sensor, each in days.items()
            for time, _, _ in region.scenes(sensor, each)
        ]
        models = {"sentinel-2": MODEL, "landsat": {**MODEL, "name": "fmask"}}
        writer.publish({"run_id": "r", "models": models, "tiles": [{"cells": cells}]})


def write_scene(region, writer, sensor, number, time, random, base) -> None:
    whole = np.zeros(region.grid.geobox.shape, np.uint8)
    for at, tile in enumerate(region.grid.tiles()):
        if (sensor, number, at) == ("sentinel-2", 0, 1):
            writer.write_mask(sensor, time, tile, None, types.UNCOVERED)
        elif (sensor, number, at) == ("sentinel-2", 0, 2):
            writer.write_mask(sensor, time, tile, None, types.UNREADABLE)
        elif (sensor, number, at) != ("sentinel-2", 0, 3):
            codes = random.integers(0, 7, tile.geobox.shape, np.uint8)
            whole[tile.window] = codes
            writer.write_mask(sensor, time, tile, codes, base + at)
    region.masks[sensor, number] = whole


def write_month(region, writer, number, period, random, base) -> None:
    shape = region.grid.geobox.shape
    whole = {role: np.full(shape, -32768, np.int16) for role in ROLES}
    whole["count"] = np.zeros(shape, np.uint16)
    whole |= {name: np.full(shape, -1, np.int32) for name in ("day", "source")}
    for at, tile in enumerate(region.grid.tiles()):
        if number == 1 and at == 0:
            continue
        values = month(tile.geobox.shape, random)
        writer.write_composite("monthly", period.start, tile, values, base + at)
        for name, array in whole.items():
            put = values[name].to_numpy()
            array[tile.window] = encode_reflectance(put) if name in ROLES else put
    region.composites[number] = whole


def month(shape, random) -> xr.Dataset:
    red = random.normal(0.2, 0.1, shape).astype("float32")
    empty = random.random(shape) < 0.1
    red[0, :5] = [np.nan, 3.2767, -3.2767, 0.00005, 0.00015]
    red[empty] = np.nan
    nothing = np.isnan(red)
    values = {
        "red": red,
        "nir": np.where(nothing, np.nan, random.normal(0.4, 0.1, shape)).astype("float32"),
        "count": np.where(nothing, 0, random.integers(1, 60, shape)).astype("uint16"),
        "day": np.where(nothing, -1, random.integers(0, 30_000, shape)).astype("int32"),
        "source": np.where(nothing, -1, random.integers(0, 4, shape)).astype("int32"),
    }
    return xr.Dataset({name: (("y", "x"), value) for name, value in values.items()})
