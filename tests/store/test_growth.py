"""What a commit costs, in objects and bytes: it does not grow with the tiles or nights that are done."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline import store
from pipeline.store.base import location
from pipeline.store.write.moving_store import MovingStore

PX = 32


class Spy:
    """What was written to a local store, and read through its session, since it was asked last."""

    def __init__(self, path, monkeypatch) -> None:
        self._path, self._before, self.read = Path(path), {}, Counter()
        original = MovingStore.get

        async def get(store, key, *given, **named):
            self.read["metadata" if key.endswith("zarr.json") else "chunks"] += 1
            return await original(store, key, *given, **named)

        monkeypatch.setattr(MovingStore, "get", get)

    def news(self) -> dict[str, tuple[int, int]]:
        """Return how many files were written, and their bytes, by folder."""
        now = {
            each: (each.stat().st_mtime_ns, each.stat().st_size)
            for each in self._path.rglob("*")
            if each.is_file()
        }
        found: dict[str, tuple[int, int]] = {}
        for each, what in now.items():
            if self._before.get(each) != what:
                folder = each.relative_to(self._path).parts[0]
                count, size = found.get(folder, (0, 0))
                found[folder] = (count + 1, size + what[1])
        self._before = now
        return found


def test_a_commit_of_a_tile_costs_the_same_however_many_were_done(make, path, monkeypatch):
    # Two blocks of sixteen tiles, whose chunks are listed in manifests of their own.
    grid = make.grid(4 * PX, 8 * PX, PX, PX)
    tiles = [grid.tile(row, col) for col in range(8) for row in range(4)]
    codes, june = make.mask(tiles[0]), make.composite(tiles[0])
    spy, costs, reads = Spy(path, monkeypatch), [], []
    with store.open_writer(path, grid, title="test", run_key="run") as writer:
        writer.set_scenes(make.sensor, make.scenes(2))
        writer.set_composite("c", make.roles, [make.june], {"method": "median"})
        writer.commit("scenes and periods")
        spy.news()
        for tile in tiles:
            spy.read.clear()
            for time in make.times(2):
                writer.write_mask(make.sensor, time, tile, codes, 9)
            writer.write_composite("c", make.june.start, tile, june, 9)
            writer.commit(f"tile {tile.name}")
            costs.append(spy.news())
            reads.append(dict(spy.read))
    # The first opens the arrays; they stay open.
    assert all("metadata" not in each for each in reads[1:])
    assert all(each == reads[1] for each in reads[2:])
    counts = [{folder: count for folder, (count, _) in each.items()} for each in costs]
    assert all(each == counts[1] for each in counts[2:])
    sizes = {folder: [each[folder][1] for each in costs] for folder in costs[1]}
    assert len(set(sizes["chunks"])) == 1
    assert max(sizes["manifests"][16:]) < 1.1 * max(sizes["manifests"][:16])
    # They name every manifest: of sixteen tiles one an array, of which there are eight.
    for folder in ("snapshots", "checksums"):
        first, last = sizes[folder][15], sizes[folder][31]
        assert last - first < 8 * 3 * 100


@pytest.mark.quick(1)
@pytest.mark.parametrize("begun_without", [False, True])
def test_a_night_costs_the_same_however_many_were_done(make, path, monkeypatch, begun_without):
    split = {**location.MANIFEST_CHUNKS, "time": 4}
    without = {name: n for name, n in split.items() if name != "time"}
    grid, spy, sizes = make.grid(4 * PX, 4 * PX, PX, PX), Spy(path, monkeypatch), []
    tiles = [grid.tile(row, col) for row in range(4) for col in range(4)]
    codes = make.mask(tiles[0])
    for night in range(13):
        older = begun_without and night < 5
        monkeypatch.setattr(location, "MANIFEST_CHUNKS", without if older else split)
        with store.open_writer(path, grid, title="test", run_key="run") as writer:
            writer.set_scenes(make.sensor, make.scenes(night + 1)[-1:])
            spy.news()
            for tile in tiles:
                writer.write_mask(
                    make.sensor, make.times(night + 1)[-1], tile, codes, night + 5
                )
            writer.commit("a night")
            sizes.append(spy.news()["manifests"][1])
            writer.publish({"run_id": str(night)})
    # The last night of a manifest, that of the next one, and the first of a third.
    assert sizes[11] < 1.1 * sizes[7]
    assert sizes[12] < 0.95 * sizes[11]
    masks = store.open_archive(path).masks(make.sensor)
    made = np.repeat(np.arange(13) + 5, 16).reshape(13, 4, 4)
    np.testing.assert_array_equal(masks["fingerprint"].to_numpy(), made)
    np.testing.assert_array_equal(masks["mask"].to_numpy(), np.tile(codes, (13, 4, 4)))
    assert store.verify(path).damages == ()
