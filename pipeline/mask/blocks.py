"""Cube and model -> lazy mask: one window a block, overlap by dask, halo trimmed."""

from __future__ import annotations

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import CloudmaskError, ModelError
from pipeline.mask.lattice import geobox_cover, origin_px, read_geobox
from pipeline.types import Code, Lattice, Model


def mask_cube(cube: xr.Dataset, model: Model, geobox: GeoBox) -> da.Array:
    """Classify every pixel of a geobox; nothing runs before it is computed.

    Parameters
    ----------
    cube
        Cube over ``read_geobox(model.card.lattice, geobox)`` with the model's roles, dims
        (time, y, x).
    model
        What classifies a window.
    geobox
        The part to keep, e.g. a tile's.

    Returns
    -------
    (time, y, x) uint8 codes of `Code`; no data where any role is NaN.

    Raises
    ------
    ModelError
        The cube lacks a role, lies elsewhere, or, when computed, the model failed in a window.
    """
    card = model.card
    missing = [role for role in card.roles if role not in cube]
    if missing:
        raise ModelError(f"model {card.name} needs {', '.join(missing)}, which the cube lacks")
    expected = read_geobox(card.lattice, geobox)
    if not _same_place(cube.odc.geobox, expected):
        raise ModelError(
            f"model {card.name} needs a cube over {expected.boundingbox}, got one over "
            f"{cube.odc.geobox.boundingbox}"
        )
    stack = da.stack([cube[role].data for role in card.roles], axis=1)
    held = geobox_cover(card.lattice, geobox)
    cores = _classified(stack, model, card.lattice, (held.rows, held.cols))
    top, left = origin_px(geobox)
    ys = slice(top - held.top, top - held.top + geobox.shape.y)
    xs = slice(left - held.left, left - held.left + geobox.shape.x)
    return cores[:, ys, xs]


def bytes_needed(lattice: Lattice, rows: int, cols: int, n_roles: int, workers: int) -> int:
    """Return what masking one scene takes beyond its cube and the model, in bytes.

    The stacked roles once more, and for each worker one window with its copy for the model.
    """
    core, window = lattice.core_px, lattice.window_px
    stacked = (rows * core + 2 * lattice.halo_px) * (cols * core + 2 * lattice.halo_px)
    return stacked * n_roles * 4 + workers * window * window * n_roles * 4 * 2


def _classified(
    stack: da.Array, model: Model, lattice: Lattice, cores: tuple[int, int]
) -> da.Array:
    """Map the model over (time, role, y, x): one block a window; the result has no halo."""
    core, halo = lattice.core_px, lattice.halo_px
    n_times, n_roles = stack.shape[:2]
    ys, xs = (_with_halo(count, core, halo) for count in cores)
    return da.map_overlap(
        _Classifier(model),
        stack.rechunk(((1,) * n_times, (n_roles,), ys, xs)),
        depth={2: halo, 3: halo},
        # The cube already holds the halo beyond the outermost cores.
        boundary="none",
        trim=False,
        drop_axis=1,
        chunks=((1,) * n_times, (core,) * cores[0], (core,) * cores[1]),
        dtype=np.uint8,
        meta=np.empty((0, 0, 0), np.uint8),
    )


def _with_halo(count: int, core: int, halo: int) -> tuple[int, ...]:
    """Chunk an axis so that each chunk is a core, the outermost with the halo that they bring."""
    sizes = [core] * count
    sizes[0] += halo
    sizes[-1] += halo
    return tuple(sizes)


class _Classifier:
    """The block function; dask names it by the model's card, not by hashing its weights."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __dask_tokenize__(self) -> tuple[str, ...]:
        card = self._model.card
        return type(self).__name__, card.name, card.version, repr(sorted(card.options.items()))

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classify one window: (1, role, y, x) with halo -> (1, y, x) without."""
        lattice = self._model.card.lattice
        window = block[0]
        inner = (slice(lattice.halo_px, lattice.halo_px + lattice.core_px),) * 2
        has_data = np.isfinite(window[(slice(None), *inner)]).all(axis=0)
        if not has_data.any():
            return np.full((1, lattice.core_px, lattice.core_px), Code.NO_DATA, np.uint8)
        codes = self._predict(np.ascontiguousarray(window))
        _check(self._model.card.name, codes, window.shape[1:])
        return np.where(has_data, codes[inner], np.uint8(Code.NO_DATA))[None]

    def _predict(self, window: NDArray[np.float32]) -> NDArray[np.uint8]:
        try:
            return self._model.predict(window)
        except CloudmaskError:
            raise
        except Exception as error:
            name = self._model.card.name
            raise ModelError(
                f"model {name} failed in a window: {type(error).__name__}: {error}"
            ) from error


def _check(name: str, codes: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    """Refuse an answer that is no mask: a model of a third party may give anything."""
    if codes.shape != shape or codes.dtype != np.uint8:
        raise ModelError(
            f"model {name} gave {codes.dtype} of shape {codes.shape}, expected uint8 of {shape}"
        )
    if codes.max() > max(Code):
        raise ModelError(
            f"model {name} gave code {codes.max()}; the legend ends at {max(Code)}"
        )


def _same_place(one: GeoBox, other: GeoBox) -> bool:
    # Not `==`: a geobox that went through float coordinates may differ in the last bits.
    return (
        one.shape == other.shape and one.crs == other.crs and origin_px(one) == origin_px(other)
    )
