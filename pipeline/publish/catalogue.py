"""Publishes a store as a catalogue: writes new and changed items, and reuses the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from pipeline.config.paths import require_apart
from pipeline.errors import ConfigError, QueryError
from pipeline.publish.cogs import write_cog
from pipeline.publish.collections import Kind, catalogue_of, collection_of
from pipeline.publish.folder import CATALOGUE, COGS, WHOLE, Folder, replaced
from pipeline.publish.items import Subject, item_of
from pipeline.publish.provenance import Provenance, zarr_asset
from pipeline.publish.region import region_of
from pipeline.publish.subjects import name_of, subjects_of
from pipeline.publish.words import Json
from pipeline.store import Archive
from pipeline.types import Period
from pipeline.wording import counted

OnItem = Callable[[str], None]
"""Called with the id of every item that is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Summary of a catalogue that was written."""

    path: Path
    """Of ``catalog.json``."""
    collections: tuple[str, ...]
    written: int
    """Items that are new or have changed."""
    kept: int
    """Items that are unchanged."""

    def __str__(self) -> str:
        """Return a summary of one line."""
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
    on_item: OnItem = lambda _: None,
) -> Published:
    """Write what a store holds as a static STAC 1.1 catalogue.

    Parameters
    ----------
    archive
        The store, at any of its snapshots.
    out
        Folder of the catalogue. That of an earlier call is replaced as a whole when the new one is complete; items
        whose pixels did not change are reused with their files.
    cogs
        Write a COG for every item and layer: masks uint8, composites int16 with scale, and their count, day and
        source. Otherwise items only point to the store, which GDAL cannot read.
    aoi
        Polygon or multipolygon in degrees: items and files cover the smallest rectangle of whole chunks that contains
        it. None: the whole grid.
    period
        Time span of the scenes, and of the composites' periods that overlap it; None: all.
    on_item
        Called with the id of every item that is written.

    Raises
    ------
    ConfigError
        `out` cannot be written, or exists and is not a catalogue that cloudmask wrote.
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
        work = _Work(provenance=provenance, folder=folder, cogs=cogs, on_item=on_item)
        collections = []
        for kind, subjects in subjects_of(archive, region, period):
            collections += work.collection(kind, subjects)
        if not collections:
            raise QueryError(
                f"{archive.url} has nothing of {period or 'any time'} in this area"
            )
        document = catalogue_of(name_of(archive), archive.title, collections, provenance)
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
    """A catalogue while it is written."""

    provenance: Provenance
    folder: Folder
    cogs: bool
    on_item: OnItem
    written: int = 0
    kept: int = 0

    def collection(self, kind: Kind, subjects: Iterator[Subject]) -> list[Json]:
        """Write a collection and its items; return the items, empty if there are none."""
        items = [self._item(each) for each in subjects]
        if not items:
            return []
        folder = self.folder.target / kind.id
        document = collection_of(kind, items, self.provenance, folder, cogs=self.cogs)
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
        self.on_item(subject.id)
        self.written += 1
        if self.cogs:
            self._write_cogs(subject, self.folder.new / where)
        folder = self.folder.target / where
        document = item_of(subject, self.provenance, folder, cogs=self.cogs)
        self.folder.write(path, document)
        return document

    def _unchanged(self, before: Json, subject: Subject, where: str) -> bool:
        fingerprint = before.get("properties", {}).get("cloudmask:fingerprint")
        # If the store was moved, its pixels are the same but its address is not.
        address = before.get("assets", {}).get("store", {}).get("href")
        folder = self.folder.target / where
        store = zarr_asset(self.provenance.archive, subject.group, folder)
        files = [name for layer in subject.layers for name in layer.files] if self.cogs else []
        return (
            address == store["href"]
            and fingerprint == subject.fingerprint(cogs=self.cogs)
            and all((folder / each).is_file() for each in files)
        )

    def _write_cogs(self, subject: Subject, folder: Path) -> None:
        folder.mkdir(parents=True)
        tags = {"item": subject.id, "snapshot": self.provenance.archive.snapshot}
        for layer in subject.layers:
            values = subject.data[layer.name]
            path = folder / f"{layer.name}.tif"
            write_cog(layer, values, subject.region, subject.parts, path, tags)
