"""F11: numbers that wrapped or are saturated were stored as reflectance, and turned a scene to cloud.

The archives are those of ../shared/faults, built here.
"""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from pipeline import run, store
from pipeline.cli import app
from pipeline.config import load_job
from pipeline.types.manifest import unfit_rows
from tests.faults.test_passes import AOI, LANDSAT, PX, SENTINEL, Archive

HALF = PX // 2
WHEN = datetime(2026, 6, 9, 10, 27, 44, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "archive")


def fill(archive, name, key, number):
    """Write a number into the upper half of a band."""
    with rasterio.open(archive.folder / name / f"{key}.tif", "r+") as raster:
        numbers = raster.read(1)
        numbers[:HALF] = number
        raster.write(numbers, 1)


def add_band(archive, name, key, numbers):
    folder = archive.folder / name
    with rasterio.open(folder / "red.tif") as red:
        profile = {**red.profile, "dtype": numbers.dtype.name, "nodata": None}
    with rasterio.open(folder / f"{key}.tif", "w", **profile) as raster:
        raster.write(numbers, 1)
    path = folder / f"{name}.json"
    document = json.loads(path.read_text())
    document["assets"][key] = {
        "href": f"./{key}.tif",
        "type": "image/tiff; application=geotiff",
    }
    path.write_text(json.dumps(document))


def catalog(archive):
    items = sorted(archive.folder.glob("*/*.json"))
    links = [{"rel": "item", "href": f"./{p.relative_to(archive.folder)}"} for p in items]
    document = {"type": "Catalog", "stac_version": "1.0.0", "id": "own", "description": "own"}
    (archive.folder / "catalog.json").write_text(json.dumps({**document, "links": links}))


MONTHLY = "composite: {period: month, bands: [blue, green, red, nir]}"
SEVERAL = """composites:
  - {name: monthly, bands: [blue, green, red, nir]}
  - {name: dates, period: {days: 25}, bands: [blue, green, red, nir]}
  - {name: red, period: {days: 25}, bands: [red]}"""
"""25 days begin in one month and end in the next: no month's steps are composed with those that share its scenes."""


def made(archive, tmp_path, model, composites=MONTHLY):
    """Run a job; return the month, the mask's counts and the sums of the record."""
    catalog(archive)
    job = tmp_path / "job.yaml"
    job.write_text(
        f"""
name: numbers
aoi: {AOI}
datetime: 2026-06
sources: {{catalog: {archive.folder / "catalog.json"}}}
grid: {{resolution_m: 30, tile_px: 256, anchor: crs}}
mask: {{model: {model}}}
{composites}
store: store
"""
    )
    run.run(load_job(job))
    opened = store.open_archive(str(tmp_path / "store"))
    record = opened.records()[-1]
    return opened.composite("monthly").isel(time=0).load(), opened, unfit_rows(record)


def test_wrapped_numbers_are_no_data_and_counted(archive, tmp_path):
    archive.add(SENTINEL, "s2", WHEN, blue=0.06)
    for key in SENTINEL.bands:
        fill(archive, "s2", key, 65486)
    month, _, rows = made(archive, tmp_path, "scl")
    held = month["blue"].values[np.isfinite(month["blue"].values)]
    np.testing.assert_allclose(held, 0.06, atol=1e-4)
    counts, numbers = np.unique(month["count"], return_counts=True)
    assert dict(zip(counts.tolist(), numbers.tolist(), strict=True))[1] == HALF * PX
    ((row),) = rows
    assert (row["stage"], row["wrapped"], row["saturated"]) == ("composite", HALF * PX, 0)
    shown = CliRunner().invoke(
        app, ["runs", str(tmp_path / "store"), "--run", run_id(tmp_path)]
    )
    assert "numbers that are no reflectance" in shown.output


def run_id(tmp_path) -> str:
    return str(store.open_archive(str(tmp_path / "store")).records()[-1]["run_id"])


def test_pixels_of_a_scene_count_once_however_many_composites_read_them(archive, tmp_path):
    archive.add(SENTINEL, "s2", WHEN, blue=0.06)
    fill(archive, "s2", "nir", 65535)
    *_, rows = made(archive, tmp_path, "scl", SEVERAL)
    assert [row["saturated"] for row in rows] == [HALF * PX]


def test_a_saturated_band_costs_the_pixel_and_no_other(archive, tmp_path):
    archive.add(SENTINEL, "s2", WHEN, blue=0.06)
    fill(archive, "s2", "nir", 65535)
    month, _, rows = made(archive, tmp_path, "scl")
    assert (month["count"] == 1).sum() == HALF * PX
    assert np.nanmax(month["nir"]) < 0.07
    assert [row["saturated"] for row in rows] == [HALF * PX]


def test_qa_radsat_of_one_band(archive, tmp_path):
    archive.add(LANDSAT, "l9", WHEN, blue=0.1, instruments=["oli"], platform="landsat-9")
    bits = np.zeros((PX, PX), np.uint16)
    bits[:HALF] = 1 << 3
    add_band(archive, "l9", "qa_radsat", bits)
    month, _, rows = made(archive, tmp_path, "qa-pixel")
    assert (month["count"] == 1).sum() == HALF * PX
    assert [row["saturated"] for row in rows] == [HALF * PX]


def test_a_network_calls_nothing_cloud_because_a_part_wrapped(archive, tmp_path):
    archive.add(SENTINEL, "s2", WHEN, blue=0.06)
    for key in SENTINEL.bands:
        fill(archive, "s2", key, 65486)
    for key in ("swir16", "swir22"):
        add_band(archive, "s2", key, np.full((PX, PX), 600, np.uint16))
    _, opened, rows = made(archive, tmp_path, "ukis-csmask")
    codes, numbers = np.unique(opened.masks("sentinel-2")["mask"], return_counts=True)
    found = dict(zip(codes.tolist(), numbers.tolist(), strict=True))
    assert set(found) == {0, 1}
    assert found[1] == HALF * PX
    assert [(row["stage"], row["wrapped"]) for row in rows] == [("mask", HALF * PX)]
