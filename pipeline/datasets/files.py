"""Files of data sets, opened with errors that name them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.errors
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.datasets.labels import malformed
from pipeline.wording import counted

Array = NDArray[Any]

LARGEST_PX = 20_000
"""Longest edge that is read, in pixels: a Landsat scene has 9 000, and a file may claim any size."""


def need(path: Path, expected: str) -> Path:
    """Return a path if it exists.

    Raises
    ------
    LabelledDataError
        There is nothing.
    """
    if not path.exists():
        raise malformed(path, "there is no such file or folder", expected)
    return path


def first_match(folder: Path, patterns: Sequence[str], expected: str) -> Path:
    """Return the first match of the first pattern that has one in a folder.

    Raises
    ------
    LabelledDataError
        None fits.
    """
    for pattern in patterns:
        if found := sorted(folder.glob(pattern)):
            return found[0]
    raise malformed(folder, f"there is no {' or '.join(patterns)} in it", expected)


def some(found: Collection[Path], path: Path, expected: str) -> list[Path]:
    """Return paths in order.

    Raises
    ------
    LabelledDataError
        There are none.
    """
    if not found:
        raise malformed(path, "nothing of the data set is there", expected)
    return sorted(found)


@contextmanager
def open_raster(path: Path | str, name: Path) -> Iterator[Any]:
    """Open a raster; what goes wrong while it is open is an error that names it."""
    try:
        with rasterio.open(path) as raster:
            if max(raster.shape) > LARGEST_PX:
                raise malformed(
                    name, f"it is {raster.shape}", f"at most {LARGEST_PX} px a side"
                )
            yield raster
    except rasterio.errors.RasterioError as error:
        # GDAL's own message is in the cause, where there is one.
        why = error.__cause__ or error
        raise malformed(name, f"it cannot be read ({why})", "a whole raster") from None


def read_bands(
    path: Path | str,
    bands: Sequence[int],
    *,
    count: int,
    shape: tuple[int, int] | None = None,
    name: Path | None = None,
) -> tuple[Array, GeoBox | None]:
    """Read bands of a raster.

    Parameters
    ----------
    path
        File, or what GDAL takes for one.
    bands
        Which, counted from 1.
    count
        How many bands the file must have.
    shape
        (height, width) that it must have.
    name
        What errors call it; none: `path`.

    Returns
    -------
    (band, y, x) as stored, and the geobox; None if the file is not georeferenced.

    Raises
    ------
    LabelledDataError
        It is not there, is cut off, or has other bands or another shape.
    """
    called = Path(path) if name is None else name
    if name is None:
        need(called, "a raster")
    with open_raster(path, called) as raster:
        if raster.count != count:
            raise malformed(
                called, f"it has {counted(raster.count, 'band')}", counted(count, "band")
            )
        check_shape(called, raster.shape, shape)
        return raster.read(list(bands)), raster_geobox(raster)


def read_band(
    path: Path | str, *, shape: tuple[int, int] | None = None, name: Path | None = None
) -> tuple[Array, GeoBox | None]:
    """Read the only band of a raster, (y, x); see `read_bands`."""
    data, geobox = read_bands(path, [1], count=1, shape=shape, name=name)
    return data[0], geobox


def raster_geobox(raster: Any) -> GeoBox | None:  # noqa: ANN401 -- rasterio has no types
    """Return the geobox of an open raster; None if it is not georeferenced."""
    return None if raster.crs is None else GeoBox.from_rio(raster)


def check_shape(path: Path, found: tuple[int, ...], wanted: tuple[int, ...] | None) -> None:
    """Refuse a file of the wrong shape."""
    if wanted is not None and tuple(found) != tuple(wanted):
        raise malformed(path, f"it has the shape {tuple(found)}", f"{tuple(wanted)}")


def read_json(path: Path, expected: str) -> Mapping[str, Any]:
    """Read a JSON object."""
    try:
        found = json.loads(need(path, expected).read_text(encoding="utf-8"))
    except ValueError as error:
        raise malformed(path, f"it is no JSON ({error})", expected) from None
    if not isinstance(found, dict):
        raise malformed(path, f"it holds a {type(found).__name__}", expected)
    return found


def load_npy(path: Path, expected: str) -> Array:
    """Map a .npy file into memory; objects are refused."""
    need(path, expected)
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise malformed(path, f"it cannot be read ({error})", expected) from None
    return found


def reflectance(
    raw: Array, scale: float, offset: float = 0.0, *, fill: float | None = 0
) -> NDArray[np.float32]:
    """Turn numbers of bands into reflectance.

    Parameters
    ----------
    raw
        (band, y, x).
    scale, offset
        Reflectance = number × scale + offset.
    fill
        Number that means no data where all bands have it; none: there is no such.

    Returns
    -------
    (band, y, x) float32, NaN = no data.
    """
    values = raw.astype(np.float32) * np.float32(scale) + np.float32(offset)
    if fill is not None and len(raw):
        values[:, (raw == fill).all(axis=0)] = np.nan
    return values
