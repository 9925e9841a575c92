"""One tile: mask the cells that changed, compose the periods that this changes.

An asset that cannot be read costs its item, in this tile, with the reason on the receipt; the
others of its scene fill what they can. A cell whose items all failed is recorded as unreadable,
which is neither no data nor cloud.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline import composite, cube, models
from pipeline.errors import AssetError
from pipeline.mask import Sun, mask_cube, read_geobox
from pipeline.run.cellstore import CellStore
from pipeline.run.fingerprint import composite_fingerprint, mask_fingerprint
from pipeline.run.finishing import NIR, finished, reach_px, roles_needed, sun_over
from pipeline.run.plan import Cell, Plan
from pipeline.types import (
    UNREADABLE,
    CellReceipt,
    Cost,
    Dropped,
    Period,
    Scene,
    Tile,
    TileReceipt,
    is_usable,
)

T = TypeVar("T")


@dataclass(kw_only=True)
class TileWork:
    """The work on one tile; `do` it once."""

    plan: Plan
    tile: Tile
    store: CellStore
    positions: NDArray[np.int32]
    """Position in the plan's items -> position in the store's list."""
    last_try: bool
    """Whether an asset that cannot be read for now is dropped instead of tried again later."""
    dropped: list[Dropped] = field(default_factory=list)
    stages: dict[str, Cost] = field(default_factory=dict)

    def do(self) -> TileReceipt:
        """Mask, then compose."""
        with self._stage("mask"):
            cells = self._mask()
        composed: list[str] = []
        if self.plan.job.composite is not None:
            with self._stage("composite"):
                composed = [
                    f"{period.start:%Y-%m-%d}"
                    for period in self.plan.periods
                    if self._compose(period, cells)
                ]
        return TileReceipt(
            tile=self.tile.name,
            cells=tuple(cells),
            composites=tuple(composed),
            dropped=tuple(self.dropped),
            stages=self.stages,
        )

    # -- masks ---------------------------------------------------------------------------------

    def _mask(self) -> list[CellReceipt]:
        receipts: dict[Scene, CellReceipt] = {}
        pending: dict[str, list[Cell]] = {}
        for cell in self.plan.cells_of(self.tile):
            sensor, when = cell.scene.sensor, cell.scene.time
            stored = int(self.store.fingerprints(sensor)[when][self.tile.row, self.tile.col])
            if stored == cell.fingerprint:
                receipts[cell.scene] = self._receipt(cell, cell.items, stored, unchanged=True)
            else:
                pending.setdefault(sensor, []).append(cell)
        for cells in pending.values():
            for batch in _batches(cells, self.plan.job.run.workers):
                receipts.update(self._mask_batch(batch))
        return [receipts[cell.scene] for cell in self.plan.cells_of(self.tile)]

    def _mask_batch(self, cells: Sequence[Cell]) -> dict[Scene, CellReceipt]:
        """Mask a few cells of one sensor together, so that every worker has a window."""
        card = self.plan.cards[cells[0].scene.sensor]
        used = {cell.scene: list(cell.items) for cell in cells}
        read = [cell.scene for cell in cells if cell.items]
        codes = self._without_unreadable(used, lambda: self._codes(read, used))
        receipts = {}
        for cell in cells:
            kept = used[cell.scene]
            mask = codes.get(cell.scene, np.zeros(tuple(self.tile.geobox.shape), np.uint8))
            fingerprint = mask_fingerprint(
                [self.plan.items.items[p] for p in kept], card, self.plan.job.mask
            )
            if cell.items and not kept:
                fingerprint = UNREADABLE
            receipts[cell.scene] = self._receipt(cell, kept, fingerprint)
            stored = self.store.fingerprints(cell.scene.sensor)[cell.scene.time]
            if int(stored[self.tile.row, self.tile.col]) != fingerprint:
                self.store.write_mask(
                    cell.scene.sensor, cell.scene.time, self.tile, mask, fingerprint
                )
        return receipts

    def _codes(
        self, scenes: Sequence[Scene], used: Mapping[Scene, Sequence[int]]
    ) -> dict[Scene, NDArray[np.uint8]]:
        chosen = _reduced(scenes, used)
        if not chosen:
            return {}
        model = models.load(self.plan.cards[scenes[0].sensor])
        card = model.card
        settings, resolution = self.plan.job.mask, self.tile.geobox.resolution.x
        reach = reach_px(settings, resolution)
        wide = self.tile.geobox.pad(reach)
        opened = cube.open_cube(
            list(chosen.values()),
            self.plan.items,
            read_geobox(card.lattice, wide),
            roles_needed(settings, card.roles),
            chunk_px=card.lattice.core_px,
            settings=self.plan.job.cube,
        )
        with self._threads():
            codes, seen = dask.compute(mask_cube(opened, model, wide), self._seen(opened, wide))
        inner = tuple(slice(reach, reach + size) for size in self.tile.geobox.shape)
        return {
            scene: finished(
                codes[step],
                {name: pixels[step] for name, pixels in seen.items()},
                self._suns(used[scene]),
                settings,
                resolution,
            )[inner]
            for step, scene in enumerate(chosen)
        }

    def _seen(self, opened: xr.Dataset, geobox: GeoBox) -> dict[str, da.Array]:
        """Return what shadows are checked by, (time, y, x) each: nothing where they are not."""
        shadows = self.plan.job.mask.shadows
        if shadows is None:
            return {}
        names = ("source", NIR) if shadows.add else ("source",)
        corner = ~opened.odc.geobox.transform @ geobox.transform
        left, top = round(corner.c), round(corner.f)
        inside = (
            slice(None),
            slice(top, top + geobox.shape.y),
            slice(left, left + geobox.shape.x),
        )
        return {name: opened[name].data[inside] for name in names}

    def _suns(self, items: Sequence[int]) -> dict[int, Sun]:
        """Return where the sun stood over each item that says it, where shadows are checked."""
        if self.plan.job.mask.shadows is None:
            return {}
        crs = self.tile.geobox.crs
        assert crs is not None
        suns = {p: sun_over(self.plan.items.items[p], crs) for p in items}
        return {position: sun for position, sun in suns.items() if sun is not None}

    def _receipt(
        self,
        cell: Cell,
        items: Sequence[int],
        fingerprint: int,
        *,
        unchanged: bool = False,
    ) -> CellReceipt:
        if not cell.covered:
            status = "uncovered"
        elif fingerprint == UNREADABLE:
            status = "unreadable"
        else:
            status = "unchanged" if unchanged else "masked"
        return CellReceipt(
            sensor=cell.scene.sensor,
            time=cell.scene.time,
            tile=self.tile.name,
            status=status,  # type: ignore[arg-type]
            fingerprint=fingerprint,
            items=tuple(self.plan.items.items[p].id for p in items),
        )

    # -- composites ----------------------------------------------------------------------------

    def _compose(self, period: Period, cells: Sequence[CellReceipt]) -> bool:
        """Compose one period if its inputs have changed; say whether it was written."""
        settings = self.plan.job.composite
        assert settings is not None
        inside = [
            (scene, receipt)
            for scene, receipt in zip(self._scenes(), cells, strict=True)
            if receipt.items and receipt.time in period
        ]
        stored = self._stored_composite(settings.name, period)
        if stored == self._inputs_fingerprint(inside):
            return False
        masks = {scene: self._stored_mask(scene) for scene, _ in inside}
        seen = [scene for scene, mask in masks.items() if is_usable(mask).any()]
        used = {
            scene: [p for p in scene.items if self._id(p) in receipt.items]
            for scene, receipt in inside
        }
        made = self._without_unreadable(used, lambda: self._composed(seen, used, masks))
        kept = [
            (scene, dataclasses.replace(receipt, items=tuple(map(self._id, used[scene]))))
            for scene, receipt in inside
        ]
        fingerprint = self._inputs_fingerprint(kept)
        if stored == fingerprint:
            return False
        self.store.write_composite(settings.name, period.start, self.tile, made, fingerprint)
        return True

    def _composed(
        self,
        scenes: Sequence[Scene],
        used: Mapping[Scene, Sequence[int]],
        masks: Mapping[Scene, NDArray[np.uint8]],
    ) -> xr.Dataset:
        settings = self.plan.job.composite
        assert settings is not None
        chosen = _reduced(scenes, used)
        roles, geobox = settings.bands, self.tile.geobox
        if not chosen:
            return composite.nothing((geobox.shape.y, geobox.shape.x), roles)
        opened = cube.open_cube(
            list(chosen.values()),
            self.plan.items,
            geobox,
            roles,
            chunk_px=composite.block_px(len(chosen), len(roles)),
            settings=self.plan.job.cube,
        )
        usable = is_usable(np.stack([masks[scene] for scene in chosen]))
        with self._threads():
            made = composite.compose(
                opened, xr.DataArray(usable, dims=("time", "y", "x")), settings.method
            ).compute()
        source = made["source"].values
        made["source"].values = np.where(source >= 0, self.positions[source], np.int32(-1))
        return made

    def _inputs_fingerprint(self, inside: Sequence[tuple[Scene, CellReceipt]]) -> int:
        settings = self.plan.job.composite
        assert settings is not None
        return composite_fingerprint(
            settings,
            [
                (receipt.time.isoformat(), receipt.fingerprint, receipt.items)
                for _, receipt in inside
            ],
        )

    def _stored_composite(self, name: str, period: Period) -> int:
        stored = self.store.composite_fingerprints(name)[period.start]
        return int(stored[self.tile.row, self.tile.col])

    def _stored_mask(self, scene: Scene) -> NDArray[np.uint8]:
        masks: NDArray[np.uint8] = self.store.read_mask(scene.sensor, [scene.time], self.tile)
        mask: NDArray[np.uint8] = masks[0]
        return mask

    # -- both ----------------------------------------------------------------------------------

    def _scenes(self) -> Iterator[Scene]:
        return (cell.scene for cell in self.plan.cells_of(self.tile))

    def _id(self, position: int) -> str:
        return self.plan.items.items[position].id

    def _without_unreadable(
        self, used: Mapping[Scene, list[int]], compute: Callable[[], T]
    ) -> T:
        """Compute; whenever an item cannot be read, take it out of `used` and compute again."""
        while True:
            try:
                return compute()
            except AssetError as error:
                if error.retryable and not self.last_try:
                    raise
                if self.plan.job.cube.unreadable == "fail":
                    raise
                self._drop(used, error)

    def _drop(self, used: Mapping[Scene, list[int]], error: AssetError) -> None:
        for positions in used.values():
            for position in positions:
                if self._id(position) == error.item_id:
                    positions.remove(position)
                    reason = f"asset {error.asset!r} {error.reason}"
                    self.dropped.append(
                        Dropped(item_id=error.item_id, reason=reason, tile=self.tile.name)
                    )
                    return
        raise error

    def _threads(self) -> dask.config.set:
        return dask.config.set(scheduler="threads", num_workers=self.plan.job.run.workers)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Add what happens inside to a stage's cost."""
        read, wall, cpu = cube.METER.total(), time.perf_counter(), time.process_time()
        yield
        now = cube.METER.total()
        self.stages[name] = Cost(
            seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
            bytes_read=now.bytes_read - read.bytes_read,
            reads=now.reads - read.reads,
        )


def _batches(cells: Sequence[Cell], size: int) -> Iterator[Sequence[Cell]]:
    for start in range(0, len(cells), size):
        yield cells[start : start + size]


def _reduced(
    scenes: Sequence[Scene], used: Mapping[Scene, Sequence[int]]
) -> dict[Scene, Scene]:
    """Return scenes with only the items in use; those without any are left out."""
    return {
        scene: dataclasses.replace(scene, items=tuple(used[scene]))
        for scene in scenes
        if used[scene]
    }
