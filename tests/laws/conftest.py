"""A small summer with known truth, and a model that sees whole windows but weighs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline import models, run, store
from pipeline.config import parse_job
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.testing import WindowMeanModel
from pipeline.types import Job, Lattice, ModelCard

BANDS = ["blue", "green", "red", "nir", "swir16"]
LATTICE = Lattice(core_px=192, halo_px=16)
"""Several windows in the landscape, each in several tiles. What a run costs grows with their number, by its graph."""


@pytest.fixture(scope="session")
def summer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the catalogue of an archive of 3.8 km: five Sentinel-2 dates and one of Landsat."""
    settings = ArchiveSettings(size_px=384, sentinel2_dates=5, landsat_dates=1)
    return make_archive(tmp_path_factory.mktemp("archive"), settings, workers=1)


@pytest.fixture
def window_model(monkeypatch: pytest.MonkeyPatch) -> WindowMeanModel:
    """Put a model in the networks' place whose every pixel depends on its whole window."""
    model = WindowMeanModel(LATTICE)
    use(monkeypatch.setattr, model)
    return model


def use(setattr_: Callable[..., None], model: WindowMeanModel) -> None:
    def resolve(*_: object, **__: object) -> ModelCard:
        return model.card

    setattr_(models, "resolve", resolve)
    setattr_(models, "check", lambda _: None)
    setattr_(models, "load", lambda _: model)
    setattr_(models, "bytes_needed", lambda _card, windows=1: windows)


def make_job(catalog: Path, where: Path, **changes: object) -> Job:
    """Return a job over the archive; `changes` are settings of its grid and run."""
    grid = {"crs": "utm", "resolution_m": 10, "tile_px": 512, "chunk_px": 256}
    grid |= {name: value for name, value in changes.items() if name in grid}
    job = parse_job(
        {
            "name": "law",
            "aoi": [11.645, 48.215, 11.685, 48.235],
            "datetime": "2023-06-01/2023-08-31",
            "sources": [{"catalog": str(catalog)}],
            "grid": grid,
            "composite": {"name": "monthly", "bands": BANDS},
            "store": str(where),
            "run": {
                "workers": changes.get("workers", 2),
                "read_ahead": changes.get("read_ahead"),
            },
        },
        base=where.parent,
    )
    return job.replace(name=str(changes.get("name", "law")))


def contents(url: str) -> dict[str, xr.Dataset]:
    """Return everything of a store that a run decides, loaded; records tell of time and are left out."""
    archive = store.open_archive(url)
    held = {f"masks/{name}": archive.masks(name).load() for name in archive.sensors}
    held |= {f"composites/{n}": archive.composite(n).load() for n in archive.composite_names}
    ids = np.array(archive.item_ids)
    return held | {"items": xr.Dataset({"id": ("item", ids)})}


def same(one: dict[str, xr.Dataset], other: dict[str, xr.Dataset]) -> None:
    """Assert that two contents are equal, bit for bit."""
    assert one.keys() == other.keys()
    for name, dataset in one.items():
        xr.testing.assert_identical(dataset, other[name])


@pytest.fixture(scope="session")
def undisturbed(
    summer: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Job, dict[str, xr.Dataset]]:
    """Return the job of an undisturbed run in four tiles, and what its store holds."""
    with pytest.MonkeyPatch.context() as patch:
        use(patch.setattr, WindowMeanModel(LATTICE))
        job = make_job(summer, tmp_path_factory.mktemp("undisturbed") / "store", tile_px=256)
        run.run(job)
    return job, contents(job.store)
