"""Any partition, same mask: with a model that sees its whole window, and on every cut."""

import threading

import dask
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline.errors import GridError, ModelError
from pipeline.mask import bytes_needed, mask_cube, mask_with_confidence, read_geobox
from pipeline.mask.lattice import core_block, geobox_cores, origin_px, weights
from pipeline.testing import ThresholdModel, WindowMeanModel
from pipeline.types import Code, Lattice
from tests.mask.cubes import box, cube_of

pytestmark = pytest.mark.usefixtures("single_thread")


@st.composite
def lattices(draw):
    core, halo = draw(st.integers(1, 40)), draw(st.integers(0, 12))
    return Lattice(
        core_px=core,
        halo_px=halo,
        blend_px=2 * draw(st.integers(0, min(halo, core // 2))),
        shift_px=draw(st.integers(0, core - 1)),
    )


# -- the lattice -------------------------------------------------------------------------------


@given(
    lattices(),
    st.integers(-1000, 1000),
    st.integers(-1000, 1000),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_a_block_is_the_fewest_cores_that_decide(lattice, top, left, shape):
    held, core, reach = core_block(lattice, top, left, shape), lattice.core_px, lattice.reach_px
    for start, size, first, count in (
        (top, shape[0], held.top, held.rows),
        (left, shape[1], held.left, held.cols),
    ):
        assert (first - lattice.shift_px) % core == 0
        last = first + (count - 1) * core
        # All that reach in, and no others: the next ones on both sides end before or start after.
        assert first - core + core + reach <= start < first + core + reach
        assert last - reach < start + size <= last + core - reach


@given(lattices())
def test_weights_of_neighbours_add_up_to_one(lattice):
    one, reach = weights(lattice), lattice.reach_px
    assert one.shape == (lattice.core_px + 2 * reach,)
    assert one.dtype == np.float32
    total = np.zeros(3 * lattice.core_px + 2 * reach, np.float32)
    for start in range(0, 3 * lattice.core_px, lattice.core_px):
        total[start : start + one.size] += one
    np.testing.assert_allclose(total[2 * reach : total.size - 2 * reach], 1, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"core_px": 0, "halo_px": 0},
        {"core_px": 8, "halo_px": -1},
        {"core_px": 8, "halo_px": 4, "blend_px": 3},
        {"core_px": 8, "halo_px": 1, "blend_px": 4},
        {"core_px": 4, "halo_px": 4, "blend_px": 6},
        {"core_px": 8, "halo_px": 4, "shift_px": 8},
    ],
)
def test_what_is_no_lattice_is_refused(wrong):
    with pytest.raises(ModelError, match="is no lattice"):
        Lattice(**wrong)


def test_origin_counts_down_and_right():
    geobox = GeoBox((10, 10), Affine(20, 0, 1000, 0, -20, 5000), "EPSG:32632")
    assert origin_px(geobox) == (-250, 50)


def test_a_grid_beside_the_origin_is_counted_from_its_own_corner():
    geobox = GeoBox((10, 10), Affine(20, 0, 1003, 0, -20, 5019.5), "EPSG:32632")
    assert origin_px(geobox) == (-250, 50)
    assert origin_px(geobox[3:, 4:]) == (-247, 54)


def test_what_is_rotated_is_refused():
    with pytest.raises(GridError, match="rotated"):
        origin_px(GeoBox((10, 10), Affine(20, 1, 1000, 0, -20, 5000), "EPSG:32632"))


def test_the_halo_is_written_out():
    """Cores of 4 from the origin, halo 1: masking pixels 5..9 reads 3..12."""
    geobox = GeoBox((5, 5), Affine(1, 0, 5, 0, -1, -5), "EPSG:32632")
    reads = read_geobox(Lattice(core_px=4, halo_px=1), geobox)
    assert origin_px(reads) == (3, 3)
    assert reads.shape == (10, 10)


def test_a_shift_and_a_reach_are_written_out():
    """Cores [2, 10), [10, 18) with a reach of 2: pixels 8..15 hear both, and 3..5 one."""
    lattice = Lattice(core_px=8, halo_px=3, blend_px=4, shift_px=2)
    assert core_block(lattice, 8, 4, (8, 3)).rows == 2
    assert core_block(lattice, 8, 4, (8, 3)).cols == 1
    assert core_block(lattice, 8, 3, (1, 1)).left == -6
    assert core_block(lattice, 8, 4, (1, 1)).left == 2


# -- one world, cut in many ways ---------------------------------------------------------------

WORLD = np.random.default_rng(3).random((2, 2, 400, 400), dtype=np.float32)
"""(time, role, y, x): the ground round the CRS origin."""
WORLD[:, :, 150:260, 130:200] = np.nan
WORLD[1, 0, 110:150, 100:180] = np.nan
ORIGIN = -200


def cube_over(geobox, chunk, world=WORLD):
    return cube_of(world, ("blue", "nir"), geobox, ORIGIN, (chunk, chunk))


def masked(model, geobox, chunk, world=WORLD) -> np.ndarray:
    """Codes and confidence: (2, time, y, x)."""
    cube = cube_over(read_geobox(model.card.lattice, geobox), chunk, world)
    return np.stack(dask.compute(*mask_with_confidence(cube, model, geobox)))


LATTICES = [
    Lattice(core_px=32, halo_px=8),
    Lattice(core_px=20, halo_px=13),
    Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=16),
    Lattice(core_px=24, halo_px=12, blend_px=24, shift_px=5),
]
WHOLE = box(-80, -80, 170, 170)


@pytest.fixture(scope="module")
def whole():
    with dask.config.set(scheduler="synchronous"):
        return [masked(WindowMeanModel(lattice), WHOLE, 400) for lattice in LATTICES]


@given(
    st.integers(0, 3),
    st.tuples(st.integers(-80, 20), st.integers(-80, 20)),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(7, 200),
    st.tuples(st.integers(1, 5), st.sampled_from([1, 1, 3])),
)
def test_any_cut_chunks_batches_and_threads_give_the_same_mask(
    whole, which, start, size, chunk, means
):
    batch, threads = means
    model = WindowMeanModel(LATTICES[which], batch=batch)
    with dask.config.set(scheduler="threads", num_workers=threads):
        found = masked(model, box(*start, *size), chunk)
    ys = slice(start[0] + 80, start[0] + 80 + size[0])
    xs = slice(start[1] + 80, start[1] + 80 + size[1])
    np.testing.assert_array_equal(found, whole[which][:, :, ys, xs])


def test_a_scene_cut_by_a_border_and_read_as_one_has_the_mask_of_the_uncut(whole):
    """Two granules that share a column, each with its own extent: every pixel is as in one scene."""
    model = WindowMeanModel(LATTICES[2])
    west, east = WORLD.copy(), WORLD.copy()
    west[..., 217:], east[..., :205] = np.nan, np.nan
    mosaic = np.where(np.isnan(west), east, west)
    np.testing.assert_array_equal(masked(model, WHOLE, 100, mosaic), whole[2])


def test_the_law_can_fail(whole):
    """The same model on another lattice gives another mask: the law above is not empty."""
    assert (whole[0] != whole[1]).any()
    moved = Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=15)
    assert (masked(WindowMeanModel(moved), WHOLE, 400) != whole[2]).any()


