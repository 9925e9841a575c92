"""Plans: which items a cell has, compared with brute force; work that grows with the items only."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pystac
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import MultiPolygon, box, mapping

from pipeline.composite import METHODS, methods
from pipeline.cube.metadata import outlines as drawing
from pipeline.cube.metadata.outlines import LONLAT, Frame, outlines
from pipeline.cube.metadata.roles import frame
from pipeline.errors import ConfigError, MemoryBudgetError, StoreError
from pipeline.mask import read_geobox
from pipeline.run import plan_job
from pipeline.run.common.cells import CompositeCell
from pipeline.run.common.fingerprint import composite_fingerprint, mask_fingerprint
from pipeline.run.common.method import method_of
from pipeline.run.plan import build, prepare, selection, steps
from pipeline.run.plan import plan as plans
from pipeline.store import open_writer
from pipeline.testing.jobs import make_job
from pipeline.testing.models import ThresholdModel
from pipeline.types import (
    UNCOVERED,
    CompositeSettings,
    Dropped,
    GridSettings,
    Items,
    MaskSettings,
    Period,
    RunSettings,
    Scene,
)
from pipeline.types.lonlat import cut

START = datetime(2023, 6, 1, 10, 20, tzinfo=UTC)
SMALL = GridSettings(resolution_m=60.0, tile_px=256, chunk_px=256)
CARD = ThresholdModel().card


@pytest.fixture
def plan(monkeypatch):
    """Return what makes a plan of items, as if a search had found them."""
    monkeypatch.setattr(selection.models, "resolve", lambda *_, **__: CARD)
    monkeypatch.setattr(selection.models, "check", lambda _: None)
    monkeypatch.setattr(plans, "memory_of", lambda *_, **__: plans.Memory(0, False))

    def made(items, **parts):
        found = items if isinstance(items, Items) else Items(items=tuple(items))
        monkeypatch.setattr(prepare, "search", lambda *_, **__: found)
        whole = {
            "grid": SMALL,
            "run": RunSettings(memory_bytes=2**60),
            "store": "nowhere",
            "period": Period(start=START - timedelta(days=2), end=START + timedelta(days=400)),
            "composite": CompositeSettings(bands=CARD.roles),
        }
        return plan_job(make_job(**(whole | parts)))

    return made


def make_item(name, of: Frame, when=START, collection="sentinel-2-c1-l2a", **properties):
    outline = outlines([of], LONLAT)[0]
    item = pystac.Item(
        id=name,
        geometry=mapping(outline),
        bbox=list(outline.bounds),
        datetime=when,
        collection=collection,
        properties={
            "proj:code": of.crs,
            "platform": "sentinel-2a",
            "s2:processing_baseline": "05.10",
            **properties,
        },
    )
    for role in CARD.roles:
        asset = pystac.Asset(href=f"{role}.tif")
        asset.extra_fields = {
            "proj:shape": list(of.shape),
            "proj:transform": list(of.transform),
        }
        item.add_asset(role, asset)
    return item


def at(lon, lat, crs=None, edge_m=40_000.0, shift=(0.0, 0.0)) -> Frame:
    """Return a raster of 20 m pixels about a point, on half pixels."""
    zone = int((lon + 180) // 6) % 60 + 1
    name = crs or f"EPSG:{(32700 if lat < 0 else 32600) + zone}"
    x, y = Transformer.from_crs(LONLAT, name, always_xy=True).transform(lon, lat)
    west = round((x - edge_m / 2 + shift[0]) / 20) * 20 + 10.0
    north = round((y + edge_m / 2 + shift[1]) / 20) * 20 + 10.0
    count = int(edge_m / 20)
    return Frame(name, (count, count), (20.0, 0.0, west, 0.0, -20.0, north))


def pixels(of: Frame, crs) -> np.ndarray:
    """Return centres of pixels spread over a raster, (2, N), in a CRS."""
    (height, width), (a, _, c, _, e, f) = of.shape, of.transform
    u, v = (np.linspace(0.5, size - 0.5, 60) for size in (width, height))
    x, y = np.meshgrid(a * u + c, e * v + f)
    moved = Transformer.from_crs(of.crs, str(crs), always_xy=True).transform(
        x.ravel(), y.ravel()
    )
    return np.array(moved)


points = st.tuples(
    st.one_of(st.floats(-180, 180), st.sampled_from([179.99, -179.99, 180.0, 0.0])),
    st.one_of(st.floats(-77, 80), st.sampled_from([0.0, -84.5, 87.0, -89.99])),
)


def around(lon, lat, size=0.2):
    """Return a small AOI about a point, over pole and antimeridian too."""
    south, north = max(lat - size / 2, -90.0), min(lat + size / 2, 90.0)
    wide = min(size / max(np.cos(np.radians(lat)), 1e-3), 300.0)
    return cut(box(lon - wide / 2, south, lon + wide / 2, north))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    points,
    st.lists(st.tuples(st.integers(-60, 60), st.integers(-60, 60)), min_size=1, max_size=5),
    st.booleans(),
)
def test_a_cell_has_the_items_that_overlap_it(plan, point, shifts, neighbour):
    lon, lat = point
    polar = "EPSG:3031" if lat < -80 else "EPSG:3413" if lat > 80 else None
    frames = [at(lon, lat, polar, shift=(1000.0 * x, 1000.0 * y)) for x, y in shifts]
    if neighbour and polar is None:
        frames.append(at((lon + 6 + 180) % 360 - 180, lat, edge_m=40_000.0))
        other = 32700 if lat < 0 else 32600
        zone = int((lon + 180) // 6 + 1) % 60 + 1
        frames.append(at(lon, lat, f"EPSG:{other + zone}"))
    items = [make_item(f"i{n}", of, START + timedelta(days=n)) for n, of in enumerate(frames)]
    made = plan(items, aoi=around(lon, lat))
    boxes = {
        tile.name: read_geobox(CARD.lattice, tile.geobox).boundingbox for tile in made.tiles
    }
    centres = [pixels(of, made.grid.geobox.crs) for of in frames]
    for cell in made.cells:
        read = boxes[cell.tile.name]
        for position in cell.scene.items:
            x, y = centres[position]
            inside = (read.left < x) & (x < read.right) & (read.bottom < y) & (y < read.top)
            if inside.any():
                assert position in cell.items
            elif position in cell.items:
                near = max(
                    read.left - x.max(),
                    x.min() - read.right,
                    read.bottom - y.max(),
                    y.min() - read.top,
                )
                # No further than the points are apart.
                assert near < 1500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points)
def test_each_pixel_of_an_aoi_is_in_one_tile(plan, point):
    aoi, (lon, lat) = around(*point), point
    polar = "EPSG:3031" if lat < -79 else "EPSG:3413" if lat > 79 else None
    made = plan([make_item("one", at(lon, lat, polar))], aoi=aoi)
    rng = np.random.default_rng(0)
    west, south, east, north = aoi.bounds
    lon, lat = rng.uniform(west, east, 4000), rng.uniform(south, north, 4000)
    inside = shapely.intersects_xy(aoi, lon, lat)
    x, y = Transformer.from_crs(LONLAT, str(made.grid.geobox.crs), always_xy=True).transform(
        lon[inside], lat[inside]
    )
    times = np.zeros(len(x), int)
    for tile in made.tiles:
        edges = tile.geobox.boundingbox
        times += (edges.left <= x) & (x < edges.right) & (edges.bottom < y) & (y <= edges.top)
    assert (times == 1).all()
    assert made.scenes
    assert made.cells.covered.any()


def test_fingerprints_are_those_of_the_items(plan):
    items = [
        make_item(
            f"i{n}",
            at(9, 48, shift=(9000.0 * (n % 4), 0)),
            START + timedelta(days=n // 2, seconds=8 * n),
        )
        for n in range(12)
    ]
    made = plan(items, aoi=box(8.8, 47.8, 9.4, 48.2))
    assert {len(cell.items) for cell in made.cells} >= {0, 1, 2}
    for cell in made.cells:
        assert cell.fingerprint == mask_fingerprint(
            [items[p] for p in cell.items], CARD, MaskSettings()
        )
        assert cell.covered == (cell.fingerprint != UNCOVERED)
    assert made.cells[3] == tuple(made.cells)[3]
    assert (
        made.cells_of(made.tiles[1])
        == tuple(made.cells)[len(made.scenes) : 2 * len(made.scenes)]
    )
    for each in made.composites:
        inputs = [
            (c.scene.time.isoformat(), c.fingerprint, ())
            for c in made.cells_of(each.tile)
            if c.covered and c.scene.time in each.period
        ]
        expected = composite_fingerprint(made.job.composite, inputs)
        assert each == CompositeCell(period=each.period, tile=each.tile, state="new")
        assert expected > 16
    counted = made.counts()["sentinel-2"]
    assert counted == {
        "new": sum(cell.covered for cell in made.cells),
        "uncovered": sum(not cell.covered for cell in made.cells),
    }


def test_the_work_grows_with_the_items_and_not_with_their_product(plan, monkeypatch):
    counts = {}

    def counted(name, module, size):
        real = getattr(module, name)

        def call(*args):
            counts[name] = counts.get(name, 0) + size(*args)
            return real(*args)

        monkeypatch.setattr(module, name, call)

    counted("_rings", drawing, lambda spans, *_: len(spans))
    counted("mask_fingerprint_of", build, lambda *_: 1)
    counted("composite_fingerprint_of", steps, lambda *_: 1)
    counted("touching", build, lambda outlines, boxes: len(outlines))
    counted("read_boxes", build, lambda lattice, wide: len(wide))

    def work(n_items, size):
        counts.clear()
        made = plan(
            [
                make_item(f"i{n}", at(9, 48, shift=(20.0 * n, 0)), START + timedelta(days=n))
                for n in range(n_items)
            ],
            aoi=box(9 - size, 48 - size, 9 + size, 48 + size),
            grid=GridSettings(resolution_m=60.0, tile_px=256, chunk_px=256, crs="EPSG:32633"),
        )
        return len(made.tiles), dict(counts)

    tiles, few = work(20, 0.1)
    same, many = work(80, 0.1)
    more, wide = work(80, 0.5)
    assert same == tiles < more
    # Each raster twice: in degrees and on the grid (and once by the test's own drawing).
    assert few["_rings"] == 3 * 20
    assert many["_rings"] == 3 * 80
    assert wide["_rings"] == many["_rings"]
    assert many["mask_fingerprint_of"] == wide["mask_fingerprint_of"] == 80
    assert many["touching"] == wide["touching"] == 80
    assert (many["read_boxes"], wide["read_boxes"]) == (tiles, more)


def test_items_of_two_corrections_are_not_mosaicked(plan):
    ours = make_item("esa", at(9, 48))
    theirs = make_item("dea", at(9, 48), collection="ga_s2am_ard_3")
    theirs.assets = {
        f"nbart_{'nir_1' if role == 'nir' else role}": asset
        for role, asset in theirs.assets.items()
    }
    with pytest.raises(ConfigError, match="NBART: ga_s2am_ard_3; .*sentinel-2-c1-l2a"):
        plan([ours, theirs])


def as_collection(item, collection, keys):
    """Return an item as another collection names its bands."""
    item.collection_id = collection
    item.properties.pop("s2:processing_baseline")
    item.assets = {keys.get(role, role): asset for role, asset in item.assets.items()}
    return item


def test_a_grid_of_landsat_alone_lies_on_landsat_s_corners(plan, tmp_path):
    """Unless the job, or the store that is there, says otherwise; HLS lies on Sentinel-2's."""

    def landsat(name="l9", day=0):
        item = make_item(name, at(9, 48), START + timedelta(days=day), platform="landsat-9")
        return as_collection(item, "landsat-c2-l2", {"nir": "nir08"})

    def hls():
        keys = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B05", "swir16": "B06"}
        item = make_item("hls", at(9, 48), START + timedelta(days=1))
        return as_collection(item, "hls2-l30", {**keys, "swir22": "B07"})

    def corner(*items, store="nowhere", **more):
        wanted = {"resolution_m": 30.0, "tile_px": 256, "chunk_px": 256, **more}
        made = plan(items, grid=GridSettings(**wanted), store=str(store), aoi=around(9, 48))
        return made.grid.corner

    assert corner(landsat(), landsat("l8", 9)) == (15, 15)
    assert corner(landsat(), make_item("s2", at(9, 48))) == (0, 0)
    assert corner(make_item("s2", at(9, 48))) == (0, 0)
    assert corner(hls()) == (0, 0)
    assert corner(landsat(), anchor="crs") == (0, 0)
    assert corner(make_item("s2", at(9, 48)), anchor="landsat") == (15, 15)

    both = plan(
        [landsat(), make_item("s2", at(9, 48))],
        grid=GridSettings(resolution_m=30.0, tile_px=256, chunk_px=256),
        aoi=around(9, 48),
    )
    path = str(tmp_path / "store")
    with open_writer(path, both.grid, title="", run_key="run") as writer:
        writer.set_composite("monthly", CARD.roles, both.periods, {})
        writer.publish({})
    assert corner(landsat(), store=path) == (0, 0)

    for beside, wanted in ((0, (0, 0)), (15, (15, 15))):
        copy = landsat("copy")
        for asset in copy.assets.values():
            # About 9° east, 48° north.
            west, north = 480_000 + beside, 5_340_000 + beside
            asset.extra_fields["proj:transform"] = [30, 0, west, 0, -30, north]
            asset.extra_fields["proj:shape"] = [1500, 1500]
        assert corner(copy) == wanted
    with pytest.raises(StoreError, match=r"grid\.anchor is \[0, 0\], the job's \[15, 15\]"):
        corner(landsat(), store=path, anchor="landsat")


