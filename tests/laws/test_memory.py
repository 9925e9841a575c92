"""What a run takes is what it says: peaks of real runs, with the real network, against `bytes_needed`."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from odc.geo.geom import box

from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.simulate.grids import NORTH_M, WEST_M

pytestmark = pytest.mark.slow

RESOLUTION_M, TILE_PX, STEP_PX = 10, 256, 512
"""Tiles are cut from corners that are whole steps."""
WORST = 1.45
"""`bytes_needed` is for the worst tile: a window without a gap in every thread."""

SCRIPT = """
import resource, sys
from pathlib import Path
from pipeline import config, run

if __name__ == "__main__":
    plan = run.plan_job(config.load_job(Path(sys.argv[1])))
    run.execute(plan)
    own, others = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(len(plan.tiles), plan.bytes_needed, own, others)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with an archive in which sixteen tiles fit."""
    folder = tmp_path_factory.mktemp("memory")
    settings = ArchiveSettings(size_px=1536, sentinel2_dates=4, landsat_dates=1)
    make_archive(folder / "archive", settings)
    (folder / "run.py").write_text(SCRIPT)
    return folder


def peaks(
    folder: Path, side: int, model: str = "ukis-csmask", **changes: object
) -> tuple[int, int, int]:
    """Run over side × side tiles; return what was stated, and the peaks of the run and its workers."""
    name = "-".join(map(str, (side, model, *changes)))
    # One step inside, so that no window reaches beyond the archive.
    west, north = WEST_M + STEP_PX * RESOLUTION_M, NORTH_M - STEP_PX * RESOLUTION_M
    edge = side * TILE_PX * RESOLUTION_M
    area = box(west + 200, north - edge + 200, west + edge - 200, north - 200, "EPSG:32632")
    job = {
        "name": "memory",
        "aoi": list(area.to_crs("EPSG:4326").boundingbox.bbox),
        "datetime": "2023-06-01/2023-08-31",
        "sources": [{"catalog": "archive/catalog.json"}],
        "grid": {"crs": "utm", "resolution_m": RESOLUTION_M, "tile_px": TILE_PX},
        "mask": {"model": model},
        "composite": {"bands": ["blue", "green", "red", "nir", "swir16"]},
        "store": f"stores/{name}",
        "run": {"workers": 2, **changes},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(job))
    done = subprocess.run(
        [sys.executable, folder / "run.py", path], check=True, capture_output=True, text=True
    )
    tiles, needed, own, others = map(int, done.stdout.split())
    print(
        f"\n{tiles} tiles {changes}: {needed / 2**20:.0f} MiB stated, "
        f"{own / 2**20:.0f} taken, {others / 2**20:.0f} by a worker"
    )
    return needed, own, others


def test_peaks_are_what_was_said_however_wide_the_region(folder):
    found = {side: peaks(folder, side) for side in (1, 2, 4)}
    for needed, own, _ in found.values():
        assert needed / WORST <= own <= needed
    narrow, wide = found[1][1], found[4][1]
    assert abs(wide - narrow) <= 0.1 * narrow


def test_two_networks_take_no_more_either(folder):
    needed, own, _ = peaks(folder, 1, "ensemble")
    assert own <= needed


def test_workers_and_their_coordinator_take_no_more_either(folder):
    needed, own, others = peaks(folder, 2, cluster={"kind": "local", "workers": 2})
    assert own <= needed
    assert needed / WORST <= others <= needed
