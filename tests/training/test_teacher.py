"""A teacher narrows what labels leave open, and is not listened to where it is unsure or people contradict it."""

import numpy as np
import pytest

from pipeline.datasets import labels as L
from pipeline.training.teacher import UNSURE_PX, narrowed
from pipeline.types import Code

CODES = np.full((20, 20), Code.CLEAR, np.uint8)
CODES[:, 10:] = Code.THICK_CLOUD


@pytest.mark.parametrize(
    ("drawn", "over_clear", "over_cloud"),
    [
        (L.IGNORED, L.NOT_CLOUD, L.CLOUD),
        (L.CLEAR | L.CLOUD, L.CLEAR, L.CLOUD),
        (L.THIN, L.THIN, L.THIN),
        (L.SHADOW, L.SHADOW, L.SHADOW),
        (L.NO_DATA, L.NO_DATA, L.NO_DATA),
    ],
)
def test_labels_are_narrowed_but_never_contradicted(drawn, over_clear, over_cloud):
    found = narrowed(np.full(CODES.shape, drawn, np.uint8), CODES)
    near = slice(10 - UNSURE_PX, 10 + UNSURE_PX)
    assert (found[:, : near.start] == over_clear).all()
    assert (found[:, near.stop :] == over_cloud).all()
    assert (found[:, near] == drawn).all()


def test_a_teacher_that_sees_nothing_teaches_nothing():
    drawn = np.full((8, 8), L.IGNORED, np.uint8)
    assert (narrowed(drawn, np.zeros((8, 8), np.uint8)) == L.IGNORED).all()