def test_between_windows_scores_are_averaged_with_the_weights():
    """One row of two windows, by hand."""

    class Which(ThresholdModel):
        """Sure of cloud in the window that starts bright, of clear in the other."""

        def predict(self, windows):
            bright = windows[:, :1, :1, :1] > 0.5
            cloud = np.broadcast_to(np.where(bright, 0.9, 0.3), (len(windows), 1, 20, 20))
            return np.concatenate([1 - cloud, cloud, 0 * cloud], axis=1).astype(np.float32)

    lattice = Lattice(core_px=12, halo_px=4, blend_px=6)
    world = np.zeros_like(WORLD)
    world[..., 196:208] = 1  # the window of the core that starts at pixel 0 starts at -4
    codes, sure = masked(Which(lattice), box(3, 0, 1, 24), 50, world)
    ramp = np.sin(np.pi / 2 * (np.arange(6) + 0.5) / 6) ** 2
    cloud = np.full(24, 0.9)
    cloud[9:15] = 0.9 * (1 - ramp) + 0.3 * ramp
    cloud[15:] = 0.3
    # Pixels 0 … 2 also hear the window before. The third window is as dark as the second.
    expected = np.rint(100 * np.maximum(cloud, 1 - cloud))
    np.testing.assert_array_equal(codes[0, 0, 3:] == Code.THICK_CLOUD, cloud[3:] > 0.5)
    np.testing.assert_array_equal(sure[0, 0, 3:], expected[3:])


