"""Prints how much of the code the tests ran, lines and branches, by package; fails below the threshold.

``make coverage`` measures first. The threshold is ``fail_under`` of ``[tool.coverage.report]``, and counts
lines: coverage's own figure mixes lines and branches as soon as branches are measured.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(report: Path) -> int:
    """Print a line a package; return the exit status."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    rooms: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for name, file in json.loads(report.read_text())["files"].items():
        found = file["summary"]
        counts = (
            found["covered_lines"],
            found["num_statements"],
            found["covered_branches"],
            found["num_branches"],
        )
        package, *below = Path(name).parts
        for room in ("all", "/".join([package, *below[:1]]) if below[1:] else package):
            rooms[room] = [old + new for old, new in zip(rooms[room], counts, strict=True)]
    print(f"{'':28}{'lines':>8}{'branches':>10}")
    for room, (lines, all_lines, branches, all_branches) in sorted(rooms.items()):
        print(
            f"{room:28}{share(lines, all_lines):7.1f} %{share(branches, all_branches):8.1f} %"
        )
    reached, wanted = share(*rooms["all"][:2]), settings["report"]["fail_under"]
    if reached < wanted:
        print(f"{reached:.1f} % of the lines ran, {wanted} % are wanted")
    return reached < wanted


def share(part: int, whole: int) -> float:
    """Return a share in per cent; nothing of nothing is all."""
    return 100 * part / whole if whole else 100.0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
