"""The input of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from pipeline.types import CLOUD, Code, SceneShares, Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything on the page; all fields but the record and the series are optional."""

    record: Mapping[str, Any]
    """`Record.to_dict()`."""
    series: Series
    """Clear-sky statistics of the whole region."""
    composites: Mapping[str, xr.Dataset] = field(default_factory=dict)
    """Name -> composite dataset (`pipeline.types`); with a coordinate ``period_end`` (time), periods are named."""
    masks: Mapping[str, xr.Dataset] = field(default_factory=dict)
    """Sensor -> mask dataset (`pipeline.types`)."""
    example: xr.Dataset | None = None
    """A cloudy scene: a cube (`pipeline.types`) at one time, with the scalar coordinates ``time`` and ``sensor``; see
    `choose_example`."""
    accuracy: Mapping[str, Any] | None = None
    """``Accuracy.to_dict()`` of `pipeline.evaluate`; None: the truth is not known."""
    job: Mapping[str, Any] = field(default_factory=dict)
    """The job as plain JSON values."""
    next_commands: tuple[str, ...] = ()
    """Commands that the page suggests to the reader."""


def choose_example(series: Series) -> SceneShares | None:
    """Choose a scene that illustrates masking well.

    Returns
    -------
    The scene whose cloud cover is nearest to 40 %; shadow counts for it, missing data against it. None if the series
    is empty.
    """

    def appeal(scene: SceneShares) -> float:
        missing = 100.0 * scene.unread / max(scene.pixels, 1) + scene.percent(Code.NO_DATA)
        shadow = min(scene.percent(Code.CLOUD_SHADOW), 10.0)
        return shadow - missing - abs(scene.percent(*CLOUD) - 40.0)

    return max((s for s in series.scenes if s.pixels), key=appeal, default=None)
