"""Whether 1000 are added: what dark ground tells, on made scenes and on real ones."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.cube.metadata.darkness import MIN_VALID_PX, ROLES, ZERO, judge_offset

# Reflectance of green, red, nir08, swir16, swir22.
GROUND = {
    "water": (0.03, 0.02, 0.01, 0.004, 0.003),
    "forest": (0.03, 0.02, 0.25, 0.10, 0.04),
    "grass": (0.08, 0.05, 0.40, 0.20, 0.10),
    "soil": (0.12, 0.16, 0.24, 0.30, 0.26),
    "sand": (0.25, 0.35, 0.42, 0.50, 0.45),
    "city": (0.12, 0.13, 0.18, 0.19, 0.17),
    "snow": (0.85, 0.85, 0.75, 0.10, 0.08),
    "cloud": (0.60, 0.60, 0.62, 0.45, 0.30),
}


def scene(shares: dict[str, float], seed: int, size: int = 4000) -> dict[str, np.ndarray]:
    """Return reflectances of pixels drawn from kinds of ground, each as bright as it happens to be."""
    rng = np.random.default_rng(seed)
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    kinds = rng.choice(len(names), size, p=weights / weights.sum())
    spectra = np.array([GROUND[name] for name in names])[kinds]
    light = rng.uniform(0.75, 1.25, (size, 1))
    noise = rng.normal(0, 0.003, (size, len(ROLES)))
    pixels = spectra * light + noise
    return {role: pixels[:, index] for index, role in enumerate(ROLES)}


def numbers(reflectance: dict[str, np.ndarray], added: int) -> dict[str, np.ndarray]:
    return {
        role: np.clip(np.round(plane * 1e4) + added, 1, 65534).astype(np.uint16)
        for role, plane in reflectance.items()
    }


def moved(stack: dict[str, np.ndarray], by: int) -> dict[str, np.ndarray]:
    """Add to the numbers as a catalogue does: no data stays, and nothing falls below 1."""
    return {
        role: np.where(plane > 0, np.maximum(plane.astype(int) + by, 1), 0)
        for role, plane in stack.items()
    }


shares = st.dictionaries(st.sampled_from(sorted(GROUND)), st.floats(0.001, 1), min_size=1)


@settings(max_examples=200)
@given(shares=shares, seed=st.integers(0, 2**32))
def test_the_verdict_is_right_or_none(shares, seed):
    reflectance = scene(shares, seed)
    assert judge_offset(numbers(reflectance, ZERO)).verdict != "no offset"
    assert judge_offset(numbers(reflectance, 0)).verdict != "offset"


@settings(max_examples=50)
@given(shares=shares, water=st.floats(0.05, 1), seed=st.integers(0, 2**32), toa=st.booleans())
def test_where_there_is_water_there_is_a_verdict(shares, water, seed, toa):
    others = {name: share for name, share in shares.items() if name != "water"}
    total = sum(others.values()) or 1.0
    mixed = {name: (1 - water) * share / total for name, share in others.items()}
    reflectance = scene({**mixed, "water": water}, seed)
    assert judge_offset(numbers(reflectance, ZERO), toa=toa).verdict == "offset"
    assert judge_offset(numbers(reflectance, 0), toa=toa).verdict == "no offset"


@pytest.mark.parametrize("kind", ["cloud", "sand", "snow", "city"])
@pytest.mark.parametrize("added", [0, ZERO])
def test_cloud_sand_snow_and_cities_from_edge_to_edge_tell_nothing_wrong(kind, added):
    found = judge_offset(numbers(scene({kind: 1.0}, 3), added))
    # Snow is dark in the short-wave infrared, twice: enough where nothing was added.
    told = kind == "snow" and added == 0
    assert found.verdict == ("no offset" if told else "inconclusive")
    assert "swir16" in found.reason


@pytest.mark.parametrize(
    "stack",
    [
        {},
        {role: np.zeros((100, 100), np.uint16) for role in ROLES},
        {role: np.full((100, 100), 65535, np.uint16) for role in ROLES},
        {role: np.full(MIN_VALID_PX - 1, 50, np.uint16) for role in ROLES},
        {"red": np.full((100, 100), 50, np.uint16)},
        {"blue": np.full((100, 100), 50), "coastal": np.full((100, 100), 50)},
    ],
    ids=["no band", "no data", "saturated", "tiny", "one band", "other bands"],
)
def test_too_little_tells_nothing(stack):
    found = judge_offset(stack)
    assert found.verdict == "inconclusive"
    assert "valid pixels" in found.reason


@pytest.mark.parametrize("added", [0, ZERO])
def test_no_data_and_saturation_do_not_count(added):
    stack = numbers(scene({"water": 0.3, "grass": 0.7}, 5), added)
    padded = {
        role: np.concatenate([plane, np.zeros(90_000, int), np.full(90_000, 65535)])
        for role, plane in stack.items()
    }
    assert judge_offset(padded) == judge_offset(stack)


def test_negative_reflectances_are_no_sign_of_a_shift():
    # Over dark ground the correction of the atmosphere takes too much: red and green to -0.02.
    reflectance = scene({"water": 0.4, "forest": 0.6}, 1)
    for role in ("green", "red"):
        reflectance[role] = reflectance[role] - 0.04
    assert judge_offset(numbers(reflectance, ZERO)).verdict == "offset"


def test_numbers_that_wrapped_are_the_darkest_of_all():
    """Water lay below 1000 and came round when 1000 were taken: it was found to be bright."""
    stack = numbers(scene({"water": 0.3, "grass": 0.7}, 5), 0)
    water = {role: plane.astype(int) - 300 for role, plane in stack.items()}
    wrapped = {role: np.where(plane < 0, plane + 2**16, plane) for role, plane in water.items()}
    assert any((plane > 2**15).any() for plane in wrapped.values())
    found = judge_offset(wrapped)
    assert found.verdict == "no offset"
    # Ground alone says nothing; what wrapped says it.
    bright = {role: np.where(plane < 0, 2**16 - 50, 3000) for role, plane in water.items()}
    assert judge_offset(bright).verdict == "no offset"


def test_a_few_strays_below_keep_it_from_saying_offset():
    stack = numbers(scene({"water": 0.3, "grass": 0.7}, 5), ZERO)
    stack["swir16"][:20] = 300
    assert judge_offset(stack).verdict == "inconclusive"


# -- real pixels -------------------------------------------------------------------------------

BANDS = dict(zip(ROLES, ("B03", "B04", "B8A", "B11", "B12"), strict=True))
RASTERS = {
    # Baseline 04.00 (its MTD_MSIL2A.xml: BOA_ADD_OFFSET -1000), half under cloud; and of 2020.
    "ireland": ("S2A_L2A_20221005_T29UNU_60m_crop.tif", ZERO),
    "lake": ("S2_L2A_20200804_T11UPT_60m_overlapL8.tif", 0),
}


@pytest.fixture(scope="module")
def rasters(shared_data) -> dict[str, tuple[dict[str, np.ndarray], int]]:
    found = {}
    for name, (file, added) in RASTERS.items():
        with rasterio.open(shared_data / "imagery" / file) as raster:
            at = {band: index for index, band in enumerate(raster.descriptions, start=1)}
            found[name] = ({role: raster.read(at[band]) for role, band in BANDS.items()}, added)
    return found


@pytest.mark.parametrize("name", RASTERS)
def test_real_scenes_and_their_twins_are_told(rasters, name):
    stack, added = rasters[name]
    right = {ZERO: "offset", 0: "no offset"}
    assert judge_offset(stack).verdict == right[added]
    twin = moved(stack, ZERO - 2 * added)
    assert judge_offset(twin).verdict == right[ZERO - added]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_no_part_of_a_real_scene_is_told_wrong(rasters, data):
    stack, added = rasters[data.draw(st.sampled_from(sorted(RASTERS)))]
    height, width = stack["red"].shape
    edge = data.draw(st.integers(32, 400))
    row, col = (data.draw(st.integers(0, size - edge)) for size in (height, width))
    part = {role: plane[row : row + edge, col : col + edge] for role, plane in stack.items()}
    wrong = {ZERO: "no offset", 0: "offset"}
    assert judge_offset(part).verdict != wrong[added]
    assert judge_offset(moved(part, ZERO - 2 * added)).verdict != wrong[ZERO - added]


def test_no_date_of_a_field_is_told_wrong(shared_data):
    """118 dates, most of them cloudy, none with an offset: 2017 and 2018 as they were made then."""
    folder = shared_data / "timeseries"
    fine, coarse = (
        xr.open_dataset(
            folder / f"S2_L2A_{pixel}m_00002806639B424A_32631_2017-08-01_2018-11-30.nc",
            mask_and_scale=False,
        )
        for pixel in (10, 20)
    )
    verdicts = {0: [], ZERO: []}
    for date in range(fine.sizes["timestamp"]):
        stack = {
            role: (coarse if band in coarse else fine)[band][date].to_numpy()
            for role, band in BANDS.items()
        }
        for added, found in verdicts.items():
            found.append(judge_offset(moved(stack, added)).verdict)
    fine.close()
    coarse.close()
    assert len(verdicts[0]) == 118
    assert "offset" not in verdicts[0]
    assert "no offset" not in verdicts[ZERO]
    # A single field has no water: where nothing is added it tells, by its vegetation.
    assert verdicts[0].count("no offset") > 40


@pytest.mark.parametrize("chip", [1, 2, 3])
def test_chips_of_four_bands_are_told_right_or_not_at_all(shared_data, chip):
    """Of 2020, before 04.00, a third to a half under cloud; no short-wave infrared."""
    with rasterio.open(shared_data / "labelled" / f"chip_{chip}.tif") as raster:
        at = {band: number for number, band in enumerate(raster.descriptions, start=1)}
        bands = {"green": "B03", "red": "B04", "nir08": "B08"}
        stack = {role: raster.read(at[band]) for role, band in bands.items()}
    assert judge_offset(stack).verdict == "no offset"
    # Half of what is asked is missing: never more than nothing.
    assert judge_offset(moved(stack, ZERO)).verdict == "inconclusive"


def test_the_top_of_the_atmosphere_is_told_right_or_not_at_all(shared_data):
    reference = np.load(shared_data / "reference" / "ukis_sentinel2.npz")["img"]
    bands = dict(zip(("blue", *ROLES), np.moveaxis(reference, -1, 0), strict=True))
    stack = {role: np.round(plane * 1e4).astype(np.uint16) for role, plane in bands.items()}
    assert judge_offset(stack, toa=True).verdict == "no offset"
    assert judge_offset(moved(stack, ZERO), toa=True).verdict != "no offset"