# -- completeness ------------------------------------------------------------------------------


def without_band(name, of, when=START):
    item = make_item(name, of, when)
    item.assets.pop(CARD.roles[0])
    return item


def test_what_is_dropped_makes_its_cells_incomplete(plan):
    whole = at(9, 48)
    made = plan(
        [
            make_item("used", whole),
            make_item("later", whole, START + timedelta(days=1)),
            without_band("beside", at(9, 48, shift=(30_000.0, 0))),
            without_band("alone", whole, START + timedelta(days=2)),
        ],
        aoi=box(8.6, 47.8, 9.8, 48.2),
    )
    assert [each.item_id for each in made.items.dropped] == ["beside", "alone"]
    incomplete = np.zeros((len(made.tiles), 3), bool)
    incomplete[made.missed[2], made.missed[1]] = True
    assert not incomplete[:, 1].any()
    # Only where the dropped item would have been, also where the other is.
    assert 0 < incomplete[:, 0].sum() < len(made.tiles)
    assert (incomplete[:, 0] & made.cells.covered[:, 0]).any()
    assert (incomplete[:, 0] & ~made.cells.covered[:, 0]).any()
    # A day of which nothing is left has no scene, but was expected.
    assert incomplete[:, 2].sum() == made.cells.covered[:, 1].sum()


