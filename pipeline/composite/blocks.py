"""Cube + usable -> composite, block by block.

Every pixel is decided from its own observations by arithmetic in a fixed order: no chunk, block or strip changes a bit of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import lazy
from pipeline.composite import ranks
from pipeline.composite.device.blocks import OnDevice
from pipeline.composite.distances import nearest
from pipeline.composite.methods import method as named
from pipeline.composite.methods import on_device
from pipeline.composite.observations import (
    Group,
    Method,
    Observations,
    equally_often,
    on_pixels,
    strips,
)
from pipeline.types import Device

NONE = -1
"""`day` and `source` where no observation is usable."""

NOT_BANDS = ("source", "unfit")
"""What a cube has besides its bands."""

STRIP_BYTES = 16 * 2**20
"""Observations that are worked on at a time, at most: so many that pixels seen equally often are many."""

_LAYERS: Mapping[str, str] = {
    "count": "usable observations",
    "day": "days since 1970-01-01 of the observation nearest to the value",
    "source": "item of the observation nearest to the value",
}
"""What every composite has besides its bands and its method's layers, as whole numbers."""

_OF_PIXELS = ("to_cloud_m", "to_shadow_m", "confidence", "view_deg")
_OF_SCENES = ("day", "sensor")


def compose(
    cube: xr.Dataset,
    usable: xr.DataArray,
    method: str | Method = "median",
    evidence: xr.Dataset | None = None,
    device: Device | None = None,
) -> xr.Dataset:
    """Compose the usable observations of one period.

    An observation counts where it is usable and all its bands are finite.

    Parameters
    ----------
    cube
        The cube contract (`pipeline.types`), the scenes of one period; numpy or dask.
    usable
        (time, y, x) booleans on the cube's pixels; numpy or dask.
    method
        A name in `pipeline.composite.METHODS`, or what `pipeline.composite.method` made.
    evidence
        What the method needs besides, named like the fields of `Observations`: ``to_cloud_m``,
        ``to_shadow_m``, ``confidence``, ``view_deg`` (time, y, x) or of all pixels (time); ``sensor`` (time); ``middle`` ().
    device
        Where to compose; None: on the processor, as is what has no way on a device (`methods.on_device`).

    Returns
    -------
    Dims (y, x): the cube's roles as float32, NaN = no usable observation; the method's layers as
    float32; ``count`` uint16 of usable observations; ``day`` int32 (days since 1970-01-01) and
    ``source`` int32 of the observation that the method chose, or else of the one
    nearest to the value (least sum over the bands of squared differences, in whole
    `pipeline.composite.distances.STEPS_PER_UNIT`; the earliest of equals), -1 = none. Lazy, in the cube's (y, x) chunks, where cube or usable are.

    Raises
    ------
    ValueError
        Unknown method, one that needs what is not there, no scene at all, or `usable` has another
        shape than the cube, or is no booleans.
    """
    made = named(method) if isinstance(method, str) else method
    roles = tuple(str(name) for name in cube.data_vars if name not in NOT_BANDS)
    usable = usable.transpose("time", "y", "x")
    inputs = [cube[name].transpose("time", "y", "x") for name in [*roles, "source"]]
    if usable.dtype != bool or usable.shape != inputs[0].shape:
        raise ValueError(
            f"usable is {usable.dtype} {usable.shape}: expected booleans {inputs[0].shape} (time, y, x), as the cube"
        )
    if not cube.sizes["time"]:
        raise ValueError("no scene to compose: take `nothing`")
    given = xr.Dataset() if evidence is None else evidence
    _require(made, roles, given)
    of_pixels = tuple(name for name in _OF_PIXELS if name in made.needs)
    times = cube["time"].to_numpy()
    days = times.astype("datetime64[D]").astype(np.int32)
    work = _Block(
        method=made,
        roles=roles,
        of_pixels=of_pixels,
        of_scenes={
            name: days if name == "day" else given[name].to_numpy()
            for name in _OF_SCENES
            if name in made.needs
        },
        middle=float(given["middle"]) if "middle" in made.needs else None,
        days=days,
        order=np.argsort(times, kind="stable"),
        device=device if on_device(made) else None,
    )
    inputs += [usable, *(on_pixels(given[name], usable) for name in of_pixels)]
    layers = lazy.over(work, [array.data for array in inputs], len(work.names), np.int32)
    return _unpack(layers, work, cube)


def _require(method: Method, roles: Sequence[str], given: xr.Dataset) -> None:
    missing = [role for role in method.wants if role not in roles]
    if missing:
        raise ValueError(
            f"{method} needs the bands {', '.join(missing)}, the composite has {', '.join(roles)}: "
            "add them"
        )
    missing = [name for name in method.needs if name not in ("day", *given)]
    if missing:
        raise ValueError(f"{method} needs {', '.join(missing)} of each observation")


def nothing(
    shape: tuple[int, int], roles: Sequence[str], more: Iterable[str] = ()
) -> xr.Dataset:
    """Return the composite of no observation at all: no data everywhere.

    Parameters
    ----------
    shape
        (y, x) pixels.
    roles, more
        Its bands, and the layers of its method.
    """
    layers: dict[str, NDArray[Any]] = {
        name: np.full(shape, np.nan, np.float32) for name in (*roles, *more)
    }
    layers["count"] = np.zeros(shape, np.uint16)
    layers |= {name: np.full(shape, NONE, np.int32) for name in ("day", "source")}
    return xr.Dataset({name: (("y", "x"), layer) for name, layer in layers.items()})


