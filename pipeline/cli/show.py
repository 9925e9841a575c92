"""Output of commands: tables, sizes, JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import ConfigError
from pipeline.shown import escape_json, printable, shown

Row = Mapping[str, Any]

_WIDE = 10_000
"""Width of output that is no terminal; rich would cut tables at 80 columns."""


class Edge(Console):
    """A console that prints texts of catalogues safely: without control characters, markup or secrets.

    All lines, cells and titles that are not rich's own objects are rendered here.
    """

    def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 -- rich's settings
        """Render a text literally, without markup."""
        return super().render_str(
            printable(shown(text)), **{**how, "markup": False, "emoji": False}
        )


def console(*, stderr: bool = False) -> Console:
    """Return a new console, because tests and pipes replace stdout."""
    found = Edge(stderr=stderr, highlight=False)
    return found if found.is_terminal else Edge(stderr=stderr, highlight=False, width=_WIDE)


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or several."""
    typer.echo(printable(shown(text)), err=err)


_quiet = ContextVar("quiet", default=False)


@contextmanager
def quietly(wanted: bool) -> Iterator[None]:
    """Suppress notes and progress inside, if wanted."""
    before = _quiet.set(wanted)
    try:
        yield
    finally:
        _quiet.reset(before)


def is_quiet() -> bool:
    """Return whether notes and progress are suppressed."""
    return _quiet.get()


def note(text: str) -> None:
    """Print a line that is no result to stderr, unless notes are suppressed."""
    if not is_quiet():
        say(text, err=True)


def table(rows: Sequence[Row], title: str | None = None) -> None:
    """Print rows as a table with their keys as header; numbers are right-aligned."""
    if not rows:
        return
    drawn = Table(title=title, title_justify="left")
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    for key, values in columns.items():
        drawn.add_column(key.replace("_", " "), justify="right" if _numbers(values) else "left")
    for row in zip(*(_cells(values) for values in columns.values()), strict=True):
        drawn.add_row(*row)
    console().print(drawn)


def _numbers(values: Sequence[object]) -> list[float]:
    return [
        each
        for each in values
        if isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
    ]


def _cells(values: Sequence[object]) -> list[str]:
    """Format a column: percentages with one decimal, shares and errors with three."""
    largest = max(map(abs, _numbers(values)), default=0.0)
    return [cell(value, digits=1 if largest >= 10 else 3) for value in values]


def cell(value: object, *, digits: int = 1) -> str:
    """Return one value of a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, date):
        return value.isoformat()
    return printable(str(value), lines=False)


def as_json(value: object, out: Path | None = None) -> None:
    """Print, or write to a file, a value as JSON."""
    # Control characters are escaped, as JSON allows for any character.
    text = escape_json(json.dumps(value, indent=2, default=str, ensure_ascii=False))
    if out is None:
        typer.echo(text)
    else:
        write_text(out, text + "\n")


def as_csv(rows: Sequence[Row]) -> None:
    """Print rows as CSV with a header."""
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {
                name: printable(each, lines=False) if isinstance(each, str) else each
                for name, each in row.items()
            }
            for row in rows
        )


def size(number: float | None) -> str:
    """Format a number of bytes: ``3.2 GiB``; a dash if it is not known."""
    if number is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def instant(when: datetime) -> str:
    """Format an instant: ``2026-06-01 10:30:20``, UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def seconds(number: float | None) -> str:
    """Format a duration: ``2:03:04``, or ``12.3 s`` below a minute; a dash if it is not known."""
    if number is None:
        return "–"
    return f"{number:.1f} s" if number < 60 else str(timedelta(seconds=round(number)))


def count(number: float | None) -> str:
    """Format a count: ``12345``, ``0.4``; a dash if it is not known."""
    if number is None:
        return "–"
    return f"{number:.1f}" if 0 < number < 10 and number % 1 else f"{number:.0f}"


def money(amount: float, currency: str) -> str:
    """Format an amount of money: two decimals, or two significant digits if it is smaller."""
    places = 2 if amount >= 0.1 or not amount else 1 - math.floor(math.log10(amount))
    return f"{amount:.{places}f} {currency}"


def lines(texts: Iterable[str]) -> None:
    """Print texts as they are."""
    for text in texts:
        say(text)


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises
    ------
    ConfigError
        It cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
