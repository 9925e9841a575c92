"""All reads of stored arrays go through here, so that errors name the damaged array and chunk.

A flipped bit shows as an error of a codec (`crc32c`), a lost object as one of Icechunk, and neither
says which chunk it was. So a read that fails is repeated chunk by chunk until the damaged one is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NoReturn

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreDamagedError, StoreUnavailableError
from pipeline.store.base.translate_errors import ICECHUNK_ERRORS, as_store_error

CANNOT_READ = (
    *ICECHUNK_ERRORS,
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    MemoryError,
)
"""What codecs and Icechunk raise for damaged bytes."""

Selection = Any
"""What an array is indexed by."""


def read(array: zarr.Array[Any], where: Selection = ...) -> NDArray[Any]:
    """Return a part of a stored array.

    Raises
    ------
    StoreDamagedError
        A chunk of it is not what was written.
    StoreUnavailableError
        The storage does not answer.
    """
    try:
        return np.asarray(array[where])
    except CANNOT_READ as error:
        explain(array, where, error)


def explain(array: zarr.Array[Any], where: Selection, error: Exception) -> NoReturn:
    """Raise the error of a failed read as an error of the store.

    Where every chunk can be read, the index was wrong, not the store: the error is raised as it is.
    """
    known = as_store_error(f"cannot read {array.path}", error)
    if isinstance(known, StoreUnavailableError):
        raise known from error
    chunk = damaged_chunk(array, where)
    if chunk is None:
        raise error
    raise StoreDamagedError(array.path, chunk, reason(error)) from error


def reason(error: Exception) -> str:
    """Return in one line why a codec or Icechunk rejected what it read."""
    if "checksum do not match" in str(error):
        return "its checksum is another"
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0].lstrip("x ").rstrip(".")


def damaged_chunk(array: zarr.Array[Any], where: Selection = ...) -> tuple[int, ...] | None:
    """Return the position of the first chunk that cannot be read; none: they all can."""
    return next((chunk for chunk, _ in damaged_chunks(array, where)), None)


def damaged_chunks(
    array: zarr.Array[Any], where: Selection = ...
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the positions of the chunks that cannot be read, and why."""
    for chunk in product(*chunks_of(array, where)):
        try:
            array[chunk_slices(array, chunk)]
        except CANNOT_READ as error:
            yield chunk, reason(error)


def chunk_slices(array: zarr.Array[Any], chunk: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the elements of a chunk."""
    return tuple(
        slice(at * edge, min((at + 1) * edge, size))
        for at, edge, size in zip(chunk, array.chunks, array.shape, strict=True)
    )


def chunks_of(array: zarr.Array[Any], where: Selection) -> Iterator[range]:
    """Yield, for each dimension, the range of chunks that a selection touches."""
    indices = where if isinstance(where, tuple) else (where,)
    if Ellipsis in indices:
        indices = (slice(None),) * array.ndim
    indices += (slice(None),) * (array.ndim - len(indices))
    for part, edge, size in zip(indices, array.chunks, array.shape, strict=True):
        at = np.arange(size)[part if isinstance(part, slice) else np.ravel(part)]
        yield range(at.min() // edge, at.max() // edge + 1) if at.size else range(0)
