"""No text of a catalogue steers the terminal, breaks a table or shows a secret; see also `tests/faults`."""

import ast
import io
import json
import logging
import sys
import threading
import warnings
from pathlib import Path

import pytest

from pipeline.cli import show
from pipeline.cli.progress import Bars, Lines, _bars
from pipeline.watch import _Factory, fit, watch_output

HOSTILE = (
    "z[/x]",
    r"z\[/x]",
    "[bold]a",
    "\x1b[2J\x1b]0;x\x07",
    "\x9b1m",
    "\ud800",
    "a\rb",
    "\u202eb",
)
SECRET = "hUsh7Kq2"


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_printed_is_printed_as_it_is(text, capsys):
    show.table([{"item": text, "n": 1}], title=text)
    show.lines([text])
    show.as_csv([{"item": text}])
    show.as_json({"item": text})
    out = capsys.readouterr().out
    assert not set("\x1b\x9b\x07\r\u202e\ud800") & set(out)
    out.encode()
    if text.isprintable():
        assert out.count(text) >= 4 or "\\" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_json_keeps_every_letter(text, capsys):
    show.as_json([text])
    assert json.loads(capsys.readouterr().out) == [text]


@pytest.mark.parametrize("text", HOSTILE)
def test_progress_prints_any_text(text):
    for terminal in (True, False):
        console = show.Edge(file=io.StringIO(), force_terminal=terminal, color_system=None)
        with _bars(console) as bars:
            shown = Bars(bars)
            shown.start(text, 2)
            shown.message(text)
        Lines(console).message(text)
        said = console.file.getvalue()
        assert "\x9b" not in said
        assert "\ud800" not in said
        assert "\x1b[2J" not in said


def test_everything_that_commands_print_goes_over_the_edge():
    """A print that does not is one that an id can steer."""
    for path in Path(show.__file__).parent.glob("*.py"):
        if path.name == "show.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in (
                "print",
                "typer.echo",
                "typer.secho",
                "Console",
                "rich.print",
            ), path


def test_libraries_log_nothing_secret(caplog):
    factory = _Factory(logging.getLogRecordFactory())
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(factory)
    try:
        log = logging.getLogger("urllib3.connectionpool")
        caplog.set_level(logging.DEBUG)
        log.debug('%s "GET /stac?token=%s HTTP/1.1" 200', "https://a.org:443", SECRET)
        try:
            int(f"/vsicurl/https://me:{SECRET}@a.org/b.tif?sig={SECRET}\x1b[2J")
        except ValueError:
            log.exception("it went wrong")
    finally:
        logging.setLogRecordFactory(before)
    said = caplog.text + "".join(logging.Formatter().format(each) for each in caplog.records)
    assert "GET /stac" in said
    assert "Traceback" in said
    assert SECRET not in said
    assert "\x1b" not in said


def test_warnings_and_deaths_show_nothing_secret(monkeypatch, capsys):
    for owner, name in (
        (sys, "excepthook"),
        (threading, "excepthook"),
        (warnings, "formatwarning"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    before = logging.getLogRecordFactory()
    watch_output.__wrapped__()
    logging.setLogRecordFactory(before)
    url = f"https://a.org/b.tif?sig={SECRET}"
    assert SECRET not in warnings.formatwarning(UserWarning(url), UserWarning, "a.py", 1)
    sys.excepthook(ValueError, ValueError(url), None)
    assert SECRET not in capsys.readouterr().err
    assert fit("a\nb") == "a\nb"
