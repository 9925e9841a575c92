"""The house: no circle of imports, no folder like a corridor, and the tree in the documents is the tree on disk."""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def house():
    """Load the script that measures the house: benchmarks are no package."""
    spec = importlib.util.spec_from_file_location("house", ROOT / "benchmarks" / "house.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_benchmark_hides_a_package():
    """Run as a file, a benchmark has its folder before the packages: numba asks for coverage, and had ours."""
    names = {each.stem for each in (ROOT / "benchmarks").glob("*.py")} - {"__init__"}
    assert names
    # What tests put on the path hides nothing from a benchmark.
    packages = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names}
    assert names & packages == set()
    assert "coverage" in packages


def test_no_circle_of_imports(house):
    assert house.circles(house.graph_of(ROOT)) == []


@pytest.mark.parametrize(
    "closing",
    [
        "from a.one import x",
        "def f():\n    from a import one",
        "from importlib import import_module\nimport_module('a.one')",
        "import importlib\nname = 'o'\nimportlib.import_module(f'a.{name}ne')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a.one",
    ],
)
def test_a_circle_is_found_however_it_is_closed(house, tmp_path, closing):
    package = tmp_path / "a"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from a import two\nx = 1\n")
    (package / "two.py").write_text(closing + "\n")
    assert house.circles(house.graph_of(tmp_path, ["a"])) == [["a.one", "a.two"]]


def test_no_folder_is_a_corridor(house):
    folders = house.folders_of(house.modules_of(ROOT))
    long = {str(each.relative_to(ROOT)) for each, paths in folders.items() if len(paths) > MOST}
    assert long - ONE_FILE_EACH == set(), "group what belongs together in a folder of its own"


def test_every_module_is_read_at_one_sitting(house):
    long = {
        str(path.relative_to(ROOT))
        for path in house.modules_of(ROOT).values()
        if len(path.read_text().splitlines()) > 300
    }
    assert long == set(), "move what can stand alone to a module of its own"


MOST = 15
"""Modules of a folder, ``__init__`` counted."""

ONE_FILE_EACH = {"pipeline/datasets/readers"}
"""Folders of one file for each data set: looked up by name, not read from end to end."""


@pytest.mark.parametrize("page", ["README.md", "docs/design.md"])
def test_the_drawn_tree_has_every_room(page):
    drawn = (ROOT / page).read_text()
    for room in sorted(ROOT.glob("pipeline/*/__init__.py")):
        assert re.search(rf"\b{room.parent.name}/", drawn), (
            f"{page} does not draw {room.parent}"
        )
