"""One flipped bit, for as long as it is looked at."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline import store


@contextmanager
def flipped(file: Path, bit: int) -> Iterator[None]:
    """Flip a bit of a file, and back."""
    good = file.read_bytes()
    flip(file, bit)
    try:
        yield
    finally:
        file.write_bytes(good)


def flip(file: Path, bit: int) -> None:
    """Flip a bit of a file."""
    damaged = bytearray(file.read_bytes())
    damaged[bit // 8] ^= 1 << bit % 8
    file.write_bytes(damaged)


def choose(folder: Path, random_: random.Random) -> tuple[Path, int]:
    """Choose a bit of all that are in a folder, each as likely."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    (file,) = random_.choices(files, [path.stat().st_size for path in files])
    return file, random_.randrange(8 * file.stat().st_size)


def content(url: str) -> dict:
    """Return everything that a reader can see."""
    archive = store.open_archive(url)
    found = {
        "items": archive.items(),
        "records": archive.records(),
        "grid": archive.grid,
        "title": archive.title,
    }
    for kind, names, read in (
        ("masks", archive.sensors, archive.masks),
        ("composites", archive.composite_names, archive.composite),
    ):
        for name in names:
            for level in archive.levels(kind, name):
                found[kind, name, level] = _values(read(name, level=level))
    return found


def _values(dataset: xr.Dataset) -> dict:
    return {
        name: (
            variable.dims,
            repr(sorted(variable.attrs.items())),
            [str(each) for each in variable.to_numpy()]
            if variable.dtype.kind in "OTU"
            else variable.to_numpy().tobytes(),
        )
        for name, variable in dataset.variables.items()
    }


def fill(url: str, make, scenes: int = 3) -> None:
    """Fill a store in two runs: masks with confidence, a composite, items, overviews."""
    grid = make.grid()
    for run, news in {"one": range(scenes - 1), "two": range(scenes - 1, scenes)}.items():
        with store.open_writer(url, grid, title="t", run_key=run, overviews=True) as writer:
            writer.set_scenes(make.sensor, make.scenes(scenes), confidence=True)
            writer.item_positions(*make.documents(scenes))
            writer.set_composite("monthly", make.roles, [make.june, make.july], {"by": "hand"})
            writer.commit("axes")
            fill_cells(writer, make, news, run)
            writer.publish({"run_id": run})


def fill_cells(writer, make, scenes, run: str, *, only_never: bool = False) -> None:
    """Write the cells of some scenes and all of the composite, as a run does: those that are not."""
    for tile in make.grid().tiles():
        times = make.times(max(scenes, default=-1) + 1)
        for number in scenes:
            if only_never and writer.mask_fingerprint(make.sensor, times[number], tile):
                continue
            mask = make.mask(tile, 100 * number + tile.row)
            covered = number or tile.row
            writer.write_mask(
                make.sensor,
                times[number],
                tile,
                mask if covered else None,
                1000 + number if covered else 1,
                confidence=10 * mask if covered else None,
            )
        for month in (make.june, make.july):
            if only_never and writer.composite_fingerprint("monthly", month.start, tile):
                continue
            seed = tile.row + month.start.month + len(run)
            composite = consistent(make.composite(tile, seed), scenes=3)
            writer.write_composite("monthly", month.start, tile, composite, 5000 + seed)


def consistent(composite: xr.Dataset, scenes: int) -> xr.Dataset:
    """Turn random values into those that a composite may have."""
    count = (composite["count"].to_numpy() % 5).astype("uint16")
    empty = count == 0
    day, source = (composite[name].to_numpy() for name in ("day", "source"))
    values = {
        "count": count,
        "day": np.where(empty, -1, 20_600 + np.abs(day) % 30).astype("int32"),
        "source": np.where(empty, -1, np.abs(source) % scenes).astype("int32"),
    }
    for role in set(composite) - set(values):
        given = np.nan_to_num(composite[role].to_numpy())
        values[role] = np.where(empty, np.nan, given).astype("float32")
    return composite.assign({name: (("y", "x"), value) for name, value in values.items()})
