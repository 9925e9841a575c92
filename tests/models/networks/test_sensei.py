"""SEnSeI: the paper's numbers of parameters, and laws of bands."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.networks.sensei import FEATURES, Sensei
from pipeline.models.wavelengths import ROLE_UM

ROLES = ("blue", "green", "red", "nir", "swir16")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Sensei().eval().requires_grad_(False)


def bands(roles):
    return torch.tensor([[ROLE_UM[role] for role in roles]])


def there(count):
    return torch.ones(1, count, dtype=torch.bool)


@pytest.mark.parametrize(
    ("block", "count"), [("describe", 24_208), ("compare", 62_848), ("conclude", 123_488)]
)
def test_parameters_are_those_of_the_paper(net, block, count):
    assert sum(each.numel() for each in getattr(net, block).parameters()) == count


def test_features_are_the_mean_of_bands_by_their_vectors(net):
    image, described = torch.rand(1, 3, 4, 4), bands(ROLES[:3])
    found = net(image, described, there(3))
    vectors = net.vectors(described, there(3))[0]
    by_hand = sum((image[0, b, 2, 1] + 0.5) * vectors[b] for b in range(3)) / 3
    assert found.shape == (1, FEATURES, 4, 4)
    torch.testing.assert_close(found[0, :, 2, 1], by_hand)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 99))
def test_order_does_not_matter_and_absent_bands_change_nothing(net, order, seed):
    image = torch.rand(1, 5, 3, 3, generator=torch.Generator().manual_seed(seed))
    plain = net(image, bands(ROLES), there(5))
    turned = net(image[:, list(order)], bands([ROLES[i] for i in order]), there(5))
    torch.testing.assert_close(turned, plain, atol=1e-5, rtol=1e-4)
    wider = torch.cat([image, torch.full((1, 1, 3, 3), 7.0)], dim=1)
    present = torch.tensor([[True] * 5 + [False]])
    torch.testing.assert_close(
        net(wider, bands((*ROLES, "coastal")), present), plain, atol=1e-5, rtol=1e-4
    )
