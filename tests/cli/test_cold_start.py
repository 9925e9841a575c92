"""Commands that look something up answer within a second: they import nothing heavy."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline import store
from pipeline.types import Grid

ASK = """
import sys
from pipeline.cli import app

heavy = set({heavy})
for words in {commands}:
    try:
        app(words)
    except SystemExit as end:
        assert end.code == {code}, end.code
    print("after:", *sorted(heavy & set(sys.modules)))
"""
HEAVY = (
    *("boto3", "dask.array", "distributed", "geopandas", "matplotlib", "pandas", "prefect"),
    *("pystac", "pystac_client", "rasterio", "requests", "scipy", "torch", "xarray"),
)
MODELS = ("pipeline.config.settings", "pipeline.types.job", "pipeline.types.settings")
"""Of jobs and settings, which pydantic takes as long to build as numpy to import."""
LIGHTER = (*HEAVY, "dask", "icechunk", "numpy", "pydantic", "shapely", "zarr")

RECORD = {
    "run_id": "20260601T120000Z",
    "started": "2026-06-01T12:00:00+00:00",
    "finished": "2026-06-01T12:01:00+00:00",
    "complete": 4,
    "expected": 4,
    "items": [],
    "dropped": [],
    "stages": {},
}


def heavy_of(*commands, code=0, heavy=HEAVY):
    """Run commands in one process; return what each found imported that is heavy, and what all said."""
    words = [[str(each) for each in command] for command in commands]
    script = ASK.format(heavy=heavy, commands=words, code=code)
    env = {name: each for name, each in os.environ.items() if not name.startswith("CLOUDMASK_")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found = [line.split()[1:] for line in lines if line.startswith("after:")]
    assert len(found) == len(commands)
    return found, [line for line in lines if not line.startswith("after:")]


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> str:
    url = str(tmp_path_factory.mktemp("cold") / "store")
    box = GeoBox((64, 64), Affine(20, 0, 500_000, 0, -20, 5_300_000), "EPSG:32632")
    grid = Grid(geobox=box, tile_px=32, chunk_px=16)
    time = datetime(2026, 6, 1, 10, tzinfo=UTC)
    with store.open_writer(url, grid, title="cold", run_key="run") as writer:
        writer.set_scenes("landsat", [(time, "landsat-8", ["a"])])
        for tile in grid.tiles():
            writer.write_mask("landsat", time, tile, np.ones(tile.geobox.shape, np.uint8), 7)
        writer.publish(RECORD)
    return url


def test_help_names_every_command_and_imports_next_to_nothing():
    found, output = heavy_of(["--version"], ["--help"], heavy=LIGHTER)
    assert found == [[], []]
    names = {line.split()[1] for line in output if line.startswith("│ ") and line[2] != " "}
    assert {"run", "plan", "query", "export", "init", "models", "report", "demo"} <= names


def test_a_mistake_in_a_job_imports_nothing_heavy(tmp_path):
    (tmp_path / "job.yaml").write_text("nam: x\n")
    path = tmp_path / "job.yaml"
    assert heavy_of(["plan", path], ["run", path], code=2)[0] == [[], []]
    assert heavy_of(["schema"])[0] == [[]]


def test_a_store_is_read_without_anything_heavy(archive):
    # Nothing was searched, so that the query ends with the status of what is not archived, or without.
    area = ["--aoi", "9.001,47.845,9.01,47.85", "--datetime", "2026-06"]
    commands = (
        ["log", archive],
        ["runs", archive],
        ["runs", archive, "--profile"],
        ["query", archive, *area],
    )
    found, output = heavy_of(*commands, heavy=(*HEAVY, *MODELS))
    assert found == [[]] * len(commands)
    assert len(output) >= len(commands)


RUN = """
import sys
import pytest
from pipeline.cli import app
from tests.faults.small_region import provide

with pytest.MonkeyPatch.context() as patch:
    provide(patch)
    try:
        app(["run", sys.argv[1], "--plain", "--quiet"])
    except SystemExit as end:
        assert not end.code
print(*sorted({"distributed", "prefect", "torch", "uvicorn"} & set(sys.modules)))
"""


def test_a_run_in_one_process_imports_no_cluster(region):
    """Nor a server, nor torch for a model that does not need it; its report does not either."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, region.job_file()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
    assert list(region.folder.glob("*-report.html"))
