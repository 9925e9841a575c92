"""The scenes of a store opened again as cubes, from its own list of items, without a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pystac
import xarray as xr
from odc.geo.geobox import GeoBox

from pipeline import cube
from pipeline.errors import QueryError
from pipeline.store import Archive
from pipeline.types import Items, Period, Scene


def observations(
    archive: Archive, roles: Sequence[str]
) -> Callable[[Period, GeoBox], xr.Dataset]:
    """Return a function that opens all scenes of a period as a lazy cube.

    Parameters
    ----------
    archive
        Its items' assets must still be readable.
    roles
        Variables of the cubes.
    """
    items = Items(
        items=tuple(
            pystac.Item.from_dict(document, migrate=False) for document in archive.items()
        )
    )
    scenes = scenes_of_store(archive)

    def opened(period: Period, geobox: GeoBox) -> xr.Dataset:
        inside = [scene for scene in scenes if scene.time in period]
        if not inside:
            raise QueryError(f"the store has no scene within {period}")
        return cube.open_measured(inside, items, geobox, roles, chunk_px=archive.grid.chunk_px)

    return opened


def scenes_of_store(archive: Archive) -> tuple[Scene, ...]:
    """Return the scenes of a store, sorted by (time, sensor); positions are the store's."""
    positions = {name: index for index, name in enumerate(archive.item_ids)}
    scenes = []
    for sensor in archive.sensors:
        for time, platform, ids in archive.scenes(sensor):
            scenes.append(
                Scene(
                    sensor=sensor,
                    time=time,
                    items=tuple(positions[name] for name in ids),
                    platform=platform,
                )
            )
    return tuple(sorted(scenes, key=lambda scene: (scene.time, scene.sensor)))
