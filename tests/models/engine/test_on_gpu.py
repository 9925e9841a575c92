"""Models on a GPU agree with themselves on a CPU; skipped without a GPU. In a file of their own: the stand-in for
CUDA of the other tests stays until a file ends."""

from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.types import Lattice
from tests.models.oracle import card_of, real_windows
from tests.models.worlds import box, masked, on_lattice, real

LATTICE = Lattice(core_px=64, halo_px=16, blend_px=16, shift_px=24)


@pytest.fixture
def on_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_gpu_agrees_with_cpu(on_gpu, shared_data, precision):
    cpu = models.load(card_of("6b", "L1C"))
    gpu_one = models.load(card_of("6b", "L1C", device="cuda", precision=precision))
    for window in real_windows(shared_data, "6b"):
        held = ~np.isnan(window).any(axis=0)
        ours, theirs = (each.predict(window[None])[0].argmax(axis=0) for each in (gpu_one, cpu))
        assert (ours == theirs)[held].mean() >= (0.999 if precision == "float32" else 0.985)
        assert np.array_equal(gpu_one.predict(window[None]), gpu_one.predict(window[None]))


@pytest.mark.gpu
def test_threads_share_a_gpu_and_get_the_same_bits(on_gpu, shared_data):
    model = models.load(card_of("6b", "L1C", device="cuda"))
    windows = [window[None] for window in real_windows(shared_data, "6b")] * 8
    expected = [model.predict(window) for window in windows]
    with ThreadPoolExecutor(6) as pool:
        for one, other in zip(pool.map(model.predict, windows), expected, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_mask_for_any_partition(on_gpu, shared_data):
    """To the bit; and of the CPU's classes all but a few in a thousand."""
    world = real(shared_data)
    there, here = (
        on_lattice(models.load(card_of("6b", "L1C", device=each)), LATTICE, batch)
        for each, batch in (("cuda", 3), ("cpu", 1))
    )
    whole = masked(world, there, box(-70, -60, 200, 232), 640)
    with dask.config.set(scheduler="threads", num_workers=4):
        part = masked(world, there, box(-33, -9, 61, 58), 45)
    np.testing.assert_array_equal(part, whole[:, 37:98, 51:109])
    theirs = masked(world, here, box(-70, -60, 200, 232), 640)
    assert (whole[0] == theirs[0]).mean() > 0.999
