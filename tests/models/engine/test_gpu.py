"""Models on a GPU: what they do, with a stand-in for one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models.engine import fill_gaps, gpu_stream
from pipeline.models.engine.choose import of_network
from pipeline.models.engine.normalise import Normalisation, OwnStatistics, ZeroGaps
from pipeline.types import DeviceModel
from tests.models.oracle import card_of, noise_window, real_windows


class Sums(torch.nn.Module):
    """A network of one sum that has room for so many windows at a time."""

    def __init__(self, room=99):
        super().__init__()
        self.room, self.sizes = room, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.cat([x.sum(dim=1, keepdim=True)] * 3, dim=1)


def model_of(
    net, entry=None, gaps=fill_gaps.as_it_is, batch=4, device="cuda", precision="float32"
):
    options = {"device": device, "precision": precision}
    card = replace(card_of("4b", "L2A"), batch=batch, options=options)
    return of_network(card, net, entry or ZeroGaps(), stride=32, gaps=gaps)


def holed(n, size=64):
    """Windows with gaps of several kinds, the last one without data."""
    windows = np.stack([noise_window(4, size, seed) for seed in range(n)])
    windows[1, :, :, 40:] = np.nan
    windows[2, 1, 3:9, 5:60] = np.nan
    windows[-1] = np.nan
    return windows


NORMAL = Normalisation(
    mean=np.array([0.1, 0.2, 0.3, 0.4], np.float32), std=np.array([1, 2, 3, 0.5], np.float32)
)


# -- what stands before a network ----------------------------------------------------------------


@pytest.mark.parametrize(
    "entry", [NORMAL, OwnStatistics(), ZeroGaps()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("scale", [1, 1e4])
def test_a_device_normalises_as_a_cpu_does(entry, scale):
    windows = holed(4, 128) * np.float32(scale)
    # A band of one value has no spread to be divided by.
    windows[0, 2] = 0.3
    expected = np.stack([entry.here(each.copy()) for each in windows])
    found = entry.there()(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


# -- with a stand-in for a GPU -------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [fill_gaps.mirrored, fill_gaps.only_cut, fill_gaps.as_it_is])
def test_scores_are_those_of_a_cpu(gpu_stand_in, gaps):
    torch.manual_seed(1)
    net = torch.nn.Conv2d(4, 3, 5, padding=2).requires_grad_(False)
    entry = OwnStatistics() if gaps is fill_gaps.only_cut else NORMAL
    if gaps is fill_gaps.as_it_is:
        entry = ZeroGaps()
    windows = holed(7)
    before = windows.copy()
    there = model_of(net, entry, gaps).predict(windows)
    here = model_of(net, entry, gaps, device="cpu", batch=1).predict(windows)
    np.testing.assert_allclose(there, here, atol=1e-4)
    assert (there[-1] == 0).all()
    assert np.array_equal(windows, before, equal_nan=True)


def test_what_is_made_comes_back_in_the_order_of_windows(gpu_stand_in):
    """Also of windows that are run apart, because another part of them holds data."""
    windows = holed(9)[:-1]
    model = model_of(Sums(), gaps=fill_gaps.only_cut, batch=3)
    assert isinstance(model, DeviceModel)

    def then(scores, beside):
        assert scores.shape[1:] == (3, 64, 64)
        return scores[:, 0, :2, :2], beside + 1, (scores[:, 1] > 1).to(torch.uint8)

    corner, number, bright = model.predict_then(windows, np.arange(8), then)
    scores = model.predict(windows)
    np.testing.assert_array_equal(corner, scores[:, 0, :2, :2])
    np.testing.assert_array_equal(number, np.arange(1, 9))
    np.testing.assert_array_equal(bright, scores[:, 1] > 1)
    assert bright.dtype == np.uint8


def test_a_window_without_data_is_refused_where_nothing_could_be_made_of_it(gpu_stand_in):
    with pytest.raises(ModelError, match="window 3 given to .* holds no data"):
        model_of(Sums()).predict_then(holed(4), np.arange(4), lambda scores, beside: (scores,))


@pytest.mark.parametrize("n", [1, 3, 4, 5])
def test_batches_are_filled_up_to_one_size(gpu_stand_in, n):
    net = Sums()
    model_of(net, batch=4).predict(np.stack([noise_window(4, 64, seed) for seed in range(n)]))
    assert net.sizes == [4] * -(-n // 4)


def test_short_memory_halves_the_batch_and_goes_on(gpu_stand_in, caplog):
    net = Sums(room=2)
    model = model_of(net, batch=8)
    windows = np.stack([noise_window(4, 64, seed) for seed in range(7)])
    scores = model.predict(windows)
    np.testing.assert_allclose(scores[:, 1], windows.sum(axis=1), rtol=1e-6)
    # Filled up to one size each time, and what was learnt is kept.
    assert net.sizes == [8, 4, 2, 2, 2, 2]
    model.predict(windows[:1])
    assert net.sizes[6:] == [2]
    assert "batches of 2 from now on" in caplog.text


def test_no_room_for_one_window_is_an_error(gpu_stand_in):
    with pytest.raises(
        ModelError, match="out of memory on the GPU with a single window of 64 px"
    ):
        model_of(Sums(room=0)).predict(noise_window(4, 64)[None])


def test_threads_get_their_own_answers(gpu_stand_in):
    model = model_of(Sums(), NORMAL, fill_gaps.mirrored)
    windows = [noise_window(4, 64, seed)[None] for seed in range(12)]
    expected = [model.predict(each) for each in windows]
    with ThreadPoolExecutor(4) as pool:
        for found, each in zip(pool.map(model.predict, windows), expected, strict=True):
            np.testing.assert_array_equal(found, each)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_reflectance_is_an_error(gpu_stand_in, value):
    spoiled = noise_window(4, 64)[None]
    spoiled[0, 1, 3, 4] = value
    with pytest.raises(ModelError, match="1 infinite reflectances"):
        model_of(Sums()).predict(spoiled)


@pytest.mark.quick(1)
@pytest.mark.parametrize("bands", ["4b", "6b"])
def test_a_published_network_runs_as_on_a_cpu(gpu_stand_in, shared_data, bands):
    here, there = (models.load(card_of(bands, "L1C", device=each)) for each in ("cpu", "cuda"))
    (window,) = list(real_windows(shared_data, bands))[:1]
    ours, theirs = (each.predict(window[None])[0] for each in (there, here))
    assert (ours.argmax(axis=0) == theirs.argmax(axis=0)).mean() > 0.9999


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="torch finds no usable GPU"):
        gpu_stream.usable_device()
