"""SEnSeI-v2: encodings, kinds and percentiles by hand, features as the paper's sum."""

import math

import numpy as np
import torch

from pipeline.models.networks import sensei_2
from pipeline.models.networks.sensei_2 import Sensei2


def test_edges_are_encoded_by_hand():
    found = sensei_2.encode(torch.tensor([0.5]))[0]
    place = math.log10(500 - 300) - 2
    assert found.shape == (32,)
    for i in (1, 2, 31, 32):
        wave = math.sin if i % 2 == 0 else math.cos
        assert abs(float(found[i - 1]) - wave(place * 10000 ** (-2 * i / 32))) < 1e-6


def test_a_band_is_told_by_its_wavelength():
    # Optical, thermal, radar of 5.5 cm, height.
    found = sensei_2.kinds(torch.tensor([0.55, 10.9, 55_000.0, 0.0]))
    assert found.argmax(dim=1).tolist() == [0, 3, 1, 2]
    assert found.sum(dim=1).tolist() == [1, 1, 1, 1]


def test_percentiles_are_those_of_sorted_values():
    values = np.random.default_rng(0).gamma(2, 0.1, (2, 3, 50, 40)).astype(np.float32)
    found = sensei_2.percentiles(torch.from_numpy(values)).numpy()
    true = np.quantile(values, sensei_2.PERCENTILES, axis=(2, 3)).transpose(1, 2, 0)
    assert np.abs(found - true).max() < 0.012


def test_features_are_the_mean_of_waves():
    torch.manual_seed(0)
    net = Sensei2(8, 4).eval().requires_grad_(False)
    image = torch.rand(1, 3, 4, 4)
    told = net.tell(image, torch.tensor([[[0.49, 0.06], [0.66, 0.03], [0.84, 0.1]]]))
    present = torch.tensor([[True, True, False]])
    gain, frequency, phase = (each[0] for each in net.vectors(told, present))
    waves = [gain[b] * torch.sin(frequency[b] * image[0, b, 1, 2] + phase[b]) for b in range(2)]
    found = net(image, told, present)
    torch.testing.assert_close(found[0, :, 1, 2], sum(waves) / 2)
