from pathlib import Path

import pystac
import pytest

from pipeline.simulate import ArchiveSettings, make_archive

SETTINGS = ArchiveSettings(seed=3, size_px=192, sentinel2_dates=9, landsat_dates=2)


@pytest.fixture(scope="session")
def settings():
    return SETTINGS


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "archive"
    make_archive(path, SETTINGS, workers=1)
    return path


@pytest.fixture(scope="session")
def items(archive) -> dict[str, pystac.Item]:
    root = pystac.Catalog.from_file(archive / "catalog.json")
    return {item.id: item for item in root.get_items(recursive=True)}
