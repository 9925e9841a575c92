"""The group ``composites/<name>``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.arrays.cells import Cells
from pipeline.store.arrays.overviews import Levels
from pipeline.store.base.reading import read
from pipeline.types import Grid, Period, Tile

SCALE = 1e-4
"""Reflectance of one stored step."""
MISSING = -32768
LARGEST = 32767
"""Of what is stored; reflectances that are believed (`pipeline.sensors.Limits`) are nowhere near it."""

ROLE_ATTRIBUTES = {"scale_factor": SCALE, "_FillValue": MISSING, "units": "1"}
COUNT_ATTRIBUTES = {"long_name": "usable observations"}
# Whoever reads the array by its CF attributes gets dates, and no date where there is none: without
# _FillValue, -1 would be the last day of 1969. An `Archive` gives the numbers.
DAY_ATTRIBUTES = {
    "long_name": "day of the observation nearest to the value",
    "units": "days since 1970-01-01",
    "calendar": "proleptic_gregorian",
    "_FillValue": -1,
    "comment": "days since 1970-01-01, -1 = none",
}
SOURCE_ATTRIBUTES = {
    "long_name": "item of the observation nearest to the value",
    "comment": "position in items/id of this store, -1 = none",
}


def encode(reflectance: NDArray[np.float32]) -> NDArray[np.int16]:
    """Turn reflectance, NaN = no data, into stored integers, rounded half to even.

    Raises
    ------
    StoreError
        A value has no place in 16 bits.
    """
    # In float64: the product of two float32 is not exact, and halves would round either way.
    steps = np.rint(reflectance.astype(np.float64) / SCALE)
    beyond = np.abs(steps) > LARGEST
    if beyond.any():
        raise StoreError(
            f"pixels of a composite ({np.count_nonzero(beyond)}) are beyond ±{LARGEST * SCALE:g}, e.g. "
            f"{reflectance[beyond][0]:g}: they are no reflectance and are not stored as one"
        )
    return np.where(np.isnan(steps), MISSING, steps).astype(np.int16)


SENSORS = "sensors"
"""Attribute of the group: whose scenes it is made of."""
MADE_BY = ("method", "period")
"""Attributes of the group that tell of all of its steps how they are made."""


def sensors_of(group: zarr.Group) -> tuple[str, ...]:
    """Return the sensors whose scenes a composite is made of."""
    found = group.attrs.get(SENSORS, ())
    assert isinstance(found, list | tuple)
    return tuple(str(each) for each in found)


def require_alike(
    group: zarr.Group, name: str, roles: Sequence[str], made_by: Mapping[str, Any]
) -> None:
    """Refuse to put steps into a composite that are not like those that it has.

    Raises
    ------
    StoreError
        It has other bands, another method, or periods of another kind, which would overlap.
    """
    stored = group.attrs["roles"]
    if list(roles) != stored:
        raise StoreError(
            f"composite {name!r} has the bands {stored}, the job asks for {list(roles)}: give the "
            "new one another name (composite.name), or ask for the old bands"
        )
    for key in MADE_BY:
        asked, before = made_by.get(key), group.attrs.get(key)
        if asked is not None and before is not None and asked != before:
            raise StoreError(
                f"composite {name!r} of this store has composite.{key} {before}, the job asks for "
                f"{asked}: give the new one another name (composite.name)"
            )


def _role_attributes(role: str) -> layout.Attributes:
    return {**ROLE_ATTRIBUTES, "long_name": f"{role} reflectance"}


class CompositeGroup:
    """One composite, while a session writes it."""

    careful = False
    """Whether a cell is unmade before it is written again: there is no transaction."""

    def __init__(self, group: zarr.Group, name: str) -> None:
        self._group = group
        self._name = name
        stored = layout.values_of(group, "time")
        self._axis = {time: at for at, time in enumerate(layout.instants(stored))}
        self._fingerprint = Cells(layout.array_of(group, "fingerprint"))
        self._open_arrays()

    def reopen(self, group: zarr.Group) -> None:
        """Go on with the same group of another session, or after the time axis grew."""
        self._group = group
        self._fingerprint.reopen(layout.array_of(group, "fingerprint"))
        self._open_arrays()

    def _open_arrays(self) -> None:
        roles = self._group.attrs["roles"]
        assert isinstance(roles, list)
        self._roles = {str(each): layout.array_of(self._group, str(each)) for each in roles}
        self._plain = {
            each: layout.array_of(self._group, each) for each in ("count", "day", "source")
        }
        self._levels = Levels(self._group)

    @classmethod
    def create(
        cls, parent: zarr.Group, name: str, grid: Grid, roles: Sequence[str]
    ) -> CompositeGroup:
        """Create an empty group."""
        group = parent.create_group(name)
        group.attrs.update(
            {
                "Conventions": "CF-1.11",
                "roles": list(roles),
                "tile_px": grid.tile_px,
                "chunk_px": grid.chunk_px,
            }
        )
        layout.add_georeference(group, grid)
        time = {**layout.TIME_ATTRIBUTES, "bounds": "time_bnds"}
        layout.add_list(group, "time", "i8", "time", time)
        group.create_array(
            "time_bnds",
            shape=(0, 2),
            chunks=(4096, 2),
            compressors=layout.COMPRESSORS,
            dtype="i8",
            dimension_names=("time", "nv"),
        )
        for role in roles:
            layout.add_pixels(group, role, grid, "i2", MISSING, _role_attributes(role))
        layout.add_pixels(group, "count", grid, "u2", 0, COUNT_ATTRIBUTES)
        layout.add_pixels(group, "day", grid, "i4", -1, DAY_ATTRIBUTES)
        layout.add_pixels(group, "source", grid, "i4", -1, SOURCE_ATTRIBUTES)
        layout.add_cells(group, "fingerprint", grid, "u8")
        layout.array_of(group, "fingerprint").attrs.update(layout.FINGERPRINT_ATTRIBUTES)
        return cls(group, name)

    def keep_levels(self, grid: Grid) -> None:
        """Make the overviews, also of what is stored already, if they are not there."""
        if self._levels:
            return
        self._levels = Levels.create(
            self._group,
            grid,
            [(role, "i2", MISSING, _role_attributes(role)) for role in self._roles],
        )
        for at, cells in enumerate(self._fingerprint.read()):
            for row, col in np.argwhere(cells > 0):
                tile = grid.tile(int(row), int(col))
                for role, array in self._roles.items():
                    steps = read(array, (at, *tile.window))
                    self._levels.write_steps(role, at, tile, steps, MISSING)

    def require(self, roles: Sequence[str], made_by: Mapping[str, Any]) -> None:
        """Refuse steps that are not like those that are stored; see `require_alike`."""
        require_alike(self._group, self._name, roles, made_by)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add or change attributes of the group; sensors are added to those that are there."""
        wanted = dict(attributes)
        if SENSORS in wanted:
            wanted[SENSORS] = sorted({*sensors_of(self._group), *wanted[SENSORS]})
        if any(self._group.attrs.get(key) != value for key, value in wanted.items()):
            self._group.attrs.update(wanted)

    def set_periods(self, periods: Sequence[Period]) -> None:
        """Give every period a place on the time axis.

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
        for period in periods:
            self._axis[period.start] = len(self._axis)
        before = len(self._axis) - len(periods)
        layout.grow(self._group, len(self._axis))
        times = layout.microseconds(self._axis)
        layout.array_of(self._group, "time")[...] = times
        self._levels.set_times(times)
        ends = [layout.microseconds([each.start, each.end]) for each in periods]
        layout.array_of(self._group, "time_bnds")[before:] = np.array(ends)
        self.reopen(self._group)

    def fingerprints(self) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every period, by its start."""
        values = self._fingerprint.read()
        return {time: values[at] for time, at in self._axis.items()}

    @property
    def group(self) -> zarr.Group:
        """The group itself."""
        return self._group

    @property
    def axis(self) -> dict[datetime, int]:
        """Start of a period -> its place."""
        return self._axis

    def put(self, at: int, tile: Tile, fingerprint: int) -> None:
        """Set the fingerprint of a cell by its place."""
        self._fingerprint.put(at, tile, fingerprint)

    def put_source(self, at: int, tile: Tile, source: NDArray[np.int64]) -> None:
        """Write the items (y, x) that the pixels of a cell come from."""
        array = self._plain["source"]
        array[(at, *tile.window)] = source.astype(array.dtype)

    def fingerprint(self, start: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell."""
        return self._fingerprint.get(self._at(start), tile)

    def _at(self, start: datetime) -> int:
        try:
            return self._axis[start]
        except KeyError:
            raise StoreError(
                f"composite {self._name!r} has no period from {start.isoformat()}: call set_composite first"
            ) from None

    def write(
        self, start: datetime, tile: Tile, composite: xr.Dataset, fingerprint: int
    ) -> None:
        """Write one period of one tile; see `Writer.write_composite`."""
        where = (self._at(start), *tile.window)
        if self.careful:
            self._fingerprint.clear_one(where[0], tile)
        shape = tuple(tile.geobox.shape)
        for role, array in self._roles.items():
            steps = encode(composite[role].to_numpy().reshape(shape))
            array[where] = steps
            self._levels.write_steps(role, where[0], tile, steps, MISSING)
        for name, array in self._plain.items():
            array[where] = composite[name].to_numpy().reshape(shape).astype(array.dtype)
        self.put(where[0], tile, fingerprint)

    def forget(self) -> None:
        """Read cells anew when they are next asked for."""
        self._fingerprint.forget()

    @property
    def dirty(self) -> bool:
        """Whether cells wait for `flush`."""
        return self._fingerprint.dirty

    def flush(self) -> None:
        """Hand waiting cells to Zarr."""
        self._fingerprint.flush()
