"""Laws that every method of the table obeys, and each against an oracle."""

import sys
import warnings
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.special import ndtr

from pipeline.composite import METHODS, compose, method, names
from pipeline.composite import methods as table
from pipeline.composite.best import PRESETS
from pipeline.composite.distances import STEPS_PER_UNIT
from pipeline.composite.geomedian import RESIDUAL
from tests.composite.test_compose import assert_same_bits, cubes, make_cube, make_usable, taken

WHOLE = ("count", "day", "source")

OPTIONS = {
    "max": {"index": "NDVI"},
    "geomedian": {"mads": True},
    "nearest": {"to": "geomedian"},
}
every = st.sampled_from(sorted(METHODS)).map(lambda name: method(name, OPTIONS.get(name)))


def evidence_of(cube):
    """What any method may need, from the cube's own coordinates: it goes with pixels and scenes."""
    t = cube["time"].astype("int64").values // 86_400_000_000_000
    y, x = (cube[dim].values / 10 for dim in "yx")
    metres = 30.0 * ((7 * t[:, None, None] + 13 * y[:, None] + 29 * x) % 101)
    dims = ("time", "y", "x")
    return xr.Dataset(
        {
            "to_cloud_m": (dims, metres.astype(np.float32)),
            "to_shadow_m": (dims, metres[::-1, ::-1, ::-1].astype(np.float32) * 0 + 900),
            "confidence": (dims, (metres % 100).astype(np.uint8)),
            "sensor": ("time", np.where(t % 2, "sentinel-2", "landsat")),
            "view_deg": ("time", (t % 11).astype(np.float32)),
            "middle": ((), 19858.0),
        }
    )


def composed(cube, usable, made):
    """The composite, with whatever bands and evidence the method needs, or none where it lacks bands."""
    assume(set(made.wants) <= set(cube.data_vars))
    return compose(cube, usable, made, evidence_of(cube))


def spectra(cube, usable, composite):
    """Yield of each pixel with data its observations (T, B), its value (B,) and where it is."""
    roles = [name for name in cube.data_vars if name != "source"]
    bands = np.stack([cube[role].values for role in roles], axis=-1)
    values = np.stack([composite[role].values for role in roles], axis=-1)
    keep = taken(cube, usable)
    for y, x in np.argwhere(keep.any(axis=0)):
        yield bands[keep[:, y, x], y, x].astype(np.float64), values[y, x], (y, x)


@given(cubes(), every)
def test_every_method_stays_within_its_observations(case, made):
    cube, usable = case
    composite = composed(cube, usable, made)
    empty = composite["count"].values == 0
    for name, layer in composite.data_vars.items():
        missing = layer.values == (0 if name == "count" else -1)
        missing = missing if name in WHOLE else np.isnan(layer.values)
        if made != method("max") or name != "score":  # NDVI of 0 and 0 is no number
            np.testing.assert_array_equal(missing, empty, err_msg=str(name))
    for seen, value, _ in spectra(cube, usable, composite):
        assert (seen.min(axis=0) <= value).all()
        assert (value <= seen.max(axis=0)).all()


@given(cubes(), every)
def test_source_and_day_are_of_a_usable_observation(case, made):
    cube, usable = case
    composite = composed(cube, usable, made)
    keep = taken(cube, usable)
    days = cube["time"].values.astype("datetime64[D]").astype(int)
    for y, x in np.argwhere(keep.any(axis=0)):
        scene = composite["source"].values[y, x] - 100
        assert keep[scene, y, x]
        assert composite["day"].values[y, x] == days[scene]


@given(cubes(), every, st.data())
def test_order_strips_and_clouds_leave_no_trace(case, made, data):
    cube, usable = case
    whole = composed(cube, usable, made)
    order = list(data.draw(st.permutations(range(cube.sizes["time"]))))
    assert_same_bits(composed(cube.isel(time=order), usable.isel(time=order), made), whole)
    cut = data.draw(st.integers(0, cube.sizes["y"]))
    for part in (slice(0, cut), slice(cut, None)):
        some = composed(cube.isel(y=part), usable.isel(y=part), made)
        assert_same_bits(some, whole.isel(y=part))
    at = data.draw(st.integers(0, cube.sizes["time"] - 1))
    seen = usable.copy(data=usable.values & (np.arange(len(usable)) != at)[:, None, None])
    rest = [t for t in range(len(usable)) if t != at]
    if rest:
        without = composed(cube.isel(time=rest), seen.isel(time=rest), made)
        assert_same_bits(composed(cube, seen, made), without)


