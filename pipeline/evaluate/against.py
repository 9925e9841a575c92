"""An archive against the simulated truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401  registers `.odc`
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy import ndimage

from pipeline.composite import compose
from pipeline.errors import QueryError
from pipeline.evaluate.accuracy import Accuracy, BandErrors, PeriodAccuracy, SceneAccuracy
from pipeline.evaluate.confusion import confusion
from pipeline.evaluate.truth import CLASSES, OUTSIDE, Truth
from pipeline.store.arrays.composites import SENSORS
from pipeline.types import CLOUD, Code, Period

Observations = Callable[[Period, GeoBox], xr.Dataset]
"""``(period, geobox)`` gives the cube of all scenes of a period on a grid; with a coordinate
``sensor`` (time) where scenes of two sensors lie within minutes of each other."""

BANDS = ("blue", "green", "red", "nir", "swir16")
"""Roles that are compared, where both the composite and the truth have them."""

BORDER_PX = 2
"""Borders of clouds and shadows are a matter of definition: scores are also given away from them."""

_TO_TRUTH = np.zeros(256, dtype=np.uint8)
_TO_TRUTH[[int(code) for code in CLOUD]] = CLASSES.index("cloud")
_TO_TRUTH[int(Code.CLOUD_SHADOW)] = CLASSES.index("shadow")


def against_truth(
    masks: Mapping[str, xr.Dataset],
    composites: Mapping[str, xr.Dataset],
    truth: Path,
    observations: Observations | None = None,
) -> Accuracy:
    """Score masks and composites against the truth that they were simulated from.

    Parameters
    ----------
    masks
        Sensor -> dataset of the mask contract, of a whole region.
    composites
        Name -> dataset of the composite contract, with ``time`` the start and the coordinate
        ``period_end`` (time) the end of each period.
    truth
        The truth dataset (`pipeline.evaluate.truth`).
    observations
        Reads the scenes of a period, to compare the composite with the same median over all observations and
        over those that are clear in truth. None: the composite alone.

    The truth of a composite is that of the sensors it is made of: those that it names in its attributes, of those
    that have masks; of all where none are given.

    Raises
    ------
    QueryError
        There is no truth, it lacks a scene or a sensor, there is nothing to score, or a composite does not
        say where its periods end.
    """
    known = Truth.open(truth)
    if not any(dataset.sizes["time"] for dataset in (*masks.values(), *composites.values())):
        raise QueryError(
            "there is nothing to measure: the archive has no masks and no composites"
        )
    if strange := sorted(set(masks) - set(known.sensors)):
        raise QueryError(
            f"the truth at {truth} knows {', '.join(known.sensors)}, the archive has masks of "
            f"{', '.join(strange)} too: give the truth of the archive's own scenes"
        )
    scenes = [
        _score_scene(known, sensor, time, dataset["mask"].isel(time=i))
        for sensor, dataset in masks.items()
        for i, time in enumerate(dataset["time"].to_numpy())
    ]
    periods = [
        _score_period(
            _Against(known, _sensors(dataset, tuple(masks) or known.sensors), observations),
            name,
            period,
            composite,
        )
        for name, dataset in composites.items()
        for period, composite in _by_period(name, dataset)
    ]
    ordered = sorted(scenes, key=lambda scene: (scene.time, scene.sensor))
    return Accuracy(scenes=tuple(ordered), periods=tuple(periods))


# -- masks -------------------------------------------------------------------------------------


def _score_scene(
    known: Truth, sensor: str, time: np.datetime64, mask: xr.DataArray
) -> SceneAccuracy:
    scene, geobox = known.find(time, sensor), mask.odc.geobox
    true, thin = known.classes(scene, geobox), known.thin(scene, geobox)
    codes = mask.to_numpy()
    inside = true != OUTSIDE
    seen = inside & (codes != Code.NO_DATA)
    counted = seen & ~thin
    away = counted & ~_near_border(true)
    return SceneAccuracy(
        sensor=sensor,
        time=_utc(time),
        matrix=confusion(true[counted], _TO_TRUTH[codes[counted]], len(CLASSES)),
        away=confusion(true[away], _TO_TRUTH[codes[away]], len(CLASSES)),
        thin=np.bincount(_TO_TRUTH[codes[seen & thin]], minlength=len(CLASSES)),
        without_data=int(np.count_nonzero(inside & ~seen)),
    )


def _near_border(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which pixels have another class within `BORDER_PX`, diagonals included."""
    size = 2 * BORDER_PX + 1
    highest = ndimage.maximum_filter(classes, size=size, mode="nearest")
    lowest = ndimage.minimum_filter(classes, size=size, mode="nearest")
    near: NDArray[np.bool_] = highest != lowest
    return near


# -- composites --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Against:
    """What composites are compared with."""

    truth: Truth
    sensors: tuple[str, ...]
    """Whose scenes the composites are made of."""
    observations: Observations | None


