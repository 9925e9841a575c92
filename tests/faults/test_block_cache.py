"""Blocks of remote rasters on disk: read once, of one version, and the same pixels whatever becomes of the files."""

import itertools
import json
import os
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import cube
from pipeline.cost import METER
from pipeline.cube import gdal, opening
from pipeline.cube.blocks import raster as blocks
from pipeline.cube.blocks.memory import BlockMemory
from pipeline.cube.blocks.raster import read_blocks
from pipeline.cube.blocks.remote import version
from pipeline.cube.blocks.units import Soon
from pipeline.cube.opening import AssetRef
from pipeline.errors import AssetError
from tests.faults.faulty import HOST

EDGE = 700


@pytest.fixture
def served(faulty, tmp_path, request):
    """A COG at a URL of its own, and a cache."""
    name = f"cache-{abs(hash(request.node.nodeid))}"
    faulty.plan(name)
    write(tmp_path / "blue.tif", seed=1)
    cube.use_disk(tmp_path / "cache", 2**26)
    return Served(faulty, name, tmp_path)


class Served:
    def __init__(self, faulty, name, folder):
        self.faulty, self.name, self.folder = faulty, name, folder
        self.path = folder / "blue.tif"
        href = faulty.href(name, self.path)
        self.ref = AssetRef(item_id="item", asset="blue", href=href, remote=True, hosts=(HOST,))

    def fetched(self):
        """Return the bytes sent until now, without the one byte by which redirects are followed."""
        return sum(
            each["bytes"] for each in self.faulty.log(self.name) if each["range"] != "bytes=0-0"
        )

    def read(self, window=((0, EDGE), (0, EDGE)), level=None):
        return read_blocks(
            self.ref, lambda raster: raster.read(1, window), overview_level=level
        )


def write(path, seed):
    draw = np.random.default_rng(seed)
    numbers = draw.integers(0, 2**12, (EDGE, EDGE), "uint16")
    place = Affine(10, 0, 600_000, 0, -10, 5_400_000)
    profile = {"crs": "EPSG:32632", "transform": place, "compress": "deflate", "blocksize": 256}
    new = path.with_suffix(".new.tif")
    with rasterio.open(new, "w", "COG", EDGE, EDGE, 1, dtype="uint16", **profile) as raster:
        raster.write(numbers, 1)
    new.rename(path)
    return numbers


def new_process():
    """Forget all that a process knows, but for what is on disk."""
    opening.IDLE.drop()
    blocks.HEADERS.drop()
    opening.VERSIONS.drop()
    blocks.BLOCKS.clear()


def truth(path, level=None):
    options = {} if level is None else {"overview_level": level}
    with rasterio.open(path, **options) as raster:
        return raster.read(1)


def test_the_next_process_downloads_nothing(served):
    first, overview = served.read(), served.read(((0, 350), (0, 350)), level=0)
    once, counted = served.fetched(), METER.total()
    new_process()
    np.testing.assert_array_equal(served.read(), truth(served.path))
    np.testing.assert_array_equal(first, truth(served.path))
    np.testing.assert_array_equal(
        served.read(((0, 350), (0, 350)), level=0), truth(served.path, 0)
    )
    np.testing.assert_array_equal(overview, truth(served.path, 0))
    assert served.fetched() == once
    found = METER.total() - counted
    assert (found.blocks_decoded, found.blocks_from_disk) == (0, 9 + 4)


