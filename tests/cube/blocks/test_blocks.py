"""Blocks of rasters: any windows give the raster's own numbers, and each block is decoded once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cost import METER
from pipeline.cube import datasets
from pipeline.cube.blocks import raster as blocks
from pipeline.cube.blocks.headers import Headers
from pipeline.cube.blocks.memory import BlockMemory, Seen
from pipeline.cube.blocks.raster import read_blocks
from pipeline.cube.blocks.units import LARGEST_BYTES, SMALLEST_PX, rectangles, unit_shape, units
from pipeline.cube.opening import AssetRef
from pipeline.errors import AssetError

SHAPE = (300, 410)
LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 128, "blockysize": 128},
    "small tiles": {"tiled": True, "blockxsize": 16, "blockysize": 32},
    "strips": {"blockysize": 7},
    "one strip": {"blockysize": 300},
}


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    """One file a layout, and the numbers that all of them have."""
    folder = tmp_path_factory.mktemp("blocks")
    numbers = np.random.default_rng(3).integers(0, 2**16, (2, *SHAPE)).astype("uint16")
    for name, layout in LAYOUTS.items():
        write(folder / f"{name}.tif", numbers, layout)
    return folder, numbers


def write(path, numbers, layout):
    count, height, width = numbers.shape
    place = Affine(10, 0, 600_000, 0, -10, 5_400_000)
    profile = {"crs": "EPSG:32632", "transform": place, "compress": "deflate", **layout}
    with rasterio.open(
        path, "w", "GTiff", width, height, count, dtype=numbers.dtype, **profile
    ) as raster:
        raster.write(numbers)


def ref(path):
    return AssetRef(item_id="item", asset="blue", href=str(path), remote=False)


def spans(edge):
    pairs = st.tuples(st.integers(0, edge - 1), st.integers(1, edge))
    return pairs.map(lambda pair: (min(pair), max(*pair, min(pair) + 1)))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(LAYOUTS)), st.sampled_from([1, 2]), spans(SHAPE[0]), spans(SHAPE[1])
)
def test_any_window_has_the_numbers_of_the_raster(rasters, name, band, rows, cols):
    folder, numbers = rasters
    found = read_blocks(ref(folder / f"{name}.tif"), lambda r: r.read(band, (rows, cols)))
    np.testing.assert_array_equal(found, numbers[band - 1, slice(*rows), slice(*cols)])


def test_threads_decode_each_block_once(rasters, monkeypatch):
    folder, numbers = rasters
    decoded, real, lock = [], blocks.BlockRaster._blocks, threading.Lock()

    def counted(self, band, wanted, raster):
        with lock:
            decoded.extend(wanted)
        return real(self, band, wanted, raster)

    monkeypatch.setattr(blocks, "BLOCKS", BlockMemory(2**24))
    monkeypatch.setattr(blocks.BlockRaster, "_blocks", counted)
    windows = [((y, y + 90), (x, x + 70)) for y in range(0, 210, 30) for x in range(0, 340, 34)]
    path = folder / "tiles.tif"
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda window: read_blocks(ref(path), lambda r: r.read(1, window)), windows
        )
        for (rows, cols), pixels in zip(windows, found, strict=True):
            np.testing.assert_array_equal(pixels, numbers[0, slice(*rows), slice(*cols)])
    assert sorted(decoded) == sorted(set(decoded))


def test_a_raster_is_opened_once(rasters, monkeypatch):
    opened, real = [], datasets.opened
    monkeypatch.setattr(datasets, "opened", lambda *key: opened.append(key) or real(*key))
    monkeypatch.setattr(blocks, "HEADERS", Headers(8))
    blocks_of = ref(rasters[0] / "strips.tif")
    for row in range(0, 300, 10):
        read_blocks(blocks_of, lambda r, row=row: r.read(2, ((row, row + 10), (0, 410))))
    # Or not at all, if another test has left it in the pool.
    assert len(opened) <= 1


def test_blocks_and_the_time_they_take_are_counted(rasters, monkeypatch):
    monkeypatch.setattr(blocks, "SEEN", Seen(2**10))
    path, window = ref(rasters[0] / "tiles.tif"), ((0, 300), (0, 410))
    spent = []
    for _ in range(2):
        monkeypatch.setattr(blocks, "BLOCKS", BlockMemory(2**24))
        before = METER.total()
        for _ in range(2):
            read_blocks(path, lambda raster: raster.read(1, window))
        spent.append(METER.total() - before)
    assert [each.blocks_decoded for each in spent] == [12, 12]
    assert [each.blocks_again for each in spent] == [0, 12]
    for each in spent:
        assert 0 < each.decoding_cpu_seconds <= each.reading_seconds + 0.02


@given(st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=30))
def test_keys_that_were_there_are_counted(history):
    seen, known = Seen(100), set()
    for keys in history:
        assert seen.note(keys) == sum(key in known for key in keys)
        known |= set(keys)


def test_a_file_that_is_replaced_has_its_own_numbers(tmp_path, rasters):
    path, numbers = tmp_path / "blue.tif", rasters[1]
    for shift in (0, 1, 2):
        changed = numbers // 2 + np.uint16(shift)
        write(path, changed, LAYOUTS["tiles"])
        found = read_blocks(ref(path), lambda r: r.read(1, ((5, 200), (9, 300))))
        np.testing.assert_array_equal(found, changed[0, 5:200, 9:300])
    path.unlink()
    with pytest.raises(AssetError, match="item item, asset 'blue': cannot be read"):
        read_blocks(ref(path), lambda r: r.read(1, ((5, 200), (9, 300))))


# -- the memory ----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 400),
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True), max_size=30),
    st.sets(st.integers(0, 15)),
)
def test_the_memory_returns_what_was_asked_for_within_its_bytes(most, requests, beside):
    memory, decoded = BlockMemory(most), []

    def decode(missing):
        decoded.append(missing)
        return {key: np.full(key, key, np.uint8) for key in missing}

    for keys in requests:
        held, before = set(memory._held), len(decoded)
        found = memory.get(keys, decode, list(beside))
        assert {key: found[key].tolist() for key in keys} == {key: [key] * key for key in keys}
        # What lies beside is decoded with what is missing, or not at all.
        missing = {each for each in keys if each not in held}
        expected = [sorted((missing | beside) - held)] if missing else []
        assert [sorted(each) for each in decoded[before:]] == expected
        assert memory._bytes == sum(block.nbytes for block in memory._held.values()) <= most


def test_a_thread_decodes_for_itself_what_another_could_not():
    memory, claimed, waiting = BlockMemory(100), threading.Event(), threading.Event()

    def fails(keys):
        claimed.set()
        waiting.wait(5)
        raise OSError("reset")

    def works(keys):
        return {key: np.ones(1, np.uint8) for key in keys}

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memory.get, ["a"], fails)
        claimed.wait(5)
        second = pool.submit(memory.get, ["a", "b"], works)
        waiting.set()
        with pytest.raises(OSError, match="reset"):
            first.result(5)
        assert set(second.result(5)) == {"a", "b"}


# -- units -----------------------------------------------------------------------------------------


@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 12_000)),
    st.tuples(st.integers(1, 12_000), st.integers(1, 12_000)),
    st.sampled_from([1, 2, 4, 8]),
)
def test_units_are_whole_blocks_neither_tiny_nor_huge(block, shape, itemsize):
    unit = unit_shape(block, shape, itemsize)
    cut = [min(size, edge) for size, edge in zip(block, shape, strict=True)]
    if cut[0] * cut[1] * itemsize > LARGEST_BYTES:
        assert unit is None
        return
    assert all(
        size % each == 0 or size == edge
        for size, each, edge in zip(unit, cut, shape, strict=True)
    )
    assert unit[0] * unit[1] >= SMALLEST_PX / 4 or unit == shape or unit[0] == shape[0]


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1))
def test_rectangles_cover_units_once(wanted):
    covered = [
        (row, col)
        for rows, cols in rectangles(wanted)
        for row in range(*rows)
        for col in range(*cols)
    ]
    assert sorted(covered) == sorted(wanted)


@given(st.tuples(spans(90), spans(90)), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_units_of_a_window_are_those_that_have_its_pixels(window, unit):
    (top, bottom), (left, right) = window
    expected = {
        (y // unit[0], x // unit[1]) for y in range(top, bottom) for x in range(left, right)
    }
    assert sorted(units(window, unit)) == sorted(expected)
