from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from pipeline import store, types
from pipeline.types import Grid, Period

START = datetime(2026, 6, 1, 10, 30, 20, tzinfo=UTC)
TO_DEGREES = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)


@dataclass(repr=False)
class Region:
    """A store of two sensors, three scenes each, in which every kind of cell occurs."""

    archive: store.Archive
    grid: Grid
    masks: dict[str, xr.Dataset]
    stored: dict[str, types.StoredMasks]
    whole: dict[str, np.ndarray]
    """Codes (time, y, x) by sensor, -1 where nothing is known."""

    def aoi(self, *rings: tuple[tuple[float, float], ...]) -> shapely.Polygon:
        """Make a polygon from rings of (column, row) in pixels."""

        def degrees(ring):
            x, y = np.array([self.grid.geobox.affine @ point for point in ring]).T
            return np.column_stack(TO_DEGREES.transform(x, y))

        return shapely.Polygon(degrees(rings[0]), [degrees(ring) for ring in rings[1:]])

    def box(self, left, top, right, bottom) -> shapely.Polygon:
        return self.aoi(((left, top), (right, top), (right, bottom), (left, bottom)))


def fill(writer, grid, sensor, offset):
    random = np.random.default_rng(offset)
    times = [START + timedelta(days=day, hours=offset) for day in range(3)]
    # Unsorted on purpose: readers sort.
    writer.set_scenes(sensor, [(time, f"{sensor}a", [f"{time:%d}"]) for time in times[::-1]])
    whole = np.full((3, *grid.geobox.shape), -1, np.int8)
    for at, time in enumerate(times):
        for number, tile in enumerate(grid.tiles()):
            if (number + at) % 7 == 5:
                continue
            if (number + at) % 7 == 6:
                writer.write_mask(sensor, time, tile, None, types.UNREADABLE)
                continue
            if (number + at) % 7 == 4:
                writer.write_mask(sensor, time, tile, None, types.UNCOVERED)
                whole[(at, *tile.window)] = 0
                continue
            codes = random.integers(0, 7, tile.geobox.shape, np.uint8)
            writer.write_mask(sensor, time, tile, codes, 100 + number)
            whole[(at, *tile.window)] = codes
    return whole


@pytest.fixture(scope="session")
def region(tmp_path_factory) -> Region:
    url = str(tmp_path_factory.mktemp("query") / "store")
    box = GeoBox((176, 144), Affine(20, 0, 500_000, 0, -20, 5_300_000), "EPSG:32632")
    grid = Grid(geobox=box, tile_px=32, chunk_px=16)
    with store.open_writer(url, grid, title="test", run_key="run") as writer:
        whole = {
            sensor: fill(writer, grid, sensor, offset)
            for offset, sensor in enumerate(("landsat", "sentinel-2"))
        }
        period = Period(start=START, end=START + timedelta(days=30))
        writer.set_composite("all", ["red", "nir"], [period], {})
        for tile in grid.tiles():
            red = np.random.default_rng(tile.row).normal(0.2, 0.1, tile.geobox.shape)
            red[0, 0] = np.nan
            made = {
                "red": red,
                "nir": red + 0.1,
                "count": red > 0,
                "day": red * 0,
                "source": red,
            }
            dataset = xr.Dataset({k: (("y", "x"), np.nan_to_num(v)) for k, v in made.items()})
            dataset["red"] = ("y", "x"), red
            writer.write_composite("all", START, tile, dataset, 5)
        writer.publish({})
    archive = store.open_archive(url)
    masks = {sensor: archive.masks(sensor) for sensor in archive.sensors}
    stored = {sensor: archive.stored_masks(sensor) for sensor in archive.sensors}
    return Region(archive=archive, grid=grid, masks=masks, stored=stored, whole=whole)
