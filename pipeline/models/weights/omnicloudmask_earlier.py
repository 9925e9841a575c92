"""OmniCloudMask's releases 1 to 3: the names of their files, which a user brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.models.weights.files import UserFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One of the two networks of a release: a U-Net of fastai with an encoder of timm."""

    encoder: str
    n_batch_norms: int
    """Number of batch norms that follow a convolution, all in the encoder, and are folded into it."""
    file: UserFile


def _network(encoder: str, name: str) -> Network:
    return Network(
        encoder=encoder,
        n_batch_norms=53 if encoder.startswith("regnet") else 0,
        file=UserFile(name=name, where="Google Drive"),
    )


RELEASES: Mapping[str, tuple[Network, ...]] = {
    "1": (
        _network(
            "regnety_004", "PM_model_2.2.10_RG_NIR_509_regnety_004.pycls_in1k_PT_state.pth"
        ),
        _network(
            "convnextv2_nano",
            "PM_model_2.2.10_RG_NIR_509_convnextv2_nano.fcmae_ft_in1k_PT_state.pth",
        ),
    ),
    "2": (
        _network(
            "regnety_004",
            "PM_model_OCM_6.43_RG_NIR_regnety_004.pycls_in1k_PT_state.safetensors",
        ),
        _network(
            "edgenext_small",
            "PM_model_OCM_6.43_RG_NIR_edgenext_small.usi_in1k_PT_state.safetensors",
        ),
    ),
    "3": (
        _network(
            "regnety_004",
            "PM_model_OCM_7.43_R_G_NIR_regnety_004.pycls_in1k_PT_state.safetensors",
        ),
        _network(
            "edgenext_small",
            "PM_model_OCM_7.43_R_G_NIR_edgenext_small.usi_in1k_PT_state.safetensors",
        ),
    ),
}


def files(version: str) -> tuple[UserFile, ...]:
    """Return the files of a release, in the order of its networks."""
    return tuple(each.file for each in RELEASES[version])


def called(version: str) -> str:
    """Return the name of a release for messages."""
    return f"omnicloudmask's release {version}"
