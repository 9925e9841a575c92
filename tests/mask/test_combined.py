"""Models of several models: each on its own lattice, and what they say together, however it is cut."""

import json
from dataclasses import replace

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.mask import read_geobox
from pipeline.mask.combined import mask_with_confidence
from pipeline.mask.joint import Combination
from pipeline.mask.lattice import geobox_cores, origin_px, weights
from pipeline.models.combined import members as combining
from pipeline.models.combined.ensemble import EnsembleModel
from pipeline.testing import WindowMeanModel
from pipeline.testing.models import fake_card
from pipeline.types import Code, Lattice
from tests.mask.cubes import box, cube_of

ORIGIN, SIZE = -300, 640
WORLD = np.random.default_rng(8).random((2, 2, SIZE, SIZE), dtype=np.float32)
"""(time, role, y, x): the ground round the CRS origin."""
WORLD[:, 0, 250:330, 300:340] = np.nan
WORLD[1, 1, 180:230, 380:400] = np.nan
ROLES = ("blue", "nir")

SMALL = Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=8)
WIDE = Lattice(core_px=64, halo_px=12, blend_px=16, shift_px=32)
ODD = Lattice(core_px=20, halo_px=5)


class Logits(WindowMeanModel):
    """The same opinion, as logits of codes in another order."""

    def __init__(self, lattice, roles=ROLES):
        super().__init__(lattice, roles)
        classes = (Code.THICK_CLOUD, Code.CLEAR, Code.CLOUD_SHADOW)
        self.card = replace(self.card, name="logits", scores="logits", classes=classes)

    def predict(self, windows):
        # One channel alone: it disagrees with whoever sees both.
        scores = super().predict(windows[:, :1] * 2)
        return np.log(scores[:, [1, 0, 2]] + np.float32(1e-3))


def whole(members, rule="mean", share=None):
    card = replace(
        fake_card(
            "ensemble", combining.enclosing_lattice([m.card.lattice for m in members]), ROLES
        ),
        classes=(Code.THICK_CLOUD, Code.CLOUD_SHADOW, Code.CLEAR),
        options={
            "rule": rule,
            "weights": json.dumps(share or [1.0] * len(members)),
            "members": str([m.card.lattice for m in members]),
        },
    )
    return EnsembleModel(card, members)


def cube_over(geobox, chunk, world=WORLD):
    return cube_of(world, ROLES, geobox, ORIGIN, (chunk, chunk))


def masked(model, geobox, chunk=640, world=WORLD):
    """Codes and confidence: (2, time, y, x)."""
    cube = cube_over(read_geobox(model.card.lattice, geobox), chunk, world)
    return np.stack(dask.compute(*mask_with_confidence(cube, model, geobox)))


MEMBERS = (WindowMeanModel(SMALL), Logits(WIDE), WindowMeanModel(ODD))
WHOLE = box(-60, -70, 150, 170)


# -- the lattice of the whole ------------------------------------------------------------------


