"""The truth of all scenes, as one Zarr store on the 20 m grid.

Dims ``(time, y, x)``, one time a scene: ``clean_<role>`` is the surface reflectance without cloud or
shadow, ``optical_depth`` that of the clouds, ``light`` the near-infrared light on the ground with 1 =
full. The coordinate ``sensor`` says whose scene it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from zarr.codecs import BloscCodec

from pipeline.simulate.archive.encode import is_cloud, is_shadow
from pipeline.simulate.grids import CRS, landscape_window
from pipeline.simulate.physics.noise import Floats

CHUNK_PX = 768

_STEPS = {"optical_depth": 2e-3}
"""Variable -> step of its uint16 values; `STEP` for the others."""

STEP = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTruth:
    """The truth of one scene."""

    instant: datetime
    sensor: str
    planes: Mapping[str, Floats] = field(repr=False)
    """Variable -> (Y, X) at 20 m."""


def truth_path(path: Path) -> Path:
    """Return the path of an archive's truth."""
    return Path(path) / "truth.zarr"


def open_truth(path: Path) -> xr.Dataset:
    """Open the truth of an archive."""
    truth: xr.Dataset = xr.open_zarr(truth_path(path), chunks=None)
    return truth


def cloud_truth(truth: xr.Dataset) -> xr.DataArray:
    """Say where the truth is cloud: optical depth above 0.4."""
    depth = truth["optical_depth"]
    return depth.copy(data=is_cloud(depth.to_numpy()))


def shadow_truth(truth: xr.Dataset) -> xr.DataArray:
    """Say where the truth is cloud shadow: light below 0.80, and no cloud."""
    depth, light = truth["optical_depth"], truth["light"]
    return depth.copy(data=is_shadow(depth.to_numpy(), light.to_numpy()))


def write_truth(path: Path, size_px: int, scenes: Sequence[SceneTruth]) -> None:
    """Write the truth of an archive's scenes, by time."""
    dataset = _dataset(size_px, sorted(scenes, key=lambda scene: scene.instant))
    squeeze = BloscCodec(cname="zstd", clevel=4, shuffle="bitshuffle")
    edge = min(dataset.sizes["x"], CHUNK_PX)
    encoding = {
        str(name): {
            "dtype": "uint16",
            "scale_factor": _STEPS.get(str(name), STEP),
            # Nothing is missing, but without it xarray would not encode floats as integers.
            "_FillValue": np.uint16(65535),
            "chunks": (1, edge, edge),
            "compressors": squeeze,
        }
        for name in dataset.data_vars
    }
    with warnings.catch_warnings():
        # Consolidated metadata are not in the specification of Zarr v3 yet, which zarr warns of on
        # writing; without them xarray warns on every plain opening.
        warnings.filterwarnings("ignore", "Consolidated metadata", category=UserWarning)
        dataset.to_zarr(
            truth_path(path), mode="w", zarr_format=3, consolidated=True, encoding=encoding
        )


def _dataset(size_px: int, scenes: Sequence[SceneTruth]) -> xr.Dataset:
    window = landscape_window(size_px, 20)
    box = GeoBox((window.height, window.width), window.transform, CRS)
    times = [
        np.datetime64(scene.instant.astimezone(UTC).replace(tzinfo=None), "ns")
        for scene in scenes
    ]
    coords = {
        "time": ("time", np.array(times)),
        "sensor": ("time", np.array([scene.sensor for scene in scenes], dtype=object)),
        **xr_coords(box),
    }
    names = scenes[0].planes
    variables = {
        name: xr.Variable(
            ("time", "y", "x"),
            np.stack([scene.planes[name] for scene in scenes]),
            {"grid_mapping": "spatial_ref"},
        )
        for name in names
    }
    return xr.Dataset(variables, coords=coords)