@pytest.mark.parametrize("q", [0, 10, 25, 50, 62.5, 100])
def test_percentiles_are_numpys(q):
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 4, 5, 8, 13, 31, 64, 65, 90):
        values = rng.random((2, n, 6, 7), np.float32)
        composite = compose(
            make_cube(values), make_usable(np.ones((n, 6, 7))), method("percentile", {"q": q})
        )
        expected = np.percentile(values.astype(np.float64), q, axis=1)
        np.testing.assert_allclose(composite["red"], expected[1], rtol=2e-7)


def test_methods_of_other_packages_are_found_by_name(monkeypatch):
    points = [
        EntryPoint("half", "pipeline.composite.ranks:Median", table.ENTRY_POINTS),
        EntryPoint("broken", "no_such_package:Method", table.ENTRY_POINTS),
    ]
    monkeypatch.setattr(table, "entry_points", lambda group: points)
    cube, usable = make_cube(np.ones((2, 3, 4, 4))), make_usable(np.ones((3, 4, 4)))
    assert_same_bits(compose(cube, usable, "half"), compose(cube, usable))
    assert {"median", "half", "broken"} <= set(names())
    assert "no_such_package" not in sys.modules
    with pytest.raises(
        ValueError, match="'broken' of another package cannot be imported: No module"
    ):
        method("broken")


def test_options_that_a_method_does_not_have_are_refused():
    with pytest.raises(ValueError, match="'median' has no option 'q': it has none"):
        method("median", {"q": 3})
    with pytest.raises(ValueError, match="percentile q is 101: expected 0 to 100"):
        method("percentile", {"q": 101})


# -- oracles -----------------------------------------------------------------------------------


def scenes(n_bands=3, n_times=7, edge=24, seed=0):
    """Return a cube like real ones (whole numbers, one grown brighter than others) and what is usable."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(0.03, 0.4, (n_bands, 1, edge, edge))
    light = rng.lognormal(0, 0.15, (1, n_times, edge, edge))
    cloud = (
        0.4 * rng.random((1, n_times, edge, edge)) * (rng.random((n_times, edge, edge)) < 0.1)
    )
    values = ground * light + rng.normal(0, 0.01, (n_bands, n_times, edge, edge)) + cloud
    usable = rng.random((n_times, edge, edge)) < 0.7
    return make_cube(np.rint(values * 1e4) / 1e4), make_usable(usable)


def test_the_mean_is_numpys():
    cube, usable = scenes()
    for seen, value, _ in spectra(cube, usable, compose(cube, usable, "mean")):
        np.testing.assert_allclose(value, seen.mean(axis=0), rtol=1e-7)


def pull(seen, value, at=1e-6):
    """Return the residual of the geometric median, as its paper has it, of (T, B) at (B,)."""
    distance = np.sqrt(((seen - value) ** 2).sum(axis=1))
    off = distance > at
    if not off.any():
        return 0.0
    strength = np.linalg.norm(((seen - value)[off] / distance[off, None]).sum(axis=0))
    return max(strength - (~off).sum(), 0) / (1 / distance[off]).sum()


@pytest.mark.parametrize("n_times", [1, 2, 3, 4, 7, 24])
def test_the_geometric_median_is_certified_and_in_the_hull(n_times):
    cube, usable = scenes(n_times=n_times)
    for number, (seen, value, _) in enumerate(
        spectra(cube, usable, compose(cube, usable, "geomedian"))
    ):
        assert pull(seen, value) < RESIDUAL
        if number % 40 == 0:
            # Weights of observations that give the value exactly: non-negative, with sum 1.
            left = np.vstack([seen.T, np.ones(len(seen))])
            assert nnls(left, np.append(value, 1.0))[1] < 1e-6


@pytest.mark.parametrize("shift", [0, 1e-7, 1e-5, 0.1])
def test_a_geometric_median_that_is_an_observation_is_found(shift):
    """An observation amid others, or beside: Weiszfeld's steps stand still there, minimum or not."""
    angles = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    ring = 0.3 + 0.05 * np.stack([np.cos(angles), np.sin(angles), 0 * angles])
    amid = np.array([0.3 + shift, 0.3, 0.3])[:, None]
    values = np.concatenate([ring, amid], axis=1)[:, :, None, None]
    composite = compose(make_cube(values), make_usable(np.ones((6, 1, 1))), "geomedian")
    value = np.array([composite[role].item() for role in ("blue", "red", "nir")])
    assert pull(values[..., 0, 0].T.astype(np.float32).astype(float), value) < RESIDUAL
    corner = np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.1], [0.2, 0.1, 0.1], [0.1, 0.1, 0.1]]).T
    values = corner[:, :, None, None]
    composite = compose(make_cube(values), make_usable(np.ones((4, 1, 1))), "geomedian")
    assert [round(composite[r].item(), 6) for r in ("blue", "red", "nir")] == [0.1, 0.1, 0.1]


