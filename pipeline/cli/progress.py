"""Progress of a run: bars on a terminal, a line now and then elsewhere.

Each class implements `pipeline.run.Progress`; several threads may call it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline.cli.show import is_quiet
from pipeline.shown import printable

if TYPE_CHECKING:
    from pipeline.run import Progress as ShowsProgress


@contextmanager
def showing(console: Console) -> Iterator[ShowsProgress]:
    """Choose how progress is shown on a console, and tidy up afterwards."""
    if is_quiet():
        from pipeline.run import Silent

        yield Silent()
    elif not console.is_terminal:
        yield Lines(console)
    else:
        with _bars(console) as bars:
            yield Bars(bars)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


class Lines:
    """A line when a stage begins, and one for every tenth of it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def start(self, stage: str, total: int) -> None:
        """Begin a stage, or begin it again."""
        with self._lock:
            self._totals[stage], self._done[stage] = total, 0
        self.message(f"{stage}: {total} to do")

    def advance(self, stage: str, n: int = 1) -> None:
        """Print a line where another tenth is reached."""
        with self._lock:
            total, before = self._totals[stage], self._done[stage]
            done = self._done[stage] = before + n
        if total and 10 * done // total > 10 * before // total:
            self.message(f"{stage}: {done} of {total}")

    def message(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """One bar a stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def start(self, stage: str, total: int) -> None:
        """Draw a bar, or empty the one that is there."""
        if stage in self._tasks:
            self._bars.reset(self._tasks[stage], total=total)
        else:
            self._tasks[stage] = self._bars.add_task(printable(stage), total=total)

    def advance(self, stage: str, n: int = 1) -> None:
        """Fill the bar."""
        self._bars.advance(self._tasks[stage], n)

    def message(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)
