"""Heat, radar and height beside the optical bands of a patch: they change nothing else, and see what they should."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.models.networks import spectral_unet
from pipeline.models.networks.sensei_2 import kinds
from pipeline.simulate.patches import PatchSettings, make_patch, unlit
from pipeline.simulate.patches.unlit import BANDS
from pipeline.types import Code

ROLES = ("red", "lwir11", "vv", "vh", "height")


def settings(*roles, **others):
    return PatchSettings(
        size_px=64, sensors=("landsat-8",), levels=("L1C",), roles=roles, **others
    )


def of(index, sky="cumulus", ground="farmland"):
    return make_patch(3, index, settings(*ROLES, skies={sky: 1}, grounds={ground: 1}))


def test_optical_bands_and_truth_do_not_depend_on_the_others():
    for index in range(4):
        bare = make_patch(7, index, settings("red"))
        full = make_patch(7, index, settings(*ROLES))
        assert [each.role for each in full.bands] == list(ROLES)
        np.testing.assert_array_equal(bare.pixels[0], full.pixels[0])
        np.testing.assert_array_equal(bare.codes, full.codes)
        np.testing.assert_array_equal(bare.labels, full.labels)
        assert full.pixels.dtype == np.float32
        assert np.isfinite(full.pixels).all()
        assert -0.2 < full.pixels.min() <= full.pixels.max() < 1.8


def test_other_optical_bands_do_not_change_the_truth():
    for index in range(4):
        one = make_patch(7, index, settings("red"))
        other = make_patch(7, index, settings("blue", "green", "red", "swir22"))
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(one.light, other.light)


def test_planck_and_temperature_are_each_others_inverse():
    kelvins = np.linspace(190, 330, 30, dtype=np.float32)
    np.testing.assert_allclose(unlit.temperature(unlit.planck(kelvins)), kelvins, atol=0.05)
    # exp(1320.6 / 300) - 1 = 80.6, exp(1320.6 / 270) - 1 = 132.1
    ratio = unlit.planck(np.float32(300)) / unlit.planck(np.float32(270))
    assert ratio == pytest.approx(132.1 / 80.6, rel=3e-3)


def test_thick_cloud_is_cold_and_radar_sees_through_it():
    clear, deck = of(1, "clear"), of(1, "deck")
    warm, cold = (np.median(unlit.kelvin(each.pixels[1])) for each in (clear, deck))
    assert 250 < warm < 335
    assert (deck.codes == Code.THICK_CLOUD).mean() > 0.9
    assert cold < warm - 3
    # Fields: about -12 dB in VV, six to eight less across.
    for patch in (clear, deck):
        vv, vh = (30 * np.median(patch.pixels[band]) - 30 for band in (2, 3))
        assert -16 < vv < -8
        assert -23 < vh < vv - 3


def test_water_is_dark_for_radar_and_low():
    sea = of(2, "clear", "open water")
    assert 30 * np.median(sea.pixels[2]) - 30 < -16
    assert sea.pixels[4].max() * 4000 < 300


def test_bands_of_no_sensor_and_none_that_sees_the_sun_are_refused():
    with pytest.raises(ConfigError, match="roles: there is no lwir12"):
        settings("red", "lwir12")
    with pytest.raises(ConfigError, match="roles: a band that sees the sun's light"):
        settings("vv", "vh")
    with pytest.raises(ConfigError, match="roles: there is no swir16"):
        PatchSettings(sensors=("landsat-8", "venus"), roles=("red", "swir16"))


def test_networks_for_any_bands_tell_them_apart():
    described = torch.tensor([(band.wavelength_um, band.width_um) for band in BANDS.values()])
    flags = kinds(described[:, 0])
    assert flags.argmax(dim=1).tolist() == [3, 1, 1, 2]
    told = spectral_unet.encode(described)
    assert torch.pdist(told).min() > 0.1
    assert told.isfinite().all()
