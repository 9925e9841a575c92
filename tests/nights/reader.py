"""A reader that never stops: ``python -m tests.nights.reader``; stdin says which store, and where to note.

A line of stdin is ``STORE LOG``, or empty for a pause. Each line of LOG is one look at the store: a
state, nothing, or the error that it met. The last is ``{"end": true}``.
"""

from __future__ import annotations

import dataclasses
import json
import select
import sys
from pathlib import Path
from typing import TextIO

from tests.nights.seen import look

PAUSE_S = 0.25


def main() -> None:
    line = sys.stdin.readline()
    while line:
        if line.strip():
            url, log = line.split()
            with Path(log).open("w") as lines:
                _read(url, lines)
                print(json.dumps({"end": True}), file=lines, flush=True)
        line = sys.stdin.readline()


def _read(url: str, lines: TextIO) -> None:
    """Look until stdin says something."""
    while True:
        print(json.dumps(_look(url)), file=lines, flush=True)
        if select.select([sys.stdin], [], [], PAUSE_S)[0]:
            return


def _look(url: str) -> dict[str, object]:
    try:
        found = look(url)
    except Exception as error:  # noqa: BLE001  (a reader meets none at all)
        return {"error": f"{type(error).__name__}: {error}"}
    return {} if found is None else dataclasses.asdict(found)


if __name__ == "__main__":
    main()