def test_bytes_of_one_process_are_those_of_the_blocks(served):
    with rasterio.open(served.path) as raster:
        size = sum(
            int(raster.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", 1))
            for x in range(3)
            for y in range(3)
        )
    for _ in range(3):
        # Whole rows of blocks, since GDAL asks for pieces of 16 KiB round single ones.
        blocks.BLOCKS.clear()
        for top in range(0, EDGE, 256):
            served.read(((top, min(top + 256, EDGE)), (0, EDGE)))
    assert served.fetched() <= 1.02 * size + 4 * 16_384


@pytest.mark.parametrize("whole", [False, True], ids=["rows", "whole"])
def test_a_server_is_asked_once_for_blocks_that_lie_in_a_row(served, monkeypatch, whole):
    if not whole:
        monkeypatch.setattr(blocks, "AHEAD_BYTES", 0)
    numbers, asked = truth(served.path), []
    soon = Soon(((0, EDGE), (0, EDGE)), in_rows=True)
    for top, left in itertools.product((100, EDGE - 150), range(0, EDGE, 256)):
        window = ((top, top + 150), (left, min(left + 200, EDGE)))
        found = read_blocks(
            served.ref, lambda raster, window=window: raster.read(1, window, soon)
        )
        np.testing.assert_array_equal(found, numbers[slice(*window[0]), slice(*window[1])])
        asked.append(len(served.faulty.log(served.name)))
    row = len(asked) // 2
    assert asked[0] == asked[row - 1]
    assert asked[row] == asked[-1]
    assert (asked[0] == asked[-1]) is whole


spans = st.tuples(st.integers(0, EDGE - 1), st.integers(1, EDGE)).map(
    lambda pair: (min(pair), max(*pair, min(pair) + 1))
)


def test_any_windows_in_any_processes_have_the_numbers_of_the_raster(served):
    numbers = truth(served.path)

    @settings(max_examples=40, deadline=None)
    @given(st.booleans(), st.booleans(), spans, spans)
    def law(again, kept, rows, cols):
        cube.use_disk(served.folder / "cache", 2**26 * kept)
        if again:
            new_process()
        found = served.read((rows, cols))
        np.testing.assert_array_equal(found, numbers[slice(*rows), slice(*cols)])

    law()


@pytest.mark.parametrize("how", ["truncated", "poisoned", "mixed up", "emptied", "removed"])
def test_damaged_entries_cost_time_alone(served, how):
    served.read()
    entries = [path for path in (served.folder / "cache").rglob("*") if path.is_file()]
    assert len(entries) == 10
    contents = [path.read_bytes() for path in entries]
    for path, content, other in zip(
        entries, contents, contents[1:] + contents[:1], strict=True
    ):
        damaged = {
            "truncated": content[: len(content) // 2],
            "poisoned": content[:40] + bytes(len(content) - 40),
            "mixed up": other,
            "emptied": b"",
        }
        if how == "removed":
            path.unlink()
        else:
            path.write_bytes(damaged[how])
    new_process()
    np.testing.assert_array_equal(served.read(), truth(served.path))
    new_process()
    before = served.fetched()
    np.testing.assert_array_equal(served.read(), truth(served.path))
    assert served.fetched() == before


def test_a_raster_that_is_replaced_has_its_own_pixels(served):
    """Also one of the same size, and also where the process had read the one before."""
    for seed in (1, 2, 3):
        numbers = write(served.path, seed)
        blocks.HEADERS.drop()
        opening.VERSIONS.drop()
        np.testing.assert_array_equal(served.read(), numbers)
        new_process()
        np.testing.assert_array_equal(served.read(), numbers)


def test_a_raster_that_is_replaced_between_two_reads_is_never_mixed(served):
    before = truth(served.path)
    served.read(((0, 256), (0, EDGE)))
    numbers = write(served.path, 2)
    # As after some minutes: the version is asked for again, the header is believed still.
    opening.VERSIONS.drop()
    np.testing.assert_array_equal(served.read(), numbers)
    # And what it was before may come back.
    write(served.path, 1)
    new_process()
    np.testing.assert_array_equal(served.read(), before)


def test_a_raster_without_a_version_is_read_again(served, monkeypatch):
    monkeypatch.setattr(opening, "version", lambda _: None)
    served.read()
    assert not [path for path in (served.folder / "cache").rglob("*") if path.is_file()]
    new_process()
    np.testing.assert_array_equal(served.read(), truth(served.path))


@pytest.mark.parametrize("first", [["503"], ["503", "503"], ["404"], ["reset"], ["html"]])
def test_a_question_for_the_version_that_fails_is_no_failure_of_the_raster(
    served, faulty, first
):
    # The first request follows redirects, the second asks for the version.
    faulty.plan(served.name, first=["", *first])
    if first == ["404"]:
        # As without a cache, this is final only if the raster itself is not there.
        faulty.plan(served.name, first=["", "404", "404", "404", "404"])
        with pytest.raises(AssetError, match="404|does not exist"):
            served.read()
        return
    np.testing.assert_array_equal(served.read(), truth(served.path))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("head", ["403", "404", "405", "501", "503"])
def test_hosts_that_refuse_head_are_asked_as_often_as_without_a_cache(
    served, faulty, head, signed
):
    """GDAL asks by GET where a link is signed, or where HEAD is not allowed; else it takes what HEAD says."""
    faulty.plan(served.name, head=head)
    if signed:
        query = "?X-Amz-Signature=a&X-Amz-Date=20990101T000000Z&X-Amz-Expires=3600"
        served.ref = replace(served.ref, href=served.ref.href + query)
    asked = []
    for size in (0, 2**26):
        cube.use_disk(served.folder / "cache", size)
        new_process()
        before = len(faulty.log(served.name))
        if signed or head == "405":
            np.testing.assert_array_equal(served.read(), truth(served.path))
        else:
            with pytest.raises(AssetError, match=f"HTTP response code: {head}"):
                served.read()
        log = faulty.log(served.name)[before:]
        # But for where redirects lead, which is known the second time.
        asked.append([each["method"] for each in log if each["range"] != "bytes=0-0"])
    assert asked[0] == asked[1]


def test_storages_that_tell_no_headers_are_read_without_a_cache(tmp_path):
    write(tmp_path / "blue.tif", 1)
    assert gdal.answer_headers(str(tmp_path / "blue.tif")) == {}
    assert version({}) is None


def test_a_cache_that_is_removed_or_full_meanwhile_costs_time_alone(served):
    draw = random.Random(4)
    for turn in range(6):
        new_process()
        np.testing.assert_array_equal(served.read(), truth(served.path))
        if turn % 2:
            shutil.rmtree(served.folder / "cache")
        else:
            for path in (served.folder / "cache").rglob("*"):
                if path.is_file() and draw.random() < 0.5:
                    os.truncate(path, 30)


# -- versions ------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


def moment(seconds):
    return format_datetime(NOW.fromtimestamp(NOW.timestamp() + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"content-length": "7", "etag": '"a"'}, [7, '"a"', ""]),
        (
            {"content-length": "7", "content-range": "bytes 0-6/90", "etag": '"a"'},
            [90, '"a"', ""],
        ),
        ({"content-length": "7", "content-range": "bytes 0-6/*", "etag": '"a"'}, None),
        ({"content-length": "7", "etag": 'W/"a"'}, None),
        (
            {"content-length": "7", "etag": 'W/"a"', "last-modified": moment(-100)},
            [7, 'W/"a"', moment(-100)],
        ),
        ({"content-length": "7", "last-modified": moment(-61)}, [7, "", moment(-61)]),
        ({"content-length": "7", "last-modified": moment(-59)}, None),
        ({"content-length": "7", "last-modified": moment(-61), "date": moment(-30)}, None),
        ({"content-length": "7", "last-modified": "yesterday"}, None),
        ({"content-length": "many", "etag": '"a"'}, None),
        ({"etag": '"a"'}, None),
        ({"content-length": "7"}, None),
        ({}, None),
    ],
)
def test_a_version_is_told_by_what_changes_with_the_file(headers, told):
    found = version(headers, NOW)
    assert (None if found is None else json.loads(found)) == told


def test_memory_is_asked_before_the_disk(served, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCKS", BlockMemory(2**24))
    served.read()
    before = METER.total()
    served.read()
    assert METER.total() == before