def test_absurd_numbers_leave_the_geometric_median_among_them():
    values = np.full((3, 5, 1, 2), 0.2, np.float32)
    values[:, :2] = 3e38
    values[:, 2, :, 1] = -3e38
    composite = compose(make_cube(values), make_usable(np.ones((5, 1, 2))), "geomedian")
    assert composite["red"].values.tolist() == [[pytest.approx(0.2)] * 2]


def assert_geomads(cube, usable, roles, *, beyond=0.0):
    """Geometric medians and their deviations are those of geomad; return how many, and how many are more than 1e-4 apart.

    Where the sum of distances is all but flat, geomad stops early: ours is as low or lower. A share `beyond` of them is higher:
    so near an observation the steps that are left are short far from the minimum.
    """
    geomad = pytest.importorskip("geomad")
    composite = compose(cube, usable, method("geomedian", {"mads": True}))
    seen = np.stack([np.where(usable, cube[role], np.nan) for role in roles], axis=-1)
    seen = np.ascontiguousarray(np.moveaxis(seen, 0, -1), np.float32)
    many = composite["count"].values >= 3  # between two, every point is a median
    expected = geomad.nangeomedian_pcm(seen, maxiters=5000, eps=1e-7, num_threads=1)
    ours = np.stack([composite[role] for role in roles], axis=-1)
    apart = np.abs(ours - expected).max(axis=-1) > 1e-4
    assert apart[many].mean() < 0.005
    higher = 0
    for y, x in np.argwhere(many & apart):
        observed = seen[y, x].T.astype(float)
        cost = [np.linalg.norm(observed - at, axis=1) for at in (ours[y, x], expected[y, x])]
        if np.nansum(cost[0]) > np.nansum(cost[1]) + 1e-8:
            higher += 1
            assert np.nansum(cost[0]) < np.nansum(cost[1]) + 1e-5
            assert pull(observed[np.isfinite(observed).all(axis=1)], ours[y, x]) < RESIDUAL
    assert higher <= beyond * many.sum()
    for name in ("emad", "smad", "bcmad"):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice")
            theirs = getattr(geomad, f"{name}_pcm")(seen, ours, num_threads=1)
        np.testing.assert_allclose(composite[name].values[many], theirs[many], atol=1e-5)
    return int(many.sum()), int(apart[many].sum())


@pytest.mark.parametrize("n_times", [4, 24])
def test_geometric_medians_and_deviations_are_geomads(n_times):
    cube, usable = scenes(6, n_times, edge=100)
    bands = [cube[role].values for role in cube.data_vars if role != "source"]
    assert_geomads(make_cube(bands), usable, ["blue", "red", "nir"])


@pytest.mark.slow
def test_a_hundred_thousand_geometric_medians_are_geomads():
    cube, usable = scenes(3, 12, edge=320, seed=5)
    n, apart = assert_geomads(cube, usable, ["blue", "red", "nir"], beyond=1e-5)
    assert n > 100_000
    assert apart < 2e-4 * n


