"""One process of the concurrency test: masks a date of its own, masks a shared one again, publishes.

Called as ``python -m tests.store.rounds URL NUMBER ROUNDS FOLDER``; each line of FOLDER/NUMBER is
one write that the store acknowledged: its key, its fingerprint, the snapshot it was published as.
"""

import json
import random
import sys
import time
from pathlib import Path

from pipeline import store
from pipeline.errors import StoreConflictError
from tests.store.making import Make

PROCESSES = 4
SHARED = PROCESSES
"""Position of the date that all processes mask."""
make = Make()


def fingerprint_of(number: int, turn: int) -> int:
    """Name a write, and seed its pixels."""
    return 1000 * (turn + 1) + number


def tile_of(turn: int):
    """Return the tile that all processes mask in a round."""
    tiles = list(make.grid().tiles())
    return tiles[turn % len(tiles)]


def masked(number: int, turn: int):
    """Return the pixels of a write."""
    return make.mask(tile_of(turn), seed=fingerprint_of(number, turn))


def attempt(url: str, number: int, turn: int) -> str:
    """Run once, as a job does."""
    key, fingerprint = f"p{number}-r{turn}", fingerprint_of(number, turn)
    times, tile = make.times(PROCESSES + 1), tile_of(turn)
    with store.open_writer(url, make.grid(), title="rounds", run_key=key) as writer:
        writer.set_scenes(make.sensor, make.scenes(PROCESSES + 1))
        for date in (number, SHARED):
            writer.write_mask(make.sensor, times[date], tile, masked(number, turn), fingerprint)
            writer.commit(f"date {date}")
        return writer.publish({"run_id": key})


def persist(url: str, number: int, turn: int) -> tuple[str, int]:
    """Start again until it is published, as a scheduler does; count the conflicts."""
    conflicts = 0
    while True:
        try:
            return attempt(url, number, turn), conflicts
        except StoreConflictError:
            conflicts += 1
            time.sleep(random.uniform(0, 0.1 * min(conflicts, 10)))


def main(url: str, number: str, rounds: str, folder: str) -> None:
    """Do the rounds and note what was acknowledged."""
    with (Path(folder) / number).open("w") as log:
        for turn in range(int(rounds)):
            snapshot, conflicts = persist(url, int(number), turn)
            line = {"turn": turn, "snapshot": snapshot, "conflicts": conflicts}
            print(json.dumps(line), file=log, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
