"""Where rasters lie, in any plane: against points of the raster, projected one by one."""

import json

import numpy as np
import pystac
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from shapely.geometry import box, mapping

from pipeline import sensors
from pipeline.cube.metadata import outlines as drawing
from pipeline.cube.metadata.outlines import LONLAT, Frame, outline, outlines
from pipeline.cube.metadata.roles import all_misplaced, frame, misplaced
from pipeline.errors import RadiometryError
from pipeline.grid import make_grid
from pipeline.testing.jobs import make_job
from pipeline.types import footprint
from pipeline.types.lonlat import unrolled

FIJI = Frame("EPSG:32701", (10980, 10980), (10.0, 0.0, 99960.0, 0.0, -10.0, 8200000.0))
"""MGRS tile 01KAB, which the antimeridian cuts."""
SOUTH_POLE = Frame("EPSG:3031", (9000, 9000), (30.0, 0.0, -130000.0, 0.0, -30.0, 140000.0))

POLAR = ("EPSG:3031", "EPSG:3413")
TORN = ("EPSG:6933", "EPSG:8857", "EPSG:3832")
PLANES = (
    LONLAT,
    "EPSG:6933",  # cylindrical, torn at 180°
    "EPSG:3031",
    "EPSG:3413",
    "EPSG:32701",
    "EPSG:32660",
    "EPSG:3832",  # Mercator about 150° E: whole at 180°
    "EPSG:8857",  # Equal Earth: pseudocylindrical
)


def points_of(of: Frame, crs: str, count: int = 41) -> np.ndarray:
    """Return centres of pixels spread over a frame, first and last included, in a CRS."""
    (height, width), (a, b, c, d, e, f) = of.shape, of.transform
    u, v = np.meshgrid(
        np.linspace(0.5, width - 0.5, count), np.linspace(0.5, height - 0.5, count)
    )
    x, y = Transformer.from_crs(of.crs, crs, always_xy=True).transform(
        a * u + b * v + c, d * u + e * v + f
    )
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    return points[np.isfinite(points).all(axis=1)]


@st.composite
def frames(draw) -> Frame:
    """Draw a raster of Sentinel-2's or Landsat's size, anywhere that has such."""
    edge, pixel = draw(st.sampled_from([(10980, 10.0), (7700, 30.0), (3660, 30.0)]))
    kind = draw(st.sampled_from(["utm", "north", "south"]))
    if kind == "utm":
        zone = draw(st.sampled_from([1, 60, 32, draw(st.integers(1, 60))]))
        south = draw(st.booleans())
        west = draw(st.floats(100_000, 700_000))
        north = draw(
            st.floats(1_200_000, 9_900_000) if south else st.floats(300_000, 9_300_000)
        )
        return Frame(
            f"EPSG:{(32700 if south else 32600) + zone}",
            (edge, edge),
            (pixel, 0.0, west, 0.0, -pixel, north),
        )
    reach = st.floats(-2_000_000, 2_000_000)
    return Frame(
        "EPSG:3413" if kind == "north" else "EPSG:3031",
        (edge, edge),
        (pixel, 0.0, draw(reach), 0.0, -pixel, draw(reach)),
    )


@given(frames(), st.sampled_from(PLANES))
def test_an_outline_holds_every_pixel_of_its_raster(of, plane):
    # A pole has no place in the stereographic plane of the other, and is an edge of a map.
    assume(plane == of.crs or of.crs not in POLAR or plane not in (*POLAR, *TORN))
    drawn = outlines([of], plane)[0]
    assert drawn.is_valid
    places = points_of(of, plane)
    if plane not in POLAR:
        # At a pole longitudes mean nothing. No satellite of ours sees beyond 84°.
        places = places[abs(points_of(of, LONLAT)[:, 1]) < 88]
    places = shapely.points(places)
    slack = 2e-3 if plane == LONLAT else 30.0 if plane in TORN else 0.2
    far = shapely.distance(drawn, places) > slack
    assert not far.any()