@pytest.mark.slow
def test_geometric_medians_of_real_series_are_geomads(shared_data):
    """Sixteen months of fields by Sentinel-2, clouds that SCL missed among them, in steps of two dozen dates."""
    name = "S2_L2A_10m_00002806639B424A_32631_2017-08-01_2018-11-30.nc"
    found = xr.load_dataset(shared_data / "timeseries" / name, mask_and_scale=False)
    bands = np.stack([found[band].values for band in ("B02", "B04", "B08")])
    usable = ((bands > 0) & (bands < 10_000)).all(axis=0)
    usable &= bands[0] < 2_000
    total = np.zeros(2, int)
    for first in range(0, bands.shape[1] - 24, 4):
        part = slice(first, first + 24)
        cube = make_cube(bands[:, part] * np.float32(1e-4))
        shown = make_usable(usable[part])
        total += assert_geomads(cube, shown, ["blue", "red", "nir"])
    assert total[0] > 90_000
    assert total[1] == 0


def test_the_medoid_is_floods():
    cube, usable = scenes()
    composite = compose(cube, usable, "medoid")
    for seen, value, _ in spectra(cube, usable, composite):
        steps = np.rint(seen * STEPS_PER_UNIT)
        pairs = np.sqrt(((steps[:, None] - steps[None]) ** 2).sum(axis=-1))
        best = np.rint(pairs * 1024).sum(axis=1).argmin()
        np.testing.assert_array_equal(value, seen[best].astype(np.float32))


@pytest.mark.parametrize("options", [{}, {"to": "percentile", "q": 40}, {"to": "geomedian"}])
def test_nearest_is_the_observation_that_provenance_names(options):
    cube, usable = scenes()
    to = {"percentile": ("percentile", {"q": 40}), "geomedian": ("geomedian", {})}
    target = compose(cube, usable, method(*to.get(options.get("to"), ("median", {}))))
    composite = compose(cube, usable, method("nearest", options))
    np.testing.assert_array_equal(composite["source"], target["source"])
    for y, x in np.argwhere(composite["count"].values):
        scene = composite["source"].values[y, x] - 100
        assert composite["nir"].values[y, x] == cube["nir"].values[scene, y, x]


def test_first_and_latest():
    cube, usable = scenes()
    keep = taken(cube, usable)
    some = keep.any(axis=0)
    first, last = keep.argmax(axis=0), len(keep) - 1 - keep[::-1].argmax(axis=0)
    for name, scene in (("first", first), ("latest", last)):
        composite = compose(cube, usable, name)
        np.testing.assert_array_equal(composite["source"].values[some], scene[some] + 100)
        picked = np.take_along_axis(cube["red"].values, scene[None], axis=0)[0]
        np.testing.assert_array_equal(composite["red"].values[some], picked[some])


@pytest.mark.parametrize(
    ("index", "formula"),
    [
        ("NDVI", lambda b, r, n: (n - r) / (n + r)),
        ("EVI", lambda b, r, n: 2.5 * (n - r) / (n + 6 * r - 7.5 * b + 1)),
        ("SAVI", lambda b, r, n: 1.5 * (n - r) / (n + r + 0.5)),
    ],
)
def test_max_takes_the_greatest_index(index, formula):
    cube, usable = scenes()
    composite = compose(
        cube,
        usable,
        method(
            "max", {"index": index, **({"constants": {"L": 0.5}} if index == "SAVI" else {})}
        ),
    )
    for seen, value, (y, x) in spectra(cube, usable, composite):
        each = formula(*seen.T)
        best = np.rint(each * 1e6).argmax()
        np.testing.assert_array_equal(value, seen[best].astype(np.float32))
        assert composite["score"].values[y, x] == pytest.approx(each[best], rel=1e-6)


