"""Partial labels decide only what they can; what is not counted is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.datasets import labels as L
from pipeline.datasets.labels import Labelled, LabelledDataError
from pipeline.evaluate.schemes import CLOUD, DOUBTFUL, FOUR, INVALID, SCHEMES, SURFACE, THREE
from pipeline.evaluate.scoring import near_border, score
from pipeline.types import Code

CODES = st.sampled_from([int(code) for code in Code])
SETS = st.integers(0, 127)
SHAPE = (7, 9)


def image(given_labels, **more):
    array = np.asarray(given_labels, np.uint8)
    return Labelled(id="i", labels=array, resolution_m=10, level="L1C", **more)


def test_schemes_partition_what_has_data():
    for scheme in SCHEMES:
        assert sum(scheme.members) == L.CLEAR | L.CLOUD | L.SHADOW
        assert len(scheme.groups) == len(scheme.members)


@pytest.mark.parametrize(
    ("label", "cloud", "invalid", "three"),
    [
        (L.CLEAR, 0, 0, 0),
        (L.SNOW, 0, 0, 0),
        (L.SHADOW, 0, 1, 2),
        (L.THIN, 1, 1, 1),
        (L.CLOUD, 1, 1, 1),
        # Without shadow labels, clear says nothing of shadows.
        (L.NOT_CLOUD, 0, DOUBTFUL, DOUBTFUL),
        (L.CLEAR | L.THIN, DOUBTFUL, DOUBTFUL, DOUBTFUL),
        (L.IGNORED, DOUBTFUL, DOUBTFUL, DOUBTFUL),
        (L.NO_DATA, DOUBTFUL, DOUBTFUL, DOUBTFUL),
    ],
)
def test_what_labels_decide(label, cloud, invalid, three):
    one = np.array([label], np.uint8)
    assert [int(s.of_labels(one)[0]) for s in (CLOUD, INVALID, THREE)] == [
        cloud,
        invalid,
        three,
    ]


def test_codes_of_the_legend():
    codes = np.arange(7, dtype=np.uint8)
    assert CLOUD.of_codes(codes).tolist() == [DOUBTFUL, 0, 0, 0, 1, 1, 0]
    assert INVALID.of_codes(codes).tolist() == [DOUBTFUL, 0, 0, 0, 1, 1, 1]
    assert FOUR.of_codes(codes).tolist() == [DOUBTFUL, 0, 0, 0, 1, 2, 3]


def test_schemes_that_labels_and_model_both_decide():
    ukis = (Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW)
    full = (L.CLEAR, L.THIN, L.THICK, L.SHADOW)
    assert [s for s in SCHEMES if s.decidable(full, ukis)] == [CLOUD, INVALID, THREE]
    assert [s for s in SCHEMES if s.decidable(full, tuple(Code))] == [
        CLOUD,
        INVALID,
        THREE,
        FOUR,
    ]
    assert [s for s in SCHEMES if s.decidable((L.NOT_CLOUD, L.CLOUD), ukis)] == [CLOUD]
    alcd = (L.CLOUD, L.SHADOW, L.LAND, L.WATER, L.SNOW)
    assert SURFACE.decidable(alcd, tuple(Code))


def test_an_image_by_hand():
    labels = [
        [L.CLEAR, L.CLEAR, L.THICK, L.THIN],
        [L.SHADOW, L.NO_DATA, L.IGNORED, L.NOT_CLOUD],
    ]
    codes = np.array([[1, 5, 5, 0], [6, 1, 1, 4]], np.uint8)
    one = score(image(labels), codes, (CLOUD, THREE), (0,))
    assert (one.pixels, one.nodata, one.ignored, one.unpredicted) == (8, 1, 1, 1)
    cloud, three = one.counts["cloud", 0], one.counts["three", 0]
    assert cloud.matrix.tolist() == [[2, 2], [0, 1]]
    assert three.matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert (cloud.doubtful, three.doubtful) == (0, 1)


@given(arrays(np.uint8, SHAPE, elements=SETS), arrays(np.uint8, SHAPE, elements=CODES))
def test_every_pixel_is_accounted_for(labels, codes):
    one = score(image(labels), codes, SCHEMES, (1, 2))
    assert {key[1] for key in one.counts} == {0, 1, 2}
    for (name, buffer), counts in one.counts.items():
        parts = int(counts.matrix.sum()) + counts.doubtful + counts.near_border
        assert parts + one.nodata + one.ignored + one.unpredicted == one.pixels
        plain = one.counts[name, 0]
        assert (counts.matrix <= plain.matrix).all()
        assert buffer or not counts.near_border


@given(arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 255])), st.integers(1, 3))
def test_borders_by_brute_force(groups, buffer):
    expected = np.zeros(SHAPE, bool)
    for y, x in np.ndindex(SHAPE):
        part = groups[max(0, y - buffer) : y + buffer + 1, max(0, x - buffer) : x + buffer + 1]
        others = set(part.ravel().tolist()) - {255, int(groups[y, x])}
        expected[y, x] = groups[y, x] != 255 and bool(others)
    assert near_border(groups, buffer).tolist() == expected.tolist()


def test_points_have_no_borders():
    points = np.array([[0, 0], [5, 5]])
    one = score(image([L.CLEAR, L.THICK], points=points), np.array([1, 5], np.uint8), (CLOUD,))
    assert list(one.counts) == [("cloud", 0)]


def test_shapes_that_differ():
    with pytest.raises(LabelledDataError, match=r"image i: the mask is \(2, 2\)"):
        score(image([[L.CLEAR]]), np.ones((2, 2), np.uint8), (CLOUD,))
