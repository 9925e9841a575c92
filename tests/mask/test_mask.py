"""Any partition, same mask: with a model that sees its whole window, and on every cut."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.errors import GridError, ModelError
from pipeline.mask import mask_cube, read_geobox
from pipeline.mask.lattice import cover, geobox_cover, origin_px
from pipeline.testing import ThresholdModel, WindowMeanModel
from pipeline.types import Code, Lattice

pytestmark = pytest.mark.usefixtures("single_thread")

lattices = st.builds(
    lambda core, halo: Lattice(core_px=core, halo_px=halo),
    st.integers(1, 40),
    st.integers(0, 12),
)


@given(
    lattices,
    st.integers(-1000, 1000),
    st.integers(-1000, 1000),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_a_cover_is_the_smallest_block_of_whole_cores(lattice, top, left, shape):
    held, core = cover(lattice, top, left, shape), lattice.core_px
    assert held.top % core == held.left % core == 0
    assert held.top <= top < held.top + core
    assert held.left <= left < held.left + core
    bottom, right = held.top + held.rows * core, held.left + held.cols * core
    assert bottom - core < top + shape[0] <= bottom
    assert right - core < left + shape[1] <= right


def test_origin_counts_down_and_right():
    geobox = GeoBox((10, 10), Affine(20, 0, 1000, 0, -20, 5000), "EPSG:32632")
    assert origin_px(geobox) == (-250, 50)


@pytest.mark.parametrize(
    "transform", [Affine(20, 0, 1003, 0, -20, 5000), Affine(20, 1, 1000, 0, -20, 5000)]
)
def test_what_is_not_anchored_is_refused(transform):
    with pytest.raises(GridError, match="not anchored"):
        origin_px(GeoBox((10, 10), transform, "EPSG:32632"))


def test_the_halo_is_written_out():
    """Cores of 4 from the origin, halo 1: masking pixels 5..9 reads 3..12."""
    geobox = GeoBox((5, 5), Affine(1, 0, 5, 0, -1, -5), "EPSG:32632")
    reads = read_geobox(Lattice(core_px=4, halo_px=1), geobox)
    assert origin_px(reads) == (3, 3)
    assert reads.shape == (10, 10)


WORLD = np.random.default_rng(3).random((2, 2, 400, 400), dtype=np.float32)
"""(time, role, y, x): the ground round the CRS origin."""
WORLD[:, :, 150:260, 130:200] = np.nan
WORLD[1, 0, 10:90, 10:90] = np.nan
ORIGIN = -200


def cube_over(geobox: GeoBox, chunk: int) -> xr.Dataset:
    top, left = origin_px(geobox)
    ys = slice(top - ORIGIN, top - ORIGIN + geobox.shape[0])
    xs = slice(left - ORIGIN, left - ORIGIN + geobox.shape[1])
    variables = {
        role: (("time", "y", "x"), da.from_array(WORLD[:, index, ys, xs], (1, chunk, chunk)))
        for index, role in enumerate(("blue", "nir"))
    }
    cube = xr.Dataset(variables, xr_coords(geobox))
    for role in ("blue", "nir"):
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    return cube


def box(top, left, height, width) -> GeoBox:
    return GeoBox((height, width), Affine(20, 0, left * 20, 0, -20, -top * 20), "EPSG:32632")


def masked(model, geobox, chunk) -> np.ndarray:
    return mask_cube(
        cube_over(read_geobox(model.card.lattice, geobox), chunk), model, geobox
    ).compute()


@settings(max_examples=40)
@given(
    st.sampled_from([Lattice(core_px=32, halo_px=8), Lattice(core_px=20, halo_px=13)]),
    st.tuples(st.integers(-130, 90), st.integers(-130, 90)),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(7, 200),
)
def test_any_cut_and_any_chunks_give_the_same_mask(lattice, start, size, chunk):
    model = WindowMeanModel(lattice)
    whole = box(-130, -130, 290, 290)
    expected = masked(model, whole, 400)
    found = masked(model, box(*start, *size), chunk)
    ys = slice(start[0] + 130, start[0] + 130 + size[0])
    xs = slice(start[1] + 130, start[1] + 130 + size[1])
    np.testing.assert_array_equal(found, expected[:, ys, xs])


def test_the_law_can_fail():
    """The same model on another lattice gives another mask: the law above is not empty."""
    geobox = box(-60, -60, 120, 120)
    one = masked(WindowMeanModel(Lattice(core_px=32, halo_px=8)), geobox, 50)
    other = masked(WindowMeanModel(Lattice(core_px=24, halo_px=8)), geobox, 50)
    assert (one != other).any()


def test_no_data_is_where_any_role_has_none():
    geobox = box(-200 + 8, -200 + 8, 380, 380)
    model = ThresholdModel(Lattice(core_px=32, halo_px=0))
    inside = box(-192, -192, 384, 384)
    found = masked(model, inside, 64)
    gaps = ~np.isfinite(WORLD[:, :, 8:392, 8:392]).all(axis=1)
    np.testing.assert_array_equal(found == Code.NO_DATA, gaps)
    assert geobox_cover(model.card.lattice, geobox).rows == 12


class Counting(ThresholdModel):
    calls = 0

    def predict(self, window):
        type(self).calls += 1
        return super().predict(window)


def test_windows_without_data_are_never_run():
    Counting.calls = 0
    model = Counting(Lattice(core_px=10, halo_px=0))
    # 70 × 60 pixels wholly inside the gap, and one core beside it.
    found = masked(model, box(-40, -60, 70, 60), 400)
    assert Counting.calls == 0
    assert (found == Code.NO_DATA).all()


class Wrong(ThresholdModel):
    def __init__(self, answer):
        super().__init__(Lattice(core_px=32, halo_px=0))
        self.answer = answer

    def predict(self, window):
        return self.answer(window)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda window: np.zeros((3, 3), np.uint8), "shape"),
        (lambda window: np.zeros(window.shape[1:], np.int64), "int64"),
        (lambda window: np.full(window.shape[1:], 7, np.uint8), "code 7"),
    ],
)
def test_an_answer_that_is_no_mask_is_refused(answer, message):
    with pytest.raises(ModelError, match=f"threshold gave.*{message}"):
        masked(Wrong(answer), box(0, 0, 40, 40), 64)


def test_a_model_that_fails_in_one_window_fails_the_mask():
    def fail(window):
        raise ModelError("model broken: no weights")

    with pytest.raises(ModelError, match="no weights"):
        masked(Wrong(fail), box(0, 0, 40, 40), 64)


def test_a_cube_elsewhere_or_without_a_role_is_refused():
    model = ThresholdModel(Lattice(core_px=32, halo_px=4))
    with pytest.raises(ModelError, match="needs a cube over"):
        mask_cube(cube_over(box(0, 0, 40, 40), 40), model, box(0, 0, 40, 40))
    with pytest.raises(ModelError, match="needs nir"):
        mask_cube(cube_over(box(0, 0, 40, 40), 40).drop_vars("nir"), model, box(0, 0, 40, 40))
