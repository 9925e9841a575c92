"""The worked examples of CONTRIBUTING do what the page says, as another package installs them."""

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

import cloudmask
from pipeline import catalogs, models
from pipeline.composite import compose, method, names
from pipeline.models import registry
from pipeline.models.families import provider as providers
from pipeline.sensors import profiles
from pipeline.sensors.rules import RULES
from pipeline.types import Code
from tests import test_catalogs
from tests.docs.pages import blocks, text_of

PAGE = text_of("CONTRIBUTING.md")


def example(heading: str, language: str = "python") -> str:
    (code,) = blocks(PAGE.split(f"## {heading}\n")[1].split("\n## ")[0], language)
    return code


def install(
    folder: Path, files: dict[str, str], entry_points: dict[str, dict[str, str]]
) -> None:
    """Write what pip leaves of a package: its modules, and what it announces."""
    for name, code in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code)
    info = folder / "example-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1\n")
    lines = [
        line
        for group, named in entry_points.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in named.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder whose packages are installed as long as the test runs."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_loaded", {})
    before = set(sys.modules)
    providers.installed.cache_clear()
    yield tmp_path
    providers.installed.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def row_of(code: str, names: dict[str, object]) -> tuple[str, object]:
    """Evaluate a line of a table as it stands in its module."""
    ((name, row),) = eval(f"{{{code}}}", names).items()
    return name, row


def test_the_catalogue_is_a_row_that_its_tests_accept(monkeypatch):
    name, row = row_of(example("Add a catalogue"), vars(catalogs))
    monkeypatch.setitem(catalogs.CATALOGS, name, row)
    laws = [
        each
        for each in vars(test_catalogs).values()
        if any(mark.args[0] == "name" for mark in getattr(each, "pytestmark", ()))
        and any(mark.args[1] is catalogs.CATALOGS for mark in each.pytestmark)
    ]
    assert len(laws) >= 4
    for law in laws:
        law(name)


def test_the_collection_is_a_row_whose_rule_is_there():
    name, row = row_of(example("Add a sensor or a collection"), vars(profiles))
    assert name not in profiles.PROFILES
    assert row.rule in RULES


def test_the_model_masks_once_it_is_installed(package):
    announced = tomllib.loads(example("Add a model", "toml"))["project"]["entry-points"]
    install(package, {"my_models.py": example("Add a model")}, announced)
    assert "bright" in models.names()
    model = cloudmask.load_model("bright", roles=("blue",))
    blue = np.array([[0.0, 0.1], [0.9, np.nan]], np.float32).repeat(8, 0).repeat(8, 1)
    geobox = GeoBox.from_bbox((0, 0, 320, 320), "EPSG:32633", resolution=20)
    cube = xr.Dataset(
        {"blue": (("time", "y", "x"), blue[np.newaxis])}, coords=dict(xr_coords(geobox))
    )
    codes = np.array([[Code.CLEAR, Code.CLEAR], [Code.THICK_CLOUD, Code.NO_DATA]])
    found = cloudmask.mask_array(cube, model)["mask"].to_numpy()[0]
    np.testing.assert_array_equal(found, codes.repeat(8, 0).repeat(8, 1))


def test_the_method_composes_once_it_is_installed(package):
    announced = tomllib.loads(example("Add a composite method", "toml"))["project"]
    files = {
        "mypackage/__init__.py": "",
        "mypackage/maximum.py": example("Add a composite method"),
    }
    install(package, files, announced["entry-points"])
    assert "maximum" in names()
    red = np.array([0.3, 0.5, 0.9], np.float32)[:, np.newaxis, np.newaxis]
    time = np.array(["2024-05-01", "2024-05-06", "2024-05-11"], "datetime64[ns]")
    dims = ("time", "y", "x")
    cube = xr.Dataset(
        {"red": (dims, red), "source": (dims, np.arange(3, dtype=np.int32).reshape(3, 1, 1))},
        coords={"time": time, "y": [0.0], "x": [0.0]},
    )
    usable = xr.DataArray(np.array([True, True, False]).reshape(3, 1, 1), dims=dims)
    composite = compose(cube, usable, method("maximum"))
    assert composite["red"].item() == red[1]
    assert (composite["count"].item(), composite["source"].item()) == (2, 1)
