"""Which pixel of which composite is asked for, and the settings that made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from odc.geo.geom import point
from shapely.geometry import Point

from pipeline.composite import SUSPECT
from pipeline.errors import QueryError
from pipeline.run.plan.stored_state import JUDGED_BY
from pipeline.run.why.stored import Step
from pipeline.store import Archive
from pipeline.types import (
    CompositeSettings,
    Grid,
    GuardSettings,
    Period,
    ScreenSettings,
    Tile,
)


@dataclass(frozen=True, kw_only=True)
class Asked(Step):
    """One pixel of one period of a composite."""

    lonlat: tuple[float, float]
    at: tuple[int, int]
    """(y, x) in the region's arrays."""
    tile: Tile
    block: Tile
    """The tile's chunk that has the pixel, as a tile of its own."""
    guessed: bool
    """Whether the store, of an older version, does not tell how it is screened: by the defaults, perhaps."""

    @property
    def within(self) -> tuple[int, int]:
        """(y, x) in the block."""
        ys, xs = self.block.window
        return self.at[0] - ys.start, self.at[1] - xs.start


def ask(
    archive: Archive, lonlat: tuple[float, float], period: Period | None, name: str | None
) -> Asked:
    """Find what is meant; see `pipeline.run.why.why`."""
    named = the_composite(archive, name)
    chosen = _period(archive.periods(named), period, named)
    y, x = _pixel(archive, lonlat)
    grid = archive.grid
    tile = grid.tile(y // grid.tile_px, x // grid.tile_px)
    settings, guard, guessed = settings_of(archive, named)
    return Asked(
        archive=archive,
        lonlat=lonlat,
        at=(y, x),
        tile=tile,
        block=chunks_around(archive.grid, tile, (slice(y, y + 1), slice(x, x + 1))),
        period=chosen,
        settings=settings,
        guard=guard,
        guessed=guessed,
    )


def the_composite(archive: Archive, wanted: str | None) -> str:
    """Return the name of the composite that is meant: the wanted one, or the store's only one.

    Raises
    ------
    QueryError
        None is wanted, and the store has none or several.
    """
    if wanted is not None:
        return wanted
    known = archive.composite_names
    if len(known) != 1:
        raise QueryError(
            f"the store has {len(known)} composites ({', '.join(known) or 'none'}): name one of them"
        )
    return known[0]


def _period(known: Sequence[Period], wanted: Period | None, name: str) -> Period:
    if wanted is None:
        found = list(known)
    else:
        found = [each for each in known if each.start in wanted]
        found = found or [each for each in known if wanted.start in each]
    if len(found) != 1:
        starts = ", ".join(f"{each.start:%Y-%m-%d}" for each in sorted(known, key=_start))
        meant = "several periods are" if found else "no period is"
        raise QueryError(
            f"{meant} meant of composite {name}; its periods begin at {starts or 'no date'}: name one"
        )
    return found[0]


def _start(period: Period) -> float:
    return period.start.timestamp()


def _pixel(archive: Archive, lonlat: tuple[float, float]) -> tuple[int, int]:
    geobox = archive.grid.geobox
    lon, lat = lonlat
    ny, nx = geobox.shape
    assert geobox.crs is not None
    here = point(lon, lat, "EPSG:4326").to_crs(geobox.crs).geom
    assert isinstance(here, Point)
    x, y = ~geobox.transform * (here.x, here.y)
    if not (np.isfinite([x, y]).all() and 0 <= x < nx and 0 <= y < ny):
        west, south, east, north = geobox.geographic_extent.boundingbox
        raise QueryError(
            f"{lon:g},{lat:g} (longitude, latitude) is outside of the region of the archive: about "
            f"{west:.4f},{south:.4f} to {east:.4f},{north:.4f}"
        )
    return int(y), int(x)


def chunks_around(grid: Grid, tile: Tile, window: tuple[slice, slice]) -> Tile:
    """Return the chunks of a tile that hold a window of it, as a tile of their own."""
    edge = grid.chunk_px
    ys, xs = (
        slice(each.start // edge * edge, min(-(-each.stop // edge) * edge, whole.stop))
        for each, whole in zip(window, tile.window, strict=True)
    )
    return Tile(row=tile.row, col=tile.col, window=(ys, xs), geobox=grid.geobox[ys, xs])


def settings_of(
    archive: Archive, name: str
) -> tuple[CompositeSettings, GuardSettings | None, bool]:
    """Return how a composite is made, and whether that is partly a guess."""
    attributes = archive.attributes("composites", name)
    judged = json.loads(attributes.get(JUDGED_BY, "{}"))
    is_screened = {*SUSPECT} <= {*attributes.get("layers", ())}
    screen = judged.get("screen", {} if is_screened else None)
    settings = CompositeSettings(
        name=name,
        method=attributes["method"],
        options=json.loads(attributes.get("options", "{}")),
        period=attributes["period"],
        bands=tuple(attributes["roles"]),
        screen=None if screen is None else ScreenSettings(**screen),
        min_observations=judged.get("min_observations", 1),
        max_observations=judged.get("max_observations"),
        sensors=tuple(attributes.get("only_sensors", ())),
        harmonize=attributes.get("harmonize"),
        brdf=attributes.get("brdf"),
    )
    guard = judged.get("guard")
    return (
        settings,
        None if guard is None else GuardSettings(**guard),
        JUDGED_BY not in attributes,
    )
