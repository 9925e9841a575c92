"""Any xarray cube -> its mask, without a job, a catalogue or a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline import models
from pipeline.errors import ModelError
from pipeline.mask import mask_with_confidence, read_geobox
from pipeline.types import LEGEND, Model

NO_CRS = "EPSG:3857"
"""Stands in for the CRS of a cube that has none: windows count whole pixels from its upper left, in any CRS."""


def mask_array(
    cube: xr.Dataset | xr.DataArray,
    model: str | Model = "ensemble",
    *,
    level: str = "L2A",
    options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Mask clouds and cloud shadows in a cube of reflectance, without a job.

    As in a run, chunks do not change a pixel. Parts of a georeferenced cube have the same mask as the whole,
    except within a window of the cut, where pixels beyond it are missing.

    Parameters
    ----------
    cube
        Dataset with one variable a role (``blue``, ``green``, ``red``, ``nir``, …), or DataArray with a
        dimension ``band`` whose coordinate names the roles; dims (y, x) or (time, y, x), numpy or dask;
        reflectance (1.0 = 100 %), NaN = no data. Where it is georeferenced (rioxarray, odc-geo), windows lie
        on the lattice of its CRS; else on a lattice from its upper left.
    model
        Name of a model, or a model that `pipeline.models.load` returned.
    level
        ``L2A`` (surface) or ``L1C`` (top of atmosphere); it chooses the network.
    options
        Of the model, e.g. ``{"precision": "bfloat16"}``.

    Returns
    -------
    ``mask``, uint8 codes of the legend with CF flag attributes, and ``confidence``, uint8, the probability
    of the chosen class in per cent, 0 where there is no data; on the pixels of the cube, lazy where it is.

    Raises
    ------
    ModelError
        The model is unknown, or the cube lacks what it needs.
    GridError
        The cube is rotated.
    """
    bands = _by_role(cube)
    loaded = _loaded(model, bands, level, options) if isinstance(model, str) else model
    card = loaded.card
    missing = [role for role in card.roles if role not in bands]
    if missing:
        raise ModelError(
            f"model {card.name} needs {', '.join(card.roles)}; the cube lacks {', '.join(missing)}"
        )
    timed = "time" in bands.dims
    stacked = bands[list(card.roles)] if timed else bands[list(card.roles)].expand_dims("time")
    geobox = _geobox(bands)
    ready = _padded(
        stacked.transpose("time", "y", "x"), geobox, read_geobox(card.lattice, geobox)
    )
    codes, confidence = mask_with_confidence(ready, loaded, geobox)
    lazy = any(array.chunks for array in bands.data_vars.values())
    made = xr.Dataset(
        {
            "mask": (("time", "y", "x"), codes, _FLAGS),
            "confidence": (
                ("time", "y", "x"),
                confidence,
                {"long_name": "probability of the chosen class", "units": "%"},
            ),
        },
        coords={name: stacked.coords[name] for name in ("time",) if name in stacked.coords},
    )
    made = made.assign_coords(
        {n: c for n, c in bands.coords.items() if set(c.dims) <= {"y", "x"}}
    )
    shaped = made if timed else made.isel(time=0, drop=True)
    return shaped if lazy else shaped.compute()


_FLAGS = {
    "long_name": "cloud and cloud shadow mask",
    "flag_values": [int(entry.code) for entry in LEGEND],
    "flag_meanings": " ".join(entry.meaning for entry in LEGEND),
}


def _by_role(cube: xr.Dataset | xr.DataArray) -> xr.Dataset:
    if isinstance(cube, xr.DataArray):
        if "band" not in cube.dims:
            raise ModelError(
                f"a DataArray needs a dimension 'band' that names the roles; it has {cube.dims}"
            )
        cube = cube.to_dataset("band")
    if not {"y", "x"} <= set(cube.dims):
        raise ModelError(f"expected dims (y, x) or (time, y, x), found {tuple(cube.dims)}")
    return cube.astype(np.float32)


def _loaded(
    name: str, bands: xr.Dataset, level: str, options: Mapping[str, Any] | None
) -> Model:
    roles = tuple(str(each) for each in bands.data_vars)
    return models.load(models.resolve(name, level=level, roles=roles, options=options))


def _geobox(bands: xr.Dataset) -> GeoBox:
    """Return the cube's geobox, or one from (0, 0) where it has none."""
    found = bands.odc.geobox
    if isinstance(found, GeoBox) and found.crs is not None:
        return found
    shape = (bands.sizes["y"], bands.sizes["x"])
    return GeoBox(shape, Affine(1, 0, 0, 0, -1, 0), NO_CRS)


def _padded(bands: xr.Dataset, geobox: GeoBox, read: GeoBox) -> xr.Dataset:
    """Return bands padded with NaN to all that the windows need."""
    offset = ~read.transform * (geobox.transform * (0, 0))
    left, top = round(offset[0]), round(offset[1])
    below = read.shape.y - geobox.shape.y - top
    beyond = read.shape.x - geobox.shape.x - left
    plain = bands.drop_vars([name for name in bands.coords if name != "time"])
    wide = plain.pad(y=(top, below), x=(left, beyond), constant_values=np.nan).chunk()
    wide = wide.assign_coords(dict(xr_coords(read)))
    for array in wide.data_vars.values():
        array.attrs["grid_mapping"] = "spatial_ref"
    return wide
