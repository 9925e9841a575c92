"""Composites and masks as PNG, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import rasterio
import xarray as xr
from numpy.typing import NDArray

from pipeline.errors import QueryError
from pipeline.types.legend import colour_table

PERCENTILES = (2, 98)
"""Of all shown pixels together, what becomes black and white: bands of their own would shift colours."""

RGB = ("red", "green", "blue")


def write_png(dataset: xr.Dataset, path: Path) -> None:
    """Write one date: masks in the legend's colours, reflectance stretched, no data transparent.

    Parameters
    ----------
    dataset
        ``mask``; or roles, of which red, green and blue are shown, or the only three, or the only one.
    path
        The file, which must not be there. GDAL writes CRS and transform beside it (``.aux.xml``).

    Raises
    ------
    QueryError
        It has several dates, or it is not clear which bands are red, green and blue.
    """
    if dataset.sizes.get("time", 1) != 1:
        raise QueryError(
            f"a picture shows one date, not {dataset.sizes['time']}: choose one, or write .tif"
        )
    shown = dataset.squeeze("time") if "time" in dataset.dims else dataset
    if "mask" in shown:
        _write(shown["mask"].to_numpy()[np.newaxis], shown, path, colour_table())
        return
    bands = _shown(shown)
    pixels = shown[bands].to_array().transpose("variable", "y", "x").to_numpy()
    _write(_stretched(pixels), shown, path)


def _shown(dataset: xr.Dataset) -> list[str]:
    """Return the names of what becomes red, green and blue, or grey."""
    names = [
        str(name) for name, each in dataset.data_vars.items() if {"y", "x"} <= {*each.dims}
    ]
    if {*RGB} <= {*names}:
        return [*RGB]
    if len(names) in (1, 3):
        return names
    raise QueryError(
        f"a picture needs red, green and blue, three bands, or one, not {', '.join(names)}: choose some"
    )


def _stretched(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (band, y, x) as bytes, and as the last band what is opaque."""
    valid = np.isfinite(pixels).all(0)
    seen = pixels[:, valid]
    low, high = np.percentile(seen, PERCENTILES) if seen.size else (0.0, 1.0)
    scaled = (pixels - low) / max(high - low, 1e-6)
    grey = np.rint(255 * np.clip(np.where(valid, scaled, 0), 0, 1))
    return np.concatenate([grey, 255 * valid[np.newaxis]]).astype(np.uint8)


def _write(
    pixels: NDArray[np.uint8],
    placed: xr.Dataset,
    path: Path,
    colours: dict[int, tuple[int, int, int, int]] | None = None,
) -> None:
    geobox = placed.odc.geobox
    count, height, width = pixels.shape
    profile = {"driver": "PNG", "height": height, "width": width, "count": count}
    georeference = {"crs": geobox.crs.to_wkt(), "transform": geobox.affine}
    with rasterio.open(path, "w", dtype="uint8", **profile, **georeference) as raster:
        if colours is not None:
            raster.write_colormap(1, colours)
        raster.write(pixels)