def _sensors(composite: xr.Dataset, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of some sensors whose scenes a composite is made of; of one that names none, all."""
    named = composite.attrs.get(SENSORS, known)
    return tuple(each for each in known if each in named)


def _score_period(
    against: _Against, name: str, period: Period, composite: xr.Dataset
) -> PeriodAccuracy:
    known, observations = against.truth, against.observations
    geobox = composite.odc.geobox
    scenes = known.during(period, against.sensors)
    bands = [band for band in BANDS if band in composite and band in known.roles()]
    compared = {"composite": composite[bands].load()}
    if observations is not None and scenes:
        seen = observations(period, geobox)
        if "sensor" in seen.coords:
            seen = seen.isel(time=np.isin(seen["sensor"].to_numpy(), against.sensors))
        compared |= _references(known, seen, bands) if seen.sizes["time"] else {}
    surface = {band: _surface(known, band, scenes, geobox) for band in bands}
    defined = {
        what: np.logical_and.reduce([np.isfinite(data[b].values + surface[b]) for b in bands])
        for what, data in compared.items()
    }
    common = np.logical_and.reduce(list(defined.values()))
    suspect = composite["suspect"].to_numpy() == 1 if "suspect" in composite else None
    errors = _errors(compared, surface, common)
    sure = {} if suspect is None else _errors(compared, surface, common & ~suspect)
    possible = defined.get("truth_masked")
    return PeriodAccuracy(
        composite=name,
        start=period.start,
        end=period.end,
        scenes=len(scenes),
        pixels=int(np.count_nonzero(common)),
        defined={what: int(np.count_nonzero(where)) for what, where in defined.items()},
        bands=tuple(
            BandErrors(
                band=band,
                composite=errors["composite"][band],
                unmasked=errors.get("unmasked", {}).get(band),
                truth_masked=errors.get("truth_masked", {}).get(band),
                sure=sure.get("composite", {}).get(band),
                truth_masked_sure=sure.get("truth_masked", {}).get(band),
            )
            for band in bands
        ),
        filled=_share(defined["composite"], possible),
        filled_sure=None
        if suspect is None
        else _share(defined["composite"] & ~suspect, possible),
    )


def _errors(
    compared: Mapping[str, xr.Dataset],
    surface: Mapping[str, NDArray[np.float32]],
    where: NDArray[np.bool_],
) -> dict[str, dict[str, float]]:
    """Return what is compared -> band -> error over some pixels."""
    return {
        what: {band: _rmse(data[band].to_numpy(), surface[band], where) for band in surface}
        for what, data in compared.items()
    }


def _share(filled: NDArray[np.bool_], possible: NDArray[np.bool_] | None) -> float | None:
    """Return the share of the possible pixels that are filled; None: what is possible is not known, or nothing is."""
    if possible is None or not possible.any():
        return None
    return float(np.count_nonzero(filled & possible) / np.count_nonzero(possible))


def _references(known: Truth, cube: xr.Dataset, bands: list[str]) -> dict[str, xr.Dataset]:
    """Compose the same scenes without a mask, and with the true one."""
    cube = cube[[*bands, "source"]]
    everything = xr.ones_like(cube["source"], dtype=bool)
    clear = np.stack([_truly_clear(known, cube, i) for i in range(cube.sizes["time"])])
    masks = {"unmasked": everything, "truth_masked": everything.copy(data=clear)}
    return {what: compose(cube, usable)[bands].compute() for what, usable in masks.items()}


def _truly_clear(known: Truth, cube: xr.Dataset, i: int) -> NDArray[np.bool_]:
    sensor = str(cube["sensor"].to_numpy()[i]) if "sensor" in cube.coords else None
    scene = known.find(cube["time"].to_numpy()[i], sensor)
    clear: NDArray[np.bool_] = known.classes(scene, cube.odc.geobox) == CLASSES.index("clear")
    return clear


def _surface(known: Truth, band: str, scenes: list[int], geobox: GeoBox) -> NDArray[np.float32]:
    if not scenes:
        return np.full(geobox.shape, np.nan, dtype=np.float32)
    return known.surface(band, scenes, geobox)


def _rmse(
    values: NDArray[np.float32], surface: NDArray[np.float32], where: NDArray[np.bool_]
) -> float:
    if not where.any():
        return math.nan
    difference = values[where].astype(np.float64) - surface[where]
    return float(np.sqrt(np.mean(difference**2)))


def _by_period(name: str, dataset: xr.Dataset) -> Iterator[tuple[Period, xr.Dataset]]:
    """Yield every period of a composite, with its dims (y, x)."""
    if "period_end" not in dataset.coords:
        raise QueryError(f"composite {name!r} does not say where its periods end (period_end)")
    starts, ends = dataset["time"].to_numpy(), dataset["period_end"].to_numpy()
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        yield Period(start=_utc(start), end=_utc(end)), dataset.isel(time=i)


def _utc(time: np.datetime64) -> datetime:
    moment: datetime = time.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
