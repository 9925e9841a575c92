"""Rasters and locations that a catalogue could send to do harm: refused by name, nothing read."""

import dataclasses
import itertools
import struct
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.loader.types import RasterSource
from rasterio.errors import RasterioIOError

from pipeline.cube import datasets
from pipeline.cube.metadata.facts import AssetFacts
from pipeline.cube.opening import AssetRef, read_asset
from pipeline.cube.reader import ExactReader
from pipeline.errors import AssetError
from tests.faults.faulty import HOST, faulty_server

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PLACE = Affine(10, 0, 600_000, 0, -10, 5_400_000)
_names = (f"hostile{number}" for number in itertools.count())


def write(path, *, transform=PLACE, dtype="uint16", size=(64, 64), value=7, **options):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size[1],
        height=size[0],
        count=1,
        dtype=dtype,
        crs="EPSG:32632",
        transform=transform,
        **options,
    ) as raster:
        if value is not None:
            raster.write(np.full(size, value, dtype), 1)
    return path


def whole(raster):
    return raster.read(1)


def local(path):
    return AssetRef(item_id="item", asset="blue", href=str(path), remote=False)


def served(faulty, path, name=None):
    href = faulty.href(name or next(_names), path)
    return AssetRef(item_id="item", asset="blue", href=href, remote=True, hosts=(HOST,))


@pytest.fixture
def everywhere(faulty):
    """Return the two ways to a file: on this machine, and by URL."""
    return lambda path: (local(path), served(faulty, path))


def refused(place, match, use=whole):
    begun = time.monotonic()
    with pytest.raises(AssetError, match=f"item item, asset 'blue': cannot be read: .*{match}"):
        read_asset(place, use)
    assert time.monotonic() - begun < 5


# -- rasters that point elsewhere --------------------------------------------------------------

VRT = """<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32632</SRS>
<GeoTransform>600000, 10, 0, 5400000, 0, -10</GeoTransform>
<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>
<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
</VRTRasterBand></VRTDataset>"""

WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>{source}</ServerUrl></Service>
<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>1</UpperLeftY><LowerRightX>1</LowerRightX>
<LowerRightY>0</LowerRightY><SizeX>64</SizeX><SizeY>64</SizeY><TileLevel>0</TileLevel></DataWindow>
<Projection>EPSG:32632</Projection><BandsCount>1</BandsCount></GDAL_WMS>"""


@pytest.mark.parametrize("name", ["scene.vrt", "scene.tif"])
@pytest.mark.parametrize("text", [VRT, WMS], ids=["vrt", "wms"])
def test_a_raster_that_points_to_files_of_others(tmp_path, faulty, everywhere, text, name):
    canary = write(tmp_path / "canary.tif", value=4711)
    bait = next(_names)
    faulty.plan(bait)
    for source in (str(canary), f"/vsicurl/{faulty.href(bait, canary)}"):
        path = tmp_path / name
        path.write_text(text.format(source=source))
        for place in everywhere(path):
            refused(place, "not recognized as being in a supported file format")
    assert faulty.log(bait) == []


def test_a_geotiff_whose_metadata_name_another_file_for_its_overviews(tmp_path, everywhere):
    """GDAL opens it, with any driver."""
    canary = write(tmp_path / "canary.tif", value=4711, size=(32, 32))
    path = write(tmp_path / "scene.tif", size=(64, 64))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(canary))
    with rasterio.open(path, overview_level=0) as raster:
        assert (raster.read(1) == 4711).all()
    for place in everywhere(path):
        refused(place, "its metadata name another file")
        with pytest.raises(AssetError, match="its metadata name another file"):
            read_asset(place, whole, overview_level=0)


def test_files_beside_a_raster_are_not_read(tmp_path, faulty):
    path = write(tmp_path / "scene.tif", size=(64, 64))
    write(tmp_path / "scene.tif.ovr", size=(32, 32), value=4711)
    write(tmp_path / "scene.tif.msk", size=(64, 64), value=0, dtype="uint8")
    (tmp_path / "scene.tif.aux.xml").write_text(
        "<PAMDataset><GeoTransform>1, 20, 0, 2, 0, -20</GeoTransform></PAMDataset>"
    )
    (tmp_path / "scene.tfw").write_text("20\n0\n0\n-20\n1\n2\n")
    name = next(_names)

    def use(raster):
        return datasets.overviews(raster, 1), raster.transform

    for place in (local(path), served(faulty, path, name)):
        assert read_asset(place, use) == ([], PLACE)
    assert {each["path"].rpartition("/")[2] for each in faulty.log(name)} == {"scene.tif"}


# -- rasters that are too much -----------------------------------------------------------------


def test_a_million_pixels_squared(tmp_path, everywhere):
    path = write(
        tmp_path / "vast.tif",
        size=(10**6, 10**6),
        value=None,
        tiled=True,
        blockxsize=8192,
        blockysize=8192,
        SPARSE_OK=True,
        BIGTIFF="YES",
    )
    assert path.stat().st_size < 10**6
    for place in everywhere(path):
        refused(place, "it has 1000000 × 1000000 pixels; at most")


def test_a_zip_bomb_of_one_block(tmp_path, everywhere):
    size = 16384
    path = write(
        tmp_path / "bomb.tif",
        size=(size, size),
        value=None,
        tiled=True,
        blockxsize=size,
        blockysize=size,
        compress="deflate",
        SPARSE_OK=True,
    )
    assert path.stat().st_size < 10**5
    for place in everywhere(path):
        refused(place, f"it has blocks of {size} × {size} pixels, {2 * size * size} bytes")


def test_a_zip_bomb_of_bands(tmp_path):
    path = tmp_path / "bands.tif"
    options = {"driver": "GTiff", "dtype": "uint16", "crs": "EPSG:32632", "transform": PLACE}
    with rasterio.open(
        path, "w", width=512, height=512, count=1000, interleave="pixel", tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", SPARSE_OK=True, **options,
    ):  # fmt: skip
        pass
    refused(local(path), "it has blocks of 512 × 512 pixels")


def test_complex_numbers(tmp_path):
    refused(local(write(tmp_path / "radar.tif", dtype="complex64")), "not integers or floats")


# -- rasters that lie nowhere ------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "transform",
    [
        Affine(NAN, 0, 600_000, 0, -10, 5_400_000),
        Affine(10, 0, NAN, 0, -10, 5_400_000),
        Affine(10, 0, INF, 0, -10, 5_400_000),
        Affine(1e-320, 0, 600_000, 0, 1e-320, 5_400_000),
        Affine.identity(),
    ],
    ids=["nan-pixel", "nan-corner", "infinite-corner", "no-size", "none"],
)
def test_a_geotransform_that_is_none(tmp_path, everywhere, transform):
    path = write(tmp_path / "nowhere.tif", transform=transform)
    for place in everywhere(path):
        refused(place, "its geotransform .* is not valid")


# -- what is no raster -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html><body>Please sign in</body></html>",
        b"",
        b"II*\0",
        b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65535) + b"\0" * 64,
        b'{"type": "FeatureCollection", "features": []}',
    ],
    ids=["html", "empty", "header-alone", "endless-directory", "json"],
)
def test_what_is_no_raster(tmp_path, everywhere, content):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    for place in everywhere(path):
        refused(place, "")


# -- places that may not be read ---------------------------------------------------------------


@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        "/vsicurl/http://169.254.169.254/latest/meta-data",
        "/vsizip//etc/passwd",
        "/vsistdin/",
        "GTIFF_DIR:1:/etc/passwd",
        "vrt:///etc/passwd?bands=1",
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/latest",
        "http://[::ffff:169.254.169.254]/latest",
        "http://localhost/x.tif",
        "https://example.com@10.0.0.1/x.tif",
        "ftp://example.com/x.tif",
        "<VRTDataset></VRTDataset>",
    ],
)
def test_a_place_of_a_remote_item_that_may_not_be_read(href, monkeypatch):
    """Nothing is opened at all, nor by the reader."""
    monkeypatch.setattr(datasets, "opened", None)
    ref = dataclasses.replace(local(href), remote=True)
    refused(ref, "not read")
    reader = ExactReader(RasterSource(href), AssetFacts(ref, 0, None))
    box = GeoBox((4, 4), PLACE, "EPSG:32632")
    with pytest.raises(AssetError, match="item item, asset 'blue': cannot be read: .*not read"):
        reader.pixels(box)


@pytest.mark.parametrize("remote", [True, False])
def test_a_redirect_to_a_private_address(tmp_path, faulty, remote):
    """Nothing arrives where it leads."""
    canary, name = write(tmp_path / "canary.tif"), next(_names)
    with faulty_server(tmp_path) as other:
        faulty.plan(
            name, redirect=other.href("bait", canary), broken={"canary.tif": "redirect"}
        )
        other.plan("bait")
        trusting = served(faulty, canary, name)
        careful = dataclasses.replace(trusting, hosts=(f"{HOST}:{faulty.port}",), remote=remote)
        refused(careful, "not read")
        assert len(faulty.log(name)) == 1
        assert other.log("bait") == []
        # There is something to be reached.
        assert (read_asset(trusting, whole) == 7).all()
        assert other.log("bait")


def test_gdal_would_read_what_is_refused(tmp_path):
    """The list of drivers is what refuses it."""
    canary = write(tmp_path / "canary.tif", value=4711)
    path = tmp_path / "scene.vrt"
    path.write_text(VRT.format(source=canary))
    with rasterio.open(path) as raster:
        assert (raster.read(1) == 4711).all()
    with pytest.raises(RasterioIOError), datasets.environment({}, 1):
        datasets.opened(str(path), None)
