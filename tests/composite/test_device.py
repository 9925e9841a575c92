"""Laws of composing on a device: the same as on the processor, for every method; torch's CPU is the device."""

import logging
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import METHODS, compose, method, on_device
from pipeline.composite.best import PRESETS
from pipeline.composite.device.rows import day_of_year
from pipeline.composite.observations import Composed, Plain
from pipeline.models.engine.device import TorchDevice
from tests.composite.test_compose import assert_same_bits, cubes, make_cube, make_usable
from tests.composite.test_methods import OPTIONS, evidence_of, scenes

CPU = TorchDevice("cpu")

MORE = [
    ("best", {"weights": dict.fromkeys(("doy", "cloud", "sensor", "confidence", "view"), 1.0)}),
    ("best", {"target_doy": 200, "weights": {"doy": 1, "sensor": 0.5}, "sensors": {"landsat": 0.3}}),
    ("geomedian", {}),
    ("max", {"index": "EVI2"}),
    ("nearest", {"to": "percentile", "q": 30.0}),
    ("percentile", {"q": 62.5}),
    ("weighted_mean", {"target_doy": 60, "sensors": {"landsat": 0.5, "nobody": 2.0}}),
    *[("best", {"preset": name}) for name in PRESETS],
]  # fmt: skip
EVERY = [*[(name, OPTIONS.get(name, {})) for name in METHODS], *MORE]


def alike(on, off):
    """Count, day and source are the same, values within 1e-5 of reflectance and a few float32 steps."""
    assert set(on.data_vars) == set(off.data_vars)
    for name, layer in off.data_vars.items():
        assert on[name].dtype == layer.dtype
        if name in ("count", "day", "source"):
            np.testing.assert_array_equal(on[name], layer, err_msg=str(name))
        else:
            np.testing.assert_allclose(on[name], layer, rtol=1e-6, atol=1e-5, err_msg=str(name))


@given(cubes(), st.sampled_from(EVERY), st.integers(1, 40_000))
def test_a_device_composes_as_the_processor(case, asked, memory_bytes):
    cube, usable = case
    made = method(*asked)
    if not set(made.wants) <= set(cube.data_vars):
        return
    device = TorchDevice("cpu", memory_bytes)
    on, off = (compose(cube, usable, made, evidence_of(cube), on) for on in (device, None))
    alike(on, off)


@pytest.mark.parametrize("asked", EVERY, ids=str)
def test_a_device_composes_real_numbers_as_the_processor(asked):
    cube, usable = scenes(n_times=9, edge=48, seed=3)
    made = method(*asked)
    on, off = (compose(cube, usable, made, evidence_of(cube), on) for on in (CPU, None))
    alike(on, off)
    if asked[0] not in ("best", "weighted_mean"):  # theirs have exponentials
        assert_same_bits(on, off)


@given(st.lists(st.integers(-200_000, 200_000), min_size=1))
def test_days_of_the_year_are_numpys(days):
    date = np.array(days).astype("datetime64[D]")
    expected = (date - date.astype("datetime64[Y]")).astype(int) + 1
    np.testing.assert_array_equal(day_of_year(torch.tensor(days)), expected)


class Short:
    """A device whose memory runs out with more than so many pixels."""

    def __init__(self, room):
        self.room, self.sizes = room, []

    def free_bytes(self):
        return 2**30

    def run(self, work, arrays):
        self.sizes.append(arrays[0].shape[1])
        if self.sizes[-1] > self.room:
            raise MemoryError("CUDA out of memory")
        return CPU.run(work, arrays)


def test_where_memory_runs_out_fewer_pixels_are_composed_at_a_time(caplog):
    cube, usable = scenes(edge=24)
    short = Short(100)
    with caplog.at_level(logging.WARNING):
        assert_same_bits(
            compose(cube, usable, "geomedian", device=short), compose(cube, usable, "geomedian")
        )
    assert max(short.sizes[3:]) == 72  # 576, 288 and 144 did not fit
    assert sum(short.sizes[3:]) == 24 * 24
    assert "72 pixels at a time now" in caplog.text
    with pytest.raises(MemoryError):
        compose(cube, usable, device=Short(0))


def test_chunks_are_composed_on_a_device_wherever_they_are():
    cube, usable = scenes(edge=24)
    lazy = compose(cube.chunk(y=7, x=9), usable.chunk(y=7, x=9), "medoid", device=CPU)
    assert_same_bits(lazy.compute(scheduler="threads"), compose(cube, usable, "medoid"))
    assert pickle.loads(pickle.dumps(CPU)) == CPU


class Foreign(Plain):
    """A method of another package, which says nothing of devices."""

    def compose(self, seen):
        assert isinstance(seen.bands, np.ndarray)
        return Composed(values=seen.bands.max(axis=0))


class Told(Foreign):
    on_device = True

    def compose(self, seen):
        assert isinstance(seen.bands, torch.Tensor)
        return Composed(values=torch.amax(seen.bands, dim=0))


def test_a_method_of_another_package_goes_on_a_device_only_if_it_says_so():
    cube, usable = (
        make_cube(np.random.default_rng(0).random((2, 3, 4, 4))),
        make_usable(np.ones((3, 4, 4))),
    )
    assert not on_device(Foreign())
    assert on_device(Told())
    assert all(on_device(method(*asked)) for asked in EVERY)
    assert_same_bits(
        compose(cube, usable, Told(), device=CPU), compose(cube, usable, Foreign(), device=CPU)
    )


@pytest.mark.gpu
@pytest.mark.parametrize("asked", EVERY, ids=str)
def test_a_gpu_composes_as_the_processor(asked):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cube, usable = scenes(n_times=9, edge=96, seed=4)
    gpu = TorchDevice("cuda")
    made = method(*asked)
    on, off = (compose(cube, usable, made, evidence_of(cube), on) for on in (gpu, None))
    alike(on, off)
