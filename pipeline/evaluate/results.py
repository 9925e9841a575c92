"""An evaluation as rows of tables and as plain JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.confusion import Agreement
from pipeline.evaluate.labelled import Evaluation
from pipeline.evaluate.schemes import CLOUD, INVALID, THREE, Scheme
from pipeline.evaluate.scoring import ImageScore
from pipeline.evaluate.statistics import (
    MeasureSummary,
    cloud_fraction_differences,
    fraction_difference,
    full_statistics,
    measures,
    point_statistics,
    summarise,
)
from pipeline.wording import counted

Row = dict[str, Any]
Matrix = NDArray[np.int64]


class Results:
    """The numbers of an evaluation."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.buffers_px = tuple(sorted({key[1] for key in evaluation.images[0].counts}))
        self._summaries = {
            (scheme.name, buffer): summarise(self.matrices(scheme, buffer), measures(scheme))
            for scheme in evaluation.schemes
            for buffer in self.buffers_px
        }

    def matrices(self, scheme: Scheme, buffer: int = 0) -> list[Matrix]:
        """Return the confusion matrix of every image."""
        return [image.counts[scheme.name, buffer].matrix for image in self.evaluation.images]

    def pooled(self, scheme: Scheme, buffer: int = 0) -> Matrix:
        """Return the confusion matrix of all images together."""
        total: Matrix = np.sum(self.matrices(scheme, buffer), axis=0)
        return total

    def summary(self, scheme: str, measure: str, buffer: int = 0) -> MeasureSummary:
        """Return one measure over all images."""
        return self._summaries[scheme, buffer][measure]

    # -- tables --------------------------------------------------------------------------------

    def title(self) -> str:
        """Return the heading of every table: what was compared, and whether the model was trained on it."""
        which = self.evaluation
        return f"{which.masker} on {which.dataset.title} ({counted(len(which.images), 'image')}); {which.leak}"

    def measure_rows(self) -> list[Row]:
        """Return a row for each scheme and measure, in words: borders left out (k px) beside the whole.

        ``pooled`` is of all pixels, ``median`` of the images' values; in brackets 95 % bootstrap
        intervals over images. ``skipped`` images have nothing out of nothing.
        """
        return [
            {"scheme": scheme.name, "measure": name} | self._measured(scheme, name)
            for scheme in self.evaluation.schemes
            for name in measures(scheme)
        ]

    def _measured(self, scheme: Scheme, name: str) -> Row:
        found = {k: self.summary(scheme.name, name, k) for k in self.buffers_px}
        # Column by column, so that k = 0 stands beside the others.
        return {
            **{f"pooled k={k}": _with(s.pooled, s.pooled_interval) for k, s in found.items()},
            **{f"median k={k}": _with(s.median, s.median_interval) for k, s in found.items()},
            **{f"quartiles k={k}": _range(s.quartiles) for k, s in found.items()},
            **{f"skipped k={k}": s.skipped for k, s in found.items()},
        }

    def statistics_rows(self) -> list[Row]:
        """Return every statistic of the pooled superclasses; see `full_statistics`."""
        columns = {
            f"{scheme.groups[1]} k={buffer}": full_statistics(
                Agreement.of(self.pooled(scheme, buffer), 1)
            )
            for scheme in self.evaluation.schemes
            if scheme in (CLOUD, INVALID)
            for buffer in self.buffers_px
        }
        names = list(next(iter(columns.values()), {}))
        return [
            {"statistic": name} | {key: values[name] for key, values in columns.items()}
            for name in names
        ]

    def fraction_rows(self) -> list[Row]:
        """Return the differences of cloud fractions over images, in percent points."""
        if CLOUD not in self.evaluation.schemes:
            return []
        return [
            {"k": buffer} | cloud_fraction_differences(self.matrices(CLOUD, buffer), 1)
            for buffer in self.buffers_px
        ]

    def point_rows(self) -> list[Row]:
        """Return UA, PA, OA and BOA in percent of each class, targets exclusive."""
        schemes = self.evaluation.schemes
        scheme = THREE if THREE in schemes else schemes[0]
        matrix = self.pooled(scheme)
        return [
            {"class": group} | point_statistics(matrix, index)
            for index, group in enumerate(scheme.groups)
        ]

    def count_rows(self) -> list[Row]:
        """Return how many pixels were counted and how many were not, and why."""
        images = self.evaluation.images
        rows: list[Row] = [
            {"pixels": "all", "count": sum(image.pixels for image in images)},
            {"pixels": "no image (not counted)", "count": sum(i.nodata for i in images)},
            {
                "pixels": "label to be ignored (not counted)",
                "count": sum(i.ignored for i in images),
            },
            {
                "pixels": "no data in the mask (not counted)",
                "count": sum(i.unpredicted for i in images),
            },
        ]
        for scheme in self.evaluation.schemes:
            rows += _scheme_counts(scheme, self.buffers_px, images)
        return rows

    def image_rows(self) -> list[Row]:
        """Return a row for each image, at k = 0."""
        return [self._image(image) for image in self.evaluation.images]

    def _image(self, image: ImageScore) -> Row:
        row: Row = {"image": image.id, "split": image.split}
        for scheme in self.evaluation.schemes:
            if scheme in (CLOUD, INVALID):
                matrix = image.counts[scheme.name, 0].matrix
                row |= {
                    name: of(matrix) for name, of in measures(scheme).items() if " " in name
                }
        cloud = image.counts.get((CLOUD.name, 0))
        row["cloud difference"] = (
            math.nan if cloud is None else fraction_difference(cloud.matrix, 1)
        )
        return row

    # -- JSON ----------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values; NaN and infinity as none."""
        which = self.evaluation
        return {
            "dataset": which.dataset.name,
            "masks": which.masker,
            "leak": which.leak,
            "remarks": list(which.remarks),
            "buffers_px": list(self.buffers_px),
            "schemes": {
                scheme.name: {
                    "groups": list(scheme.groups),
                    "matrix": {
                        str(k): self.pooled(scheme, k).tolist() for k in self.buffers_px
                    },
                }
                for scheme in which.schemes
            },
            "measures": [
                {"scheme": scheme, "buffer_px": buffer, "measure": name}
                | _finite(dataclasses.asdict(summary))
                for (scheme, buffer), summaries in self._summaries.items()
                for name, summary in summaries.items()
            ],
            "statistics": _plain(self.statistics_rows()),
            "cloud_fraction_differences": _plain(self.fraction_rows()),
            "by_class": _plain(self.point_rows()),
            "counts": self.count_rows(),
            "images": [_image_to_dict(image) for image in which.images],
        }