def test_replaced_items_are_not_missed(plan):
    found = Items(
        items=(make_item("new", at(9, 48)),),
        dropped=(Dropped(item_id="old", reason="replaced by newer processing new"),),
    )
    made = plan(found)
    assert made.items.dropped == found.dropped
    assert not made.missed.size


# -- the antimeridian --------------------------------------------------------------------------


def test_an_aoi_over_180_is_one_region(plan):
    aoi = MultiPolygon([box(179.8, -17, 180, -16.8), box(-180, -17, -179.8, -16.8)])
    west, east = at(179.9, -16.9), at(-179.9, -16.9)
    assert (west.crs, east.crs) == ("EPSG:32760", "EPSG:32701")
    # Of one pass, whatever the day is on either side.
    times = [
        datetime(2023, 8, 21, 23, 59, 56, tzinfo=UTC),
        datetime(2023, 8, 22, 0, 0, 11, tzinfo=UTC),
    ]
    made = plan(
        [make_item("west", west, times[0]), make_item("east", east, times[1])],
        aoi=aoi,
    )
    assert made.grid.geobox.crs.epsg in (32701, 32760)
    assert max(made.grid.geobox.shape) * 60 < 100_000
    (scene,) = made.scenes
    assert scene == Scene(
        sensor="sentinel-2", time=times[0], items=(0, 1), platform="sentinel-2a"
    )
    assert any(cell.items == (0, 1) for cell in made.cells)


