"""OmniCloudMask's release 4: the files of its two networks with their checksums, bands and classes."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.models.weights.files import WeightsFile
from pipeline.types import Code

NAME = "omnicloudmask"

# Its authors train on B8A of Sentinel-2 and B5 of Landsat 8: the narrow near infrared.
ROLES = ("red", "green", "nir08")

CLASSES = (Code.CLEAR, Code.THICK_CLOUD, Code.THIN_CLOUD, Code.CLOUD_SHADOW)
"""The networks' four classes, in the order of CloudSEN12."""

STRIDE = 32
"""Edges of a window are multiples of this: the encoders halve their input five times."""

_FOLDER = (
    "https://huggingface.co/NickWright/OmniCloudMask/resolve/"
    "c9a4fb88188709127aa25cfe51ae7fd41b0132f8/"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One of the two networks: a U-Net of segmentation_models_pytorch with an encoder of timm."""

    encoder: str
    n_batch_norms: int
    """Number of its batch norms, all folded into the convolution before them."""
    file: WeightsFile


NETWORKS: tuple[Network, ...] = (
    Network(
        encoder="tu-regnety_004",
        n_batch_norms=63,
        file=WeightsFile(
            name="PM_model_OCM_7.97_R_G_NIR_3_smp_regnety_004.pycls_in1k_PT_state.safetensors",
            url=f"{_FOLDER}PM_model_OCM_7.97_R_G_NIR_3_smp_regnety_004.pycls_in1k_PT_state.safetensors",
            sha256="7f6e4202e17ee73efa4aba7abb5c34f4f90a9f7eb42480820714994dff2db660",
            size_bytes=27_094_520,
        ),
    ),
    Network(
        encoder="tu-edgenext_small",
        n_batch_norms=10,
        file=WeightsFile(
            name="PM_model_OCM_7.97_R_G_NIR_3_smp_edgenext_small.usi_in1k_PT_state.safetensors",
            url=f"{_FOLDER}PM_model_OCM_7.97_R_G_NIR_3_smp_edgenext_small.usi_in1k_PT_state.safetensors",
            sha256="d5fe67ad00f6fdb73eb8382ad925849e97fb82cedb46225344afff1a734a9c1d",
            size_bytes=30_711_472,
        ),
    ),
)
FILES = tuple(each.file for each in NETWORKS)
