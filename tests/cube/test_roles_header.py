"""Where rasters lie whose items do not say it: read from a file's header."""

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline.cube.metadata.header import located
from pipeline.cube.metadata.roles import frame, misplaced
from pipeline.errors import AssetError
from pipeline.types import CubeSettings

DROP = CubeSettings()


def silent(item, **properties):
    """Return a copy that does not say where its rasters lie."""
    told = item.clone()
    told.set_self_href(None)
    told.properties.pop("proj:epsg")
    for asset in told.assets.values():
        asset.extra_fields = {}
    told.properties |= properties
    return told


def test_a_header_says_what_the_item_does_not(archive):
    items = [silent(item) for item in archive.items]
    assert all(frame(item) is None for item in items)
    answers = located(items, DROP)
    for true, asked, answer in zip(archive.items, items, answers, strict=True):
        assert frame(answer) == frame(true)
        assert answer.id == true.id
        assert frame(asked) is None
        # It survives being saved.
        again = pystac.Item.from_dict(answer.to_dict(), migrate=False)
        assert frame(again) == frame(true)


def test_a_header_corrects_a_wrong_code(archive):
    wrong = archive.items.items[0].clone()
    wrong.properties["proj:epsg"] = 32601
    assert "where its geometry is not" in misplaced(wrong)
    (answer,) = located([wrong], DROP)
    assert misplaced(answer) is None
    assert frame(answer) == frame(archive.items.items[0])


def damaged(item, tmp_path, kind):
    told = silent(item)
    path = tmp_path / "bad.tif"
    if kind == "html":
        path.write_bytes(b"<html>not a raster</html>")
    if kind == "no-crs":
        with rasterio.open(
            path, "w", "GTiff", 4, 4, 1, dtype="uint16", transform=Affine(10, 0, 0, 0, -10, 0)
        ) as raster:
            raster.write(np.ones((1, 4, 4), "uint16"))
    if kind == "nan":
        with rasterio.open(
            path,
            "w",
            "GTiff",
            4,
            4,
            1,
            dtype="uint16",
            crs="EPSG:32632",
            transform=Affine(float("nan"), 0, 0, 0, -10, 0),
        ) as raster:
            raster.write(np.ones((1, 4, 4), "uint16"))
    for asset in told.assets.values():
        asset.href = str(path)
    return told


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", ["missing", "html", "no-crs", "nan"])
def test_a_header_that_says_nothing_costs_the_item_or_the_run(archive, tmp_path, kind):
    good = silent(archive.items.items[1])
    bad = damaged(archive.items.items[0], tmp_path, kind)
    reason, answer = located([bad, good], DROP)
    assert reason.startswith("the header of asset 'blue' cannot be read: ")
    assert frame(answer) is not None
    with pytest.raises(AssetError, match="item old, asset 'blue'"):
        located([bad, good], CubeSettings(unreadable="fail"))


def test_an_item_without_bands_has_no_header(archive):
    bare = silent(archive.items.items[0])
    bare.assets = {}
    assert located([bare], DROP) == ["it has no asset to read its projection from"]


def test_a_resolution_of_half_pixels(tmp_path, new_item):
    box = GeoBox((64, 64), Affine(10, 0, 600_005, 0, -10, 5_400_005), "EPSG:32632")
    item = new_item(tmp_path, "half", box, np.full((64, 64), 500.0))
    (answer,) = located([silent(item)], DROP)
    assert frame(answer).transform == (10.0, 0.0, 600_005.0, 0.0, -10.0, 5_400_005.0)
