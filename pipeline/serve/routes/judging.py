"""What evidence from time makes of a series: decided by a function that whoever makes the server gives, bounded here.

It reads rasters of items, wherever they lie; nothing else that a request asks for leaves the store.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Protocol

from shapely.geometry.base import BaseGeometry

from pipeline.config import ServeSettings
from pipeline.errors import AccessError, AssetError
from pipeline.serve.patience import require_time
from pipeline.serve.problems import Refused
from pipeline.store import Archive
from pipeline.types import Series
from pipeline.types.series import NOT_LOOKED_AT, WorkBounds

log = logging.getLogger(__name__)


class Judge(Protocol):
    """`pipeline.run.why.screened`, which this package does not import: networks would come along."""

    def __call__(
        self,
        archive: Archive,
        series: Series,
        aoi: BaseGeometry | None,
        name: str | None,
        bounds: WorkBounds,
    ) -> Series:
        """Return the series with what evidence from time leaves of each scene."""


@dataclasses.dataclass(slots=True)
class Judging:
    """Of one request: its areas share what may be read."""

    judge: Judge
    most: int
    _read: int = 0

    def series(
        self, archive: Archive, series: Series, aoi: BaseGeometry, name: str | None
    ) -> Series:
        """Judge the series of an area.

        Raises
        ------
        Refused
            More would be read than is allowed, or rasters cannot be read at present.
        QueryError
            Not exactly one composite is meant, or it lacks the bands that are judged.
        """
        bounds = WorkBounds(require_few=self._require_few, require_time=require_time)
        try:
            found = self.judge(archive, series, aoi, name, bounds)
        except (AssetError, AccessError) as error:
            log.warning("%s: %s", type(error).__name__, error)
            raise Refused(
                503,
                "rasters of items cannot be read at present: try again, or leave screened out",
            ) from None
        return dataclasses.replace(found, notes=tuple(map(_without_reason, found.notes)))

    def _require_few(self, pixels: int) -> None:
        self._read += pixels
        if self._read > self.most:
            raise Refused(
                413,
                f"screened: {self._read} pixels of scenes would be read again, more than {self.most}, the "
                "most: ask for a smaller area or fewer dates",
            )


def judged_by(judge: Judge | None, settings: ServeSettings) -> Callable[[], Judging]:
    """Return what begins the judging of a request, or refuses it."""
    most = settings.max_screened_pixels

    def begin() -> Judging:
        if judge is None or not most:
            raise Refused(
                422,
                "screened: this server reads no rasters; whoever runs it may allow it by the setting max_screened_pixels",
            )
        return Judging(judge, most)

    return begin


def _without_reason(note: str) -> str:
    """Leave out why an item was not looked at: it may tell where the archive's rasters lie."""
    item = note.removeprefix(NOT_LOOKED_AT)
    return note if item == note else NOT_LOOKED_AT + item.split(":")[0]
