"""Lists the subjects of items in a store: scenes of a sensor, periods of a composite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import xarray as xr

from pipeline.composite import ALL_TIME
from pipeline.publish import words
from pipeline.publish.collections import Kind
from pipeline.publish.items import Subject
from pipeline.publish.layers import composite_layers, mask_layers
from pipeline.publish.provenance import Scene
from pipeline.publish.region import Region
from pipeline.store import Archive
from pipeline.store.arrays.composites import SENSORS
from pipeline.types import Period


def subjects_of(
    archive: Archive, region: Region, period: Period | None
) -> Iterator[tuple[Kind, Iterator[Subject]]]:
    """Yield every collection of a store, masks first, with the subjects of its items.

    Parameters
    ----------
    archive
        The store.
    region
        The pixels of the items.
    period
        Time span of the scenes, and of the composites' periods that overlap it; None: all.
    """
    for sensor in archive.sensors:
        kind = _mask_kind(archive, sensor)
        yield kind, _masks(kind, region, period)
    scenes = _scenes(archive, region)
    for name in archive.composite_names:
        kind = _composite_kind(archive, name)
        yield kind, _composites(kind, region, period, scenes)


def name_of(archive: Archive) -> str:
    """Return the id of the catalogue, the prefix of the ids of its collections and items."""
    return words.slug(archive.title) or "cloudmask"


def _mask_kind(archive: Archive, sensor: str) -> Kind:
    data = archive.masks(sensor)
    return Kind(
        id=f"{name_of(archive)}-masks-{words.slug(sensor)}",
        title=f"{archive.title or name_of(archive)}: masks of {sensor}",
        description=(
            f"A class for every pixel of every scene of {sensor}: clear, water, snow, thin cloud, "
            "thick cloud, cloud shadow or no data."
        ),
        group=f"masks/{sensor}",
        data=data,
        layers=mask_layers(data),
    )


def _composite_kind(archive: Archive, name: str) -> Kind:
    data = archive.composite(name)
    method, every = (str(data.attrs.get(key, "")) for key in ("method", "period"))
    of = f"{method} composites" if method else "composites"
    per = f", one for each {every}" if every not in ("", "all") else ""
    return Kind(
        id=f"{name_of(archive)}-composites-{words.slug(name)}",
        title=f"{archive.title or name_of(archive)}: {name} composites",
        description=(
            f"{of.capitalize()} of the clear observations{per}: reflectance of every band, and for "
            "every pixel the number of usable observations, the day and the item that is nearest to "
            f"the value.{words.adjusted(data.attrs)}"
        ),
        group=f"composites/{name}",
        data=data,
        layers=composite_layers(data),
    )


def _masks(kind: Kind, region: Region, period: Period | None) -> Iterator[Subject]:
    sensor = kind.group.partition("/")[2]
    for at, when in enumerate(_instants(kind.data["time"])):
        if period is not None and when not in period:
            continue
        data = kind.data.isel(time=at)
        parts = region.made(data["fingerprint"].to_numpy())
        if not parts:
            continue
        yield Subject(
            collection=kind.id,
            group=kind.group,
            data=data,
            layers=kind.layers,
            region=region,
            parts=parts,
            sources=json.loads(str(data["items"].item())),
            scenes=[(sensor, when)],
            when=when,
            platform=str(data["platform"].item()),
        )


def _composites(
    kind: Kind, region: Region, period: Period | None, scenes: Mapping[Scene, list[str]]
) -> Iterator[Subject]:
    sensors = kind.data.attrs.get(SENSORS)
    for at, when in enumerate(_periods(kind.data)):
        if period is not None and not (when.start < period.end and period.start < when.end):
            continue
        data = kind.data.isel(time=at)
        parts = region.made(data["fingerprint"].to_numpy())
        if not parts:
            continue
        within = {
            scene: ids
            for scene, ids in scenes.items()
            if scene[1] in when and (sensors is None or scene[0] in sensors)
        }
        yield Subject(
            collection=kind.id,
            group=kind.group,
            data=data,
            layers=kind.layers,
            region=region,
            parts=parts,
            sources=[each for ids in within.values() for each in ids],
            scenes=list(within),
            when=_told(when, list(within)),
            name="all" if when == ALL_TIME else "",
            method=str(kind.data.attrs.get("method", "")),
        )


def _told(period: Period, scenes: Sequence[Scene]) -> Period:
    """Return the period for an item: a period of all time is clipped to its scenes."""
    if period != ALL_TIME or not scenes:
        return period
    times = [time for _, time in scenes]
    return Period(start=min(times), end=max(times) + timedelta(microseconds=1))


def _scenes(archive: Archive, region: Region) -> dict[Scene, list[str]]:
    """Return the scenes with a mask somewhere in a region, by time -> the ids of their items."""
    found: dict[Scene, list[str]] = {}
    for sensor in archive.sensors:
        data = archive.masks(sensor)
        cells, ids = data["fingerprint"].to_numpy(), data["items"].to_numpy()
        for at, when in enumerate(_instants(data["time"])):
            if region.made(cells[at]):
                found[sensor, when] = json.loads(str(ids[at]))
    return {key: found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))}


def _instants(times: xr.DataArray) -> list[datetime]:
    values = times.to_numpy().astype("datetime64[us]").tolist()
    return [each.replace(tzinfo=UTC) for each in values]


def _periods(data: xr.Dataset) -> list[Period]:
    ends = np.asarray(data["time_bnds"].to_numpy()).astype("datetime64[us]").tolist()
    return [
        Period(start=start.replace(tzinfo=UTC), end=end.replace(tzinfo=UTC))
        for start, end in ends
    ]
