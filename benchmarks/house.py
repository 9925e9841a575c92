"""Prints the measures of the house: modules and functions by room, names used twice, circles of imports.

``python benchmarks/house.py`` (or ``make house``) measures this checkout, ``--peer FOLDER`` another package
beside it. Lines are lines of files; functions are measured without their docstrings and decorators.
Every import counts for circles: those inside functions, under ``TYPE_CHECKING``, and names of modules in
strings that are given to ``import_module``.
"""

from __future__ import annotations

import argparse
import ast
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "flows", "cloudmask")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules_of(root: Path, packages: Sequence[str] = PACKAGES) -> dict[str, Path]:
    """Return dotted name -> file of every module, packages under their own name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    }


# -- circles -----------------------------------------------------------------------------------


def imports_of(tree: ast.Module, known: Sequence[str]) -> Iterator[str]:
    """Yield the modules that a module imports, wherever and however it says so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                yield inner if inner in known else node.module
        elif isinstance(node, ast.Call) and _name(node.func) == "import_module" and node.args:
            yield from _named(node.args[0], known)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _named(argument: ast.expr, known: Sequence[str]) -> Iterator[str]:
    """Yield the modules that a string may name: of one that is put together, all that fit its ends."""
    if isinstance(argument, ast.Constant):
        yield from (name for name in known if name == argument.value)
    elif isinstance(argument, ast.JoinedStr):
        parts = [
            each.value if isinstance(each, ast.Constant) else "" for each in argument.values
        ]
        first, last = str(parts[0]), str(parts[-1])
        yield from (n for n in known if first and n.startswith(first) and n.endswith(last))


def graph_of(root: Path, packages: Sequence[str] = PACKAGES) -> dict[str, set[str]]:
    """Return module -> the modules of the same checkout that it imports."""
    known = modules_of(root, packages)
    names = list(known)
    return {
        name: {
            each
            for each in imports_of(ast.parse(path.read_text()), names)
            if each in known and each != name
        }
        for name, path in known.items()
    }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected groups of more than one module (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


# -- sizes -------------------------------------------------------------------------------------


def functions_of(tree: ast.Module) -> Iterator[int]:
    """Yield the length of each function, in lines, without docstring and decorators."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                length -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield length


def typed_of(tree: ast.Module) -> Iterator[bool]:
    """Yield of each function whether its return is annotated."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node.returns is not None


def row(name: str, paths: Sequence[Path]) -> str:
    """Return a line of the table: as STYLE.md's, one a room."""
    texts = [path.read_text() for path in paths]
    trees = [ast.parse(text) for text in texts]
    lines = [len(text.splitlines()) for text in texts]
    lengths = sorted(length for tree in trees for length in functions_of(tree)) or [0]
    typed = [each for tree in trees for each in typed_of(tree)] or [True]
    comments = sum(
        line.lstrip().startswith("#") for text in texts for line in text.splitlines()
    )
    p95 = lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))]
    return (
        f"{name:34}{len(paths):5}{sum(lines):8}{statistics.median(lines):8.0f}{max(lines):6}"
        f"{statistics.median(lengths):8.0f}{p95:5}"
        f"{100 * comments / max(sum(lines), 1):7.0f} %{100 * sum(typed) / len(typed):7.0f} %"
    )


HEAD = f"{'package':34}{'mods':>5}{'lines':>8}{'median':>8}{'max':>6}{'fn med':>8}{'p95':>5}{'comment':>9}{'typed':>9}"


def folders_of(modules: dict[str, Path]) -> dict[Path, list[Path]]:
    """Return folder -> its modules, those of its folders left out."""
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in modules.values():
        folders[path.parent].append(path)
    return dict(sorted(folders.items()))


def names_used_twice(modules: dict[str, Path]) -> dict[str, list[str]]:
    """Return public classes and functions of modules that more than one module defines."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, path in modules.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer", type=Path, action="append", default=[], help="folder of a package"
    )
    peers: list[Path] = parser.parse_args().peer
    modules = modules_of(ROOT)
    print(HEAD)
    for package in PACKAGES:
        inside = [path for name, path in modules.items() if name.split(".")[0] == package]
        if inside:
            print(row(package, inside))
    for folder in peers:
        print(row(folder.name, sorted(folder.rglob("*.py"))))
    print()
    for folder, paths in folders_of(modules).items():
        print(row(str(folder.relative_to(ROOT)), paths))
    twice = names_used_twice(modules)
    print(f"\nnames used twice: {len(twice)}")
    for name, where in twice.items():
        print(f"  {name}: {', '.join(where)}")
    found = circles(graph_of(ROOT))
    print(f"\ncircles of imports, deferred and strings counted: {len(found)}")
    for group in found:
        print(f"  {' <-> '.join(group)}")


if __name__ == "__main__":
    main()
