"""How the store looks from outside: names, compression, CF attributes, and how an array is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.metadata import ArrayV3Metadata

from pipeline.errors import StoreError
from pipeline.store.base.reading import read
from pipeline.types import LEGEND, NEVER, UNCOVERED, UNREADABLE

CLASSES = len(LEGEND)

PARTS = ("masks", "composites", "items")
"""The groups below the root."""
COMPRESSORS = (ZstdCodec(level=0), Crc32cCodec())
"""Of every array, within shards as well. Without a checksum, a flipped bit often reads as other
pixels: zstd notices about one in ten."""

Attributes = Mapping[str, Any]
"""JSON values by name."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_ATTRIBUTES: dict[str, Any] = {
    "standard_name": "time",
    "axis": "T",
    "units": "microseconds since 1970-01-01T00:00:00",
    "calendar": "proleptic_gregorian",
}

MASK_ATTRIBUTES: dict[str, Any] = {
    "long_name": "cloud and cloud shadow mask",
    "flag_values": [int(entry.code) for entry in LEGEND],
    "flag_meanings": " ".join(entry.meaning for entry in LEGEND),
    "grid_mapping": "spatial_ref",
    "coordinates": "spatial_ref platform",
}

FINGERPRINT_ATTRIBUTES: dict[str, Any] = {
    "long_name": "hash of the inputs and settings that made a cell",
    "flag_values": [NEVER, UNCOVERED, UNREADABLE],
    "flag_meanings": "never uncovered unreadable",
}


def microseconds(instants: Iterable[datetime]) -> NDArray[np.int64]:
    """Encode instants as the stored time axis does."""
    return np.array(
        [(each - EPOCH) // timedelta(microseconds=1) for each in instants], np.int64
    )


def instants(values: NDArray[np.int64]) -> list[datetime]:
    """Decode a stored time axis; the inverse of `microseconds`."""
    return [EPOCH + timedelta(microseconds=int(value)) for value in values]


def open_root(store: Store) -> zarr.Group | None:
    """Open the root group for reading; none: the repository is still empty."""
    try:
        return zarr.open_group(store, mode="r")
    except FileNotFoundError:
        return None


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Return an array of a group."""
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise StoreError(
            f"{group.path}/{name} is not an array: the store is damaged or not ours"
        )
    return found


def values_of(group: zarr.Group, name: str, where: Any = ...) -> NDArray[Any]:  # noqa: ANN401
    """Return the values of an array of a group, or of a part of it."""
    return read(array_of(group, name), where)


def group_of(parent: zarr.Group, name: str) -> zarr.Group | None:
    """Return a group of a group, if it is there."""
    found = parent.get(name)
    return found if isinstance(found, zarr.Group) else None


def dimensions_of(array: zarr.Array[Any]) -> tuple[str | None, ...]:
    """Return the names of an array's dimensions; none where it has no names."""
    metadata = array.metadata
    names = metadata.dimension_names if isinstance(metadata, ArrayV3Metadata) else None
    return names or (None,) * array.ndim
