"""Thirty nights of a schedule: each reads what it must and no more, and the last leaves what one run would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from shapely.geometry import box

from pipeline import grid, store
from pipeline.types import Tile, is_usable
from tests.nights.region import AOI
from tests.nights.schedule import MONTHS, Catalogue, Schedule, host
from tests.nights.seen import assert_sound, datasets, look
from tests.nights.story import NIGHTS, OUTAGE, Cell, Must, Story, bright_on

DOUBT_ASSETS = ("nir08", "swir16", "swir22")
"""Of which overviews are read where the metadata leave an offset in doubt."""
BLOCK = 16384
"""GDAL asks for whole blocks of so many bytes, and for the first of each file to know what it is."""
WEEKLY = (
    date(2023, 6, 24),
    date(2023, 6, 25),
    date(2023, 7, 4),
    date(2023, 7, 6),
    date(2023, 7, 9),
)
"""Nights of the quick version: the same story, looked at now and then."""


@pytest.fixture(scope="module")
def schedule(tmp_path_factory) -> Iterator[Schedule]:
    folder = tmp_path_factory.mktemp("nights")
    (folder / "archive").mkdir()
    asked = folder / "asked"
    asked.touch()
    with host(folder, "pipeline.testing.file_host", folder / "archive", asked, 0) as url:
        yield Schedule(folder, Story.make(folder / "archive", url), asked)


@pytest.fixture
def catalogue(schedule) -> Iterator[Catalogue]:
    made = Catalogue(schedule)
    yield made
    made.be(up=False)


# -- what a night may read ---------------------------------------------------------------------


def doubtful(archive: store.Archive) -> set[str]:
    """Return the items whose pixels were asked for their offset."""
    return {each["id"] for each in archive.items() if "cloudmask:offset" in each["properties"]}


def told(schedule: Schedule, name: str, last: date | None, night: date) -> Must:
    """Tell from the story what a run must read, given the night of the last one."""
    tiles = tiles_of(schedule.archive(name))
    before = [] if last is None else schedule.story.used(last)
    changed = last is not None and bright_on(last) != bright_on(night)
    return Must.of(tiles, before, schedule.story.used(night), all_again=changed)


def tiles_of(archive: store.Archive) -> tuple[Tile, ...]:
    """Return the tiles that the job touches."""
    return tuple(grid.tiles(archive.grid, box(*AOI)))


def usable_cells(archive: store.Archive) -> set[Cell]:
    """Return the cells that have anything for a composite."""
    found = set()
    for sensor in archive.sensors:
        masks = archive.masks(sensor)
        days = masks["time"].to_numpy().astype("datetime64[D]").tolist()
        for at, day in enumerate(days):
            for tile in tiles_of(archive):
                if is_usable(masks["mask"].to_numpy()[(at, *tile.window)]).any():
                    found.add(((sensor, day), tile.name))
    return found


def assert_read_what_it_must(
    schedule: Schedule, name: str, must: Must, night: date
) -> dict[tuple[str, str], int]:
    """Compare files and bytes that were read with those that the items call for; return the bytes."""
    read, archive = schedule.asked(), schedule.archive(name)
    tiles, now = tiles_of(archive), schedule.story.used(night)
    masking = must.mask_reads()
    composing = must.composite_reads(tiles, now, usable_cells(archive))
    asked = {each for each in set(read) - masking - composing if each[1] in DOUBT_ASSETS}
    # Of a scene that is composed, what lies under clouds is not read, which may be all of an item.
    assert masking <= set(read) - asked <= masking | composing, night
    # The pixels of an item whose metadata contradict each other are asked once, when it is new.
    assert {item for item, _ in asked} <= doubtful(archive) & {piece.id for piece in must.new}
    for (item, asset), n_bytes in read.items():
        assert n_bytes <= bytes_of(schedule, item, asset), (night, item, asset)
    record = archive.records()[-1]
    assert statuses(record, "masked") == {(tile, day) for (_, day), tile in must.cells}
    # The first run makes every composite, those of months without a scene too.
    everything = {(month, tile.name) for month in MONTHS for tile in tiles}
    assert composed(record) == (must.periods if archive.records()[1:] else everything)
    # Decoded: two roles of two bytes a pixel, and the pixels beside that others are interpolated from.
    per_item = 2 * 2 * (archive.grid.tile_px + 2) ** 2
    assert record["stages"]["mask"]["bytes_read"] <= per_item * sum(
        map(len, must.cells.values())
    )
    return read


def bytes_of(schedule: Schedule, item: str, asset: str) -> int:
    """Return a file's size, in whole blocks, and one block more."""
    return BLOCK * (-(-size_of(schedule, item, asset) // BLOCK) + 1)


def size_of(schedule: Schedule, item: str, asset: str) -> int:
    (path,) = (p for p, named in schedule.assets.items() if named == (item, asset))
    return (schedule.folder / "archive" / path.lstrip("/")).stat().st_size


def statuses(record: dict[str, Any], status: str) -> set[tuple[str, date]]:
    return {
        (cell["tile"], date.fromisoformat(cell["time"][:10]))
        for tile in record["tiles"]
        for cell in tile["cells"]
        if cell["status"] == status
    }


def composed(record: dict[str, Any]) -> set[tuple[date, str]]:
    return {
        (date.fromisoformat(start), tile["tile"])
        for tile in record["tiles"]
        for start in tile["composites"]
    }


# -- what a store holds ------------------------------------------------------------------------


def contents(archive: store.Archive) -> dict[str, NDArray[Any]]:
    """Return every array; provenance by the id of the item, as positions tell the order of nights."""
    ids = np.array([*archive.item_ids, ""])
    found = {
        f"{name}/{variable}": each.to_numpy()
        for name, dataset in datasets(archive).items()
        for variable, each in dataset.variables.items()
    }
    return {name: _resolved(name, values, ids) for name, values in found.items()}


def _resolved(name: str, values: NDArray[Any], ids: NDArray[Any]) -> NDArray[Any]:
    if name.endswith("/source"):
        return ids[values]
    # A scene keeps the time by which it is known, where a late item is the earliest of its day.
    return (
        values.astype("datetime64[D]")
        if name.startswith("masks/") and name.endswith("/time")
        else values
    )


@pytest.mark.parametrize(
    "nights",
    [
        pytest.param(WEEKLY, id="now-and-then", marks=pytest.mark.slow),
        pytest.param(NIGHTS, id="thirty", marks=pytest.mark.slow),
    ],
)
def test_each_night_reads_what_it_must_and_the_last_leaves_what_one_run_would(
    schedule, catalogue, nights
):
    nightly = f"nights{len(nights)}"
    schedule.asked()
    last: date | None = None
    fetched: Counter[tuple[str, str]] = Counter()
    for night in nights:
        catalogue.be(up=night not in OUTAGE)
        before = look(schedule.url(nightly))
        code = schedule.run(night, catalogue.url, nightly)
        if night in OUTAGE or not schedule.story.listed(night):
            assert_refused(schedule, code)
        else:
            assert code == 0, schedule.said.read_text()
        must = told(schedule, nightly, last, night) if code == 0 else Must({}, set(), [])
        if must.cells:
            read = assert_read_what_it_must(schedule, nightly, must, night)
        else:
            read = {}
            assert schedule.asked() == {}
            assert look(schedule.url(nightly)) == before
        print(
            f"{night} exit {code}: {len(must.cells)} cells, {len(must.periods)} periods, {sum(read.values())} bytes"
        )
        fetched.update(read)
        last = night if code == 0 else last
    assert_sound(schedule.archive(nightly))
    # Each file once, whatever the nights wanted of it; and a byte each night to follow redirects.
    size = sum(size_of(schedule, *each) for each in fetched)
    print(f"together: {fetched.total()} bytes, {fetched.total() / size:.3f} of the files' size")
    assert fetched.total() <= 1.05 * size

    at_once = f"once{len(nights)}"
    assert schedule.run(nights[-1], catalogue.url, at_once, cached=False) == 0
    print(f"all at once: {sum(schedule.asked().values())} bytes")
    one, other = (contents(schedule.archive(name)) for name in (nightly, at_once))
    assert one.keys() == other.keys()
    for name, expected in other.items():
        np.testing.assert_array_equal(one[name], expected, err_msg=name)


def assert_refused(schedule: Schedule, code: int) -> None:
    """Check that a run without a catalogue, or with an empty one, said so in a line."""
    assert code == 3
    said = schedule.said.read_text()
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in said
