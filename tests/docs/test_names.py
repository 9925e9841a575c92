"""What the pages name is there: files, modules, make targets, commands with their options, links."""

import importlib
import re
import shlex
from itertools import dropwhile
from pathlib import Path

import click
import pytest
import typer

from pipeline.catalogs import CATALOGS
from pipeline.cli import app
from pipeline.cli.commands.labelled import AGAINST_TRUTH, StoreByDefault
from pipeline.datasets import READERS
from tests.docs.pages import PAGES, ROOT, blocks, shell_lines, spans, text_of

EACH = pytest.mark.parametrize("page", PAGES)
_PATH = re.compile(r"(?:pipeline|tests|flows|deploy|benchmarks|docs|cloudmask)/[\w./-]*")
_MODULE = re.compile(r"(?:pipeline|flows|tests)(?:\.\w+)+")
MADE = {"deploy/.env", "deploy/credentials.env", "pipeline/composite/maximum.py"}
"""What a page tells its reader to make."""


@EACH
def test_every_path_is_there(page):
    named = {each for each in spans(page) if _PATH.fullmatch(each)} - MADE
    assert {each for each in named if not (ROOT / each).exists()} == set()


def found(name: str) -> object:
    """Import the module that a dotted name begins with, and follow the rest; see `pkgutil.resolve_name`."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            value = getattr(value, attribute)
        return value
    raise ModuleNotFoundError(name)


@EACH
def test_every_dotted_name_can_be_imported(page):
    of_reference = re.findall(r"^::: (\S+)", text_of(page), re.MULTILINE)
    for name in {each for each in spans(page) if _MODULE.fullmatch(each)} | {*of_reference}:
        assert found(name) is not None


@EACH
def test_every_make_target_is_there(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line.split("#")[0].strip() for line in (*spans(page), *shell_lines(text_of(page)))]
    named = {word for line in lines if line.startswith("make ") for word in line.split()[1:]}
    assert named - targets == set()


@EACH
def test_every_link_within_the_repository_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page)):
        assert ((ROOT / page).parent / link).exists(), link


def commands(page: str) -> list[list[str]]:
    lines = [line for line in spans(page) if line.startswith("cloudmask ")]
    lines += [line for line in shell_lines(text_of(page)) if line.startswith("cloudmask ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def options_of(words: list[str]) -> set[str]:
    """Return the options that a command line may have; an unknown command is an error of click."""
    command, known = typer.main.get_command(app), {"--help"}
    while True:
        known |= {
            name for each in command.params for name in (*each.opts, *each.secondary_opts)
        }
        words = [*dropwhile(lambda word: word.startswith("-"), words)]
        if not words or not hasattr(command, "resolve_command"):
            return known
        if isinstance(command, StoreByDefault) and words[0] not in command.commands:
            words = [AGAINST_TRUTH, *words]
        _, command, words = command.resolve_command(click.Context(command), words)


@EACH
def test_every_command_and_option_is_there(page):
    for words in commands(page):
        named = {word for word in words if re.match("--?[a-z]", word)}
        assert named - options_of(words) == set(), words


def rows(page: str, heading: str) -> list[str]:
    """Return the first column of the first table after a heading."""
    section = text_of(page).split(f"{heading}\n")[1].split("\n#")[0]
    return re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)


def test_the_table_of_catalogues_has_every_catalogue():
    listed = {
        re.findall(r"`(.+?)`", row)[0]
        for row in rows("docs/catalogues.md", "## What each one needs")
    }
    assert listed == set(CATALOGS), "docs/catalogues.md, What each one needs"


def test_the_table_of_data_sets_has_every_reader():
    listed = set()
    for row in rows("docs/evaluation.md", "### Data sets"):
        first, *others = re.findall(r"`(.+?)`", row)
        listed |= {first} | {
            first.rsplit("-", 1)[0] + each if each.startswith("-") else each for each in others
        }
    assert listed == set(READERS), "docs/evaluation.md, Data sets"


TREE = blocks(text_of("docs/design.md").split("## The house")[1], "")[0]


def drawn_at(line: str, room: Path) -> tuple[Path, list[Path]]:
    """Return the room that a line of the drawing is about, and the folders and modules that it names."""
    names = re.findall(r"(?<![\w/.])([\w/]+/|\w+\.py)(?=[ ;:]|$)", line)
    base = ROOT / "pipeline" if line.startswith("  ") else ROOT
    if names and line.lstrip().startswith(names[0]):
        room = base / names[0]
    places = [(room / name, base / name, ROOT / name) for name in names]
    return room, [next(filter(Path.exists, each), each[0]) for each in places]


def test_the_drawn_house_is_the_house():
    room, drawn = ROOT, set()
    for line in TREE.splitlines():
        room, named = drawn_at(line, room)
        drawn |= set(named)
    assert {path for path in drawn if not path.exists()} == set()
    assert {path.parent for path in ROOT.glob("pipeline/**/__init__.py")} - drawn == set()
