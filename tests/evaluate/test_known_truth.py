"""The truth on other grids, and finding its scenes."""

from datetime import UTC, datetime

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from pipeline.errors import QueryError
from pipeline.evaluate import Truth
from pipeline.types import Period


@pytest.fixture
def known(truth_path):
    return Truth.open(truth_path)


def test_classes(known, geobox):
    classes = known.classes(0, geobox)
    assert classes[:, 0].tolist() == [1, 1, 1, 2, 0, 0, 0, 0]
    assert known.classes(1, geobox).max() == 0
    assert known.classes(2, geobox)[5].tolist() == [2, 2, 0, 0, 0, 0]


def test_a_grid_that_coincides_is_cut_out(known, geobox):
    wider = geobox.pad(2)
    classes = known.classes(0, wider)
    assert classes.shape == (12, 10)
    assert (classes[2:-2, 2:-2] == known.classes(0, geobox)).all()
    assert np.count_nonzero(classes == 255) == 12 * 10 - 8 * 6
    assert (known.classes(0, geobox[2:5, 1:3]) == known.classes(0, geobox)[2:5, 1:3]).all()
    assert (known.classes(0, geobox.translate_pix(50, 50)) == 255).all()


def test_a_finer_grid_repeats_pixels(known, geobox):
    finer = known.classes(0, geobox.zoom_to(resolution=10))
    assert (finer == known.classes(0, geobox).repeat(2, axis=0).repeat(2, axis=1)).all()


def test_a_coarser_grid_averages_the_surface(truth_path, known):
    coarse = GeoBox.from_bbox((600000, 5300000, 600120, 5300160), "EPSG:32632", resolution=40)
    surface = known.surface("green", [0, 1, 2], coarse)
    assert surface.shape == (4, 3)
    np.testing.assert_allclose(surface, 0.1 + 0.01 + 0.1, rtol=1e-5)


def test_another_crs(known, geobox):
    there = geobox.to_crs("EPSG:32633", resolution=20)
    classes = known.classes(0, there)
    assert {0, 1, 2, 255} == set(np.unique(classes))


def test_scenes_are_found_by_sensor_and_time(known, truth):
    times = truth["time"].to_numpy()
    near = np.timedelta64(4, "m")
    assert known.find(times[0] + near, "sentinel-2") == 0
    assert known.find(times[1] + near, "landsat") == 1
    # Ten minutes later it may be another pass.
    with pytest.raises(QueryError, match="no scene of sentinel-2"):
        known.find(times[0] + np.timedelta64(10, "m"), "sentinel-2")
    assert known.find(times[1]) == 1
    with pytest.raises(QueryError, match="no scene of landsat at 2024-05-18"):
        known.find(times[2], "landsat")
    with pytest.raises(QueryError, match="no scene of any sensor"):
        known.find(np.datetime64("2024-06-01T00:00:00", "ns"))


def test_scenes_of_a_period(known):
    may = Period(
        start=datetime(2024, 5, 3, 10, 20, 21, tzinfo=UTC), end=datetime(2024, 6, 1, tzinfo=UTC)
    )
    assert known.during(may) == [0, 2]
    assert known.during(may, ["landsat"]) == []
    assert known.sensors == ("landsat", "sentinel-2")


def test_an_archive_without_truth(tmp_path):
    with pytest.raises(QueryError, match="no truth at"):
        Truth.open(tmp_path / "truth.zarr")
