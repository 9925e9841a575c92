"""Members that share a lattice are asked window by window, and say to the bit what they say one by one."""

from dataclasses import replace

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.mask import combined, read_geobox
from pipeline.mask.lattice import geobox_cores
from pipeline.mask.shared import SharedWindows
from pipeline.testing import WindowMeanModel
from pipeline.types import Lattice
from tests.mask.cubes import box
from tests.mask.test_combined import ROLES, WORLD, Logits, cube_over, whole

LATTICES = (
    Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=8),
    Lattice(core_px=24, halo_px=4),
    # No pixel of a core is decided by one window alone.
    Lattice(core_px=16, halo_px=8, blend_px=16),
)


def joint(lattice, rule="mean", batch=1):
    """Two members, of which one sees both bands and one the second alone, whose gaps are others."""
    members = (Logits(lattice), WindowMeanModel(lattice, ROLES[1:], batch=batch))
    return on(lattice, whole(members, rule, [2.0, 1.0]))


def on(lattice, model):
    model.card = replace(model.card, lattice=lattice)
    return model


def masked(model, geobox, chunk=640, kept=None):
    """Codes and confidence: (2, time, y, x)."""
    cube = cube_over(read_geobox(model.card.lattice, geobox), chunk)
    made = combined.mask_with_confidence(cube, model, geobox, kept)
    return np.stack(dask.compute(*made, scheduler="synchronous"))


def one_by_one(model, geobox):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combined, "share_windows", lambda _: False)
        return masked(model, geobox)


@settings(max_examples=12)
@given(
    st.sampled_from(LATTICES),
    st.sampled_from(["mean", "majority", "union", "confirmed"]),
    st.tuples(st.integers(-60, 60), st.integers(-70, 60)),
    st.tuples(st.integers(1, 60), st.integers(1, 70)),
    st.tuples(st.integers(11, 300), st.sampled_from([1, 3])),
)
def test_law_together_they_say_what_they_say_one_by_one(lattice, rule, start, size, cut):
    model, geobox = joint(lattice, rule, cut[1]), box(*start, *size)
    assert combined.share_windows(model)
    np.testing.assert_array_equal(masked(model, geobox, cut[0]), one_by_one(model, geobox))


def test_tiles_share_windows_and_each_is_run_once():
    class Counting(WindowMeanModel):
        seen = 0

        def predict(self, windows):
            self.seen += len(windows)
            return super().predict(windows)

    lattice, tile = LATTICES[0], 64
    members = [Counting(lattice, ROLES), Counting(lattice, ROLES[:1])]
    model = on(lattice, whole(members))
    region = [box(y, x, tile, tile) for y in (-64, 0) for x in (-64, 0)]
    expected = [one_by_one(model, each) for each in region]
    held = [geobox_cores(lattice, each) for each in region]
    every = sum(each.rows * each.cols for each in held) * len(WORLD)
    assert [each.seen for each in members] == [every, every]
    kept = SharedWindows()
    found = [masked(model, each, kept=kept) for each in region]
    np.testing.assert_array_equal(found, expected)
    once = {
        (each.top + row * lattice.core_px, each.left + col * lattice.core_px)
        for each in held
        for row in range(each.rows)
        for col in range(each.cols)
    }
    assert [each.seen - every for each in members] == [len(once) * len(WORLD)] * 2


def test_the_member_that_fails_or_says_nonsense_is_named():
    class Failing(WindowMeanModel):
        answer = staticmethod(lambda scores: 1 / 0)

        def predict(self, windows):
            return self.answer(super().predict(windows))

    lattice = LATTICES[0]
    failing = Failing(lattice, ROLES)
    model = on(lattice, whole([Logits(lattice), failing]))
    for answer, message in (
        (lambda scores: 1 / 0, "model window-mean failed in the window .* ZeroDivisionError"),
        (lambda scores: scores[:, :2], "model window-mean gave float32 scores of shape"),
        (lambda scores: scores * np.float32(np.nan), "model window-mean gave no finite scores"),
    ):
        Failing.answer = staticmethod(answer)
        with pytest.raises(ModelError, match=message):
            masked(model, box(0, 0, 20, 20))
