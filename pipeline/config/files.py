"""YAML files: plain values, and the line of each."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.mistakes import Location, path_of
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlFile:
    """Plain values, and their lines in the file."""

    name: str
    """As messages call it."""
    values: Mapping[Any, Any]
    root: yaml.Node

    def line_of(self, location: Location) -> str:
        """Return ``job.yaml:12`` for a location, or for the innermost part of it that the file has."""
        return f"{self.name}:{_line(self.root, location)}"


def read_yaml(path: Path) -> YamlFile:
    """Read a file whose root is a mapping.

    Raises
    ------
    ConfigError
        There is no such file, it is no YAML, its root is no mapping, or a key occurs twice.
    """
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(path, error)) from None
    # PyYAML makes dates of texts that look like dates, and fails on those that are none.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path.name}: cannot be read as YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, Mapping):
        raise ConfigError(f"{path.name}: is no mapping of keys; `cloudmask schema` shows them")
    twice = [
        f"{path.name}:{line}: {key}: occurs twice in the file" for key, line in _twice(root)
    ]
    if twice:
        raise ConfigError("\n".join(twice))
    return YamlFile(name=path.name, values=values, root=root)


def overridden(values: Mapping[Any, Any], overrides: Mapping[str, object]) -> dict[Any, Any]:
    """Return values with some replaced, by key path: ``{"run.workers": 4}``."""
    changed = copy.deepcopy(dict(values))
    for path, value in overrides.items():
        *sections, key = path.split(".")
        inner = changed
        for section in sections:
            if not isinstance(inner.get(section), dict):
                inner[section] = {}
            inner = inner[section]
        inner[key] = value
    return changed


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no text in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _syntax(path: Path, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{path.name}:{error.problem_mark.line + 1}: is no YAML: {error.problem}"
    return f"{path.name}: is no YAML: {' '.join(str(error).split())}"


def _line(node: yaml.Node, location: Location) -> int:
    line = node.start_mark.line + 1
    for step in location:
        if (
            isinstance(node, yaml.SequenceNode)
            and isinstance(step, int)
            and step < len(node.value)
        ):
            node = node.value[step]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            # A single source needs no list: its position 0 is in the location and not in the file.
            found = [pair for pair in node.value if pair[0].value == str(step)]
            if not found:
                continue
            line = found[0][0].start_mark.line + 1
            node = found[0][1]
    return line


def _twice(root: yaml.Node) -> Iterator[tuple[str, int]]:
    """Yield keys that occur twice in a mapping, with lines; YAML would silently use the last."""
    waiting: list[tuple[yaml.Node, Location]] = [(root, ())]
    seen: set[int] = set()
    while waiting:
        node, location = waiting.pop()
        # Anchors can make a node its own child.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(each, (*location, at)) for at, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if isinstance(key, yaml.ScalarNode) and name in names:
                    yield path_of((*location, name)), key.start_mark.line + 1
                names.add(name)
                waiting.append((value, (*location, name)))
