"""OpenLayers' GeoZarr source reads exports: each pixel that it draws is the export's, as xarray reads it."""

import io
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from PIL import Image, ImageColor
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.serve.app import WEB
from pipeline.types import LEGEND, Grid
from tests.serve.browser.page import MODULES, MapPage, serving_files
from tests.serve.region import Region, fill

HEIGHT, WIDTH = 600, 700
"""Pixels of the export, more than one chunk each way; and of the window, so that a pixel is a pixel."""
TIME = 1
"""The second month of the composite, the second scene of the masks."""
BRIGHTEST = 0.6
NOTHING = (255, 0, 255)
"""Colour of the page behind the map."""
PAGE = f"""<!doctype html><title>An export</title><link rel="icon" href="data:,">
<style>body {{ margin: 0; background: rgb{NOTHING} }} #map {{ width: {WIDTH}px; height: {HEIGHT}px }}</style>
<div id="map"></div><script type="module" src="openlayers.js"></script>"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Export a composite and masks by the command, and serve them to pages of other origins."""
    folder = tmp_path_factory.mktemp("exports")
    geobox = GeoBox((HEIGHT, WIDTH), Region("").grid.geobox.affine, "EPSG:32632")
    made = Region(str(folder / "store"), Grid(geobox=geobox, tile_px=256, chunk_px=128))
    fill(made)
    chosen = {
        "composite": ("--composite", "monthly"),
        "masks": ("--masks", "--sensor", "sentinel-2"),
    }
    for name, options in chosen.items():
        out = str(folder / "public" / f"{name}.zarr")
        done = CliRunner().invoke(app, ["export", made.url, out, *options])
        assert done.exit_code == 0, done.output
    with serving_files(folder / "public", cors=True) as url:
        yield folder / "public", url


@pytest.fixture(scope="module")
def viewer(browser, tmp_path_factory):
    """Bundle the page from npm's files, and serve it."""
    folder = tmp_path_factory.mktemp("viewer")
    (folder / "index.html").write_text(PAGE)
    source = Path(__file__).with_name("openlayers.js")
    esbuild = next(MODULES.glob("@esbuild/*/bin/esbuild"))
    options = ("--bundle", "--format=esm", "--log-level=warning", f"--outdir={folder}")
    search = os.environ | {"NODE_PATH": str(MODULES)}
    subprocess.run([esbuild, source, *options], env=search, check=True)
    with serving_files(folder) as url:
        yield url


def drawn(browser, viewer, url, dataset, **asked) -> np.ndarray:
    """Return what the page shows of an export at `TIME`, (y, x, RGB); it asks nobody else, and errors are known."""
    x, y = dataset.x.to_numpy(), dataset.y.to_numpy()
    where = {"center": [float(x.mean()), float(y.mean())], "resolution": float(x[1] - x[0])}
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = MapPage(context, viewer)
    missing = []
    page.page.on("response", lambda each: each.status == 404 and missing.append(each.url))
    page.goto("#" + quote(json.dumps({"url": url, "time": TIME, **where, **asked})))
    page.page.wait_for_selector("body[data-crs]")
    assert page.page.locator("body").get_attribute("data-crs") == "EPSG:32632"
    shown = np.asarray(Image.open(io.BytesIO(page.picture("#map"))).convert("RGB"))
    page.close()
    assert [each for each in page.foreign if not each.startswith(url + "/")] == []
    # Zarr 3 is looked for first, and chunks without data are not stored; Chromium tells every 404.
    assert missing[0] == f"{url}/zarr.json"
    assert all(re.search(r"/\w+/\d+\.\d+\.\d+$", each) for each in missing[1:])
    assert ["404" in each for each in page.errors] == [True] * len(missing)
    return shown


def test_openlayers_draws_the_composite_of_an_export(browser, viewer, exports):
    folder, url = exports
    bands = ["red", "green", "blue"]
    levels = [["/", ["band", number], BRIGHTEST] for number in (1, 2, 3)]
    color = ["array", *levels, ["band", 4]]
    with xr.open_zarr(folder / "composite.zarr") as dataset:
        shown = drawn(
            browser, viewer, f"{url}composite.zarr", dataset, bands=bands, color=color
        )
        values = np.stack([dataset[band][TIME].to_numpy() for band in bands], axis=-1)
    holes = np.isnan(values)
    assert 0.05 < holes.mean() < 0.5
    expected = np.where(holes, NOTHING, values / BRIGHTEST * 255)
    assert np.abs(shown - expected).max() <= 1


def test_openlayers_draws_the_masks_of_an_export(browser, viewer, exports):
    folder, url = exports
    colours = [entry.colour for entry in sorted(LEGEND, key=lambda entry: entry.code)]
    color = ["palette", ["band", 1], colours]
    with xr.open_zarr(folder / "masks.zarr", mask_and_scale=False) as dataset:
        shown = drawn(browser, viewer, f"{url}masks.zarr", dataset, bands=["mask"], color=color)
        codes = dataset["mask"][TIME].to_numpy()
    assert len(np.unique(codes)) == len(LEGEND)
    assert (shown == np.array([ImageColor.getrgb(each) for each in colours])[codes]).all()


@pytest.mark.usefixtures("viewer")
def test_the_map_does_not_ship_it():
    shipped = (WEB / "assets" / "licences.txt").read_text()
    assert "maplibre-gl" in shipped
    assert "\nol 1" not in shipped
    assert "zarrita" not in shipped