@given(frames(), st.sampled_from(PLANES))
def test_an_outline_is_hardly_larger_than_its_raster(of, plane):
    """Points beside the raster are outside, but where a seam or a pole tears the plane."""
    assume(plane == of.crs or of.crs not in POLAR or plane not in (*POLAR, *TORN))
    a, b, c, d, e, f = of.transform
    wider = Frame(
        of.crs,
        (of.shape[0] * 2, of.shape[1] * 2),
        (a, b, c - of.shape[1] * a / 2, d, e, f - of.shape[0] * e / 2),
    )
    beside = points_of(wider, plane, 24)
    back = Transformer.from_crs(plane, of.crs, always_xy=True).transform(*beside.T)
    x, y = (back[0] - c) / a, (back[1] - f) / e
    # An eighth of a part of an outline in degrees bends by some pixels.
    outside = (x < -60) | (x > of.shape[1] + 60) | (y < -60) | (y > of.shape[0] + 60)
    if plane == LONLAT:
        outside &= abs(beside[:, 1]) < 89
    held = shapely.intersects_xy(outlines([of], plane)[0], beside[outside])
    assert held.sum() <= 0.02 * max(1, outside.sum())


@pytest.mark.parametrize("plane", PLANES)
def test_what_the_antimeridian_cuts_is_whole_on_both_sides(plane):
    drawn = outlines([FIJI], plane)[0]
    assert drawn.is_valid
    if plane in (LONLAT, "EPSG:6933", "EPSG:8857"):
        assert drawn.bounds[0] < 0 < drawn.bounds[2]
        # Nothing between the two sides of the map.
        assert not drawn.intersects(box(*(drawn.bounds[k] * 0.99 for k in range(4))))
    rng = np.random.default_rng(1)
    at_the_seam = 180 + rng.uniform(-0.002, 0.002, 5000), rng.uniform(-17.2, -16.3, 5000)
    inside = np.array(
        Transformer.from_crs(LONLAT, FIJI.crs, always_xy=True).transform(*at_the_seam)
    )
    x, y = Transformer.from_crs(FIJI.crs, plane, always_xy=True).transform(*inside)
    # A side of the map that holds less than two pixels of a row may be missed.
    assert (shapely.distance(drawn, shapely.points(x, y)) < 20).all()
    if plane in ("EPSG:6933", "EPSG:8857"):
        # These keep areas; UTM, off its meridian, does not quite.
        assert drawn.area == pytest.approx(109_800**2, rel=0.004)


def test_a_pole_is_inside():
    held = outlines([SOUTH_POLE], LONLAT)[0]
    assert held.bounds == (-180.0, -90.0, 180.0, pytest.approx(-88.178, abs=0.01))
    assert shapely.intersects_xy(
        held, [0, 90, 180, -180, 10], [-89.9, -89.5, -89.9, -89.99, -90]
    ).all()
    assert not shapely.intersects_xy(held, 0, -85)


def test_what_lies_nowhere_is_empty():
    assert outlines([Frame("EPSG:32632", (10, 10), (10.0, 0, 1e9, 0, -10.0, 1e12))], LONLAT)[
        0
    ].is_empty


def test_equal_frames_are_drawn_once(monkeypatch):
    seen = []
    real = drawing._projected
    monkeypatch.setattr(
        drawing, "_projected", lambda them, how: seen.append(len(them)) or real(them, how)
    )
    drawn = outlines([FIJI, SOUTH_POLE, FIJI, FIJI], "EPSG:32660")
    assert sorted(seen) == [1, 1]
    assert drawn[0] is drawn[2]
    assert drawn[0].equals(outline(FIJI, "EPSG:32660"))


