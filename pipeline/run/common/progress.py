"""How a run reports its progress: to bars on a terminal, to a log, or to nobody."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

TILES, CELLS, PERIODS = "tiles", "cells", "periods"
"""Stages of a run; the last two are reported only where this process does the tiles."""


class Progress(Protocol):
    """Receives the progress of a run; called from the thread that runs it."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of so many steps."""
        ...

    def advance(self, stage: str, n: int = 1) -> None:
        """Finish some steps of a stage."""
        ...

    def message(self, text: str) -> None:
        """Show a line of text."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, stage: str, total: int) -> None:
        """See `Progress`."""

    def advance(self, stage: str, n: int = 1) -> None:
        """See `Progress`."""

    def message(self, text: str) -> None:
        """See `Progress`."""


class Steps:
    """Counts the steps of tiles: each once, however often a tile is tried."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tile = ""
        self._now: Counter[str] = Counter()
        self._most: Counter[tuple[str, str]] = Counter()

    def begin(self, tile: str) -> None:
        """Begin a tile, or begin it again."""
        self._tile, self._now = tile, Counter()

    def step(self, stage: str) -> None:
        """Finish a step of the tile that was begun last."""
        self._now[stage] += 1
        self._count(self._tile, stage, self._now[stage])

    def tile_done(self, tile: str) -> None:
        """Finish a tile."""
        self._count(tile, TILES, 1)

    def _count(self, tile: str, stage: str, count: int) -> None:
        if count > self._most[tile, stage]:
            self._most[tile, stage] = count
            self._progress.advance(stage)
