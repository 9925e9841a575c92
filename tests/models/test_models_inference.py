"""One window, one answer: in any thread, beside any other, with holes in it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from models_oracle import card_of, noise_window, read_chip, read_reference, real_windows

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models import allocator, inference, machine, ukis_csmask
from pipeline.types import Code


@pytest.fixture(scope="module")
def model():
    return models.load(card_of("4b", "L2A"))


@pytest.fixture(scope="module")
def window():
    return noise_window(4, 128)


def test_gives_the_codes_of_its_card_and_leaves_the_window_alone(model, window):
    before = window.copy()
    codes = model.predict(window)
    assert codes.shape == (128, 128)
    assert codes.dtype == np.uint8
    assert set(np.unique(codes)) <= {int(code) for code in model.card.classes}
    assert np.array_equal(window, before)


def test_classes_become_the_legend(model, window):
    classes = model.logits(window).argmax(axis=0)
    legend = np.array([Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW], np.uint8)
    assert np.array_equal(model.predict(window), legend[classes])


def test_threads_agree_with_a_lone_caller_to_the_bit(model):
    windows = [noise_window(4, 128, seed) for seed in range(8)]
    alone = [model.logits(each) for each in windows]
    threads = set()
    together = threading.Barrier(4)

    def ask(window):
        if threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            together.wait(timeout=60)
        answer = model.logits(window)
        assert torch.get_num_threads() == 1
        return answer

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, windows * 2))
    assert len(threads) == 4
    for one, other in zip(alone * 2, answers, strict=True):
        assert np.array_equal(one, other)


def test_a_thread_that_used_torch_before_is_brought_to_one_core(model, window):
    seen = []

    def work():
        torch.set_num_threads(2)
        model.predict(window)
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]


def test_writes_no_data_where_a_band_is_missing(model, window):
    holed = window.copy()
    holed[2, :40] = np.nan
    codes = model.predict(holed)
    assert (codes[:40] == Code.NO_DATA).all()
    assert (codes[40:] != Code.NO_DATA).all()
    assert (model.predict(np.full_like(window, np.nan)) == Code.NO_DATA).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_reflectance_is_an_error(model, window, value):
    spoiled = window.copy()
    spoiled[1, 3, 4] = value
    with pytest.raises(ModelError, match="1 infinite reflectances"):
        model.predict(spoiled)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((3, 64, 64), "f4"),
        ((4, 64, 65), "f4"),
        ((4, 0, 64), "f4"),
        ((64, 64), "f4"),
        ((4, 64, 64), "f8"),
    ],
)
def test_other_windows_are_refused(model, shape, dtype):
    with pytest.raises(
        ModelError, match="windows of 4 bands with edges that are multiples of 32 px"
    ):
        model.predict(np.zeros(shape, dtype))


def test_bfloat16_chooses_the_same_classes(shared_data):
    exact, fast = (
        models.load(card_of("6b", "L1C", precision=each)) for each in ("float32", "bfloat16")
    )
    for window in real_windows(shared_data, "6b"):
        assert (exact.predict(window) == fast.predict(window)).mean() >= 0.985


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="torch finds no usable GPU"):
        inference._device("cuda")


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(shared_data):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cpu, gpu = (models.load(card_of("6b", "L1C", device=each)) for each in ("cpu", "cuda"))
    for window in real_windows(shared_data, "6b"):
        assert (cpu.predict(window) == gpu.predict(window)).mean() >= 0.999
        assert np.array_equal(gpu.logits(window), gpu.logits(window))


def test_a_cut_swath_keeps_its_classes(shared_data):
    whole, _ = read_reference(shared_data, "sentinel2")
    y, x = np.indices(whole.shape[1:])
    kept = x + y / 4 < 420
    model = models.load(card_of("6b", "L1C"))
    cut = model.predict(np.where(kept, whole, np.float32(np.nan)))
    assert (cut == model.predict(whole))[kept].mean() > 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("sensor", "agreement"), [("sentinel2", 0.89), ("landsat7", 0.85)])
def test_agrees_with_the_reference_maps(shared_data, sensor, agreement):
    window, classes = read_reference(shared_data, sensor)
    codes = models.load(card_of("6b", "L1C")).predict(window)
    expected = np.array(ukis_csmask.CODES, np.uint8)[classes]
    assert (codes == expected).mean() > agreement


@pytest.mark.slow
def test_finds_the_clouds_that_people_drew(shared_data):
    model = models.load(card_of("4b", "L2A"))
    scores = []
    for number in (1, 2, 3):
        window, cloud = read_chip(shared_data, number)
        found = model.predict(window) == Code.THICK_CLOUD
        scores.append(2 * (found & cloud).sum() / (found.sum() + cloud.sum()))
    assert np.mean(scores) >= 0.85


# -- the machine -------------------------------------------------------------------------------


def test_bfloat16_is_read_from_the_flags_of_the_cpu(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name: x\nflags : fpu avx512_bf16 sse\nflags : fpu\n")
    assert machine.has_fast_bfloat16(cpuinfo)
    old = tmp_path / "old"
    old.write_text("flags : fpu avx512f\n")
    assert not machine.has_fast_bfloat16(old)
    assert not machine.has_fast_bfloat16(tmp_path / "absent")


def test_torch_sees_the_same_machine():
    ours = machine.has_fast_bfloat16()
    torchs = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert ours == torchs
    # A GPU that is there may still be hidden from this process.
    assert machine.has_cuda() or not torch.cuda.is_available()


def test_thresholds_are_raised_on_glibc_only(monkeypatch):
    assert allocator.keep_freed_memory() in {True, False}
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator.keep_freed_memory.__wrapped__() is False
