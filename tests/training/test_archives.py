"""Masks of an archive as a source: pixels of its items, and labels where its masks are sure."""

import subprocess
import sys

import numpy as np
import pytest

from pipeline.datasets import labels
from pipeline.errors import LabelledDataError, StoreError
from pipeline.store import open_archive
from pipeline.training import Experiment
from pipeline.training.archives import grounds
from pipeline.training.batches import batches
from pipeline.training.output import Folder
from pipeline.training.sections import ArchiveSection

BANDS = ("blue", "green", "red")


@pytest.fixture(scope="module")
def masked(plain_run):
    """Return the store of the small region, masked by a threshold."""
    region, _ = plain_run
    return str(region.store)


def section(store, **parts) -> ArchiveSection:
    return ArchiveSection(
        **{"store": store, "sensor": "sentinel-2", "roles": BANDS, "squares": 6} | parts
    )


def test_pixels_and_labels_are_those_of_the_archive(masked):
    found = grounds(section(masked), 64)
    again = grounds(section(masked), 64)
    assert len(found) == 6
    seen = set()
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.pixels.shape == (3, 64, 64)
        assert one.level == "L2A"
        assert [band.role for band in one.bands] == list(BANDS)
        known = one.labels != labels.NO_DATA
        # The threshold calls bright what is cloud.
        cloud = one.pixels[0][known & (one.labels == labels.CLOUD)]
        ground = one.pixels[0][known & (one.labels == labels.NOT_CLOUD)]
        if cloud.size and ground.size:
            assert cloud.min() > ground.max()
        seen |= {*np.unique(one.labels).tolist()}
    assert {labels.CLOUD, labels.NOT_CLOUD} <= seen
    assert open_archive(masked).grid.geobox.resolution.x == found[0].pixel_m


READ = """
import sys
from pipeline.training.archives import grounds
from pipeline.training.sections import ArchiveSection

roles = ("blue", "green", "red")
section = ArchiveSection(store=sys.argv[1], sensor="sentinel-2", roles=roles, squares=1)
print(len(grounds(section, 64)), "distributed" in sys.modules)
"""


def test_reading_it_looks_for_no_cluster(masked):
    done = subprocess.run(
        [sys.executable, "-c", READ, masked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "False"]


def test_a_training_learns_from_it(masked, tiny, tmp_path):
    source = {"archive": section(masked, skies=0.5).model_dump()}
    mine = Experiment.model_validate(
        tiny.model_dump(exclude={"sources"}) | {"sources": [source]}
    )
    batch = next(batches(mine, 0))
    assert batch.images.shape == (2, 3, 32, 32)
    assert np.isfinite(batch.images).all()
    Folder(tmp_path / "out", mine)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"sensor": "venus"}, "its sensors are landsat, sentinel-2"),
        ({"roles": ("swir11",)}, "has no swir11"),
    ],
)
def test_what_an_archive_lacks_is_named(masked, parts, words):
    with pytest.raises(LabelledDataError, match=words):
        grounds(section(masked, **parts), 64)


def test_there_is_no_such_archive(tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        grounds(section(str(tmp_path / "nowhere")), 64)
