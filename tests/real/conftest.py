"""Real scenes in a catalogue of their own, and what the pipeline makes of them, once a session."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import shapely
from odc.geo.geom import Geometry

from pipeline import run, search, store
from pipeline.config import parse_job
from pipeline.types import Items, Job, Record
from tests.real.real_catalogue import (
    ANTARCTICA,
    COLOMBIA,
    IRELAND,
    LAKE_LANDSAT,
    LAKE_SENTINEL,
    RASTERS,
    Source,
    make_catalogue,
)

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")

DAYS = {
    IRELAND: "2022-10-05",
    LAKE_LANDSAT: "2020-08-02/2020-08-04",
    COLOMBIA: "2019-12-01",
    ANTARCTICA: "2019-11-29",
}


@dataclass(frozen=True)
class Real:
    """The real scenes."""

    imagery: Path
    catalogue: Path

    def source(self, item: str) -> Source:
        """Return the raster that an item was made of."""
        return Source(self.imagery / RASTERS[item])

    def inside(self, item: str, margin_m: float) -> shapely.Polygon:
        """Return the extent of an item's raster less a margin, in degrees."""
        profile = self.source(item).profile
        left, top = profile["transform"] @ (0, 0)
        right, bottom = profile["transform"] @ (profile["width"], profile["height"])
        box = shapely.box(left, bottom, right, top).buffer(-margin_m, join_style="mitre")
        return Geometry(box, profile["crs"]).to_crs("EPSG:4326", resolution=5000).geom

    def job(self, name: str, item: str, folder: Path, **parts: Any) -> Job:
        """Return a job over an item's raster; `parts` replace sections of the job file."""
        whole = {
            "name": name,
            "aoi": shapely.geometry.mapping(self.inside(item, 2500)),
            "datetime": DAYS[item],
            "sources": {"catalog": str(self.catalogue)},
            "store": str(folder / "store"),
            # Tiles of one window each: seams between tiles would show.
            "grid": {"resolution_m": 60.0, "tile_px": 512},
            "mask": {"model": "ukis-csmask"},
            "composite": {"name": "all", "period": "all", "bands": list(BANDS)},
        }
        return parse_job(whole | parts, base=folder)


@dataclass(frozen=True)
class Ran:
    """A finished run."""

    job: Job
    record: Record

    @property
    def archive(self) -> store.Archive:
        return store.open_archive(self.job.store)


@pytest.fixture(scope="session")
def real(shared_data, tmp_path_factory) -> Real:
    imagery = shared_data / "imagery"
    return Real(imagery, make_catalogue(imagery, tmp_path_factory.mktemp("catalogue")))


@pytest.fixture(scope="session")
def carried_out(real, tmp_path_factory) -> Callable[..., Ran]:
    """Run a job over an item's raster and return what became of it."""

    def carry_out(name: str, item: str, **parts: Any) -> Ran:
        job = real.job(name, item, tmp_path_factory.mktemp(name), **parts)
        return Ran(job, run.execute(run.plan_job(job)))

    return carry_out


@pytest.fixture(scope="session")
def ireland(carried_out) -> Ran:
    """Sentinel-2, baseline 04.00, half under cloud; masked by the trained network."""
    return carried_out("ireland", IRELAND)


@pytest.fixture(scope="session")
def lake(carried_out) -> Ran:
    """Sentinel-2 and Landsat 8 of a lake, two days apart, clear; masked by the trained network."""
    return carried_out("lake", LAKE_LANDSAT)


@pytest.fixture(scope="session")
def lake_items(real, tmp_path_factory) -> Items:
    found = search.search(real.job("lake", LAKE_LANDSAT, tmp_path_factory.mktemp("search")))
    assert [item.id for item in found] == [LAKE_LANDSAT, LAKE_SENTINEL]
    return found
