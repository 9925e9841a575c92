"""Processes that write to one store at once: every write that was acknowledged is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import store
from pipeline.store.base.location import locate_store
from tests.store import rounds

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(anywhere):
    return anywhere


def write_at_once(url: str, processes: int, turns: int, folder: Path) -> dict[int, list[dict]]:
    """Let processes write to a store that is not there yet; return what each was told."""
    command = [sys.executable, "-m", "tests.store.rounds", url]
    started = [
        subprocess.Popen(
            [*command, str(number), str(turns), str(folder)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    try:
        for process in started:
            _, said = process.communicate(timeout=900)
            assert process.returncode == 0, said
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stderr.close()
    return {
        number: [json.loads(line) for line in (folder / str(number)).read_text().splitlines()]
        for number in range(processes)
    }


def check(url: str, make, acknowledged: dict[int, list[dict]], turns: int) -> tuple[int, int]:
    """Compare what was acknowledged with what is there; return the two counts."""
    archive = store.open_archive(url)
    told = {each["snapshot"] for lines in acknowledged.values() for each in lines}
    present = told & {each.id for each in archive.log()}
    recorded = [each["run_id"] for each in archive.records()]
    keys = [f"p{n}-r{each['turn']}" for n, lines in acknowledged.items() for each in lines]
    assert len(told) == len(keys) == len(acknowledged) * turns
    assert told == present
    assert sorted(recorded) == sorted(keys)

    masks = archive.masks(make.sensor).load()
    tiles = len(list(make.grid().tiles()))
    for turn in range(max(0, turns - tiles), turns):
        tile = rounds.tile_of(turn)
        cell = {"tile_y": tile.row, "tile_x": tile.col}
        window = dict(zip(("y", "x"), tile.window, strict=True))
        # A date of one's own: the last write to it. The shared date: the last run of that round.
        last = [int(key[1]) for key in recorded if key.endswith(f"-r{turn}")][-1]
        writers = {number: number for number in acknowledged} | {rounds.SHARED: last}
        for date, number in writers.items():
            found = masks.isel(time=date)
            expected = rounds.fingerprint_of(number, turn)
            assert int(found["fingerprint"].isel(cell)) == expected
            np.testing.assert_array_equal(
                found["mask"].isel(window), rounds.masked(number, turn)
            )
    return len(told), len(present)


@pytest.mark.parametrize(
    ("processes", "turns"),
    [
        pytest.param(2, 3, id="quick"),
        pytest.param(rounds.PROCESSES, 20, id="full", marks=pytest.mark.slow),
    ],
)
def test_every_acknowledged_write_is_there(make, url, tmp_path, processes, turns):
    acknowledged = write_at_once(url, processes, turns, tmp_path)
    told, present = check(url, make, acknowledged, turns)
    conflicts = sum(each["conflicts"] for lines in acknowledged.values() for each in lines)
    print(f"{told} acknowledged, {present} present, {conflicts} conflicts")
    assert locate_store(url).open().list_branches() == {"main"}
