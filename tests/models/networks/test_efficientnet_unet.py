"""The network in torch is the released one: against onnxruntime, and with each proof broken on purpose."""

import functools

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models.families import ukis_csmask
from pipeline.models.networks import efficientnet_unet
from pipeline.models.networks.cpu import onednn_fusion
from pipeline.models.weights import onnx
from tests.models.oracle import card_of, noise_window, onnx_logits, real_windows


@functools.cache
def weights():
    files = ukis_csmask.FILES["4b", "L2A"]
    return onnx.parse(files.onnx.read_bytes(), files.stem)


def trained_with():
    """Return the network of the library that it was trained with, as exported."""
    plain = smp.Unet("efficientnet-b4", encoder_weights=None, in_channels=4, classes=3)
    plain.eval().requires_grad_(False)
    tensors = {name: torch.from_numpy(each) for name, each in weights().tensors.items()}
    torch.nn.Module.load_state_dict(plain, tensors, strict=False)
    return plain


def altered(**changes):
    return onnx.OnnxWeights(
        **{"tensors": weights().tensors, "paddings": weights().paddings, **changes}
    )


@pytest.mark.quick(2)
def test_logits_equal_onnxruntime_in_float32(network):
    window = noise_window(len(ukis_csmask.BANDS[network[0]]), 256)
    ours = models.load(card_of(*network)).predict(window[None])[0]
    np.testing.assert_allclose(ours, onnx_logits(*network, window, float32=True), atol=1e-3)


@pytest.mark.quick(1)
def test_logits_equal_onnxruntime_on_real_windows(network, shared_data):
    model = models.load(card_of(*network))
    for window in real_windows(shared_data, network[0]):
        ours = model.predict(window[None])[0]
        np.testing.assert_allclose(ours, onnx_logits(*network, window, float32=True), atol=1e-3)
        released = onnx_logits(*network, window, float32=False)
        assert (ours.argmax(axis=0) == released.argmax(axis=0)).mean() >= 0.998


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_logits_equal_onnxruntime_on_more_noise(network, seed):
    window = noise_window(len(ukis_csmask.BANDS[network[0]]), 256, seed)
    ours = models.load(card_of(*network)).predict(window[None])[0]
    np.testing.assert_allclose(ours, onnx_logits(*network, window, float32=True), atol=1e-3)


def test_the_encoder_pads_as_the_library_that_it_was_trained_with():
    net = trained_with()
    paddings = {
        path: tuple(each.padding)
        for path, each in net.named_modules()
        if isinstance(each, torch.nn.ZeroPad2d)
    }
    assert paddings == weights().paddings


@pytest.mark.parametrize("padding", [(), (2, 2), (1, 1, 1, 1), (2, 2, 2, 1), (2, 3, 2, 3)])
def test_a_padding_that_this_network_has_not_is_noticed(padding):
    name = "encoder._blocks.6._depthwise_conv.static_padding"
    paddings = {**weights().paddings, name: padding}
    if not padding:
        del paddings[name]
    with pytest.raises(ModelError, match=rf"pads {name} by \(.*\), as this network is not"):
        efficientnet_unet.build(altered(paddings=paddings))


def test_a_padding_without_a_convolution_is_noticed():
    paddings = {**weights().paddings, "decoder.blocks.0.conv1.0.static_padding": (1, 1, 1, 1)}
    with pytest.raises(ModelError, match=r"pads decoder.blocks.0.conv1.0"):
        efficientnet_unet.build(altered(paddings=paddings))


@pytest.mark.parametrize("change", ["lost", "unknown", "misshapen", "headless"])
def test_weights_of_another_network_are_noticed(change):
    tensors = dict(weights().tensors)
    if change == "lost":
        del tensors["decoder.blocks.0.conv1.0.weight"]
    if change == "unknown":
        tensors["decoder.blocks.9.weight"] = np.zeros(3, np.float32)
    if change == "misshapen":
        tensors["decoder.blocks.0.conv1.0.weight"] = np.zeros(3, np.float32)
    if change == "headless":
        del tensors["encoder._conv_stem.weight"]
    with pytest.raises(ModelError, match=r"places? without|do not fit|not those of"):
        efficientnet_unet.build(altered(tensors=tensors))


def test_every_batch_norm_that_runs_is_folded():
    net = efficientnet_unet.build(weights())
    left = [
        path for path, each in net.named_modules() if isinstance(each, torch.nn.BatchNorm2d)
    ]
    assert left == []
    assert not net.training
    assert not any(each.requires_grad for each in net.parameters())
    with pytest.raises(ModelError, match="0 batch norms folded instead of 105"):
        efficientnet_unet.fold_batch_norms(net)


def test_less_time_is_not_another_network():
    """29 of 33 paddings, the stem, every block of encoder and decoder: against the library's network."""
    plain = trained_with()
    window = torch.from_numpy(noise_window(4, 128)[None])
    quick = efficientnet_unet.build(weights())
    left = [
        path for path, each in quick.named_modules() if isinstance(each, torch.nn.ZeroPad2d)
    ]
    assert len(left) == 4
    expected = plain(window)
    torch.testing.assert_close(quick(window), expected, atol=1e-4, rtol=0)
    assert onednn_fusion.fuse(quick) == 38
    torch.testing.assert_close(quick(window), expected, atol=1e-4, rtol=0)
    # More than one window at a time takes another way.
    both = torch.cat([window, window.flip(2)])
    torch.testing.assert_close(quick(both), plain(both), atol=1e-4, rtol=0)
