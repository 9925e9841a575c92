"""The files of ukis-csmask's networks, with their checksums, and the statistics that normalise their input.

Only the weights of the installed ``ukis_csmask`` package are used; the package is located but not imported, because
its import starts onnxruntime.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ModelError

FAMILY = "ukis-csmask"
PACKAGE = "ukis_csmask"
RELEASE = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One network's files in the package, with the checksums of the release."""

    stem: str
    onnx_sha256: str
    json_sha256: str

    @property
    def onnx(self) -> Path:
        """The weights."""
        return package_folder() / f"{self.stem}.onnx"

    @property
    def json(self) -> Path:
        """The file of statistics by which the network's input is normalised."""
        return package_folder() / f"{self.stem}.json"


FILES: Mapping[tuple[str, str], Files] = {
    ("6b", "L1C"): Files(
        stem="model_6b_l1c",
        onnx_sha256="aa79e9a0f02ff8e0243d93771d1daf6a8d1166b7ac06c3771560b83367c6c573",
        json_sha256="b575f242f91699f8e2836161ebb362fba7043423cf2741d45ef58a02976b6b7f",
    ),
    ("6b", "L2A"): Files(
        stem="model_6b_l2a",
        onnx_sha256="d11c530978637ca420eedc40791c62bf78997dd39e1201777e2527e4bd94904e",
        json_sha256="89b0df80fd67c33eb99843512f3703f3bb0415cc7f58157ce49c00d3ef88aae3",
    ),
    ("4b", "L1C"): Files(
        stem="model_4b_l1c",
        onnx_sha256="81611f290adc315b86bb7e7c69b0f2496b3abe0390c2a5c8e9e9da9622e8a0c8",
        json_sha256="5577e4e5f2bec02fa4478ed6788f91dc71c8345404a7c552779183fd844e2fcd",
    ),
    ("4b", "L2A"): Files(
        stem="model_4b_l2a",
        onnx_sha256="3884d75ca497ec59d8335973477bd31eb038857007bbb36fb2aba1ad375ee043",
        json_sha256="ac4108ce3b80ee70393df313faada01a7bcbe1be603965a44120e929c975f024",
    ),
}


def concrete(bands: str, level: str) -> str:
    """Return the name of one network, e.g. ``ukis-csmask-6b-l2a``."""
    return f"{FAMILY}-{bands}-{level.lower()}"


KEYS = {concrete(*key): key for key in FILES}
"""``ukis-csmask-6b-l2a`` -> its key in `FILES`."""


@functools.cache
def package_folder() -> Path:
    """Return the folder of the installed package.

    Raises
    ------
    ModelError
        It is not installed.
    """
    # Finding a top-level package does not import it; this one's import starts onnxruntime.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the weights are not installed; install ukis-csmask {RELEASE}")
    return Path(spec.submodule_search_locations[0])


def statistics(content: bytes, roles: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Read the statistics by which the network's input is normalised.

    Parameters
    ----------
    content
        The network's JSON file.
    roles
        The bands of the card, in order.

    Returns
    -------
    Mean and standard deviation of reflectance by band.

    Raises
    ------
    ModelError
        The file describes other bands.
    """
    described = json.loads(content)["data"]["dataset_statistics"]
    if tuple(described["band_names"]) != roles:
        raise ModelError(
            f"the network was trained on {described['band_names']}, not on {roles}"
        )
    mean, std = described["img"]
    return [float(each) for each in mean], [float(each) for each in std]