# -- classes -----------------------------------------------------------------------------------


class Constant(ThresholdModel):
    """The same scores everywhere."""

    def __init__(self, given, **card):
        super().__init__(Lattice(core_px=32, halo_px=2, blend_px=4))
        self.given = np.array(given, np.float32)[:, None, None]
        values = {name: getattr(self.card, name) for name in self.card.__dataclass_fields__}
        self.card = type(self.card)(**{**values, **card})

    def predict(self, windows):
        shape = (len(self.given), *windows.shape[2:])
        return np.stack([np.broadcast_to(self.given, shape)] * len(windows))


THREE = (Code.CLEAR, Code.THICK_CLOUD, Code.WATER)
SHARED = (Code.THICK_CLOUD, Code.CLEAR, Code.THICK_CLOUD)


@pytest.mark.parametrize(
    ("classes", "kind", "scores", "code", "per_cent"),
    [
        (THREE, "probabilities", [0.2, 0.3, 0.5], Code.WATER, 50),
        (THREE, "probabilities", [0.4, 0.4, 0.2], Code.CLEAR, 40),
        (THREE, "logits", np.log([0.2, 0.3, 0.5]), Code.WATER, 50),
        (THREE, "logits", [7, 7, 7], Code.CLEAR, 33),
        (SHARED, "probabilities", [0.3, 0.4, 0.3], Code.THICK_CLOUD, 60),
        (SHARED, "logits", np.log([0.3, 0.4, 0.3]) + 5, Code.THICK_CLOUD, 60),
        (SHARED, "logits", [-200, 200, -200], Code.CLEAR, 100),
        ((Code.NO_DATA, Code.CLEAR), "probabilities", [1, 0], Code.NO_DATA, 0),
    ],
)
def test_the_most_probable_code_and_its_probability(classes, kind, scores, code, per_cent):
    model = Constant(scores, classes=classes, scores=kind)
    codes, sure = masked(model, box(150, 150, 40, 40), 50)[:, 0]
    assert (codes == code).all()
    assert (sure == per_cent).all()


def test_no_data_is_where_any_role_has_none():
    model = ThresholdModel(Lattice(core_px=32, halo_px=0))
    inside = box(-192, -192, 384, 384)
    codes, sure = masked(model, inside, 64)
    gaps = ~np.isfinite(WORLD[:, :, 8:392, 8:392]).all(axis=1)
    np.testing.assert_array_equal(codes == Code.NO_DATA, gaps)
    np.testing.assert_array_equal(sure == 0, gaps)
    assert geobox_cores(model.card.lattice, box(-192, -192, 380, 380)).rows == 12


# -- what runs ---------------------------------------------------------------------------------


class Counting(WindowMeanModel):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sizes = []
        self.lock = threading.Lock()

    def predict(self, windows):
        with self.lock:
            self.sizes.append(len(windows))
        return super().predict(windows)


def test_windows_without_data_are_never_run():
    # 70 × 60 pixels wholly inside the gap, and one core beside it.
    model = Counting(Lattice(core_px=10, halo_px=0))
    codes, _ = masked(model, box(-40, -60, 70, 60), 400)
    assert model.sizes == []
    assert (codes == Code.NO_DATA).all()
    # Data in the halo alone, where a window has no say, is no reason either.
    model = Counting(Lattice(core_px=10, halo_px=8))
    assert (masked(model, box(-30, -50, 40, 30), 400)[0] == Code.NO_DATA).all()
    assert model.sizes == []


def test_every_window_runs_once():
    model = Counting(Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=16))
    masked(model, box(0, 0, 64, 64), 50)
    assert model.sizes == [1] * 2 * 9


