"""Masks that products bring along: every number of their tables, and numbers that stand in none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.models.families.product_masks import PRODUCTS, ProductMasks
from pipeline.sensors import qa
from pipeline.types import Code

ROLES = ("blue", "scl", "qa_pixel", "fmask", "dea_fmask")


def model_of(name, **options):
    provider = ProductMasks()
    level = PRODUCTS[name].levels[-1]
    return provider.load(provider.resolve(name, level=level, roles=ROLES, options=options))


def codes_of(model, numbers):
    """Classes of a list of numbers, as the mask room chooses them."""
    window = np.array(numbers, np.float32).reshape(1, 1, 1, -1)
    scores = model.predict(window)
    assert scores.dtype == np.float32
    assert scores.shape == (1, len(model.card.classes), 1, len(numbers))
    assert (scores.sum(axis=1) == 1).all()
    return [model.card.classes[k] for k in scores.argmax(axis=1).ravel()]


def test_scene_classification():
    expected = {
        Code.NO_DATA: (0, 1),
        Code.CLEAR: (2, 4, 5, 7),
        Code.WATER: (6,),
        Code.SNOW: (11,),
        Code.THIN_CLOUD: (10,),
        Code.THICK_CLOUD: (8, 9),
        Code.CLOUD_SHADOW: (3,),
    }
    model = model_of("scl")
    for code, numbers in expected.items():
        assert set(codes_of(model, numbers)) == {code}
    assert sorted(sum(expected.values(), ())) == sorted(qa.SCL)


# Values of Landsat 8-9 as USGS tables them (LSDS-1619, pixel values and what they mean).
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1, Code.NO_DATA),
        (21824, Code.CLEAR),
        (21826, Code.THICK_CLOUD),  # dilated cloud over land
        (21888, Code.WATER),
        (21890, Code.THICK_CLOUD),  # dilated cloud
        (21952, Code.WATER),
        (22080, Code.CLEAR),  # cloud at medium confidence: its own bit says clear
        (22280, Code.THICK_CLOUD),
        (23888, Code.CLOUD_SHADOW),
        (23952, Code.CLOUD_SHADOW),  # over water
        (24088, Code.THICK_CLOUD),  # cloud and shadow at once
        (30048, Code.SNOW),
        (54596, Code.THIN_CLOUD),  # cirrus
        (54852, Code.THIN_CLOUD),
    ],
)
def test_pixel_quality_of_landsat(number, code):
    assert codes_of(model_of("qa-pixel"), [number]) == [code]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (0, Code.CLEAR),
        (0b1, Code.CLEAR),  # reserved
        (0b10, Code.THICK_CLOUD),
        (0b100, Code.THICK_CLOUD),
        (0b1000, Code.CLOUD_SHADOW),
        (0b1100, Code.CLOUD_SHADOW),
        (0b10000, Code.SNOW),
        (0b100000, Code.WATER),
        (0b11000000, Code.CLEAR),  # aerosol alone
        (0b11100000, Code.WATER),
        (0b00110010, Code.THICK_CLOUD),
        (255, Code.NO_DATA),
    ],
)
def test_fmask_of_hls(number, code):
    assert codes_of(model_of("fmask"), [number]) == [code]


def test_fmask_of_digital_earth_australia():
    codes = codes_of(model_of("dea-fmask"), range(6))
    assert codes == [
        Code.NO_DATA,
        Code.CLEAR,
        Code.THICK_CLOUD,
        Code.CLOUD_SHADOW,
        Code.SNOW,
        Code.WATER,
    ]


@pytest.mark.parametrize(("name", "number"), [("qa-pixel", 21826), ("fmask", 0b100)])
def test_pixels_round_clouds_are_an_option(name, number):
    assert codes_of(model_of(name), [number]) == [Code.THICK_CLOUD]
    assert codes_of(model_of(name, dilated="cloud"), [number]) == [Code.THICK_CLOUD]
    assert codes_of(model_of(name, dilated="ignore"), [number]) == [Code.CLEAR]


@given(number=st.integers(0, 65535), dilated=st.booleans())
def test_bits_are_read_as_their_names_say(number, dilated):
    def is_set(name):
        bits = qa.QA_PIXEL[name]
        return (number >> bits.offset) & 1

    model = model_of("qa-pixel", dilated="cloud" if dilated else "ignore")
    (code,) = codes_of(model, [number])
    if is_set("fill"):
        assert code is Code.NO_DATA
    elif is_set("cloud"):
        assert code is Code.THICK_CLOUD
    elif is_set("cirrus"):
        assert code is Code.THIN_CLOUD
    elif is_set("cloud_shadow"):
        assert code is Code.CLOUD_SHADOW
    elif dilated and is_set("dilated_cloud"):
        assert code is Code.THICK_CLOUD
    else:
        assert code in {Code.SNOW, Code.WATER, Code.CLEAR}
        assert (code is Code.SNOW) == bool(is_set("snow"))


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_number_in_no_table_is_never_clear(name):
    numbers = [np.nan, -1, 0.5, 70_000, 3e9]
    assert set(codes_of(model_of(name), numbers)) == {Code.NO_DATA}


def test_undefined_classes_are_no_data():
    assert set(codes_of(model_of("scl"), [12, 99, 255])) == {Code.NO_DATA}
    assert set(codes_of(model_of("dea-fmask"), [6, 255])) == {Code.NO_DATA}


@pytest.mark.parametrize("name", PRODUCTS)
def test_scores_stay_with_their_windows(name):
    model = model_of(name)
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 12, (3, 1, 5, 7)).astype(np.float32)
    scores = model.predict(windows)
    assert scores.shape == (3, len(model.card.classes), 5, 7)
    for window, alone in zip(windows, scores, strict=True):
        expected = codes_of(model, window.ravel())
        assert [model.card.classes[k] for k in alone.argmax(axis=0).ravel()] == expected


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("scl", {"level": "L1C"}, "scl is for L2A items; these are 'L1C'"),
        ("qa-pixel", {"roles": ("blue",)}, "qa-pixel needs qa_pixel; the items lack qa_pixel"),
        ("scl", {"options": {"dilated": "cloud"}}, "scl has no option 'dilated'; it has none"),
        ("fmask", {"options": {"dilated": "yes"}}, "is one of cloud, ignore; got 'yes'"),
    ],
)
def test_what_does_not_fit_is_named(name, asked, message):
    with pytest.raises(ModelError, match=message):
        ProductMasks().resolve(name, **{"level": "L2A", "roles": ROLES, "options": {}, **asked})


def test_the_option_is_on_the_card():
    assert model_of("qa-pixel").card.options == {"dilated": "cloud"}
    assert model_of("scl").card.options == {}
    assert Code.NO_DATA is model_of("fmask").card.classes[0]
