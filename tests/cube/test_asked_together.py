"""A server is asked for all bands of a block at once, and for each byte once; pixels are those of files."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline.cube import open_cube, opening, windows
from pipeline.cube.blocks import raster as blocks
from pipeline.types import CubeSettings, Items, Scene

LATENCY_MS = 100


def cube_of(item, geobox, chunk_px):
    opening.IDLE.drop()
    blocks.HEADERS.drop()
    blocks.BLOCKS.clear()
    scene = Scene(sensor="sentinel-2", time=item.datetime, items=(0,))
    hosts = CubeSettings(hosts=("127.0.0.1",))
    return open_cube(
        [scene],
        Items(items=(item,)),
        geobox,
        ["blue", "nir"],
        chunk_px=chunk_px,
        settings=hosts,
    ).compute(scheduler="synchronous")


@pytest.fixture(scope="module")
def ground(tmp_path_factory, new_item):
    pixels = np.random.default_rng(4).integers(200, 9000, (768, 768)).astype(float)
    geobox = GeoBox(pixels.shape, Affine(10, 0, 600_000, 0, -10, 5_400_000), "EPSG:32632")
    folder = tmp_path_factory.mktemp("rasters")
    return new_item(
        folder, "one", geobox, pixels, **{"s2:processing_baseline": "03.01"}
    ), geobox


@pytest.fixture
def moved(ground, tmp_path):
    """The item on a server, and the server's log."""
    item, log = ground[0].clone(), tmp_path / "log"
    folder = Path(item.assets["blue"].href).parent
    command = [sys.executable, "-m", "pipeline.testing.file_host", folder, log]
    with subprocess.Popen(
        [*command, str(LATENCY_MS)], stdout=subprocess.PIPE, text=True
    ) as process:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        for asset in item.assets.values():
            asset.href = asset.href.replace(str(folder), url)
        yield item, lambda: [json.loads(line) for line in log.read_text().splitlines()]
        process.kill()


@pytest.mark.parametrize("resolution", [10, 20])
def test_bands_are_asked_for_at_once_and_bytes_once(ground, moved, resolution):
    (item, geobox), (served, answers) = ground, moved
    place = geobox.zoom_out(resolution / 10)[3:-7, 5:-9]
    found = cube_of(served, place, 200)
    xr.testing.assert_identical(found, cube_of(item, place, 200))
    asked = answers()
    first = [
        next(at for at, (path, *_) in enumerate(asked) if band in path)
        for band in ("blue", "nir")
    ]
    pixels = [at for at, (_, start, stop) in enumerate(asked) if stop - start > 1 and start]
    assert max(first) < min(pixels), "one band waits for the other"
    for band in ("blue", "nir"):
        # One byte, by which redirects are followed, is no part of a raster that is read.
        spans = sorted(
            (start, stop) for path, start, stop in asked if band in path and stop - start > 1
        )
        assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(spans))
        if resolution > 10:
            # All rows of blocks together: one header, one answer with pixels.
            assert len(spans) == 2


def test_positions_are_dropped_when_a_block_is_read(ground):
    item, geobox = ground
    cube_of(item, geobox.to_crs("EPSG:32633", resolution=20), 200)
    assert windows._last.needed is None
