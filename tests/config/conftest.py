"""What the tests of areas share."""

import geopandas
import pytest

from pipeline.config import read_aoi


@pytest.fixture
def read(tmp_path):
    """Return what reads an area, with paths relative to the test's folder."""
    return lambda value: read_aoi(value, tmp_path)


@pytest.fixture
def write(tmp_path):
    """Return what writes shapes to a vector file in the test's folder, and returns its path."""

    def written(name, shapes, crs=4326, **how):
        geopandas.GeoDataFrame(geometry=shapes, crs=crs).to_file(tmp_path / name, **how)
        return tmp_path / name

    return written