def test_batches_fill_up_across_blocks_and_dates():
    model = Counting(Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=16), batch=2)
    with dask.config.set(scheduler="threads", num_workers=4):
        masked(model, box(0, 0, 64, 64), 50)
    # Three windows a row leave one over; each of six rows needs two calls at most.
    assert sum(model.sizes) == 2 * 9
    assert max(model.sizes) == 2
    assert len(model.sizes) <= 12


def test_memory_grows_with_the_scene_the_workers_and_the_batch():
    card = WindowMeanModel().card
    one = bytes_needed(card, 4, 4, 1)
    assert bytes_needed(card, 8, 4, 1) - bytes_needed(card, 4, 4, 1) == 4 * 32 * 144 * 2 * 4
    assert bytes_needed(card, 4, 4, 3) - one == 2 * 48 * 48 * 4 * (2 * 2 + 4 * 3)


# -- failures ----------------------------------------------------------------------------------


class Wrong(ThresholdModel):
    def __init__(self, answer, batch=1):
        super().__init__(Lattice(core_px=32, halo_px=0), batch=batch)
        self.answer = answer

    def predict(self, windows):
        return self.answer(windows)


def scores_like(windows, classes=3, dtype=np.float32):
    return np.zeros((len(windows), classes, *windows.shape[2:]), dtype)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda windows: np.zeros((1, 3, 3, 3), np.float32), r"shape \(3, 3, 3\)"),
        (lambda windows: scores_like(windows, classes=2), r"expected float32 of \(3, 32, 32\)"),
        (lambda windows: scores_like(windows, dtype=np.int64), "int64"),
        (lambda windows: scores_like(windows) * np.nan, "no finite scores for 1024 pixels"),
        (lambda windows: scores_like(windows) + np.inf, "no finite scores for 1024 pixels"),
    ],
)
def test_an_answer_that_is_no_scores_is_refused(answer, message):
    where = r"in the window of scene \d at pixel \(\d+, \d+\)"
    with pytest.raises(ModelError, match=f"model threshold gave.*{message}") as raised:
        masked(Wrong(answer), box(128, 128, 40, 40), 64)
    raised.match(where)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_model_that_fails_in_one_window_fails_the_mask(batch, threads):
    """It neither hangs nor becomes clear, whoever of several threads ran the batch."""
    calls = iter(range(100))

    def fail(windows):
        if next(calls) == 4:
            raise ValueError("no weights")
        return scores_like(windows)

    with (
        dask.config.set(scheduler="threads", num_workers=threads),
        pytest.raises(ModelError, match="threshold failed .*at pixel.* ValueError: no weights"),
    ):
        masked(Wrong(fail, batch), box(0, 0, 190, 190), 64)


def test_an_error_that_says_enough_passes_as_it_is():
    def fail(windows):
        raise ModelError("model broken: no weights")

    with pytest.raises(ModelError, match="^model broken: no weights$"):
        masked(Wrong(fail), box(0, 0, 40, 40), 64)


@pytest.mark.parametrize("batch", [1, 2])
def test_too_few_answers_are_an_error(batch):
    with pytest.raises(ModelError, match="threshold failed"):
        masked(Wrong(lambda windows: scores_like(windows)[1:], batch), box(0, 0, 40, 40), 64)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_reflectance_is_an_error(value):
    world = WORLD.copy()
    world[0, 1, 330, 340] = value
    with pytest.raises(ModelError, match=r"1 infinite reflectances in the window of scene 0"):
        masked(ThresholdModel(), box(128, 128, 40, 40), 64, world)


def test_a_cube_elsewhere_or_without_a_role_is_refused():
    model = ThresholdModel(Lattice(core_px=32, halo_px=4))
    with pytest.raises(ModelError, match="needs a cube over"):
        mask_cube(cube_over(box(0, 0, 40, 40), 40), model, box(0, 0, 40, 40))
    with pytest.raises(ModelError, match="needs nir"):
        mask_cube(cube_over(box(0, 0, 40, 40), 40).drop_vars("nir"), model, box(0, 0, 40, 40))
