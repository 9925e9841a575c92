"""Where the weights of DL-L8S2-UV's networks are published, with their checksums."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.models.weights.files import WeightsFile

FAMILY = "dl-l8s2-uv"
RGBI = f"{FAMILY}-rgbi"
RGBISWIR = f"{FAMILY}-rgbiswir"

_FOLDER = (
    "https://github.com/IPL-UV/DL-L8S2-UV/raw/51479c59bf790655743bc75328d329ab9e62d817/"
    "dl_l8s2_uv/weights/"
)
FILES: Mapping[str, WeightsFile] = {
    RGBI: WeightsFile(
        name="landsatbiomeRGBI6.hdf5",
        url=f"{_FOLDER}landsatbiomeRGBI6.hdf5",
        sha256="6ca3a18f5d8e916a41853961beb74de860af6ca369e0a824f68d63c745a4bf16",
        size_bytes=1_418_400,
    ),
    RGBISWIR: WeightsFile(
        name="landsatbiomeRGBISWIR7.hdf5",
        url=f"{_FOLDER}landsatbiomeRGBISWIR7.hdf5",
        sha256="ed8cf5ea52353fd4712010e2c0af3bf638b35b7dfd3b4d9297a76f85b43d97a1",
        size_bytes=1_418_160,
    ),
}

ALIGNMENT_PX = 4
"""Windows start on multiples of this: the network pools twice, and would pool other pixels together."""
