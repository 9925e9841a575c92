"""The story: a store becomes a catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import xarray as xr
from shapely.geometry.base import BaseGeometry

from pipeline.composite import ALL_TIME
from pipeline.config.paths import require_apart
from pipeline.errors import ConfigError, QueryError
from pipeline.publish import words
from pipeline.publish.cogs import write_cog
from pipeline.publish.collections import Kind, catalogue_of, collection_of
from pipeline.publish.folder import CATALOGUE, COGS, WHOLE, Folder, replaced
from pipeline.publish.items import Subject, item_of
from pipeline.publish.layers import composite_layers, mask_layers
from pipeline.publish.provenance import Provenance, Scene, zarr_asset
from pipeline.publish.region import Region, region_of
from pipeline.publish.words import Json
from pipeline.store import Archive
from pipeline.store.arrays.composites import SENSORS
from pipeline.types import Period
from pipeline.wording import counted

Said = Callable[[str], None]
"""Hears of every item that is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of a catalogue."""

    path: Path
    """Of ``catalog.json``."""
    collections: tuple[str, ...]
    written: int
    """Items that are new or have changed."""
    kept: int
    """Items that are as they were."""

    def __str__(self) -> str:
        """Tell it in a line."""
        return (
            f"{self.path}: {counted(len(self.collections), 'collection')}, {counted(self.written, 'item')} written, "
            f"{self.kept} unchanged"
        )


def publish(
    archive: Archive,
    out: str | Path,
    *,
    cogs: bool = False,
    aoi: BaseGeometry | None = None,
    period: Period | None = None,
    said: Said = lambda _: None,
) -> Published:
    """Write what a store holds as a static STAC 1.1 catalogue.

    Parameters
    ----------
    archive
        The store, at any of its snapshots.
    out
        Folder of the catalogue. One of an earlier call is replaced as a whole, once the new one
        is complete; items whose pixels did not change are taken over with their files.
    cogs
        Write a COG for every item and layer: masks uint8, composites int16 with scale, and their
        count, day and source. Else items point at the store alone, which GDAL cannot read.
    aoi
        Polygon or multipolygon in degrees: items are about the smallest rectangle of whole
        chunks that holds it, and files are cut to it. None: the whole grid.
    period
        Scenes outside are left out, and periods of composites that do not overlap; none: all.
    said
        Hears of every item.

    Raises
    ------
    ConfigError
        `out` cannot be written, or is no catalogue of ours.
    QueryError
        There is nothing to write, or the AOI lies outside the store's region.
    StoreError
        The store cannot be read, or has published nothing.
    StoreConflictError
        Another process writes to `out`.
    """
    if "://" in str(out):
        raise ConfigError(
            f"OUT: found {out}, expected a local folder; copy it there afterwards"
        )
    try:
        require_apart(Path(out), archive.url)
    except ValueError as error:
        raise ConfigError(f"OUT: expected {error}") from None
    region = region_of(archive.grid, aoi)
    provenance = Provenance(archive)
    with replaced(Path(out)) as folder:
        work = _Work(provenance=provenance, folder=folder, cogs=cogs, said=said)
        scenes = _Scenes.of(archive, region)
        kinds = [_mask_kind(archive, each) for each in archive.sensors]
        kinds += [_composite_kind(archive, each) for each in archive.composite_names]
        collections = []
        for kind in kinds:
            subjects = (
                _masks(kind, region, period)
                if kind.group.startswith("masks/")
                else _composites(kind, region, period, scenes)
            )
            collections += work.collection(kind, subjects)
        if not collections:
            raise QueryError(
                f"{archive.url} has nothing of {period or 'any time'} in this area"
            )
        document = catalogue_of(_name(archive), archive.title, collections, provenance)
        document |= {COGS: cogs, WHOLE: aoi is None and period is None}
        folder.write(CATALOGUE, document)
        return Published(
            path=folder.target / CATALOGUE,
            collections=tuple(each["id"] for each in collections),
            written=work.written,
            kept=work.kept,
        )


@dataclass(slots=True, kw_only=True)
class _Work:
    """One catalogue in the making."""

    provenance: Provenance
    folder: Folder
    cogs: bool
    said: Said
    written: int = 0
    kept: int = 0

    def collection(self, kind: Kind, subjects: Iterator[Subject]) -> list[Json]:
        """Write a collection and its items; empty: it has none."""
        items = [self._item(each) for each in subjects]
        if not items:
            return []
        place = self.folder.target / kind.id
        document = collection_of(kind, items, self.provenance, place, cogs=self.cogs)
        self.folder.write(f"{kind.id}/collection.json", document)
        return [document]

    def _item(self, subject: Subject) -> Json:
        where = f"{subject.collection}/{subject.id}"
        path = f"{where}/{subject.id}.json"
        before = self.folder.read(path)
        if before is not None and self._unchanged(before, subject, where):
            self.folder.keep(where)
            self.kept += 1
            return before
        self.said(subject.id)
        self.written += 1
        if self.cogs:
            self._write_cogs(subject, self.folder.new / where)
        place = self.folder.target / where
        document = item_of(subject, self.provenance, place, cogs=self.cogs)
        self.folder.write(path, document)
        return document

    def _unchanged(self, before: Json, subject: Subject, where: str) -> bool:
        fingerprint = before.get("properties", {}).get("cloudmask:fingerprint")
        # A store that was moved has the same pixels, but another address.
        address = before.get("assets", {}).get("store", {}).get("href")
        place = self.folder.target / where
        store = zarr_asset(self.provenance.archive, subject.group, place)
        files = [name for layer in subject.layers for name in layer.files] if self.cogs else []
        return (
            address == store["href"]
            and fingerprint == subject.fingerprint(cogs=self.cogs)
            and all((place / each).is_file() for each in files)
        )

    def _write_cogs(self, subject: Subject, place: Path) -> None:
        place.mkdir(parents=True)
        tags = {"item": subject.id, "snapshot": self.provenance.archive.snapshot}
        for layer in subject.layers:
            values = subject.data[layer.name]
            path = place / f"{layer.name}.tif"
            write_cog(layer, values, subject.region, subject.parts, path, tags)


# -- what there is -----------------------------------------------------------------------------


def _name(archive: Archive) -> str:
    """Return the id of the catalogue, with which those of its collections and items begin."""
    return words.slug(archive.title) or "cloudmask"


def _mask_kind(archive: Archive, sensor: str) -> Kind:
    data = archive.masks(sensor)
    return Kind(
        id=f"{_name(archive)}-masks-{words.slug(sensor)}",
        title=f"{archive.title or _name(archive)}: masks of {sensor}",
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
        id=f"{_name(archive)}-composites-{words.slug(name)}",
        title=f"{archive.title or _name(archive)}: {name} composites",
        description=(
            f"{of.capitalize()} of the clear observations{per}: reflectance of every band, and for "
            "every pixel the number of usable observations, the day and the item that is nearest to "
            "the value."
        ),
        group=f"composites/{name}",
        data=data,
        layers=composite_layers([str(role) for role in data.attrs["roles"]]),
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
    kind: Kind, region: Region, period: Period | None, scenes: _Scenes
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
            for scene, ids in scenes.items.items()
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
    """Return what an item says of a period: of all time that part of which there are scenes."""
    if period != ALL_TIME or not scenes:
        return period
    times = [time for _, time in scenes]
    return Period(start=min(times), end=max(times) + timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class _Scenes:
    """The scenes that a composite may have drawn on."""

    items: Mapping[tuple[str, datetime], list[str]]
    """Sensor and time -> ids of the scene's items, by time."""

    @classmethod
    def of(cls, archive: Archive, region: Region) -> _Scenes:
        """Return those that have a mask somewhere in a region."""
        found: dict[tuple[str, datetime], list[str]] = {}
        for sensor in archive.sensors:
            data = archive.masks(sensor)
            cells, ids = data["fingerprint"].to_numpy(), data["items"].to_numpy()
            for at, when in enumerate(_instants(data["time"])):
                if region.made(cells[at]):
                    found[sensor, when] = json.loads(str(ids[at]))
        return cls({key: found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))})


def _instants(times: xr.DataArray) -> list[datetime]:
    values = times.to_numpy().astype("datetime64[us]").tolist()
    return [each.replace(tzinfo=UTC) for each in values]


def _periods(data: xr.Dataset) -> list[Period]:
    ends = np.asarray(data["time_bnds"].to_numpy()).astype("datetime64[us]").tolist()
    return [
        Period(start=start.replace(tzinfo=UTC), end=end.replace(tzinfo=UTC))
        for start, end in ends
    ]
