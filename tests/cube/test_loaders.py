"""odc-stac and stackstac lay out the same cube; an overlap is read once."""

import dataclasses

import dask
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline.cube import METER, open_cube
from pipeline.errors import ConfigError
from pipeline.types import CubeSettings, Items, Scene

STACKSTAC = CubeSettings(loader="stackstac")


def cube_of(items, geobox, roles=("blue", "nir"), *, chunk_px=200, settings=None):
    scene = Scene(
        sensor="sentinel-2", time=items.items[0].datetime, items=tuple(range(len(items)))
    )
    return open_cube(
        [scene], items, geobox, list(roles), chunk_px=chunk_px, settings=settings
    ).compute(scheduler="synchronous")


@settings(max_examples=15, deadline=None)
@given(
    rows=st.tuples(st.integers(-80, 400), st.integers(1, 300)),
    cols=st.tuples(st.integers(-80, 700), st.integers(1, 300)),
    chunk_px=st.integers(60, 320),
    resolution=st.sampled_from([10, 20, 30]),
)
def test_stackstac_gives_the_cube_of_odc_stac(archive, rows, cols, chunk_px, resolution):
    place = GeoBox(
        (rows[1], cols[1]),
        Affine(resolution, 0, 600_000 + 10 * cols[0], 0, -resolution, 5_400_000 - 10 * rows[0]),
        "EPSG:32632",
    )
    ours = cube_of(archive.items, place, chunk_px=chunk_px)
    theirs = cube_of(archive.items, place, chunk_px=chunk_px, settings=STACKSTAC)
    xr.testing.assert_identical(ours, theirs)
    assert {name: ours[name].dtype for name in ours} == {
        name: theirs[name].dtype for name in ours
    }


def test_stackstac_looks_for_no_cluster(archive, monkeypatch):
    """It imports distributed by itself, for its maps; blocks are computed without."""
    monkeypatch.setattr(dask.base, "_distributed_available", lambda: pytest.fail("looked for"))
    items, place = archive.items, archive.geobox[:8, :8]
    scene = Scene(sensor="sentinel-2", time=items.items[0].datetime, items=(0,))
    lazy = open_cube([scene], items, place, ["blue"], chunk_px=8, settings=STACKSTAC)
    assert lazy.compute(scheduler=dask.get)["blue"].shape == (1, 8, 8)


def test_stackstac_across_zones(archive):
    place = archive.geobox.to_crs("EPSG:3035", resolution=20)
    ours = cube_of(archive.items, place)
    assert np.isfinite(ours["blue"]).any()
    xr.testing.assert_identical(ours, cube_of(archive.items, place, settings=STACKSTAC))


def test_stackstac_without_an_epsg_code_is_refused_by_name(archive):
    place = archive.geobox.to_crs("+proj=laea +lat_0=48 +lon_0=9 +units=m", resolution=20)
    with pytest.raises(ConfigError, match=r"cube\.loader stackstac.*odc-stac"):
        cube_of(archive.items, place, settings=STACKSTAC)


@pytest.fixture(scope="module")
def twins(tmp_path_factory, new_item):
    """Two items of the same ground, and a third of which all but a corner lies under them."""
    folder = tmp_path_factory.mktemp("twins")
    rng = np.random.default_rng(3)
    geobox = GeoBox((512, 512), Affine(10, 0, 600_000, 0, -10, 5_400_000), "EPSG:32632")
    shifted = GeoBox((512, 512), Affine(10, 0, 601_280, 0, -10, 5_400_000), "EPSG:32632")
    ground = rng.integers(200, 9000, (512, 512)).astype(float)
    east = rng.integers(200, 9000, (512, 512)).astype(float)
    since = {"s2:processing_baseline": "03.01"}
    return Items(
        items=(
            new_item(folder, "one", geobox, ground, **since),
            new_item(folder, "two", geobox, ground, **since),
            new_item(folder, "east", shifted, east, **since),
        )
    ), geobox


def bytes_read(items, geobox, chunk_px=512):
    before = METER.total().bytes_read
    cube = cube_of(items, geobox, ["blue"], chunk_px=chunk_px)
    return METER.total().bytes_read - before, cube


def test_what_lies_under_a_full_item_is_not_read(twins):
    items, geobox = twins
    alone, _ = bytes_read(Items(items=items.items[:1]), geobox)
    both, cube = bytes_read(items, geobox)
    assert both == alone > 0
    assert set(np.unique(cube["source"])) == {0}


def test_only_the_missing_part_of_the_next_item_is_read(twins):
    items, geobox = twins
    wide = GeoBox((512, 640), geobox.transform, geobox.crs)
    together, cube = bytes_read(Items(items=(items.items[0], items.items[2])), wide, 640)
    assert together == 512 * 640 * 2
    assert (cube["source"].values[0, :, 512:] == 1).all()


def test_two_openings_of_one_cube_have_one_name_and_other_settings_another(twins):
    items, geobox = twins
    scene = Scene(sensor="sentinel-2", time=items.items[0].datetime, items=(0, 1))
    names = {
        open_cube([scene], items, geobox, ["blue"], chunk_px=128, settings=chosen)[
            "blue"
        ].data.name
        for chosen in (None, CubeSettings(), CubeSettings(), STACKSTAC)
    }
    assert len(names) == 2


def test_tasks_do_not_grow_with_items_or_bands(twins):
    items, geobox = twins
    one = Scene(sensor="sentinel-2", time=items.items[0].datetime, items=(0,))
    many = dataclasses.replace(one, items=(0, 1, 2))
    few, more = (
        len(dict(open_cube([scene], items, geobox, roles, chunk_px=128)["source"].data.dask))
        for scene, roles in ((one, ["blue"]), (many, ["blue", "nir"]))
    )
    assert more == few