# -- items -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real_items(shared_data):
    found = []
    for path in sorted((shared_data / "stac_items").glob("*/*.json")):
        document = json.loads(path.read_text())
        if document.get("type") == "Feature":
            found.append(pystac.Item.from_dict(document, migrate=False))
    return found


def known(items):
    for item in items:
        try:
            sensors.profile(item)
        except RadiometryError:
            continue
        yield item


def test_the_real_items_that_contradict_themselves(real_items):
    """Planetary Computer writes zone 1 of the south as EPSG:3271; all others agree with themselves."""
    items = list(known(real_items))
    frames_of = [frame(item) for item in items]
    assert sum(each is not None for each in frames_of) > 150
    reasons = all_misplaced(items, frames_of)
    wrong = [item for item, why in zip(items, reasons, strict=True) if why]
    assert len(wrong) == 5
    assert all("EPSG:3271" in why for why in reasons if why)


def test_a_real_item_in_another_zone_contradicts_itself(real_items):
    found = 0
    for item in known(real_items):
        of = frame(item)
        if of is None or not of.crs.startswith("EPSG:326"):
            continue
        moved = item.clone()
        zone = int(of.crs[8:])
        for holder in (moved.properties, *(a.extra_fields for a in moved.assets.values())):
            for name in ("proj:code", "proj:epsg"):
                if name in holder:
                    holder[name] = 32600 + (zone + 8) % 60 + 1
        assert "where its geometry is not" in (misplaced(moved) or ""), item.id
        found += 1
    assert found > 50


def test_items_at_180_cover_both_sides(real_items):
    cut = [item for item in known(real_items) if "_T01" in item.id or "T60CWS" in item.id]
    cut = [item for item in cut if item.geometry["type"] == "MultiPolygon"]
    assert len(cut) >= 4
    for item in cut:
        of = frame(item)
        claimed = footprint(item)
        assert of is not None
        assert unrolled(claimed).bounds[0] > 175
        for plane in (of.crs, "EPSG:32660" if "326" in of.crs else "EPSG:32760"):
            points = points_of(of, plane, 5)
            for x, y in points:
                cell = _box_at(x, y, plane)
                assert outline(frame(item), plane).intersects(cell.extent.geom)


def _box_at(x, y, crs):
    return GeoBox((2, 2), Affine(1, 0, x - 1, 0, -1, y + 1), crs)


@pytest.mark.parametrize(
    "fields",
    [
        {"proj:code": "EPSG:32632"},
        {"proj:epsg": 32632},
        {"proj:code": None, "proj:epsg": 32632},
        {"proj:code": "EPSG:None", "proj:epsg": 32632},
        {"proj:epsg": "EPSG:None", "proj:wkt2": CRS(32632).to_wkt()},
    ],
    ids=["code", "epsg", "null-code", "nonsense-code", "wkt"],
)
@pytest.mark.parametrize("level", ["item", "asset"])
def test_projection_of_either_version_at_either_level(fields, level):
    item = pystac.Item(
        "one",
        mapping(box(9, 48, 10, 49)),
        [9, 48, 10, 49],
        None,
        {"start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-01-02T00:00:00Z"},
        collection="sentinel-2-l2a",
    )
    item.add_asset("red", pystac.Asset("red.tif"))
    holder = item.properties if level == "item" else item.assets["red"].extra_fields
    # A grid of half pixels: corners, not centres, lie on it.
    holder |= {
        **fields,
        "proj:shape": [100, 200],
        "proj:transform": [10, 0, 500005, 0, -10, 5400005],
    }
    assert frame(item).rectangle().boundingbox.bbox == (500005, 5399005, 502005, 5400005)
    assert misplaced(item) is None


def test_a_window_wider_than_its_aoi_still_finds_its_items():
    """An AOI of one pixel: what is read for it is as wide as ever."""
    drawn = make_grid(make_job(aoi=box(9.0, 48.0, 9.0001, 48.0001)))
    assert min(drawn.geobox.shape) >= 512
