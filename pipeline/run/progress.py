"""The seam to whoever watches a run: bars on a terminal, lines in a log, nothing at all."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a run tells while it goes on; called from the thread that runs it."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of so many steps."""
        ...

    def advance(self, stage: str, n: int = 1) -> None:
        """Finish some steps of a stage."""
        ...

    def message(self, text: str) -> None:
        """Say something worth a line."""
        ...


class Silent:
    """Watches nothing."""

    def start(self, stage: str, total: int) -> None:
        """See `Progress`."""

    def advance(self, stage: str, n: int = 1) -> None:
        """See `Progress`."""

    def message(self, text: str) -> None:
        """See `Progress`."""