def _unpack(layers: NDArray[np.int32], work: _Block, cube: xr.Dataset) -> xr.Dataset:
    """Name the layers of a `_Block`."""
    attributes: dict[str, Any] = {role: cube[role].attrs for role in work.roles}
    # No CF units on `day`: xarray would read it back as datetimes, and -1 as the eve of 1970.
    described = {**work.method.layers, **_LAYERS}
    attributes |= {name: {"long_name": text} for name, text in described.items()}
    taken = {
        name: lazy.Taken(partial(_typed, name, index), _TYPES.get(name, np.float32))
        for index, name in enumerate(work.names)
    }
    variables = {
        name: (("y", "x"), layer, attributes[name])
        for name, layer in lazy.parts_of(layers, taken).items()
    }
    coords = {name: coord for name, coord in cube.coords.items() if "time" not in coord.dims}
    coords.pop("time", None)
    return xr.Dataset(variables, coords=coords)


_TYPES: Mapping[str, type[np.generic]] = {
    "count": np.uint16,
    "day": np.int32,
    "source": np.int32,
}
"""Of the layers that are whole numbers."""


def _typed(name: str, index: int, layers: NDArray[np.int32]) -> NDArray[Any]:
    layer: NDArray[np.int32] = layers[index]
    return layer.astype(_TYPES[name], copy=False) if name in _TYPES else layer.view(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Composes one block; picklable, so that Dask's workers can."""

    method: Method
    roles: tuple[str, ...]
    of_pixels: tuple[str, ...]
    of_scenes: Mapping[str, NDArray[Any]]
    middle: float | None
    days: NDArray[np.int32]
    """(T,) days since 1970-01-01."""
    order: NDArray[np.intp]
    """(T,) positions by time."""
    device: Device | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return what the layers of a composed block are, in their order."""
        return (*self.roles, *self.method.layers, *_LAYERS)

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[np.int32]:
        """Compose one block.

        Parameters
        ----------
        arrays
            (T, Y, X): the bands, the source, the usable, and what the method needs besides.

        Returns
        -------
        (L, Y, X), the layers of `names`. One array, so that Dask works on a block once; what is
        float32 travels as its bits.
        """
        _, ny, nx = arrays[0].shape
        flat = [array.reshape(len(self.days), ny * nx) for array in arrays]
        layers = np.full((len(self.names), ny * nx), NONE, dtype=np.int32)
        layers[: -len(_LAYERS)] = np.float32(np.nan).view(np.int32)
        layers[-len(_LAYERS)] = 0
        q = ranks.rank(self.method, len(self.days), len(self.roles))
        if self.device is not None:
            own = {each.name: getattr(self, each.name) for each in fields(OnDevice)}
            for part, floats, whole in OnDevice(**own).compose(self.device, flat):
                layers[:, part] = np.concatenate([floats.view(np.int32), whole])
        elif q is not None:
            ranks.compose(flat, self.order, self.days, q, layers)
        else:
            # Overflow and inf − inf come from what is not usable, or from absurd numbers; both are told apart.
            with np.errstate(over="ignore", invalid="ignore"):
                for part in strips(ny * nx, strip_px(len(self.days), len(self.roles))):
                    self._compose([array[:, part] for array in flat], layers[:, part])
        return layers.reshape(len(layers), ny, nx)

    def _compose(self, arrays: list[NDArray[Any]], layers: NDArray[np.int32]) -> None:
        """Compose the pixels of a strip: (T, N) each, into (L, N)."""
        source = arrays[len(self.roles)]
        for group in equally_often(self._observations(arrays)):
            composed = self.method.compose(group.seen)
            chosen = composed.chosen
            if chosen is None:
                chosen = nearest(group.seen.bands, composed.values)
            floats = [*composed.values, *(composed.layers[name] for name in self.method.layers)]
            for layer, values in zip(layers, floats, strict=False):
                layer[group.pixels] = values.astype(np.float32).view(np.int32)
            layers[-3:, group.pixels] = self._whence(group, chosen, source)

    def _observations(self, arrays: list[NDArray[Any]]) -> Observations:
        n_bands, (n_times, n_px) = len(self.roles), arrays[0].shape
        bands = np.empty((n_bands, n_times, n_px), np.float32)
        for band, to in zip(arrays, bands, strict=False):
            np.take(band, self.order, axis=0, out=to, mode="clip")
        finite = np.isfinite(bands).all(axis=0)
        more = dict(zip(self.of_pixels, arrays[n_bands + 2 :], strict=True))
        more |= {
            name: np.broadcast_to(values[:, np.newaxis], (n_times, n_px))
            for name, values in self.of_scenes.items()
        }
        return Observations(
            roles=self.roles,
            bands=bands.transpose(1, 0, 2),
            usable=arrays[n_bands + 1][self.order] & finite,
            middle=self.middle,
            **{name: values[self.order] for name, values in more.items()},
        )

    def _whence(
        self, group: Group, chosen: NDArray[np.intp], source: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Return count, day and source of a group's pixels, (3, K)."""
        here = np.arange(chosen.size)
        scene = self.order[group.at[chosen, here] // source.shape[1]]
        count = np.full(chosen.size, len(group.at), np.int32)
        return np.stack([count, self.days[scene], source[scene, group.pixels]])


def strip_px(n_times: int, n_roles: int) -> int:
    """Return how many pixels are worked on at a time."""
    return min(max(STRIP_BYTES // (4 * n_times * n_roles), 1024), 2**15)
