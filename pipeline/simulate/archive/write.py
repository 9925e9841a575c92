"""Making an archive: every pass is simulated and written, then the truth, then the catalogue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.simulate.archive.products import Made, make_pass
from pipeline.simulate.archive.stac import Json, catalog, collection
from pipeline.simulate.archive.truth import SceneTruth, truth_path, write_truth
from pipeline.simulate.passes import ArchiveSettings, Overflight, passes

VERSION = 1
"""Raised when the same settings no longer give the same archive."""

STAMP = "archive.json"
UNFINISHED = "archive.unfinished"
COLLECTIONS = ("sentinel-2-l2a", "landsat-c2-l2")

Progress = Callable[[str, int, int], None]
"""Called with a stage of the work, the steps done and the steps in all."""


def make_archive(
    path: Path,
    settings: ArchiveSettings | None = None,
    *,
    workers: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Make a simulated archive, or find the one that is already there.

    Parameters
    ----------
    path
        A folder: new, empty, or of an archive of the same settings.
    settings
        Settings; None: the defaults.
    workers
        Processes to make it with; 1: this one. More need an importable ``__main__``, as
        `multiprocessing` always does.
    progress
        Called after every finished step.

    Returns
    -------
    The root of the static catalogue, ``catalog.json`` in the folder.

    Raises
    ------
    ConfigError
        The folder holds something else.
    """
    path = Path(path)
    settings = settings or ArchiveSettings()
    progress = progress or _say_nothing
    root = path / "catalog.json"
    if _is_made(path, settings):
        return root
    _clear(path)
    made = _make_passes(path, settings, workers, progress)
    progress("truth", 0, 1)
    scenes = [
        SceneTruth(instant=each.instant, sensor=overflight.sensor, planes=each.truth)
        for overflight, each in made
    ]
    write_truth(path, settings.size_px, scenes)
    progress("truth", 1, 1)
    _write_catalog(path, [item for _, each in made for item in each.items])
    # The stamp comes last: a folder without it is not an archive yet.
    _write(path / STAMP, _stamp(settings))
    (path / UNFINISHED).unlink()
    return root


def _is_made(path: Path, settings: ArchiveSettings) -> bool:
    stamp = path / STAMP
    if not stamp.exists():
        if path.exists() and any(path.iterdir()) and not (path / UNFINISHED).exists():
            raise ConfigError(f"{path} is neither empty nor an archive: choose another folder")
        return False
    found, wanted = json.loads(stamp.read_text()), _stamp(settings)
    if found != wanted:
        differences = ", ".join(
            f"{key} is {found.get(key)!r}, not {wanted.get(key)!r}"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        )
        raise ConfigError(
            f"{path} holds another archive ({differences}): remove it or choose another folder"
        )
    return True


def _clear(path: Path) -> None:
    """Make the folder, without the files of an interrupted attempt."""
    path.mkdir(parents=True, exist_ok=True)
    (path / UNFINISHED).touch()
    for left in (*(path / name for name in COLLECTIONS), truth_path(path)):
        shutil.rmtree(left, ignore_errors=True)


def _make_passes(
    path: Path, settings: ArchiveSettings, workers: int, progress: Progress
) -> list[tuple[Overflight, Made]]:
    todo = passes(settings)
    if not todo:
        raise ConfigError(
            "an archive has at least one date: ask for Sentinel-2 or Landsat dates"
        )
    progress("scenes", 0, len(todo))
    finished: dict[int, Made] = {}
    for position, made in _each(path, settings, todo, workers):
        finished[position] = made
        progress("scenes", len(finished), len(todo))
    return [(overflight, finished[position]) for position, overflight in enumerate(todo)]


def _each(
    path: Path, settings: ArchiveSettings, todo: Sequence[Overflight], workers: int
) -> Iterator[tuple[int, Made]]:
    """Make the passes, and return them with their positions as they are finished."""
    if workers <= 1:
        for position, overflight in enumerate(todo):
            yield position, make_pass(path, settings, overflight)
        return
    # Spawned, not forked: GDAL and the caller's threads do not survive a fork.
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=get_context("spawn")) as pool:
        futures = {
            pool.submit(make_pass, path, settings, overflight): position
            for position, overflight in enumerate(todo)
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def _write_catalog(path: Path, made: Sequence[Json]) -> None:
    owned = {
        name: [item for item in made if item["collection"] == name] for name in COLLECTIONS
    }
    present = [name for name in COLLECTIONS if owned[name]]
    for name in present:
        _write(path / name / "collection.json", collection(name, owned[name]))
    _write(path / "catalog.json", catalog(present))


def _stamp(settings: ArchiveSettings) -> Json:
    return {"version": VERSION, **settings.to_dict()}


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, indent=1))


def _say_nothing(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