def _scheme_counts(
    scheme: Scheme, buffers: Sequence[int], images: Sequence[ImageScore]
) -> list[Row]:
    plain = [image.counts[scheme.name, 0] for image in images]
    rows: list[Row] = [
        {"pixels": f"{scheme.name}: counted", "count": sum(int(c.matrix.sum()) for c in plain)},
        {
            "pixels": f"{scheme.name}: the label leaves it open (not counted)",
            "count": sum(c.doubtful for c in plain),
        },
    ]
    for buffer in buffers:
        if buffer:
            near = sum(image.counts[scheme.name, buffer].near_border for image in images)
            rows.append(
                {
                    "pixels": f"{scheme.name}: within {buffer} px of a border (k={buffer})",
                    "count": near,
                }
            )
    return rows


def _image_to_dict(image: ImageScore) -> dict[str, Any]:
    return {
        "id": image.id,
        "split": image.split,
        "tags": dict(image.tags),
        "pixels": image.pixels,
        "nodata": image.nodata,
        "ignored": image.ignored,
        "unpredicted": image.unpredicted,
        "counts": [
            {
                "scheme": scheme,
                "buffer_px": buffer,
                "matrix": counts.matrix.tolist(),
                "doubtful": counts.doubtful,
                "near_border": counts.near_border,
            }
            for (scheme, buffer), counts in image.counts.items()
        ],
    }


def _with(value: float, interval: tuple[float, float]) -> str:
    return "–" if math.isnan(value) else f"{value:.3f} ({_range(interval)})"


def _range(ends: tuple[float, float]) -> str:
    return "–" if any(math.isnan(end) for end in ends) else f"{ends[0]:.3f}–{ends[1]:.3f}"


def _plain(rows: Iterable[Row]) -> list[Row]:
    return [{key: _finite(value) for key, value in row.items()} for row in rows]


def _finite(value: Any) -> Any:  # noqa: ANN401 -- any plain value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return value