def test_real_items_of_the_antimeridian(plan, shared_data):
    folder = shared_data / "stac_items" / "stactools_sentinel2"
    path = next(folder.glob("*T01KAB*"))
    item = pystac.Item.from_dict(json.loads(path.read_text()), migrate=False)
    aoi = MultiPolygon([box(179.9, -17, 180, -16.9), box(-180, -17, -179.9, -16.9)])
    period = Period(
        start=datetime(2023, 8, 1, tzinfo=UTC), end=datetime(2023, 9, 1, tzinfo=UTC)
    )
    for crs in ("utm", "EPSG:32660", "EPSG:32701", "EPSG:3832"):
        made = plan(
            [item],
            aoi=aoi,
            period=period,
            grid=GridSettings(crs=crs, resolution_m=20.0, tile_px=512),
        )
        assert made.cells.covered.all()
    assert frame(item) is not None


# -- compositing methods -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (
            "medoidd",
            {},
            r"no compositing method 'medoidd' \(did you mean medoid\?\): there are",
        ),
        ("median", {"q": 3}, "'median' has no option 'q': it has none"),
        ("percentile", {"p": 3}, r"has no option 'p'.*: it has q"),
        ("percentile", {"q": "low"}, "option q of .* is 'low': expected a valid number"),
        ("percentile", {"q": 101}, "percentile q is 101: expected 0 to 100"),
        ("geomedian", {"mads": 1}, "option mads of .* is 1: expected a valid boolean"),
        ("nearest", {"to": "mean"}, "option to of .* is 'mean': expected 'median', "),
        ("max", {"index": "GREEN"}, "no spectral index 'GREEN'"),
        ("max", {"index": "NDMI"}, "needs the bands swir16: add them to composite.bands"),
        (
            "best",
            {"weights": {"confidence": 1, "doy": 1}},
            "weighs the confidence of masks, which this job does not keep: set mask.confidence: true",
        ),
        ("best", {"weights": {"haze": 1, "doy": 1}, "target_doy": 0}, "target_doy is 0"),
        ("weighted_mean", {"half_days": 0.0}, "half_days 0 must be above 0"),
    ],
)
def test_a_method_that_cannot_be_made_is_refused_before_the_search(
    plan, method, options, message
):
    settings = CompositeSettings(method=method, options=options, bands=("blue", "red", "nir"))

    with pytest.raises(ConfigError, match=message):
        plan([], composite=settings)


