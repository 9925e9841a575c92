"""From a search of a real API to pixels over HTTP: those of the same archive on disk."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xarray as xr
from shapely.geometry import box

from pipeline import grid
from pipeline.cube import open_cube
from pipeline.errors import EmptySearchError
from pipeline.run.common.scenes import scenes_of
from pipeline.search import search
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.testing import make_job
from pipeline.types import CubeSettings, GridSettings, Period, Source
from tests.integration.material import SENTINEL
from tests.integration.stac_api import file_server

AOI = box(11.645, 48.2245, 11.6685, 48.2295)
"""Inside the simulated landscape."""
SUMMER = Period(start=datetime(2034, 6, 1, tzinfo=UTC), end=datetime(2034, 9, 1, tzinfo=UTC))
"""Of the archive; the other tests' items are of other years."""
SETTINGS = ArchiveSettings(
    size_px=192,
    sentinel2_dates=3,
    landsat_dates=1,
    start=SUMMER.start.date(),
    end=SUMMER.end.date(),
)
ROLES = ("blue", "red")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "archive"
    make_archive(folder, SETTINGS, workers=1)
    return folder


@pytest.fixture(scope="module")
def files(archive, tmp_path_factory):
    """The archive's files, as a server on loopback has them."""
    with file_server(archive, tmp_path_factory.mktemp("files") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def served(api, archive, files):
    """The archive's items in the API, their assets at the file server."""
    documents = []
    for path in sorted(archive.glob("*/*/*_*.json")):
        document = json.loads(path.read_text())
        base = f"{files}/{path.parent.relative_to(archive)}"
        for asset in document["assets"].values():
            asset["href"] = f"{base}/{asset['href'].removeprefix('./')}"
        documents.append(document)
    assert {document["collection"] for document in documents} > {SENTINEL}
    api.load([], documents)
    return api


def job_on(catalog, **parts):
    return make_job(
        aoi=AOI,
        period=SUMMER,
        sources=(Source(catalog=str(catalog)),),
        grid=GridSettings(resolution_m=10.0, tile_px=128, chunk_px=64),
        **parts,
    )


def read(job) -> list[xr.Dataset]:
    """Return the cubes of all tiles."""
    items = search(job)
    scenes = scenes_of(items)
    drawn = grid.make_grid(job)
    return [
        open_cube(
            scenes, items, tile.geobox, ROLES, chunk_px=job.grid.chunk_px, settings=job.cube
        ).compute()
        for tile in grid.tiles(drawn, job.aoi)
    ]


def test_pixels_over_http_are_those_on_disk(served, archive):
    over_http = read(job_on(served.url, cube=CubeSettings(hosts=("127.0.0.1",))))
    on_disk = read(job_on(archive / "catalog.json"))
    assert len(over_http) == len(on_disk) > 1
    for ours, theirs in zip(over_http, on_disk, strict=True):
        xr.testing.assert_equal(ours, theirs)
        assert ours.sizes["time"] >= 3
        assert float(ours["blue"].notnull().mean()) > 0.3


def test_private_addresses_are_refused_unless_the_job_names_them(served):
    with pytest.raises(EmptySearchError, match="refused"):
        search(job_on(served.url))
