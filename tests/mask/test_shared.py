"""Windows that neighbours share are run once, and give to the bit what they give when they are run twice."""

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mask import mask_with_confidence, read_geobox, shared
from pipeline.mask.lattice import geobox_cores
from pipeline.mask.overlap_add import WindowResult
from pipeline.mask.shared import SharedWindows, shared_windows
from pipeline.testing import ThresholdModel, WindowMeanModel
from pipeline.types import Lattice
from tests.mask import cubes
from tests.mask.cubes import cube_of

LATTICE = Lattice(core_px=16, halo_px=8, blend_px=8, shift_px=4)
TILE = 32
WORLD = np.random.default_rng(5).random((2, 2, 260, 260), dtype=np.float32)
WORLD[1, :, 60:90, 100:180] = np.nan
CORNER = -100
"""Of the world, from the CRS origin."""


class Counting(WindowMeanModel):
    """Decides by what a whole window holds, and counts windows."""

    def __init__(self, lattice=LATTICE):
        super().__init__(lattice, ("red", "nir"))
        self.seen = 0
        self._lock = threading.Lock()

    def predict(self, windows):
        with self._lock:
            self.seen += len(windows)
        return super().predict(windows)


def box(top, left, height=TILE, width=TILE):
    return cubes.box(top, left, height, width)


def masked(model, geobox, kept):
    """Codes and confidence (2, time, y, x)."""
    reads = read_geobox(model.card.lattice, geobox)
    cube = cube_of(WORLD, model.card.roles, reads, CORNER, (20, 30))
    made = mask_with_confidence(cube, model, geobox, kept)
    return np.stack(dask.compute(*made, scheduler="synchronous"))


def tiles(rows, cols):
    return [box(row * TILE, col * TILE) for row in range(rows) for col in range(cols)]


def windows_of(geoboxes):
    """How many windows there are in some tiles' cores: all, and different ones."""
    every = []
    for each in geoboxes:
        held = geobox_cores(LATTICE, each)
        every += [
            (held.top + row * LATTICE.core_px, held.left + col * LATTICE.core_px)
            for row in range(held.rows)
            for col in range(held.cols)
        ]
    return len(every), len(set(every))


def test_each_window_of_a_region_is_run_once():
    model, region = Counting(), tiles(3, 3)
    expected = [masked(model, each, None) for each in region]
    every, different = windows_of(region)
    n_times = WORLD.shape[0]
    assert model.seen == n_times * every
    model.seen, kept = 0, SharedWindows()
    found = [masked(model, each, kept) for each in region]
    np.testing.assert_array_equal(found, expected)
    assert model.seen == n_times * different
    assert different < 0.7 * every
    assert len(np.unique(expected)) > 3


@given(order=st.permutations(range(6)), capacity=st.sampled_from([0, 3000, 20_000, 10**6]))
def test_law_whatever_comes_first_and_whatever_is_forgotten_masks_are_the_same(order, capacity):
    model, region, kept = Counting(), tiles(2, 3), SharedWindows(capacity)
    for number in order:
        found = masked(model, region[number], kept)
        np.testing.assert_array_equal(found, masked(model, region[number], None))


def test_confidence_is_no_part_of_what_is_kept_without():
    image = WORLD[0, :, :32, :32]
    assert shared.window_key(image, confidence=True) != shared.window_key(
        image, confidence=False
    )


# -- the store -----------------------------------------------------------------------------------


def window(number, edge=6):
    rng = np.random.default_rng(number)
    floats = {
        name: rng.random((3, edge, 2 + number % 3), dtype=np.float32)
        for name in ("top", "bottom", "left", "right")
    }
    return WindowResult(codes=rng.integers(0, 9, (2, edge, edge), np.uint8), **floats)


def same(one, other):
    for name in ("codes", "top", "bottom", "left", "right"):
        assert getattr(one, name).dtype == getattr(other, name).dtype
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(0, 4000))
def test_law_what_is_recalled_is_what_was_kept_and_never_too_much(numbers, capacity):
    kept = SharedWindows(capacity)
    for number in numbers:
        kept.keep(bytes([number]), window(number))
        for other in range(31):
            found = kept.recall(bytes([other]))
            if found is not None:
                same(found, window(other))
        places = sorted((each.start, each.stop) for each in kept._spans.values())
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(places))
        assert not places or places[-1][1] <= capacity


def test_the_oldest_are_forgotten_first():
    kept = SharedWindows(5 * 600)
    one = window(0)
    for number in range(12):
        kept.keep(bytes([number]), one)
    held = [number for number in range(12) if kept.recall(bytes([number])) is not None]
    assert held == list(range(12 - len(held), 12))
    assert len(held) >= 3


def test_threads_share_it():
    kept = SharedWindows(3000)

    def work(number):
        kept.keep(bytes([number]), window(number))
        found = kept.recall(bytes([number]))
        if found is not None:
            same(found, window(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [number % 31 for number in range(400)]))


class Full:
    """A disk without room."""

    def __init__(self, **_):
        self.closed = False

    def seek(self, start):
        pass

    def write(self, data):
        raise OSError(28, "No space left on device")

    def close(self):
        self.closed = True


def test_a_full_disk_costs_time_only(monkeypatch, caplog):
    monkeypatch.setattr(shared.tempfile, "TemporaryFile", Full)
    model, region, kept = Counting(), tiles(1, 2), SharedWindows()
    for each in region:
        np.testing.assert_array_equal(masked(model, each, kept), masked(model, each, None))
    assert caplog.text.count("No space left on device") == 1


def test_a_folder_that_cannot_be_written_to_costs_time_only(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(shared.tempfile, "tempdir", str(tmp_path / "absent"))
    kept = SharedWindows()
    kept.keep(b"", window(1))
    assert kept.recall(b"") is None
    assert "only costs time" in caplog.text


def test_the_file_has_no_name(monkeypatch, tmp_path):
    monkeypatch.setattr(shared.tempfile, "tempdir", str(tmp_path))
    kept = SharedWindows()
    kept.keep(b"", window(1))
    same(kept.recall(b""), window(1))
    assert os.listdir(tmp_path) == []


def test_a_process_keeps_windows_of_each_model_by_itself():
    one, other = Counting(), Counting()
    assert shared_windows(one) is shared_windows(one)
    assert shared_windows(one) is not shared_windows(other)
    # Sees pixels, not windows.
    assert (
        shared_windows(ThresholdModel(Lattice(core_px=16, halo_px=0), ("red", "nir"))) is None
    )
