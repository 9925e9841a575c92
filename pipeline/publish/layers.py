"""Content of one raster, and its description in STAC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.publish.styles import STYLE, has_style
from pipeline.publish.words import COMMON_NAMES, Json
from pipeline.store.arrays.composites import LAYERS, MISSING, SCALE, encode_reflectance
from pipeline.types import LEGEND, Code
from pipeline.types.legend import SIDECAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One variable of a group of the store, and one file."""

    name: str
    """Name of the variable, the asset and the file."""
    title: str
    dtype: str
    nodata: float | None = None
    scale: float | None = None
    """Factor from stored numbers to values; None: 1."""
    unit: str | None = None
    overviews: Literal["nearest", "average"] = "nearest"
    classes: bool = False
    """Whether its numbers are codes of the legend."""

    @property
    def is_band(self) -> bool:
        """Whether it is reflectance."""
        return self.scale is not None

    @property
    def files(self) -> tuple[str, ...]:
        """The raster file, and beside it the names of classes or a style of QGIS, if any."""
        beside = [f"{self.name}.tif{SIDECAR}"] if self.classes else []
        beside += [f"{self.name}{STYLE}"] if has_style(self.name) else []
        return (f"{self.name}.tif", *beside)

    def stored(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Convert values of the archive, (y, x), to the numbers of the file."""
        if self.is_band:
            return encode_reflectance(values.astype(np.float32, copy=False))
        return values.astype(self.dtype, copy=False)

    def band(self) -> Json:
        """Return a band of STAC 1.1, with the raster and eo extensions."""
        described: Json = {"name": self.name, "description": self.title}
        described["data_type"] = self.dtype
        if self.nodata is not None:
            described["nodata"] = "nan" if math.isnan(self.nodata) else self.nodata
        if self.unit is not None:
            described["unit"] = self.unit
        if self.is_band:
            described |= {
                "raster:scale": self.scale,
                "raster:offset": 0.0,
                "eo:common_name": COMMON_NAMES.get(self.name, self.name),
            }
        return described


def mask_layers(masks: xr.Dataset) -> list[Layer]:
    """Return the layers of a mask group."""
    layers = [
        Layer(
            name="mask",
            title="cloud and cloud shadow mask",
            dtype="uint8",
            nodata=0,
            classes=True,
        )
    ]
    if "confidence" in masks:
        title = "probability of the chosen class"
        layers.append(Layer(name="confidence", title=title, dtype="uint8", nodata=0, unit="%"))
    return layers


def composite_layers(composite: xr.Dataset) -> list[Layer]:
    """Return the layers of a composite: its bands, those of its method, then count, day and source."""
    bands = [
        Layer(
            name=role,
            title=f"{role} reflectance",
            dtype="int16",
            nodata=MISSING,
            scale=SCALE,
            unit="1",
            overviews="average",
        )
        for role in map(str, composite.attrs["roles"])
    ]
    return [
        *bands,
        *(
            Layer(
                name=name,
                title=str(composite[name].attrs["long_name"]),
                dtype="float32",
                nodata=math.nan,
                unit="1",
                overviews="average",
            )
            for name in map(str, composite.attrs.get(LAYERS, ()))
        ),
        Layer(name="count", title="usable observations; 0 = no data", dtype="uint16"),
        Layer(
            name="day",
            title="day of the observation nearest to the value, days since 1970-01-01",
            dtype="int32",
            nodata=-1,
            unit="d",
        ),
        Layer(
            name="source",
            title="item of the observation nearest to the value: a key of cloudmask:sources",
            dtype="int32",
            nodata=-1,
        ),
    ]


def classes(counts: NDArray[np.int64] | None = None) -> list[Json]:
    """Return the legend as the classification extension writes it.

    Parameters
    ----------
    counts
        (class,) pixels of a scene; None: classes without counts.
    """
    found = []
    for entry in LEGEND:
        one: Json = {
            "value": int(entry.code),
            "name": entry.meaning,
            "title": entry.label,
            "description": entry.label,
            "color_hint": entry.colour.lstrip("#").upper(),
        }
        if entry.code == Code.NO_DATA:
            one["nodata"] = True
        if counts is not None:
            one["count"] = int(counts[entry.code])
            one["percentage"] = round(100.0 * one["count"] / float(counts.sum()), 4)
        found.append(one)
    return found
