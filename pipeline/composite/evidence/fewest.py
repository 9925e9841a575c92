"""Pixels that too few observations decide."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.composite.blocks import NONE


def at_least(composite: xr.Dataset, observations: int) -> xr.Dataset:
    """Make pixels with fewer usable observations no data.

    Parameters
    ----------
    composite
        As `pipeline.composite.compose` returns it, with any further float32 layers; numpy or dask.
    observations
        1 leaves it as it is.

    Returns
    -------
    The same; in these pixels bands and layers are NaN, ``count`` is 0, ``day`` and ``source`` are -1.
    """
    if observations <= 1:
        return composite
    enough = composite["count"] >= observations
    empty = {"count": np.uint16(0), "day": np.int32(NONE), "source": np.int32(NONE)}
    return composite.assign(
        {
            name: layer.where(enough, empty.get(str(name), np.float32(np.nan)))
            for name, layer in composite.data_vars.items()
        }
    )
