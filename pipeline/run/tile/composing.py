"""One composite of a tile: what decides a period, whether that has changed, and how its pixels are opened and composed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite, cube, models
from pipeline.mask import history_of
from pipeline.run.common.cellstore import CellReader
from pipeline.run.common.fingerprint import composite_fingerprint
from pipeline.run.common.method import (
    adjust_of,
    evidence_of,
    method_of,
    roles_held,
    window_of,
)
from pipeline.run.tile.around import Around
from pipeline.run.tile.beside import Beside, view_angles
from pipeline.run.tile.drop_unreadable import Losses, with_items
from pipeline.run.tile.ground import Ground
from pipeline.run.tile.guard_history import History
from pipeline.run.tile.observed import Cells, CellsOf, Observed, stacked
from pipeline.run.tile.second_opinion import judged
from pipeline.run.tile.task import TileTask
from pipeline.types import (
    CellReceipt,
    CompositeSettings,
    Period,
    Scene,
    Tile,
    is_usable,
)


def _history(task: TileTask, store: CellReader) -> History | None:
    guard, tile = task.job.mask.guard, task.tile
    if guard is None:
        return None
    return History(
        settings=guard,
        shape=(tile.geobox.shape.y, tile.geobox.shape.x),
        read=lambda scene: _mask(store, scene, tile),
    )


def _mask(store: CellReader, scene: Scene, tile: Tile) -> NDArray[np.uint8]:
    mask: NDArray[np.uint8] = store.read_mask(scene.sensor, [scene.time], tile)[0]
    return mask


@dataclass(frozen=True, kw_only=True)
class Due:
    """A step that is to be composed."""

    composing: Composing
    period: Period
    cells: CellsOf
    usable: Mapping[Scene, NDArray[np.bool_]]
    """Where the scenes that decide it show the ground, (y, x) each."""
    beside: Beside
    """What their masks tell of those of the period besides."""
    stored: int
    """Fingerprint of what the store has."""


@dataclass(frozen=True)
class Composing:
    """Composes the periods of a tile, or looks at what one of them is composed of."""

    task: TileTask
    settings: CompositeSettings
    method: composite.Method
    store: CellReader
    losses: Losses
    history: History | None
    """Masks that the guard counts; None without a guard."""
    around: Around | None
    """Masks beyond the tile; None where the method does not look there."""

    @classmethod
    def of(
        cls, task: TileTask, settings: CompositeSettings, store: CellReader, losses: Losses
    ) -> Composing:
        """Return what composes a task's tile."""
        method = method_of(settings)
        around = Around.of(task, method, store)
        return cls(task, settings, method, store, losses, _history(task, store), around)

    def cells(self, period: Period, made: Cells) -> CellsOf:
        """Return the cells that decide a period, of all those of the tile."""
        window = window_of(period, self.settings)
        return CellsOf.split(period, made, window, self._past(period, made))

    def due(self, period: Period, made: Cells) -> Due | None:
        """Return what is to be composed of a period; None: its inputs have not changed."""
        cells = self.cells(period, made)
        stored = self.task.stored_composites[period.start]
        if stored == self.fingerprint(cells, {}):
            return None
        usable = self.usable(cells)
        return Due(
            composing=self,
            period=period,
            cells=cells,
            usable=usable,
            beside=self.beside([scene for scene, _ in cells.inside if usable[scene].any()]),
            stored=stored,
        )

    def beside(self, scenes: Sequence[Scene]) -> Beside:
        """Return what the masks of some scenes tell besides where the ground is, as far as the method asks."""
        return Beside.read(scenes, self.method, self.around, self.store, self.task.tile)

    def used(self, cells: CellsOf) -> dict[Scene, list[int]]:
        """Return the items of each scene that its mask was made of."""
        return {
            scene: [p for p in scene.items if self.task.item_id(p) in receipt.items]
            for scene, receipt in cells.read
        }

    def composed(
        self, period: Period, seen: Observed, screened: xr.Dataset | None
    ) -> xr.Dataset:
        """Return the composite of what was observed and, where it is screened, stands."""
        kept = seen.shown if screened is None else screened["kept"]
        layers = {} if screened is None else {"suspect": screened["suspect"]}
        evidence = evidence_of(self.method, period, seen.scenes, seen.beside)
        device = models.composing_device(self.settings.device)
        made = composite.compose(seen.cube, kept, self.method, evidence, device)
        made = made.assign(layers)
        return composite.at_least(made, self.settings.min_observations)

    def observed(
        self,
        ground: Ground,
        used: Mapping[Scene, Sequence[int]],
        beside: Beside | None = None,
        wanted: NDArray[np.bool_] | None = None,
        chunk_px: int | None = None,
    ) -> Observed:
        """Open what decides a period.

        Parameters
        ----------
        ground
            Where scenes show the ground; at least one is of the period.
        used
            Scene -> the items to read.
        beside
            What masks tell of those of the period besides; None: nothing is composed.
        wanted
            (y, x) pixels to read of every scene; None: of each what is composed or judges it.
        chunk_px
            Edge of the blocks; None: `chunk_px` of these scenes.
        """
        chosen, around = (
            with_items(
                [s for s, shown in each.items() if wanted is not None or shown.any()], used
            )
            for each in (ground.composed, ground.judging)
        )
        edge = self.chunk_px(len(chosen) + len(around)) if chunk_px is None else chunk_px

        def opened(
            scenes: Mapping[Scene, Scene],
            flags: Mapping[Scene, NDArray[np.bool_]],
            roles: Sequence[str],
        ) -> tuple[xr.Dataset, xr.DataArray]:
            shown = stacked(scenes, flags)
            if second is not None:
                shown = judged(self.task, scenes, shown, second, read)
            return read(scenes, stacked(scenes, flags).values, roles), shown

        def read(
            scenes: Mapping[Scene, Scene], asked: NDArray[np.bool_], roles: Sequence[str]
        ) -> xr.Dataset:
            if wanted is not None:
                asked = np.broadcast_to(wanted, asked.shape)
            return self._opened(scenes, asked, roles, edge)

        screen = self.settings.screen
        second = None if screen is None else screen.second_opinion
        pixels, seen = opened(chosen, ground.composed, self.settings.bands)
        known = xr.Dataset() if beside is None else beside.of(list(chosen))
        if "view_deg" in self.method.needs:
            known = known.assign(view_deg=view_angles(pixels["source"], self.task.items))
        return Observed(
            scenes=list(chosen.values()),
            around=list(around.values()),
            cube=pixels,
            shown=stacked(chosen, ground.composed),
            judged=seen,
            past=opened(around, ground.judging, composite.EVIDENCE)
            if screen and around
            else None,
            screen=screen,
            beside=known,
        )

    def chunk_px(self, n_scenes: int) -> int:
        """Return the edge of the blocks in which so many scenes are composed."""
        return composite.block_px(n_scenes, roles_held(self.settings))

    def _opened(
        self,
        chosen: Mapping[Scene, Scene],
        wanted: NDArray[np.bool_],
        roles: Sequence[str],
        chunk_px: int,
    ) -> xr.Dataset:
        task = self.task
        return cube.open_measured(
            list(chosen.values()),
            task.items,
            task.tile.geobox,
            roles,
            chunk_px=chunk_px,
            settings=task.job.cube,
            wanted=wanted,
            adjust=adjust_of(self.settings),
        )

    def _past(self, period: Period, made: Cells) -> Cells:
        """Return the cells whose masks the guard counts for a period."""
        if self.history is None:
            return ()
        window = history_of(period, self.history.settings)
        return [(scene, receipt) for scene, receipt in made if receipt.time in window]

    def ground(
        self,
        period: Period,
        usable: Mapping[Scene, NDArray[np.bool_]],
        used: Mapping[Scene, Sequence[int]],
    ) -> Ground:
        """Return what a period is composed of, and judged by, of the scenes that have an item in use."""
        shown = {scene: each for scene, each in usable.items() if used[scene]}
        return Ground.of(period, shown, self.settings)

    def usable(self, cells: CellsOf) -> dict[Scene, NDArray[np.bool_]]:
        """Return where the scenes that are read show the ground, (y, x) each."""
        masks = ((scene, _mask(self.store, scene, self.task.tile)) for scene, _ in cells.read)
        if self.history is None:
            return {scene: is_usable(mask) for scene, mask in masks}
        guarded = self.history.guarded([scene for scene, _ in cells.past])
        # A sensor that is seen after the period alone, to screen it, has nothing to count.
        nowhere = np.zeros(self.history.shape, np.bool_)
        return {
            scene: self.history.usable(mask, guarded.get(scene.sensor, nowhere))
            for scene, mask in masks
        }

    def fingerprint(self, cells: CellsOf, used: Mapping[Scene, Sequence[int]]) -> int:
        """Return the fingerprint of a period made of these cells, without the items missing from `used`."""
        inside, around = (
            [
                (
                    receipt.time.isoformat(),
                    receipt.fingerprint,
                    self._unread(receipt, used, scene),
                )
                for scene, receipt in read
            ]
            for read in (cells.inside, cells.around)
        )
        return composite_fingerprint(
            self.settings,
            inside,
            self.task.job.mask.guard,
            [(receipt.time.isoformat(), receipt.fingerprint) for _, receipt in cells.past],
            around,
            self._beyond(cells),
        )

    def _beyond(self, cells: CellsOf) -> list[list[tuple[int, int, int]]]:
        """Return the masks around the tile of each scene of the period; none, where there are none."""
        if self.around is None:
            return []
        found = [self.around.fingerprints(scene) for scene, _ in cells.inside]
        return found if any(found) else []

    def _unread(
        self, receipt: CellReceipt, used: Mapping[Scene, Sequence[int]], scene: Scene
    ) -> list[str]:
        """Return the ids of items that the mask has and the composite could not read."""
        if scene not in used:
            return []
        read = {self.task.item_id(position) for position in used[scene]}
        return [each for each in receipt.items if each not in read]
