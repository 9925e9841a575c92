"""The group ``composites/<name>``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import create, layout
from pipeline.store.arrays.cell_group import CellGroup
from pipeline.store.arrays.overviews import Source
from pipeline.store.base.reading import read
from pipeline.types import NEVER, Grid, Period, Tile

if TYPE_CHECKING:
    import xarray as xr

SCALE = 1e-4
"""Reflectance of one stored step."""
MISSING = -32768
LARGEST = 32767
"""Largest stored step; valid reflectances (`pipeline.sensors.Limits`) are far below it."""

ROLE_ATTRIBUTES = {"scale_factor": SCALE, "_FillValue": MISSING, "units": "1"}
PROVENANCE: Mapping[str, tuple[str, int, layout.Attributes]] = {
    "count": ("u2", 0, {"long_name": "usable observations"}),
    # CF readers decode dates, and none where there is no observation: without _FillValue, -1 would be the
    # last day of 1969. An `Archive` returns the numbers.
    "day": (
        "i4",
        -1,
        {
            "long_name": "day of the observation nearest to the value",
            "units": "days since 1970-01-01",
            "calendar": "proleptic_gregorian",
            "_FillValue": -1,
            "comment": "days since 1970-01-01, -1 = none",
        },
    ),
    "source": (
        "i4",
        -1,
        {
            "long_name": "item of the observation nearest to the value",
            "comment": "position in items/id of this store, -1 = none",
        },
    ),
}
"""Dtype, fill value and attributes of the arrays beside the bands."""


def encode_reflectance(reflectance: NDArray[np.float32]) -> NDArray[np.int16]:
    """Turn reflectance, NaN = no data, into stored integers, rounded half to even.

    Raises
    ------
    StoreError
        A value does not fit into 16 bits.
    """
    # In float64: the product of two float32 is not exact, and halves would round either way.
    steps = np.rint(reflectance.astype(np.float64) / SCALE)
    beyond = np.abs(steps) > LARGEST
    if beyond.any():
        raise StoreError(
            f"pixels of a composite ({np.count_nonzero(beyond)}) are beyond ±{LARGEST * SCALE:g}, e.g. "
            f"{reflectance[beyond][0]:g}: this is not reflectance and is not stored; check the inputs and the method"
        )
    return np.where(np.isnan(steps), MISSING, steps).astype(np.int16)


SENSORS = "sensors"
"""Attribute of the group: whose scenes it is made of."""
LAYERS = "layers"
"""Attribute of the group: names of what its method gives besides the bands; left out where it gives nothing."""
MADE_BY = ("method", "period")
"""Attributes of the group that say how all of its periods are made."""
MADE_WITH = ("options", LAYERS, "only_sensors", "harmonize", "brdf")
"""The same; left out where there are none."""


def composite_sensors(group: zarr.Group) -> tuple[str, ...]:
    """Return the sensors whose scenes a composite is made of."""
    return _names(group, SENSORS)


def layers_of(group: zarr.Group) -> dict[str, str]:
    """Return what a composite's method gives besides the bands, each with its description."""
    return {
        name: str(layout.array_of(group, name).attrs["long_name"])
        for name in _names(group, LAYERS)
    }


def _names(group: zarr.Group, attribute: str) -> tuple[str, ...]:
    found = group.attrs.get(attribute, ())
    assert isinstance(found, list | tuple)
    return tuple(str(each) for each in found)


def require_alike(
    group: zarr.Group, name: str, roles: Sequence[str], made_by: Mapping[str, Any]
) -> None:
    """Refuse periods that do not match those that a composite already has.

    Raises
    ------
    StoreError
        It has other bands, another method or other options of it, or periods of another kind, which would
        overlap.
    """
    stored = group.attrs["roles"]
    if list(roles) != stored:
        raise StoreError(
            f"composite {name!r} has the bands {stored}, the job asks for {list(roles)}: give the "
            "new one another name (composite.name), or ask for the old bands"
        )
    for key in MADE_BY:
        wanted, before = made_by.get(key), group.attrs.get(key)
        if wanted is not None and before is not None and wanted != before:
            raise StoreError(
                f"composite {name!r} of this store has composite.{key} {before}, the job asks for "
                f"{wanted}: give the new one another name (composite.name)"
            )
    if made_by.get("method") is None or group.attrs.get("method") is None:
        return
    for key in MADE_WITH:
        asked, before = made_by.get(key), group.attrs.get(key)
        if asked != before:
            raise StoreError(
                f"composite {name!r} of this store is made with {key} {before or 'none'}, the job asks "
                f"for {asked or 'none'}: give the new one another name (composite.name)"
            )


def _role_attributes(role: str) -> layout.Attributes:
    return {**ROLE_ATTRIBUTES, "long_name": f"{role} reflectance"}


