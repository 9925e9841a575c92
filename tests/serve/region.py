"""A store that is served, and what was written to it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from pipeline import store, types
from pipeline.types import Grid, Period

START = datetime(2026, 6, 1, 10, 30, 20, 123456, tzinfo=UTC)
MONTHS = [
    Period(start=datetime(2026, m, 1, tzinfo=UTC), end=datetime(2026, m + 1, 1, tzinfo=UTC))
    for m in (6, 7)
]
ROLES = ("blue", "green", "red", "nir")
SENSORS = {"sentinel-2": (0, 5, 31), "landsat": (3, 40)}
TO_DEGREES = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)


@dataclass(repr=False)
class Region:
    """Two sensors, two months, holes, cells that are missing or could not be read."""

    url: str
    grid: Grid = field(
        default_factory=lambda: Grid(
            geobox=GeoBox((224, 160), Affine(20, 0, 500_000, 0, -20, 5_300_000), "EPSG:32632"),
            tile_px=64,
            chunk_px=32,
        )
    )
    codes: dict[tuple[str, datetime], np.ndarray] = field(default_factory=dict)
    """(y, x) of each scene, -1 where nothing is known."""
    months: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    """Values (y, x) of each month."""

    def open(self) -> store.Archive:
        return store.open_archive(self.url)

    def box(self, left, top, right, bottom) -> shapely.Polygon:
        """Make a polygon of (column, row) in pixels, in degrees."""
        ring = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return self.polygon(ring)

    def polygon(self, ring) -> shapely.Polygon:
        x, y = np.array([self.grid.geobox.affine @ point for point in ring]).T
        return shapely.Polygon(np.column_stack(TO_DEGREES.transform(x, y)))

    def lonlat(self, col, row) -> tuple[float, float]:
        return TO_DEGREES.transform(*(self.grid.geobox.affine @ (col, row)))


def blobs(shape, random) -> np.ndarray:
    """Classes in patches of some pixels, as clouds are."""
    coarse = random.integers(0, 7, [-(-size // 8) for size in shape]).astype(np.uint8)
    return np.kron(coarse, np.ones((8, 8), np.uint8))[: shape[0], : shape[1]]


def record(number: int) -> dict:
    searched = {
        "start": "2026-05-01T00:00:00+00:00",
        "end": "2026-08-01T00:00:00+00:00",
        "sensors": [],
        "aoi": types.outline_of(shapely.box(8.9, 47.7, 9.2, 47.9)),
        "filtered": False,
    }
    return {"run_id": f"r{number}", "started": "2026-08-01", "searched": searched}


def fill(region: Region, *, seed=0, base=100, overviews=True, confidence=True) -> str:
    """Write everything and publish it; another base makes other cells."""
    random = np.random.default_rng(seed)
    with store.open_writer(
        region.url, region.grid, title="A region", run_key="k", overviews=overviews
    ) as writer:
        ids = [f"{sensor}-{day}" for sensor, days in SENSORS.items() for day in days]
        writer.item_positions(ids, [document(each) for each in ids])
        for sensor, days in SENSORS.items():
            fill_masks(region, writer, sensor, days, random, (base, confidence))
        writer.set_composite(
            "monthly",
            ROLES,
            MONTHS,
            {"method": "median", "period": "month"},
            layers={"score": "how good it is"},
        )
        for number in range(2):
            fill_month(region, writer, number, random, base)
        return writer.publish(record(seed))


def document(name: str) -> dict:
    links = [{"rel": "self", "href": f"https://stac.example.org/items/{name}"}]
    return {"id": name, "links": links, "properties": {"datetime": name}}


def fill_masks(region, writer, sensor, days, random, how) -> None:
    base, confidence = how
    rows = [(START + timedelta(days=day), f"{sensor}a", [f"{sensor}-{day}"]) for day in days]
    writer.set_scenes(sensor, rows[::-1], confidence=confidence)
    for at, (time, _, _) in enumerate(rows):
        whole = np.full(region.grid.geobox.shape, -1, np.int8)
        for number, tile in enumerate(region.grid.tiles()):
            kind = (number + 3 * at) % 9
            if kind == 5:
                continue
            if kind in (6, 7):
                made = types.UNREADABLE if kind == 6 else types.UNCOVERED
                writer.write_mask(sensor, time, tile, None, made)
                whole[tile.window] = -1 if kind == 6 else 0
                continue
            codes = blobs(tile.geobox.shape, random)
            sure = np.full(codes.shape, 77, np.uint8) if confidence else None
            writer.write_mask(sensor, time, tile, codes, base + number, confidence=sure)
            whole[tile.window] = codes
        region.codes[sensor, time] = whole


def fill_month(region, writer, number, random, base) -> None:
    whole = {}
    for at, tile in enumerate(region.grid.tiles()):
        if (at, number) == (3, 1):
            continue
        shape = tile.geobox.shape
        empty = random.random(shape) < 0.1
        values = {
            role: np.where(empty, np.nan, np.round(random.uniform(0, 0.6, shape), 4)).astype(
                "f4"
            )
            for role in (*ROLES, "score")
        }
        values["count"] = np.where(empty, 0, random.integers(1, 20, shape)).astype("u2")
        day = MONTHS[number].start.timestamp() // 86400
        values["day"] = np.where(empty, -1, day + random.integers(0, 30, shape)).astype("i4")
        values["source"] = np.where(empty, -1, random.integers(0, 5, shape)).astype("i4")
        dataset = xr.Dataset({name: (("y", "x"), each) for name, each in values.items()})
        writer.write_composite("monthly", MONTHS[number].start, tile, dataset, base + at)
        for name, each in values.items():
            missing = {"count": 0, "day": -1, "source": -1}.get(name, np.nan)
            put = whole.setdefault(name, np.full(region.grid.geobox.shape, missing, each.dtype))
            put[tile.window] = each
    region.months[number] = whole
