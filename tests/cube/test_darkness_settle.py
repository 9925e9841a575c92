"""Doubtful items are settled by their pixels, and the item remembers."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.io import MemoryFile

from pipeline import sensors
from pipeline.cube.metadata import settle
from pipeline.cube.metadata.settle import WINDOW_PX, WINDOWS, settled, thinned
from pipeline.run.common.fingerprint import item_identity
from pipeline.types import Dropped, Items
from tests.cube.twins import TWINS, make_truth, serve

WRONG = TWINS["earth search 05.11 flag wrong"]
RIGHT = TWINS["earth search 05.11 not shifted"]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return make_truth()


@pytest.fixture
def doubtful(truth, tmp_path) -> Items:
    items = [
        serve(twin, truth, tmp_path, name)
        for name, twin in (
            ("wrong", WRONG),
            ("right", RIGHT),
            ("sure", TWINS["earth search 02.14"]),
            ("landsat", TWINS["landsat"]),
        )
    ]
    return Items(items=tuple(items), dropped=(Dropped(item_id="gone", reason="as it was"),))


def offsets(items: Items) -> list[float]:
    return [sensors.radiometry(item).offset for item in items]


def test_order_and_what_was_dropped_stay_and_nothing_is_changed_in_place(doubtful):
    before = [json.dumps(item.to_dict(transform_hrefs=False)) for item in doubtful]
    found = settled(doubtful)
    assert [item.id for item in found] == [item.id for item in doubtful]
    assert found.dropped == doubtful.dropped
    assert offsets(doubtful) == [-0.1, -0.1, 0.0, -0.2]
    assert offsets(found) == [0.0, -0.1, 0.0, -0.2]
    assert [json.dumps(item.to_dict(transform_hrefs=False)) for item in doubtful] == before
    assert found.items[2:] == doubtful.items[2:]


def test_the_reason_says_what_metadata_and_what_pixels_said(doubtful):
    wrong, right, *_ = settled(doubtful)
    reason = sensors.radiometry(wrong).reason
    assert "boa_offset_applied is false" in reason
    assert "its pixels contradict it and count: no offset in them" in reason
    assert "% of swir22" in reason
    assert "its pixels agree: offset in them" in sensors.radiometry(right).reason


def test_a_saved_search_keeps_the_decision(doubtful):
    found = settled(doubtful)
    saved = json.loads(json.dumps([item.to_dict(transform_hrefs=False) for item in found]))
    again = Items(items=tuple(pystac.Item.from_dict(each, migrate=False) for each in saved))
    assert [sensors.radiometry(item) for item in again] == [
        sensors.radiometry(item) for item in found
    ]
    assert settled(again).items == again.items


def test_fingerprints_follow_the_decision(doubtful):
    found = settled(doubtful)
    changed = [
        item_identity(one) != item_identity(other)
        for one, other in zip(doubtful, found, strict=True)
    ]
    assert changed == [True, False, False, False]


def count_asked(monkeypatch) -> list[str]:
    asked: list[str] = []
    plain = settle.ask

    def noting(item, *, hosts=()):
        asked.append(item.id)
        return plain(item, hosts=hosts)

    monkeypatch.setattr(settle, "ask", noting)
    return asked


def test_only_the_doubtful_are_asked_or_every_sentinel(doubtful, monkeypatch):
    asked = count_asked(monkeypatch)
    settled(doubtful)
    assert sorted(asked) == ["right", "wrong"]
    asked.clear()
    settled(doubtful, every=True)
    assert sorted(asked) == ["right", "sure", "wrong"]


def test_what_was_told_before_is_not_asked_again_unless_it_was_reprocessed(
    doubtful, monkeypatch
):
    before = settled(doubtful)
    asked = count_asked(monkeypatch)
    again = settled(doubtful, known=before.items)
    assert asked == []
    assert [sensors.radiometry(item) for item in again] == [
        sensors.radiometry(item) for item in before
    ]
    doubtful.items[0].properties["s2:generation_time"] = "2024-01-01T00:00:00Z"
    settled(doubtful, known=before.items)
    assert asked == ["wrong"]


@pytest.mark.parametrize("damage", ["missing", "html"])
def test_an_asset_that_cannot_be_read_leaves_the_metadatas_word(doubtful, damage, tmp_path):
    item = doubtful.items[0]
    bad = tmp_path / "bad.tif"
    if damage == "html":
        bad.write_text("<html>Service Unavailable</html>")
    href, item.assets["red"].href = item.assets["red"].href, str(bad)
    (found, *_) = settled(doubtful)
    decided = sensors.radiometry(found)
    assert (decided.offset, decided.doubtful) == (-0.1, True)
    assert "they cannot be read: item wrong, asset 'red'" in decided.reason
    # Later it can: whoever is in doubt is asked again, and says it once.
    found.assets["red"].href = href
    (again,) = settled(Items(items=(found,)))
    decided = sensors.radiometry(again)
    assert (decided.offset, decided.doubtful) == (0.0, False)
    assert "cannot be read" not in decided.reason


def test_pixels_that_cannot_tell_leave_the_metadatas_word(truth, tmp_path):
    cloudy = np.full_like(truth, 0.5)
    item = serve(WRONG, cloudy, tmp_path)
    (found,) = settled(Items(items=(item,)))
    decided = sensors.radiometry(found)
    assert (decided.offset, decided.doubtful) == (-0.1, True)
    assert "cannot tell (no dark ground stands out" in decided.reason
    assert "the metadata's word stands" in decided.reason


def test_items_are_asked_by_few_threads_at_once(truth, tmp_path, monkeypatch):
    item = serve(WRONG, truth, tmp_path)
    many = Items(items=tuple(item.clone() for _ in range(40)))
    names: set[str] = set()

    def plain(item, *, hosts=()):
        names.add(threading.current_thread().name)
        return settle.Finding(verdict="no offset", reason="x")

    monkeypatch.setattr(settle, "ask", plain)
    assert offsets(settled(many)) == [0.0] * 40
    assert 1 <= len(names) <= settle.WORKERS


def test_a_host_that_is_down_does_not_keep_everybody_waiting(truth, tmp_path, monkeypatch):
    item = serve(WRONG, truth, tmp_path)
    many = Items(items=tuple(item.clone() for _ in range(200)))
    asked = []

    def in_vain(item, *, hosts=()):
        asked.append(item)
        return settle.Finding(verdict="inconclusive", reason="down", unread=True)

    monkeypatch.setattr(settle, "ask", in_vain)
    found = settled(many)
    assert settle.GIVE_UP <= len(asked) <= settle.GIVE_UP + settle.WORKERS
    assert offsets(found) == [-0.1] * 200
    assert "were not asked" in sensors.radiometry(found.items[-1]).reason
    assert all(sensors.radiometry(item).doubtful for item in found)


@pytest.mark.parametrize(
    "properties",
    [
        {"cloudmask:offset": -0.1},
        {"cloudmask:offset": 7.0, "cloudmask:radiometry": "trust me"},
        {"cloudmask:offset": "0", "cloudmask:radiometry": "trust me"},
        {"cloudmask:offset": False, "cloudmask:radiometry": "trust me"},
        {"cloudmask:offset": [0.0], "cloudmask:radiometry": "trust me"},
        {"cloudmask:offset": float("nan"), "cloudmask:radiometry": "trust me"},
        {"cloudmask:offset": -0.1, "cloudmask:radiometry": None},
    ],
)
def test_a_decision_that_makes_no_sense_is_none(doubtful, properties):
    sure = doubtful.items[2]
    plain = sensors.radiometry(sure)
    sure.properties.update(properties)
    assert sensors.radiometry(sure) == plain


def test_decisions_are_about_sentinel_2_alone(doubtful):
    landsat = doubtful.items[3]
    plain = sensors.radiometry(landsat)
    landsat.properties |= {"cloudmask:offset": 0.0, "cloudmask:radiometry": "trust me"}
    assert sensors.radiometry(landsat) == plain
    sure = doubtful.items[2]
    sure.properties |= {"cloudmask:offset": -0.1, "cloudmask:radiometry": "x" * 10_000}
    assert len(sensors.radiometry(sure).reason) <= 1000


def test_a_stack_of_bands_is_asked_by_the_band(truth, tmp_path):
    item = serve(WRONG, truth, tmp_path)
    paths = [item.assets[role].href for role in ("red", "nir08")]
    with rasterio.open(paths[0]) as one, rasterio.open(paths[1]) as two:
        profile, planes = one.profile, (np.full(one.shape, 5000), two.read(1))
    profile |= {"driver": "GTiff", "count": 2}
    with rasterio.open(tmp_path / "stack.tif", "w", **profile) as raster:
        for number, plane in enumerate(planes, start=1):
            raster.write(plane.astype("uint16"), number)
    item.assets["nir08"].href = str(tmp_path / "stack.tif")
    alone = settle.ask(item)
    item.assets["nir08"].extra_fields["bands"] = [{"name": "B05"}, {"name": "nir08"}]
    named = settle.ask(item)
    assert "nir08" not in alone.reason
    assert "nir08" in named.reason
    item.assets["nir08"].extra_fields["bands"] = [{"name": "1"}, {"name": "2"}]
    assert "holds 2 bands" in settle.ask(item).reason


SERVER = """
import http.server, re
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        content = open(self.translate_path(self.path), "rb").read()
        asked = re.match(r"bytes=(\\d+)-(\\d*)", self.headers.get("Range", ""))
        start, stop = 0, len(content)
        if asked:
            start, stop = int(asked[1]), min(stop, int(asked[2] or stop) + 1)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(content[start:stop])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def served(tmp_path):
    """Serve a folder, by ranges, from another process; return its URL."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    server.kill()
    server.wait()
    server.stdout.close()


def test_pixels_of_a_remote_item_are_asked_where_the_job_allows_it(truth, tmp_path, served):
    item = serve(WRONG, truth, tmp_path)
    for asset in item.assets.values():
        asset.href = f"{served}/{Path(asset.href).relative_to(tmp_path)}"
    item.set_self_href(f"{served}/item.json")
    (refused,) = settled(Items(items=(item,)))
    assert sensors.radiometry(refused).offset == -0.1
    assert "they cannot be read" in sensors.radiometry(refused).reason
    (allowed,) = settled(Items(items=(item,)), hosts=("127.0.0.1",))
    assert (sensors.radiometry(allowed).offset, sensors.radiometry(allowed).doubtful) == (
        0.0,
        False,
    )


# -- thinning ----------------------------------------------------------------------------------


class Noted:
    """A raster that says what was read of it."""

    def __init__(self, raster, width=None, height=None):
        self._raster = raster
        self.width, self.height = width or raster.width, height or raster.height
        self.read_px = 0

    def overviews(self, band):
        return self._raster.overviews(band)

    def read(self, band, **how):
        found = self._raster.read(band, **how)
        self.read_px += found.size
        return found


def make(memory: MemoryFile, pixels: np.ndarray, driver: str):
    options = (
        {"blocksize": 256}
        if driver == "COG"
        else {"tiled": True, "blockxsize": 256, "blockysize": 256}
    )
    with memory.open(
        driver=driver,
        width=pixels.shape[1],
        height=pixels.shape[0],
        count=1,
        dtype=pixels.dtype,
        crs="EPSG:32632",
        transform=rasterio.Affine(10, 0, 6e5, 0, -10, 5.4e6),
        **options,
    ) as raster:
        raster.write(pixels, 1)
    return memory.open()


def test_a_band_is_thinned_evenly():
    pixels = np.arange(1500, dtype=np.uint16)[:, None] + np.zeros((1500, 1100), np.uint16)
    with MemoryFile() as memory, make(memory, pixels, "COG") as raster:
        found = thinned(raster)
    assert max(found.shape) == settle.EDGE_PX
    assert abs(np.median(found) - 750) < 5


def test_of_a_large_raster_without_overviews_only_windows_are_read():
    pixels = np.random.default_rng(1).integers(1, 9000, (2400, 2300)).astype(np.uint16)
    with MemoryFile() as memory, make(memory, pixels, "GTiff") as plain:
        raster = Noted(plain)
        found = thinned(raster)
    assert found.size == raster.read_px == (WINDOWS * WINDOW_PX) ** 2
    assert abs(np.median(found) - 4500) < 100


def test_a_floating_point_copy_has_no_data_where_it_is_nan():
    pixels = np.full((64, 64), 1200.0, np.float32)
    pixels[:10] = np.nan
    with MemoryFile() as memory, make(memory, pixels, "GTiff") as raster:
        found = thinned(raster)
    assert found.dtype.kind == "i"
    assert (found[:10] == 0).all()
    assert (found[10:] == 1200).all()