class CompositeGroup(CellGroup):
    """One composite, while a session writes it."""

    KIND = "composites"
    STEP = "period"
    CALL_FIRST = "set_composite"
    EMPTY = NEVER

    @classmethod
    def create(
        cls,
        parent: zarr.Group,
        name: str,
        grid: Grid,
        roles: Sequence[str],
        layers: Mapping[str, str],
    ) -> Self:
        """Create an empty group; `layers` are names and descriptions of what its method gives besides."""
        time = {**layout.TIME_ATTRIBUTES, "bounds": "time_bnds"}
        attributes = {"roles": list(roles), **({LAYERS: list(layers)} if layers else {})}
        group = cls._create(parent, name, grid, attributes, time)
        group.create_array(
            "time_bnds",
            shape=(0, 2),
            chunks=(4096, 2),
            compressors=layout.COMPRESSORS,
            dtype="i8",
            dimension_names=("time", "nv"),
        )
        for role in roles:
            create.add_pixels(group, role, grid, "i2", MISSING, _role_attributes(role))
        for layer, text in layers.items():
            what = {"long_name": text, "units": "1"}
            create.add_pixels(group, layer, grid, "f4", math.nan, what)
        for array, (dtype, fill, described) in PROVENANCE.items():
            create.add_pixels(group, array, grid, dtype, fill, described)
        return cls(group, name)

    def _open_pixels(self) -> None:
        roles = self._group.attrs["roles"]
        assert isinstance(roles, list)
        self._roles = {str(each): layout.array_of(self._group, str(each)) for each in roles}
        self._layers = {
            each: layout.array_of(self._group, each) for each in layers_of(self._group)
        }
        self._provenance = {each: layout.array_of(self._group, each) for each in PROVENANCE}

    def _sources(self) -> list[Source]:
        return [(role, "i2", MISSING, _role_attributes(role)) for role in self._roles]

    def _write_levels(self, at: int, tile: Tile) -> None:
        for role, array in self._roles.items():
            steps = read(array, (at, *tile.window))
            self._levels.write_steps(role, at, tile, steps, MISSING)

    def require(self, roles: Sequence[str], made_by: Mapping[str, Any]) -> None:
        """Refuse periods that do not match the stored ones; see `require_alike`."""
        require_alike(self._group, self._name, roles, made_by)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add or change attributes of the group; sensors are added to those that are there."""
        wanted = dict(attributes)
        if SENSORS in wanted:
            wanted[SENSORS] = sorted({*composite_sensors(self._group), *wanted[SENSORS]})
        if any(self._group.attrs.get(key) != value for key, value in wanted.items()):
            self._group.attrs.update(wanted)

    def set_periods(self, periods: Sequence[Period]) -> None:
        """Give every period a position on the time axis.

        Raises
        ------
        StoreError
            One that begins at the same time ends at another: two periods would overlap.
        """
        self.flush()
        new = [each for each in periods if each.start not in self._axis]
        if new:
            self._append(new)
        stored = read(layout.array_of(self._group, "time_bnds"))
        for period in periods:
            end = layout.instants(stored[self._axis[period.start]][1:])[0]
            if end != period.end:
                raise StoreError(
                    f"composite {self._name!r} has a period from {period.start:%Y-%m-%d} to "
                    f"{end:%Y-%m-%d}, the job one to {period.end:%Y-%m-%d}: give the new composite "
                    "another name"
                )

    def _append(self, periods: Sequence[Period]) -> None:
        before = len(self._axis)
        self._axis |= {each.start: before + n for n, each in enumerate(periods)}
        self._save_times()
        ends = [layout.microseconds([each.start, each.end]) for each in periods]
        layout.array_of(self._group, "time_bnds")[before:] = np.array(ends)

    def put_source(self, at: int, tile: Tile, source: NDArray[np.int64]) -> None:
        """Write the items (y, x) that the pixels of a cell come from."""
        array = self._provenance["source"]
        array[(at, *tile.window)] = source.astype(array.dtype)

    def write(
        self, start: datetime, tile: Tile, composite: xr.Dataset, fingerprint: int
    ) -> None:
        """Write one period of one tile; see `Writer.write_composite`."""
        where = (self._begin(start, tile), *tile.window)
        shape = tuple(tile.geobox.shape)
        for role, array in self._roles.items():
            steps = encode_reflectance(composite[role].to_numpy().reshape(shape))
            array[where] = steps
            self._levels.write_steps(role, where[0], tile, steps, MISSING)
        for name, array in (self._layers | self._provenance).items():
            array[where] = composite[name].to_numpy().reshape(shape).astype(array.dtype)
        self.put(where[0], tile, {"fingerprint": fingerprint})
