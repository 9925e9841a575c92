"""One window, one answer: in any thread, in any batch, with holes in it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models.engine import allocator
from pipeline.models.families import machine, ukis_csmask
from pipeline.types import Code
from tests.models.machine import needs_bfloat16
from tests.models.oracle import card_of, noise_window, read_chip, read_reference, real_windows


@pytest.fixture(scope="module")
def model():
    return models.load(card_of("4b", "L2A"))


@pytest.fixture(scope="module")
def window():
    return noise_window(4, 128)


def codes_of(model, window):
    """Classify one window, as the mask room does where windows do not meet."""
    legend = np.array(model.card.classes, np.uint8)
    missing = np.isnan(window).any(axis=0)
    return np.where(
        missing, Code.NO_DATA, legend[model.predict(window[None])[0].argmax(axis=0)]
    )


def test_gives_scores_for_the_classes_of_its_card_and_leaves_windows_alone(model, window):
    windows = np.stack([window, window[:, ::-1]])
    before = windows.copy()
    scores = model.predict(windows)
    assert scores.shape == (2, 3, 128, 128)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert model.card.scores == "logits"
    assert model.card.classes == (Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW)
    assert np.array_equal(windows, before)


def test_threads_and_batches_agree_with_a_lone_window_to_the_bit(model):
    windows = np.stack([noise_window(4, 128, seed) for seed in range(6)])
    windows[4, :, :, 60:] = np.nan
    alone = [model.predict(each[None])[0] for each in windows]
    threads = set()
    together = threading.Barrier(3)

    def ask(some):
        if threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            together.wait(timeout=60)
        answer = model.predict(windows[some])
        assert torch.get_num_threads() == 1
        return some, answer

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, [[0, 1, 2], [3, 4, 5], [5, 4], [2, 0], [1], [3, 0]]))
    assert len(threads) == 3
    for some, answer in answers:
        for index, scores in zip(some, answer, strict=True):
            assert np.array_equal(scores, alone[index])


def test_a_thread_that_used_torch_before_is_brought_to_one_core(model, window):
    seen = []

    def work():
        torch.set_num_threads(2)
        model.predict(window[None])
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]


def test_scores_are_finite_wherever_there_is_data(model, window):
    holed = window.copy()
    holed[2, :40] = np.nan
    holed[1, 60:70, 5:9] = np.nan
    assert np.isfinite(model.predict(holed[None])).all()
    assert np.isfinite(model.predict(np.full_like(window, np.nan)[None])).all()


def test_only_the_part_of_a_window_with_data_is_run(model, window, monkeypatch):
    shapes = []
    run = model._net.forward

    def watched(x):
        shapes.append(tuple(x.shape))
        return run(x)

    monkeypatch.setattr(model._net, "forward", watched)
    cut = window.copy()
    cut[:, 50:] = np.nan
    model.predict(np.stack([cut, np.full_like(cut, np.nan), window]))
    assert sorted(shapes) == [(1, 4, 64, 128), (1, 4, 128, 128)]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_reflectance_is_an_error(model, window, value):
    spoiled = window.copy()
    spoiled[1, 3, 4] = value
    with pytest.raises(ModelError, match="1 infinite reflectances"):
        model.predict(spoiled[None])


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 3, 64, 64), "f4"),
        ((1, 4, 64, 65), "f4"),
        ((1, 4, 0, 64), "f4"),
        ((4, 64, 64), "f4"),
        ((1, 4, 64, 64), "f8"),
    ],
)
def test_other_windows_are_refused(model, shape, dtype):
    with pytest.raises(
        ModelError, match=r"windows \(N, 4, H, W\) with edges that are multiples of 32 px"
    ):
        model.predict(np.zeros(shape, dtype))


@needs_bfloat16
def test_bfloat16_chooses_the_same_classes(shared_data):
    exact, fast = (
        models.load(card_of("6b", "L1C", precision=each)) for each in ("float32", "bfloat16")
    )
    for window in real_windows(shared_data, "6b"):
        assert (codes_of(exact, window) == codes_of(fast, window)).mean() >= 0.985


def test_a_cut_swath_keeps_its_classes(shared_data):
    whole, _ = read_reference(shared_data, "sentinel2")
    y, x = np.indices(whole.shape[1:])
    kept = x + y / 4 < 420
    model = models.load(card_of("6b", "L1C"))
    cut = codes_of(model, np.where(kept, whole, np.float32(np.nan)))
    assert (cut == codes_of(model, whole))[kept].mean() > 0.98


def test_a_straight_edge_keeps_its_classes_though_less_is_run(shared_data):
    whole, _ = read_reference(shared_data, "sentinel2")
    half = whole.copy()
    half[:, 250:] = np.nan
    model = models.load(card_of("6b", "L1C"))
    assert (codes_of(model, half) == codes_of(model, whole))[:250].mean() > 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("sensor", "agreement"), [("sentinel2", 0.89), ("landsat7", 0.85)])
def test_agrees_with_the_reference_maps(shared_data, sensor, agreement):
    window, classes = read_reference(shared_data, sensor)
    codes = codes_of(models.load(card_of("6b", "L1C")), window)
    expected = np.array(ukis_csmask.CODES, np.uint8)[classes]
    assert (codes == expected).mean() > agreement


@pytest.mark.slow
def test_finds_the_clouds_that_people_drew(shared_data):
    model = models.load(card_of("4b", "L2A"))
    scores = []
    for number in (1, 2, 3):
        window, cloud = read_chip(shared_data, number)
        found = codes_of(model, window) == Code.THICK_CLOUD
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


def test_a_cpu_without_avx512_has_no_bfloat16(tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : fpu avx2\n")
    assert not machine.has_bfloat16(cpuinfo)
    able = tmp_path / "able"
    able.write_text("flags : fpu avx512bw avx512vl avx512dq\n")
    assert machine.has_bfloat16(able)
    assert machine.has_bfloat16(tmp_path / "absent")
    monkeypatch.setattr(machine, "has_bfloat16", lambda: False)
    card = card_of("4b", "L2A", precision="bfloat16")
    for refuses in (models.check_device, models.load):
        with pytest.raises(
            ModelError, match="'bfloat16', which this CPU .* 'float32' or 'auto'"
        ):
            refuses(card)
    models.check_device(card_of("4b", "L2A"))


def test_torch_sees_the_same_machine():
    assert machine.has_bfloat16() == torch.ops.mkldnn._is_mkldnn_bf16_supported()

    ours = machine.has_fast_bfloat16()
    torchs = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert ours == torchs
    # A GPU that is there may still be hidden from this process.
    assert machine.has_cuda() or not torch.cuda.is_available()


def test_thresholds_are_raised_on_glibc_only(monkeypatch):
    assert allocator.keep_freed_memory() in {True, False}
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator.keep_freed_memory.__wrapped__() is False