@st.composite
def lattices(draw):
    core, halo = draw(st.integers(1, 60)), draw(st.integers(0, 12))
    return Lattice(
        core_px=core,
        halo_px=halo,
        blend_px=2 * draw(st.integers(0, min(halo, core // 2))),
        shift_px=draw(st.integers(0, core - 1)),
    )


@given(
    st.lists(lattices(), min_size=1, max_size=3),
    st.tuples(st.integers(-500, 500), st.integers(1, 150)),
)
def test_it_reads_all_that_its_members_read(held, span):
    start, size = span
    geobox = box(start, start, size, size)
    around = read_geobox(combining.enclosing_lattice(held), geobox)
    top, bottom = origin_px(around)[0], origin_px(around)[0] + around.shape[0]
    for lattice in held:
        reads = read_geobox(lattice, geobox)
        assert top <= origin_px(reads)[0]
        assert origin_px(reads)[0] + reads.shape[0] <= bottom


def test_tiles_of_whole_cores_are_read_no_wider_than_by_their_greediest_member():
    """The lattices of ukis-csmask and omnicloudmask."""
    ukis = Lattice(core_px=512, halo_px=32, blend_px=32, shift_px=128)
    ocm = Lattice(core_px=1024, halo_px=64, blend_px=64, shift_px=512)
    geobox = box(2048, -4096, 2048, 2048)
    assert read_geobox(combining.enclosing_lattice([ukis, ocm]), geobox) == read_geobox(
        ocm, geobox
    )


# -- each alone, and together ------------------------------------------------------------------


def alone(member, geobox, time):
    """Probabilities (K, y, x) of one member by plain loops over its windows, in float64."""
    card, (top, left) = member.card, origin_px(geobox)
    held, lattice = geobox_cores(card.lattice, geobox), card.lattice
    reach, halo, core = lattice.reach_px, lattice.halo_px, lattice.core_px
    edge = core + 2 * reach
    shape = (len(card.classes), held.rows * core + 2 * reach, held.cols * core + 2 * reach)
    total, ramp = np.zeros(shape), np.outer(weights(lattice), weights(lattice)).astype(float)
    for row in range(held.rows):
        for col in range(held.cols):
            y, x = held.top + row * core - halo - ORIGIN, held.left + col * core - halo - ORIGIN
            window = WORLD[time, :, y : y + lattice.window_px, x : x + lattice.window_px]
            inner = slice(halo - reach, halo + core + reach)
            if np.isnan(window[:, inner, inner].sum(axis=0)).all():
                continue
            scores = member.predict(window[None])[0][:, inner, inner]
            ys, xs = (slice(at * core, at * core + edge) for at in (row, col))
            total[:, ys, xs] += scores * ramp
    y, x = top - held.top + reach, left - held.left + reach
    total = total[:, y : y + geobox.shape[0], x : x + geobox.shape[1]]
    if card.scores == "logits":
        total = np.exp(total)
    with np.errstate(invalid="ignore"):
        return total / total.sum(axis=0)


@pytest.mark.quick(3)
@pytest.mark.parametrize("rule", ["mean", "majority", "union"])
@pytest.mark.parametrize("time", [0, 1])
def test_it_is_each_member_alone_and_then_combined(rule, time):
    codes, sure = masked(whole(MEMBERS, rule, [1, 1, 1]), WHOLE)[:, time]
    order = (Code.THICK_CLOUD, Code.CLOUD_SHADOW, Code.CLEAR)
    each = [alone(member, WHOLE, time) for member in MEMBERS]
    said = np.stack(
        [
            [share[m.card.classes.index(c)] for c in order]
            for m, share in zip(MEMBERS, each, strict=True)
        ]
    )
    votes = said.argmax(axis=1)
    counts = np.stack([(votes == k).mean(axis=0) for k in range(3)])
    expected = {
        "mean": said.mean(axis=0).argmax(axis=0),
        "majority": counts.argmax(axis=0),
        "union": votes.min(axis=0),
    }[rule]
    top, left = (px - ORIGIN for px in origin_px(WHOLE))
    ground = WORLD[time, :, top : top + 150, left : left + 170]
    gap = np.isnan(ground.sum(axis=0))
    # Nearer than float32 can tell, anything may come first.
    margin = np.diff(
        np.sort(np.concatenate([said, said.mean(axis=0)[None]]), axis=1)[:, 1:], axis=1
    )
    open_ = ~gap & (margin > 1e-5).all(axis=(0, 1))
    assert open_.mean() > 0.7
    assert np.array_equal(codes[open_], np.array(order, np.uint8)[expected][open_])
    assert (codes == Code.NO_DATA).sum() == gap.sum() > 500
    assert (codes[gap] == Code.NO_DATA).all()
    if rule == "mean":
        per_cent = 100 * said.mean(axis=0).max(axis=0)
        assert np.abs(sure[open_] - per_cent[open_]).max() < 0.501
    # Members differ, and each rule is another one: nothing above holds by chance.
    assert (votes[0] != votes[1])[open_].mean() > 0.05
    assert len(np.unique(codes[open_])) >= 2


@pytest.fixture(scope="module")
def undisturbed():
    with dask.config.set(scheduler="synchronous"):
        return {rule: masked(whole(MEMBERS, rule), WHOLE) for rule in ("mean", "union")}


@settings(max_examples=15)
@given(
    st.sampled_from(["mean", "union"]),
    st.tuples(st.integers(-60, 60), st.integers(-70, 60)),
    st.tuples(st.integers(1, 60), st.integers(1, 70)),
    st.integers(11, 300),
    st.tuples(st.sampled_from([1, 1, 3]), st.integers(1, 4)),
)
def test_any_partition_gives_the_same_mask(undisturbed, rule, start, size, chunk, means):
    threads, batch = means
    size = min(size[0], 90 - start[0]), min(size[1], 100 - start[1])
    members = [WindowMeanModel(SMALL, batch=batch), *MEMBERS[1:]]
    with dask.config.set(scheduler="threads", num_workers=threads):
        found = masked(whole(members, rule), box(*start, *size), chunk)
    ys = slice(start[0] + 60, start[0] + 60 + size[0])
    xs = slice(start[1] + 70, start[1] + 70 + size[1])
    np.testing.assert_array_equal(found, undisturbed[rule][:, :, ys, xs])


@pytest.mark.usefixtures("single_thread")
def test_a_model_of_one_model_is_that_model():
    member = WindowMeanModel(SMALL)
    one = whole([member])
    assert np.array_equal(masked(one, WHOLE), masked(member, WHOLE))


@pytest.mark.usefixtures("single_thread")
def test_wholes_can_be_members():
    inner = whole(MEMBERS[:2], "majority")
    outer = whole([inner, MEMBERS[2]], "union")
    flat = masked(inner, WHOLE)[0], masked(MEMBERS[2], WHOLE)[0]
    found = masked(outer, WHOLE)[0]
    cloud = (flat[0] == Code.THICK_CLOUD) | (flat[1] == Code.THICK_CLOUD)
    assert np.array_equal(found == Code.THICK_CLOUD, cloud)


@pytest.mark.usefixtures("single_thread")
def test_every_window_of_every_member_runs_once():
    class Counting(WindowMeanModel):
        calls = 0

        def predict(self, windows):
            self.calls += len(windows)
            return super().predict(windows)

    members = [Counting(SMALL), Counting(WIDE)]
    geobox = box(64, 128, 64, 64)
    masked(whole(members), geobox)
    for member in members:
        held = geobox_cores(member.card.lattice, geobox)
        assert member.calls == 2 * held.rows * held.cols


# -- failures ----------------------------------------------------------------------------------


class Broken:
    """A whole whose joining goes wrong."""

    def __init__(self, answer):
        inner = whole(MEMBERS[:2])
        self.card, self.members, self.answer = inner.card, inner.members, answer

    def combine(self, scores):
        return self.answer(scores)


@pytest.mark.usefixtures("single_thread")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda scores: 1 / 0, "failed to combine its members' scores: ZeroDivisionError"),
        (
            lambda scores: scores[0][:, :2],
            r"combined its members' scores to float32 of shape .* expected float32 of \(1, 3,",
        ),
        (
            lambda scores: scores[0].astype(np.float64),
            "combined its members' scores to float64",
        ),
        (
            lambda scores: scores[0] * np.float32(np.nan),
            "combined its members' scores to numbers that are not finite",
        ),
    ],
)
def test_what_is_no_joint_answer_is_refused(answer, message):
    model = Broken(answer)
    assert isinstance(model, Combination)
    with pytest.raises(ModelError, match=f"model ensemble {message}"):
        masked(model, box(0, 0, 20, 20))


@pytest.mark.usefixtures("single_thread")
def test_the_member_that_fails_is_named():
    class Failing(WindowMeanModel):
        def predict(self, windows):
            raise ValueError("no weights")

    with pytest.raises(ModelError, match="model window-mean failed .* ValueError: no weights"):
        masked(whole([Failing(SMALL), MEMBERS[1]]), box(0, 0, 20, 20))


@pytest.mark.usefixtures("single_thread")
def test_infinite_reflectance_and_a_cube_elsewhere_are_errors():
    model, world = whole(MEMBERS), WORLD.copy()
    world[0, 1, 310, 320] = np.inf
    with pytest.raises(ModelError, match="1 infinite reflectances"):
        masked(model, box(0, 0, 40, 40), world=world)
    with pytest.raises(ModelError, match="needs a cube over"):
        mask_with_confidence(cube_over(box(0, 0, 40, 40), 40), model, box(0, 0, 40, 40))


def test_windows_of_several_lattices_are_nobodys():
    with pytest.raises(ModelError, match="cannot be asked about windows of ensemble"):
        whole(MEMBERS).predict(np.zeros((1, 2, 64, 64), np.float32))
