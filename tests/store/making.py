"""Small things to store."""

from datetime import UTC, datetime, timedelta

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline.types import Grid, Period

START = datetime(2026, 6, 1, 10, 30, 20, 123456, tzinfo=UTC)
JUNE = Period(start=datetime(2026, 6, 1, tzinfo=UTC), end=datetime(2026, 7, 1, tzinfo=UTC))
JULY = Period(start=datetime(2026, 7, 1, tzinfo=UTC), end=datetime(2026, 8, 1, tzinfo=UTC))
ROLES = ("red", "nir")


class Make:
    """A grid, scenes, masks, composites and items, all of a seed."""

    sensor = "sentinel-2"
    june, july, roles = JUNE, JULY, ROLES

    def grid(self, ny=160, nx=96, tile_px=64, chunk_px=32, resolution=20) -> Grid:
        affine = Affine(resolution, 0, 500_000, 0, -resolution, 5_300_000)
        box = GeoBox((ny, nx), affine, "EPSG:32632")
        return Grid(geobox=box, tile_px=tile_px, chunk_px=chunk_px)

    def times(self, count: int) -> list[datetime]:
        return [START + timedelta(days=n) for n in range(count)]

    def scenes(self, count: int) -> list[tuple[datetime, str, list[str]]]:
        return [
            (time, "sentinel-2a", [f"item-{n}"]) for n, time in enumerate(self.times(count))
        ]

    def mask(self, tile, seed=0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 7, tile.geobox.shape, np.uint8)

    def composite(self, tile, seed=0) -> xr.Dataset:
        random, shape = np.random.default_rng(seed), tile.geobox.shape
        red = random.normal(0.2, 0.1, shape).astype("float32")
        red[0, :5] = [np.nan, 3.2767, -3.2767, 0.00005, 0.00015]
        values = {
            "red": red,
            "nir": random.normal(0.4, 2, shape).clip(-3, 3).astype("float32"),
            "count": random.integers(0, 60_000, shape).astype("uint16"),
            "day": random.integers(-1, 30_000, shape).astype("int32"),
            "source": random.integers(-1, 9, shape).astype("int32"),
        }
        return xr.Dataset({name: (("y", "x"), value) for name, value in values.items()})

    def documents(self, count: int) -> tuple[list[str], list[dict]]:
        ids = [f"item-{n}" for n in range(count)]
        return ids, [{"id": each, "properties": {"datetime": each}} for each in ids]


class MakeTwoTiles(Make):
    """The same on a grid of two tiles, one above the other, for what reads a whole store many times."""

    def grid(self, ny=128, nx=64, **more) -> Grid:
        return super().grid(ny, nx, **more)
