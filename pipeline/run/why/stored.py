"""A part of a tile as the store has it: its masks, its scenes, and the task that composes it as runs do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.mask import history_of
from pipeline.run.common.method import reach_of, window_of
from pipeline.run.plan.earlier import EarlierScenes, Wanted, find_earlier
from pipeline.run.plan.neighbours import tiles_near
from pipeline.run.tile.task import TileTask, earlier_cells
from pipeline.store import Archive
from pipeline.types import (
    NEVER,
    CompositeSettings,
    GuardSettings,
    Job,
    MaskSettings,
    Period,
    Source,
    StoredMasks,
    Tile,
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One period of a composite of a store, and how it is made."""

    archive: Archive
    period: Period
    settings: CompositeSettings
    guard: GuardSettings | None

    def scenes(self, tiles: Sequence[Tile]) -> EarlierScenes:
        """Return the store's scenes that decide the period, in some tiles of the archive's grid."""
        archive, guard = self.archive, self.guard
        composed = archive.composed_of(self.settings.name) or archive.sensors
        wanted = Wanted(
            found=frozenset(),
            sensors=frozenset(composed),
            periods=(window_of(self.period, self.settings),),
            histories=(history_of(self.period, guard),) if guard else (),
            settings=self.settings,
        )
        return find_earlier(archive, wanted, archive.grid, tiles)

    def task(
        self, block: Tile, store: PublishedCells, scenes: EarlierScenes, row: int
    ) -> TileTask:
        """Return a task that has all of these scenes.

        Parameters
        ----------
        block
            A part of a tile, as a tile of its own: whole chunks of it.
        store
            Reads the masks of `archive`.
        scenes, row
            As of `scenes`, and which of its tiles the block is in.
        """
        job = Job(
            name="why",
            aoi=self.archive.grid.geobox.geographic_extent.geom,
            period=self.period,
            sources=(Source(catalog="the store"),),
            store=self.archive.url,
            mask=MaskSettings(guard=self.guard),
            composite=self.settings,
        )
        grid = self.archive.grid
        near = tiles_near(grid, grid.tile(block.row, block.col), reach_of(self.settings))
        return TileTask(
            job=job,
            tile=block,
            items=scenes.items,
            positions=scenes.positions,
            cells=(),
            earlier=tuple(earlier_cells(store, scenes, block, row)),
            cards={},
            periods=(self.period,),
            stored_masks={},
            stored_composites={},
            near=near,
            # What cannot be read for now ends the look: the store alone answers then.
            last_try=False,
        )


@dataclass(frozen=True)
class PublishedCells:
    """Reads masks of a published state part by part, for `pipeline.run.common.cellstore.CellReader`."""

    archive: Archive

    def mask_fingerprint(self, sensor: str, time: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell."""
        found = self._fingerprints[sensor].get(time)
        return NEVER if found is None else int(found[tile.row, tile.col])

    def composite_fingerprint(self, name: str, start: datetime, tile: Tile) -> int:
        """Return the fingerprint of one period of a composite in one tile."""
        found = self._composed[name].get(start)
        return NEVER if found is None else int(found[tile.row, tile.col])

    def read_mask(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return masks of a tile, (time, y, x)."""
        stored, at = self._masks[sensor]
        return np.stack([stored.codes(at[time], tile.window) for time in times])

    def read_confidence(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return the confidence of masks in per cent, (time, y, x); 0 = not recorded."""
        stored, at = self._masks[sensor]
        if "confidence" not in self.archive.arrays("masks", sensor):
            return np.zeros((len(times), *tile.geobox.shape), np.uint8)
        return np.stack([stored.confidence(at[time], tile.window) for time in times])

    @cached_property
    def _fingerprints(self) -> dict[str, dict[datetime, NDArray[np.uint64]]]:
        archive = self.archive
        return {sensor: archive.mask_fingerprints(sensor) for sensor in archive.sensors}

    @cached_property
    def _composed(self) -> dict[str, dict[datetime, NDArray[np.uint64]]]:
        archive = self.archive
        return {name: archive.composite_fingerprints(name) for name in archive.composite_names}

    @cached_property
    def _masks(self) -> dict[str, tuple[StoredMasks, dict[datetime, int]]]:
        found = {sensor: self.archive.stored_masks(sensor) for sensor in self.archive.sensors}
        return {
            sensor: (each, {scene.time: at for at, scene in enumerate(each.scenes)})
            for sensor, each in found.items()
        }
