"""Progress on a terminal and elsewhere."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from pipeline.cli.progress import showing
from pipeline.cli.show import cell, size


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_from_many_threads_are_all_counted(terminal):
    screen = console(terminal=terminal)
    with showing(screen) as progress, ThreadPoolExecutor(4) as threads:
        progress.start("tiles", 200)
        list(threads.map(lambda _: progress.advance("tiles"), range(200)))
        progress.message("a [word] in brackets")
    text = screen.file.getvalue()
    assert "200/200" in text if terminal else "tiles: 200 of 200" in text
    assert "a [word] in brackets" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_stage_can_begin_again_and_be_empty(terminal):
    screen = console(terminal=terminal)
    with showing(screen) as progress:
        for total in (3, 5, 0):
            progress.start("tiles", total)
            progress.advance("tiles", 1)
    assert "tiles" in screen.file.getvalue()


def test_a_failure_passes_through_the_bars():
    def fail() -> None:
        with showing(console(terminal=True)) as progress:
            progress.start("tiles", 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2**30, "1.0 GiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes(number, text):
    assert size(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (1.26, "1.3"), (True, "True"), ("[a]", "[a]")],
)
def test_cells(value, text):
    assert cell(value) == text