def test_an_index_that_cannot_be_computed_is_refused():
    with pytest.raises(ValueError, match="no spectral index 'GREEN'.*e.g. NDVI"):
        method("max", {"index": "GREEN"})
    with pytest.raises(ValueError, match="index NDVI has no constant L"):
        method("max", {"constants": {"L": 1}})
    cube, usable = scenes()
    with pytest.raises(
        ValueError, match="needs the bands swir22, the composite has blue, red, nir"
    ):
        compose(cube, usable, method("max", {"index": "NBR"}))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def best_scores(preset, seen, day, metres):
    """Return (T,) scores as `pipeline.composite.best` cites them, sensor scores all 1."""
    sigma = {"force": 60 / np.sqrt(2 * np.log(99))}.get(preset, 38)
    doy = np.exp(-0.5 * ((day - 19858.0) / sigma) ** 2)
    r = {"force": 3000}.get(preset, 1500)
    cloud = sigmoid(10 / r * (np.minimum(metres, r) - r / 2))
    hot = seen[:, 0] - 0.5 * seen[:, 1] - 0.08
    haze = 1 / (1 + np.exp(10 / 0.02 * (hot + 0.015)))
    return {
        "griffiths2013": (doy + cloud) / 2,
        "white2014": (1 + doy + cloud + haze) / 4,
        "force": (doy + 0.4 * cloud + 0.3 * haze) / 1.7,
    }[preset]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_best_pixel_is_the_formulas(preset):
    cube, usable = scenes()
    evidence = evidence_of(cube)
    composite = compose(cube, usable, method("best", {"preset": preset}), evidence)
    keep = taken(cube, usable)
    days = cube["time"].values.astype("datetime64[D]").astype(int)
    metres = np.minimum(evidence["to_cloud_m"], evidence["to_shadow_m"]).values
    for seen, value, (y, x) in spectra(cube, usable, composite):
        there = keep[:, y, x]
        each = best_scores(preset, seen, days[there], metres[there, y, x])
        np.testing.assert_array_equal(
            value, seen[np.rint(each * 1e6).argmax()].astype(np.float32)
        )
        assert composite["score"].values[y, x] == pytest.approx(each.max(), abs=1e-6)


def test_single_criteria_choose_what_they_say():
    values = np.broadcast_to(np.arange(4)[None, :, None, None] / 10, (3, 4, 1, 1))
    cube, usable = make_cube(values), make_usable(np.ones((4, 1, 1)))
    evidence = evidence_of(cube).assign(
        confidence=(("time", "y", "x"), np.array([70, 90, 90, 20], np.uint8)[:, None, None]),
        view_deg=("time", np.array([9, 8, 7, 1], np.float32)),
        sensor=("time", np.array(["a", "b", "c", "a"])),
    )

    def source(**options):
        return compose(cube, usable, method("best", options), evidence)["source"].item() - 100

    assert source(weights={"confidence": 1}) == 1  # the earliest of equals
    assert source(weights={"view": 1}) == 3
    # What is not known scores 0, also by pixels instead of by scenes.
    angles = np.array([9, 8, 20, np.nan], np.float32)
    evidence["view_deg"] = ("time", "y", "x"), angles[:, None, None]
    assert source(weights={"view": 1}) == 1
    assert source(weights={"sensor": 1}, sensors={"a": 0.5, "b": 0.2}) == 2
    # 1, 6, 11 and 16 May; days of the year go round.
    assert source(weights={"doy": 1}, target_doy=132) == 2
    assert source(weights={"doy": 1}, target_doy=366) == 0


def test_what_the_best_pixel_cannot_do_is_refused():
    cube, usable = scenes()
    for options, message in (
        ({"preset": "mine"}, "no preset 'mine': there are griffiths2013, white2014, force"),
        ({"weights": {"luck": 1}}, "no criterion luck"),
        ({"weights": {"doy": 0}}, "weights must be 0 or more, one of them above 0"),
        ({"sensors": {"a": 2}}, "scores of sensors must be 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            method("best", options)
    with pytest.raises(
        ValueError, match="needs middle, to_cloud_m, to_shadow_m of each observation"
    ):
        compose(cube, usable, "best")


def test_the_weighted_mean_is_wasps():
    cube, usable = scenes()
    evidence = evidence_of(cube)
    composite = compose(
        cube, usable, method("weighted_mean", {"sensors": {"landsat": 0.5}}), evidence
    )
    keep = taken(cube, usable)
    days = cube["time"].values.astype("datetime64[D]").astype(int)
    date = 1 - 0.5 * np.minimum(np.abs(days - 19858.0) / 23, 1)
    date *= np.where(evidence["sensor"].values == "landsat", 0.5, 1)
    metres = evidence["to_cloud_m"].values.astype(float)
    # A mask with a straight edge, blurred: what lies beyond the edge.
    near, far = (1 - ndtr(-metres / sigma) for sigma in (480, 2400))
    weight = date[:, None, None] * near * far
    for seen, value, (y, x) in spectra(cube, usable, composite):
        w = weight[keep[:, y, x], y, x]
        np.testing.assert_allclose(value, w @ seen / w.sum(), rtol=2e-7)
