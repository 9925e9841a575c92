"""What readers of a store see, as one digest; and what a run has committed that nobody sees yet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date

import icechunk
import numpy as np
import xarray as xr
import zarr

from pipeline import store
from pipeline.store import Archive

Cell = tuple[str, str, date, int, int]
"""``masks`` or ``composites``, sensor or name, day, row and column of the tile."""


@dataclass(frozen=True, slots=True)
class State:
    """One published state."""

    snapshot: str
    runs: int
    """Records of runs."""
    digest: str
    """Of every array, name and attribute of masks, composites and the item list."""


def look(url: str) -> State | None:
    """Read a store from end to end; none: there is none, or no more in it than its grid."""
    archive = store.find_archive(url)
    if archive is None or not (archive.sensors or archive.item_ids or archive.records()):
        return None
    return state_of(archive)


def state_of(archive: Archive) -> State:
    parts = {name: digest_of(dataset) for name, dataset in datasets(archive).items()}
    parts["items"] = _hash(json.dumps([archive.item_ids, archive.items()]).encode())
    text = json.dumps([archive.title, parts], sort_keys=True)
    return State(archive.snapshot, len(archive.records()), _hash(text.encode()))


def datasets(archive: Archive) -> dict[str, xr.Dataset]:
    """Return everything that an archive holds of pixels, loaded."""
    masks = {f"masks/{name}": archive.masks(name) for name in archive.sensors}
    made = {f"composites/{name}": archive.composite(name) for name in archive.composite_names}
    return {name: dataset.load() for name, dataset in (masks | made).items()}


def digest_of(dataset: xr.Dataset) -> str:
    """Name a dataset by its values, bit for bit, and all that is said of them."""
    parts = [str(sorted(dataset.attrs.items()))]
    for name in sorted(dataset.variables):
        each = dataset[name]
        values = each.to_numpy()
        content = json.dumps(values.tolist()).encode() if values.dtype == object else values
        said = (
            name,
            each.dims,
            values.shape,
            str(values.dtype),
            sorted(map(str, each.attrs.items())),
        )
        parts += [
            str(said),
            _hash(
                np.ascontiguousarray(content).tobytes() if values.dtype != object else content
            ),
        ]
    return _hash("\n".join(parts).encode())


def assert_sound(archive: Archive) -> None:
    """Check that what a state says of its pixels is what they are."""
    for name, dataset in datasets(archive).items():
        edge = dataset.attrs["tile_px"]
        for (time, row, col), fingerprint in np.ndenumerate(dataset["fingerprint"].to_numpy()):
            where = {
                "y": slice(row * edge, (row + 1) * edge),
                "x": slice(col * edge, (col + 1) * edge),
            }
            tile = dataset.isel(time=time, **where)
            if name.startswith("masks/"):
                counts = np.bincount(tile["mask"].to_numpy().ravel(), minlength=7)
                if not fingerprint:
                    counts[:] = 0
                stated = tile["histogram"].to_numpy()[row, col]
                np.testing.assert_array_equal(stated, counts[: stated.size])
            else:
                source, count = tile["source"].to_numpy(), tile["count"].to_numpy()
                assert ((source >= 0) == (count > 0)).all()
                assert source.max() < len(archive.item_ids)
                assert fingerprint or not count.any()


def committed(url: str) -> set[tuple[Cell, int]]:
    """Return the cells, with their fingerprints, that runs have committed to their branches."""
    repository = _repository(url)
    found: set[tuple[Cell, int]] = set()
    for branch in run_branches(url):
        root = zarr.open_group(repository.readonly_session(branch).store, mode="r")
        for kind in ("masks", "composites"):
            group = root.get(kind)
            for name, each in [] if group is None else group.groups():
                found |= _cells(kind, name, each)
    return found


def run_branches(url: str) -> list[str]:
    """Return the branches of runs, dead or alive."""
    return sorted(set(_repository(url).list_branches()) - {"main"})


def cells(archive: Archive) -> set[tuple[Cell, int]]:
    """Return the cells of a published state."""
    masks = {("masks", name): archive.mask_fingerprints(name) for name in archive.sensors}
    made = {
        ("composites", name): archive.composite_fingerprints(name)
        for name in archive.composite_names
    }
    return {
        ((*group, time.date(), row, col), int(value))
        for group, held in (masks | made).items()
        for time, values in held.items()
        for (row, col), value in np.ndenumerate(values)
        if value
    }


def _cells(kind: str, name: str, group: zarr.Group) -> set[tuple[Cell, int]]:
    times = np.asarray(group["time"][...]).astype("datetime64[us]").tolist()
    return {
        ((kind, name, times[at].date(), row, col), int(value))
        for (at, row, col), value in np.ndenumerate(np.asarray(group["fingerprint"][...]))
        if value
    }


def _repository(url: str) -> icechunk.Repository:
    return icechunk.Repository.open(icechunk.local_filesystem_storage(url))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
