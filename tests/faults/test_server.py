"""Reads from a server with faults: what passes leaves no trace, what lasts is named at once."""

import itertools
import pickle
import threading
import time

import numpy as np
import pytest
import rasterio
from affine import Affine

from pipeline import access
from pipeline.access import RetryPolicy, Verdict
from pipeline.cube import datasets, gdal, opening
from pipeline.cube.opening import IDLE, AssetRef, read_asset
from pipeline.errors import AssetError, AssetUnavailableError
from tests.faults.faulty import HOST

WINDOW = ((0, 200), (0, 300))
_names = (f"read{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    """A COG of a few blocks; its header is one request, two blocks are two."""
    path = tmp_path_factory.mktemp("server") / "blue.tif"
    pixels = np.random.default_rng(5).integers(1, 9000, (512, 512)).astype("uint16")
    write(path, pixels, driver="COG", blocksize=128)
    return path, pixels


@pytest.fixture(scope="module")
def scattered(tmp_path_factory):
    """A GeoTIFF whose header is scattered over the file: overviews were added at its end."""
    path = tmp_path_factory.mktemp("server") / "scattered.tif"
    pixels = np.random.default_rng(6).integers(1, 9000, (2048, 2048)).astype("uint16")
    write(path, pixels, driver="GTiff", tiled=True, blockxsize=32, blockysize=32)
    with rasterio.open(path, "r+") as opened:
        opened.build_overviews([2, 4], rasterio.enums.Resampling.average)
    return path, pixels


def write(path, pixels, **options):
    with rasterio.open(
        path,
        "w",
        width=pixels.shape[1],
        height=pixels.shape[0],
        count=1,
        dtype=pixels.dtype,
        crs="EPSG:32632",
        transform=Affine(10, 0, 600_000, 0, -10, 5_400_000),
        **options,
    ) as opened:
        opened.write(pixels, 1)


def place(faulty, name, path):
    return AssetRef(
        item_id="item", asset="blue", href=faulty.href(name, path), remote=True, hosts=(HOST,)
    )


def window(opened):
    return opened.read(1, window=WINDOW)


def asked(faulty, name):
    """Return GDAL's requests: the look at redirects is one byte."""
    return [each for each in faulty.log(name) if each["range"] != "bytes=0-0"]


@pytest.fixture
def calm(monkeypatch):
    """Look at no redirects, so that faults are counted from GDAL's first request."""
    monkeypatch.setattr(
        access,
        "opening",
        lambda href, **_: access.Opening(f"/vsicurl/{href}", {}, HOST, 4),
    )


# -- what passes -------------------------------------------------------------------------------

PASSING = ("429", "500", "502", "503", "504", "reset", "stall", "truncated", "html", "403")


@pytest.mark.quick(10)
@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.usefixtures("calm")
def test_what_passes_leaves_no_trace(faulty, raster, fault, before):
    """At the first request, at the header, at the pixels."""
    path, pixels = raster
    name = next(_names)
    faulty.plan(name, first=[""] * before + [fault], stall_s=0.6)
    np.testing.assert_array_equal(
        read_asset(place(faulty, name, path), window), pixels[:200, :300]
    )
    assert [each["fault"] for each in faulty.log(name)].count(fault) == 1


@pytest.mark.usefixtures("calm")
def test_gdal_remembers_a_failure_until_it_is_told_to_forget(faulty, raster, monkeypatch):
    """Without which every further try would be answered by GDAL itself."""
    path, _ = raster
    name = next(_names)
    faulty.plan(name, first=["503"])
    with monkeypatch.context() as patch:
        patch.setattr(gdal, "forget_answers", lambda path: None)
        with pytest.raises(AssetError):
            read_asset(place(faulty, name, path), window)
    assert len(faulty.log(name)) == 1
    gdal.forget_answers(f"/vsicurl/{faulty.href(name, path)}")
    read_asset(place(faulty, name, path), window)
    assert len(faulty.log(name)) > 1


@pytest.mark.quick(10)
@pytest.mark.parametrize("fault", ["503", "truncated", "html", "stall"])
@pytest.mark.parametrize("before", range(1, 9))
@pytest.mark.usefixtures("calm")
def test_half_a_header_is_no_header(faulty, scattered, fault, before):
    """GDAL goes on without overviews or a CRS whose part of the header did not come."""
    path, pixels = scattered
    name = next(_names)
    faulty.plan(name, first=[""] * before + [fault], stall_s=0.6)

    def use(opened):
        if opened.crs is None:
            raise ValueError("no CRS")
        return datasets.overviews(opened, 1), opened.read(
            1, window=((1900, 2048), (1800, 2048))
        )

    factors, read = read_asset(place(faulty, name, path), use)
    assert factors == [2, 4]
    np.testing.assert_array_equal(read, pixels[1900:, 1800:])


def test_a_token_that_expires_is_renewed(faulty, raster, monkeypatch):
    path, pixels = raster
    name = next(_names)
    faulty.plan(name, token_life=4)
    tokens = []

    def signed(href, **_):
        tokens[:] = tokens or [faulty.token(name)]
        return access.Opening(f"/vsicurl/{href}?token={tokens[0]}", {}, HOST, 4)

    monkeypatch.setattr(access, "opening", signed)
    monkeypatch.setattr(access, "forget", lambda href: tokens.clear())
    for row in range(0, 512, 128):
        rows = ((row, row + 128), (0, 512))
        read = read_asset(
            place(faulty, name, path), lambda opened, rows=rows: opened.read(1, window=rows)
        )
        np.testing.assert_array_equal(read, pixels[row : row + 128])
    assert any(each["fault"] == "403" for each in faulty.log(name))


# -- what lasts --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["404", "410"])
@pytest.mark.usefixtures("calm")
def test_what_is_gone_is_asked_for_once(faulty, raster, status):
    path, _ = raster
    name = next(_names)
    faulty.plan(name, broken={"blue.tif": status})
    with pytest.raises(
        AssetError, match=f"item item, asset 'blue': cannot be read: .*{status}"
    ):
        read_asset(place(faulty, name, path), window)
    assert len(faulty.log(name)) == 1


@pytest.mark.parametrize(
    ("fault", "tries", "kind"),
    [
        ("403", Verdict.FORBIDDEN.attempts, AssetError),
        ("503", 8, AssetUnavailableError),
        ("429", 8, AssetUnavailableError),
        ("reset", 8, AssetUnavailableError),
        ("stall", 8, AssetUnavailableError),
        ("html", 8, AssetError),
        ("garbage", 8, AssetError),
    ],
)
@pytest.mark.usefixtures("calm")
def test_what_lasts_is_given_up(faulty, raster, monkeypatch, fault, tries, kind):
    path, _ = raster
    name, begun = next(_names), time.monotonic()
    faulty.plan(name, broken={"blue.tif": fault}, stall_s=0.6)
    monkeypatch.setattr(opening, "TIMEOUT_S", 0.2)
    with pytest.raises(
        kind, match=rf"item item, asset 'blue': .*\(tried {tries} times\)"
    ) as caught:
        read_asset(place(faulty, name, path), window)
    assert type(caught.value) is kind
    assert time.monotonic() - begun < 8


@pytest.mark.usefixtures("calm")
def test_no_further_try_after_the_longest_time(faulty, raster):
    path, _ = raster
    name = next(_names)
    faulty.plan(name, broken={"blue.tif": "503"})
    brief = RetryPolicy(attempts=1000, first_wait_s=0.05, longest_wait_s=0.05, total_s=0.5)
    begun = time.monotonic()
    with pytest.raises(AssetUnavailableError):
        read_asset(place(faulty, name, path), window, retry=brief)
    # Half a second, and what a busy machine adds to the last try.
    assert time.monotonic() - begun < 5
    assert 1 < len(faulty.log(name)) < 25


def test_nobody_there():
    nowhere = AssetRef(
        item_id="item", asset="blue", href=f"http://{HOST}:9/x.tif", remote=True, hosts=(HOST,)
    )
    with pytest.raises(AssetUnavailableError, match="item item, asset 'blue'") as caught:
        read_asset(nowhere, window)
    assert pickle.loads(pickle.dumps(caught.value)).retryable


def test_a_damaged_file_of_this_machine_is_read_once(tmp_path, raster, monkeypatch):
    monkeypatch.setattr(opening, "RETRY", RetryPolicy(first_wait_s=60))
    path = tmp_path / "cut.tif"
    path.write_bytes(raster[0].read_bytes()[:3000])
    calls = []

    def use(opened):
        calls.append(1)
        return opened.read(1)

    here = AssetRef(item_id="item", asset="blue", href=str(path), remote=False)
    with pytest.raises(AssetError, match="item item, asset 'blue': cannot be read"):
        read_asset(here, use)
    assert len(calls) <= 1


def test_tokens_are_not_told(faulty, raster, monkeypatch):
    path, _ = raster
    name = next(_names)
    faulty.plan(name, broken={"blue.tif": "html"})
    secret = "sig=c2VjcmV0c2VjcmV0"
    monkeypatch.setattr(
        access,
        "opening",
        lambda href, **_: access.Opening(
            f"/vsicurl/{href}?{secret}",
            {"GDAL_HTTP_HEADERS": "Authorization: Bearer hush"},
            HOST,
            4,
        ),
    )
    with pytest.raises(AssetError, match="not recognized") as caught:
        read_asset(place(faulty, name, path), window)
    assert "c2VjcmV0" not in str(caught.value)
    assert "hush" not in str(caught.value)


# -- cost --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("calm")
def test_the_header_is_asked_for_once(faulty, raster):
    path, _ = raster
    name = next(_names)
    for row in range(0, 512, 128):
        rows = ((row, row + 128), (0, 128))
        read_asset(
            place(faulty, name, path), lambda opened, rows=rows: opened.read(1, window=rows)
        )
    log = faulty.log(name)
    assert [each["method"] for each in log].count("HEAD") == 1
    assert len(log) <= 6
    assert sum(each["bytes"] for each in log) < 1.1 * path.stat().st_size
    assert {each["path"].rpartition("/")[2] for each in log} == {"blue.tif"}, "a file beside it"


@pytest.mark.parametrize(("rasters", "at_once"), [(1, 1), (12, 4)])
@pytest.mark.usefixtures("calm")
def test_how_many_read_at_once(faulty, raster, rasters, at_once):
    """One a raster, and so many a host as it takes."""
    path, _ = raster
    names = [next(_names) for _ in range(rasters)]
    reading, seen, lock = [], [], threading.Lock()
    full = threading.Event()

    def use(opened):
        with lock:
            reading.append(opened)
            seen.append(len(reading))
            if len(reading) == at_once:
                full.set()
        # However slow the machine is: the others come, and then one too many has its chance.
        full.wait(30)
        time.sleep(0.05)
        with lock:
            reading.remove(opened)

    threads = [
        threading.Thread(target=read_asset, args=(place(faulty, name, path), use))
        for name, _ in zip(itertools.cycle(names), range(12), strict=False)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 12
    assert max(seen) == at_once


def test_what_is_kept_open_is_bounded_and_ages(raster, monkeypatch):
    path, _ = raster
    kept = datasets.Idle(most=2, longest_s=60)
    keys = [(str(path), frozenset({("OPTION", str(n))}), None) for n in range(3)]
    rasters = []
    with datasets.environment({}, 1):
        for key in keys:
            with kept.lent(key) as opened:
                rasters.append(opened)
        assert [each.closed for each in rasters] == [True, False, False]
        with kept.lent(keys[2]) as opened:
            assert opened is rasters[2]
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 61)
        with kept.lent(keys[2]) as opened:
            assert opened is not rasters[2]
        assert all(each.closed for each in rasters)
        with pytest.raises(RuntimeError), kept.lent(keys[2]) as opened:
            raise RuntimeError
        assert opened.closed
        kept.drop()


def test_settings_of_a_place_hold_for_its_read_alone(raster, monkeypatch):
    from rasterio.env import getenv, hasenv  # noqa: PLC0415

    path, _ = raster
    monkeypatch.setattr(
        access,
        "opening",
        lambda href, **_: access.Opening(href, {"AWS_SECRET_ACCESS_KEY": "hush"}, None, 4),
    )
    here = AssetRef(item_id="item", asset="blue", href=str(path), remote=False)
    seen = read_asset(here, lambda opened: getenv())
    assert seen["AWS_SECRET_ACCESS_KEY"] == "hush"
    assert seen["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    assert not hasenv()
    IDLE.drop()
