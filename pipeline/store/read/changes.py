"""Which stored chunks a state has in common with one that was read before, so that what is in memory stays of use.

Icechunk lists the chunks that were written between two states. A chunk is known by the state that wrote it last, as far
as that was seen; those that nothing has written are of the state that was opened first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import icechunk

from pipeline.store.base.translate_errors import ICECHUNK_ERRORS

MOST = 40_000
"""Chunks that are remembered as written; beyond, nothing of before is used. They take 2 MB for each state that stays open, beside what the
cache holds: with the eight earlier states of a server 20 MB an archive, where 200 000 took 100."""

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What was written since a first state."""

    first: str
    """Names the store and the first state."""
    arrays: Mapping[str, str] = field(default_factory=dict)
    """Path of an array that was made since -> the state that has it."""
    chunks: Mapping[str, Mapping[Index, str]] = field(default_factory=dict)
    """Path of an array -> place of a stored chunk on its grid -> the state that wrote it last."""

    def writer(self, path: str, chunk: Index) -> str:
        """Return the state that wrote a chunk; empty: it is of the first."""
        return self.chunks.get(path, {}).get(chunk) or self.arrays.get(path, "")

    def writers(self, path: str, chunks: list[Index]) -> tuple[str, ...]:
        """Return the states that wrote some chunks; empty: they are all of the first."""
        if path not in self.chunks and path not in self.arrays:
            return ()
        return tuple(self.writer(path, each) for each in chunks)

    def then(self, diff: icechunk.Diff, snapshot: str) -> Changes | None:
        """Return what was written up to a later state; none: too much to remember."""
        made = {each.strip("/") for each in diff.new_arrays | diff.deleted_arrays}
        arrays = {**self.arrays, **dict.fromkeys(made, snapshot)}
        chunks = {path: dict(each) for path, each in self.chunks.items() if path not in made}
        for path, written in diff.updated_chunks.items():
            here = chunks.setdefault(path.strip("/"), {})
            here.update((tuple(each), snapshot) for each in written)
        if sum(map(len, chunks.values())) + len(arrays) > MOST:
            return None
        return Changes(self.first, arrays, chunks)


def later(
    before: Changes, repository: icechunk.Repository, snapshot: str, after: str
) -> Changes | None:
    """Return what was written between two states of a repository; none: it cannot be told.

    So it is where `snapshot` is no ancestor of `after`: the store was rolled back, or states were expired.
    """
    with suppress(*ICECHUNK_ERRORS):
        diff = repository.diff(from_snapshot_id=snapshot, to_snapshot_id=after)
        return before.then(diff, after)
    return None
