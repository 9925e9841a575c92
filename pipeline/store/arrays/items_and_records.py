"""The group ``items``: which items the store was made from, and the records of its runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.shown import seen
from pipeline.store.arrays import create, layout
from pipeline.store.base.reading import read

NAME = "items"

LISTS: tuple[tuple[str, str | type[str], str, layout.Attributes], ...] = (
    ("id", str, "item", {"long_name": "item ids"}),
    # A document is some 40 kB: 32 of them make an object of a few hundred kB.
    ("document", str, "item", {"long_name": "STAC items, JSON", "chunk": 32}),
    ("digest", "u8", "item", {"long_name": "hash of the items' properties"}),
    ("record", str, "run", {"long_name": "records of runs, JSON", "chunk": 1}),
    # Separate from the records, which are many megabytes after a year of nights: every query reads it.
    ("searched", str, "run", {"long_name": "where and when runs searched, JSON", "chunk": 256}),
)
"""Name, dtype, dimension and attributes of the arrays."""


class Ledger:
    """Two append-only lists: items by position, and records of runs.

    The position of an item never changes, because ``source`` of every composite points at it.
    """

    def __init__(self, group: zarr.Group) -> None:
        self._group = group

    @classmethod
    def create(cls, root: zarr.Group) -> Ledger:
        """Create the group, empty."""
        group = root.create_group(NAME)
        for name, dtype, dimension, attributes in LISTS:
            create.add_list(group, name, dtype, dimension, attributes)
        return cls(group)

    @classmethod
    def of(cls, root: zarr.Group) -> Ledger:
        """Open the group, made if it is not there."""
        group = layout.group_of(root, NAME)
        return cls.create(root) if group is None else cls(group)

    @property
    def ids(self) -> list[str]:
        """Item ids, in their order."""
        return [str(each) for each in layout.values_of(self._group, "id")]

    @property
    def digests(self) -> NDArray[np.uint64]:
        """Hashes of the items' properties, in their order."""
        return layout.values_of(self._group, "digest")

    def documents(self) -> list[dict[str, Any]]:
        """Return the items, in their order."""
        return self._read("document")

    def records(self) -> list[dict[str, Any]]:
        """Return the records of runs, oldest first."""
        return self._read("record")

    def searched(self) -> list[dict[str, Any] | None]:
        """Return where and when the runs searched, oldest first; none: a run did not record it."""
        if "searched" not in self._group:
            return [each.get("searched") for each in self.records()]
        return self._read("searched")

    def known(self, ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        """Return position and STAC JSON of the items of some ids; those not known are left out."""
        at = {each: position for position, each in enumerate(self.ids)}
        wanted = {each: at[each] for each in ids if each in at}
        if not wanted:
            return {}
        positions = np.unique(list(wanted.values()))
        array = layout.array_of(self._group, "document")
        # By chunks, as they are stored: those of one region and time lie together.
        step = int(array.chunks[0])
        texts: dict[int, str] = {}
        for start in np.unique(positions // step) * step:
            stored = read(array, slice(int(start), int(start) + step))
            texts |= {int(start) + n: str(each) for n, each in enumerate(stored)}
        return {each: (n, json.loads(texts[n])) for each, n in wanted.items()}

    def _read(self, name: str) -> list[Any]:
        texts = layout.values_of(self._group, name)
        return [json.loads(str(each)) for each in texts]

    def register(self, documents: Mapping[str, Mapping[str, Any]]) -> list[int]:
        """Append the items that are not known yet and return all their positions.

        A known item whose properties changed, because it was processed again, gets the new
        document. Properties decide, because hrefs may be signed anew at every search; ``updated``
        is left out, because catalogues change it without changing a pixel. An item of another
        collection with the id of a known one is stored as ``COLLECTION/ID``.
        """
        # Whoever calls: what is stored here is read by everybody.
        documents = {name: _without_secrets(each) for name, each in documents.items()}
        known = {each: at for at, each in enumerate(self.ids)}
        documents = self._renamed(known, documents)
        positions = known | {
            each: len(known) + n
            for n, each in enumerate(e for e in documents if e not in known)
        }
        digests = np.zeros(len(positions), np.uint64)
        digests[: len(known)] = self.digests
        new = {positions[each]: _digest(document) for each, document in documents.items()}
        changed = [at for at, digest in new.items() if digests[at] != digest]
        if not changed:
            return [positions[each] for each in documents]
        if len(positions) > len(known):
            create.grow(self._group, len(positions), dimension="item")
            layout.array_of(self._group, "id")[...] = np.array(list(positions), object)
        texts = {positions[each]: json.dumps(item) for each, item in documents.items()}
        changed.sort()
        document = layout.array_of(self._group, "document")
        document.oindex[(np.array(changed),)] = np.array([texts[at] for at in changed], object)
        digests[changed] = [new[at] for at in changed]
        layout.array_of(self._group, "digest")[...] = digests
        return [positions[each] for each in documents]

    def _renamed(
        self, known: Mapping[str, int], documents: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Mapping[str, Any]]:
        """Rename items that have the id of a known item of another collection."""
        digests, named = self.digests, {}
        for name, document in documents.items():
            at = known.get(name)
            # The same properties mean the same item: its document need not be read.
            other = (
                at is not None
                and digests[at] != _digest(document)
                and self._is_other(at, document)
            )
            named[f"{document.get('collection')}/{name}" if other else name] = document
        return named

    def _is_other(self, position: int, document: Mapping[str, Any]) -> bool:
        text = np.asarray(layout.array_of(self._group, "document")[position : position + 1])
        known = json.loads(str(text[0]))
        return bool(known.get("collection") != document.get("collection"))

    def clean(self) -> int:
        """Write items again that an older version stored with signatures; return how many."""
        before = self.documents()
        after = {at: _without_secrets(each) for at, each in enumerate(before)}
        changed = [at for at, each in after.items() if each != before[at]]
        if changed:
            where = (np.array(changed),)
            texts = np.array([json.dumps(after[at]) for at in changed], object)
            layout.array_of(self._group, "document").oindex[where] = texts
            digests = np.array([_digest(after[at]) for at in changed], np.uint64)
            layout.array_of(self._group, "digest").oindex[where] = digests
        return len(changed)

    def clean_records(self) -> int:
        """Write records again that an older version stored with signatures; return how many."""
        found: set[int] = set()
        for name in {"record", "searched"} & set(self._group.array_keys()):
            before = self._read(name)
            after = {at: seen(each) for at, each in enumerate(before)}
            changed = [at for at, each in after.items() if each != before[at]]
            if changed:
                texts = np.array([json.dumps(after[at]) for at in changed], object)
                layout.array_of(self._group, name).oindex[(np.array(changed),)] = texts
            found.update(changed)
        return len(found)

    def record(self, record: Mapping[str, Any]) -> None:
        """Append the record of a run."""
        count = layout.array_of(self._group, "record").shape[0]
        create.grow(self._group, count + 1, dimension="run")
        rows = {"record": record, "searched": record.get("searched")}
        for name in rows.keys() & set(self._group.array_keys()):
            text = json.dumps(rows[name], allow_nan=False)
            layout.array_of(self._group, name)[count:] = np.array([text], object)


def _without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    # Brings along what opens rasters, which those who only read a store never need.
    from pipeline.access.reduced_items import reduce_document  # noqa: PLC0415

    return reduce_document(document)


def _digest(document: Mapping[str, Any]) -> int:
    properties = {k: v for k, v in document.get("properties", {}).items() if k != "updated"}
    text = json.dumps(properties, sort_keys=True)
    # Never 0, which is the digest of an item that is not written yet.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) or 1


def documents_by_id(
    ids: Sequence[str], documents: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Pair ids with documents.

    Raises
    ------
    ValueError
        The two differ in length, or an id comes twice.
    """
    pairs = dict(zip(ids, documents, strict=True))
    if len(pairs) != len(ids):
        twice = sorted({each for each in ids if ids.count(each) > 1})
        raise ValueError(f"item ids come once each, these come twice: {twice[:5]}")
    return pairs
