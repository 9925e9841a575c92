"""Results against the truth: scenes, periods, and both as rows of tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.confusion import Agreement, median_skipping, overall_accuracy, ratio
from pipeline.evaluate.statistics import fraction_difference
from pipeline.evaluate.truth import CLASSES
from pipeline.wording import counted

Row = dict[str, Any]

_CLEAR, _CLOUD, _SHADOW = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneAccuracy:
    """One mask against the truth."""

    sensor: str
    time: datetime
    matrix: NDArray[np.int64]
    """(3, 3) pixels that have data and a truth: row = truth, column = prediction, by `CLASSES`. Without thin cloud."""
    away: NDArray[np.int64]
    """The same without the pixels that lie within `BORDER_PX` of another class of the truth."""
    thin: NDArray[np.int64]
    """(3,) pixels of thin cloud by prediction: who calls it cloud finds it, and who calls it clear or shadow is not wrong."""
    without_data: int
    """Pixels that have a truth and no data in the mask: not counted above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandErrors:
    """Root mean square errors of one band in reflectance, all over the same pixels."""

    band: str
    composite: float
    """Of the composite."""
    unmasked: float | None
    """Of the same median over all observations, cloudy or not; None: not computed."""
    truth_masked: float | None
    """Of the same median over the observations that are clear in truth: the best that any mask can reach; None: not
    computed."""
    sure: float | None = None
    """Of the composite, over the pixels that are not ``suspect``; None: it does not tell suspect pixels."""
    truth_masked_sure: float | None = None
    """As `truth_masked`, over the same pixels as `sure`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodAccuracy:
    """One composite of one period against the median of the clean surface."""

    composite: str
    start: datetime
    end: datetime
    scenes: int
    """Scenes of the truth in the period, of the sensors that the archive has."""
    pixels: int
    """Pixels that everything compared has: the errors are over these."""
    defined: Mapping[str, int]
    """What is compared -> pixels where it has a value and the surface is known."""
    bands: tuple[BandErrors, ...]
    filled: float | None = None
    """Share of the pixels that the true mask fills which the composite fills, 0 to 1; None: not computed."""
    filled_sure: float | None = None
    """Of the same, filled and not ``suspect``; None: it does not tell suspect pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Accuracy of an archive against the truth."""

    scenes: tuple[SceneAccuracy, ...]
    periods: tuple[PeriodAccuracy, ...]

    def matrix(self, sensor: str | None = None) -> NDArray[np.int64]:
        """Return the confusion matrix of all scenes, or of one sensor's."""
        return _total(each.matrix for each in self._of(sensor))

    def rows(self) -> list[Row]:
        """Return the accuracy of masks as rows: summaries first, then every scene.

        Columns: ``scene``, ``pixels``, precision, recall, F1 and IoU of ``cloud`` and ``shadow``,
        recall of ``clear``, overall accuracy, all without thin cloud; ``thin_recall``: share of thin cloud that is called
        cloud (all 0 to 1, NaN = nothing out of nothing); and ``cloud_difference``: predicted minus true share of
        cloud, in percent points.
        """
        sensors = sorted({scene.sensor for scene in self.scenes})
        rows = [self._pooled("all scenes, pooled")]
        rows.append(_row("… 2 px away from borders", _total(s.away for s in self.scenes)))
        if len(sensors) > 1:
            rows += [self._pooled(f"{sensor}, pooled", sensor) for sensor in sensors]
        each = [
            _row(f"{s.sensor} {s.time:%Y-%m-%d %H:%M}", s.matrix, s.thin) for s in self.scenes
        ]
        return [*rows, _median_row(each), *each] if each else []

    def _pooled(self, name: str, sensor: str | None = None) -> Row:
        thin = np.sum([each.thin for each in self._of(sensor)], axis=0)
        return _row(name, self.matrix(sensor), thin if thin.ndim else None)

    def _of(self, sensor: str | None) -> list[SceneAccuracy]:
        return [each for each in self.scenes if sensor in (None, each.sensor)]

    def composite_rows(self) -> list[Row]:
        """Return the accuracy of composites as rows: one for each composite, period and band.

        Columns: ``composite`` (its name), ``period``, ``scenes``, ``pixels``, ``band``, ``rmse`` (of
        the composite), ``unmasked``, ``truth_masked``; the errors over pixels that are not suspect, ``rmse_sure`` and
        ``truth_masked_sure`` (all as in `BandErrors`); and ``filled``, ``filled_sure`` (as in `PeriodAccuracy`).
        """
        return [
            {
                "composite": period.composite,
                "period": f"{period.start:%Y-%m-%d}/{period.end:%Y-%m-%d}",
                "scenes": period.scenes,
                "pixels": period.pixels,
                "band": band.band,
                "rmse": band.composite,
                "unmasked": band.unmasked,
                "truth_masked": band.truth_masked,
                "rmse_sure": band.sure,
                "truth_masked_sure": band.truth_masked_sure,
                "filled": period.filled,
                "filled_sure": period.filled_sure,
            }
            for period in self.periods
            for band in period.bands
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values; NaN and infinity as none."""
        return {
            "classes": list(CLASSES),
            "matrix": self.matrix().tolist(),
            "masks": [_plain(row) for row in self.rows()],
            "composites": [_plain(row) for row in self.composite_rows()],
            "scenes": [
                {
                    "sensor": scene.sensor,
                    "time": _iso(scene.time),
                    "matrix": scene.matrix.tolist(),
                    "matrix_away_from_borders": scene.away.tolist(),
                    "thin": scene.thin.tolist(),
                    "without_data": scene.without_data,
                }
                for scene in self.scenes
            ],
            "pixels_defined": [
                {"name": p.composite, "start": _iso(p.start), **p.defined} for p in self.periods
            ],
        }


def _total(matrices: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    total = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    for matrix in matrices:
        total += matrix
    return total


def _row(name: str, matrix: NDArray[np.int64], thin: NDArray[np.int64] | None = None) -> Row:
    """Return the measures of some pixels; `thin` as of `SceneAccuracy`, None: not known away from borders."""
    pixels = int(matrix.sum())
    scores = {
        f"{name}_{measure}": getattr(Agreement.of(matrix, index), measure)
        for name, index in (("cloud", _CLOUD), ("shadow", _SHADOW))
        for measure in ("precision", "recall", "f1", "iou")
    }
    return {
        "scene": name,
        "pixels": pixels,
        **scores,
        "clear_recall": Agreement.of(matrix, _CLEAR).recall,
        "thin_recall": math.nan if thin is None else ratio(int(thin[_CLOUD]), int(thin.sum())),
        "overall_accuracy": overall_accuracy(matrix),
        "cloud_difference": fraction_difference(matrix, _CLOUD),
    }


def _median_row(rows: Sequence[Row]) -> Row:
    """Summarise scenes by the median of each column; ``skipped`` counts what was NaN."""
    columns = [key for key in rows[0] if key not in ("scene", "pixels")]
    medians = {key: median_skipping(row[key] for row in rows) for key in columns}
    return {
        "scene": f"median of {counted(len(rows), 'scene')}",
        "pixels": int(np.median([row["pixels"] for row in rows])),
        **{key: median for key, (median, _) in medians.items()},
        "skipped": {key: skipped for key, (_, skipped) in medians.items() if skipped},
    }


def _plain(row: Row) -> Row:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