def test_of_several_composites_the_one_that_cannot_be_made_is_named(plan):
    some = CompositeSettings(name="some", bands=("blue",))
    other = some.replace(name="other", screen={})
    with pytest.raises(ConfigError, match="^composites, other: composite.screen looks at"):
        plan([], composite=None, composites=(some, other))


def test_scenes_of_sensors_that_a_composite_does_not_take_are_not_its_own(plan):
    of = at(11.65, 48.22)
    landsat = {"collection": "landsat-c2-l2", "platform": "landsat-8"}
    items = [make_item("a", of), make_item("b", of, START + timedelta(days=1), **landsat)]
    items[1].add_asset("nir08", items[1].assets["nir"].clone())
    some = CompositeSettings(bands=CARD.roles)
    both, one = (
        plan(items, composite=each) for each in (some, some.replace(sensors=("landsat",)))
    )
    assert [each.composite_rows()[1]["scenes"] for each in (both, one)] == [2, 1]
    masks = plan(items, composite=None).bytes_to_read
    assert both.bytes_to_read - masks == 2 * (one.bytes_to_read - masks)


def test_several_composites_that_need_too_much_may_be_made_one_by_one(plan, monkeypatch):
    monkeypatch.setattr(plans, "memory_of", lambda *_, **__: plans.Memory(2**61, False))
    some = CompositeSettings(name="some", bands=CARD.roles)
    item = make_item("a", at(11.65, 48.22))
    with pytest.raises(MemoryBudgetError, match=r"run.workers \(now \d+\)$"):
        plan([item], composite=some)
    with pytest.raises(MemoryBudgetError, match="or jobs of fewer composites$"):
        plan([item], composite=None, composites=(some, some.replace(name="other")))


def test_a_method_of_another_package_is_not_sent_to_a_gpu_unasked(plan, monkeypatch):
    class Foreign:
        needs, wants, layers, reach_m = (), (), {}, 0.0

    monkeypatch.setattr(methods, "_made_by", lambda name: Foreign)
    settings = CompositeSettings(method="foreign", bands=("red",), device="cuda")
    with pytest.raises(
        ConfigError, match="foreign of another package does not say that it can"
    ):
        plan([], composite=settings)
    assert isinstance(method_of(settings.replace(device="auto")), Foreign)


def test_a_method_of_another_package_says_how_far_it_looks(plan, monkeypatch):
    class Foreign:
        needs, wants, layers = ("to_cloud_m",), (), {}

    monkeypatch.setattr(methods, "_made_by", lambda name: Foreign)
    with pytest.raises(ConfigError, match="foreign of another package .* attribute reach_m"):
        plan([], composite=CompositeSettings(method="foreign", bands=("red",)))


@pytest.mark.parametrize("name", ["red", "rededge1", "count", "suspect"])
def test_layers_named_like_a_band_are_refused(plan, monkeypatch, name):
    class Odd(METHODS["median"]):
        layers = {name: "another package's"}

    monkeypatch.setitem(METHODS, "odd", Odd)
    settings = CompositeSettings(method="odd", bands=("red", "nir"))
    with pytest.raises(ConfigError, match=f"composite.method odd gives layers .*: {name}"):
        plan([], composite=settings)


def test_all_time_has_no_middle(plan):
    settings = CompositeSettings(
        method="best", options={"weights": {"doy": 1}}, period="all", bands=("red",)
    )
    with pytest.raises(ConfigError, match="period all has none: set composite.options.target"):
        plan([], composite=settings)
