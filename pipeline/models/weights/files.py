"""Locates, verifies and reads files of weights.

A file is downloaded when the user asks for it (`pipeline.models.download`), never during a run; from then on the
machine needs no network. Users may give a path of their own instead. Every file is checked against the sha256 on
the card before it is parsed, and nothing in it is executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from pipeline.errors import ModelError

MOST_BYTES = 2**29
"""Largest size of a user's file, and of its arrays together; the largest published one has 0.1 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A published file of weights."""

    name: str
    """Its name in the cache, and in a user's folder."""
    url: str
    """``https`` at a fixed revision."""
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFile:
    """A file of weights that the user must bring, because no checksum is published to verify a download with."""

    name: str
    """Its name where it is published, and in the user's folder."""
    where: str
    """Who publishes it, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Where the weights of a card are, and their checksum."""

    paths: tuple[Path, ...]
    """In the order of the model's files; a path in the cache need not exist yet."""
    sha256: str
    """Checksum of the file; of several files, of their checksums, one a line."""
    own: bool
    """Whether the user gave the path; the checksum is then that of the files found there."""


def cache_folder() -> Path:
    """Return the folder of downloaded weights, in the user's cache folder."""
    return user_cache_path("cloudmask") / "models"


def given(model: str, files: Sequence[WeightsFile | UserFile], path: str) -> Given:
    """Return which weights a model will load.

    Parameters
    ----------
    model
        Its name, for messages.
    files
        The model's files.
    path
        The user's own file, or folder with files of the published names; empty for the cache.

    Raises
    ------
    ModelError
        There are no such files at the path; or there is no path, and the files are not for download.
    """
    if not path:
        folder = cache_folder()
        published = _published(model, files)
        return Given(
            paths=tuple(folder / each.name for each in published),
            sha256=combined([each.sha256 for each in published]),
            own=False,
        )
    paths = _own(model, files, Path(path).expanduser())
    return Given(paths=paths, sha256=combined([_sha256(each) for each in paths]), own=True)


def require(model: str, files: Sequence[WeightsFile | UserFile], path: str) -> None:
    """Make sure that the weights of a model are on this machine, without reading them.

    Parameters
    ----------
    model, files, path
        As of `given`.

    Raises
    ------
    ModelError
        A file is missing, or one in the cache is not as long as the published one.
    """
    if path:
        _own(model, files, Path(path).expanduser())
        return
    for each in _published(model, files):
        cached = cache_folder() / each.name
        try:
            size = cached.stat().st_size
        except OSError:
            raise _absent(model, cached, own=False) from None
        if size != each.size_bytes:
            raise ModelError(
                f"the weights of {model} are damaged: {cached} has {size} bytes instead of "
                f"{each.size_bytes}; run `cloudmask models fetch {model}` again"
            )


def read(model: str, weights: Given, expected: str) -> tuple[bytes, ...]:
    """Read weights and verify their checksum.

    Parameters
    ----------
    model
        Its name, for messages.
    weights
        Where they are.
    expected
        Checksum on the card.

    Raises
    ------
    ModelError
        A file is missing, cannot be read, or has another checksum than the card.
    """
    contents = tuple(_content(model, path, own=weights.own) for path in weights.paths)
    found = combined([hashlib.sha256(content).hexdigest() for content in contents])
    if found != expected:
        names = ", ".join(str(path) for path in weights.paths)
        again = (
            "they changed since the model was chosen"
            if weights.own
            else f"delete them and run `cloudmask models fetch {model}` again"
        )
        raise ModelError(
            f"the weights of {model} ({names}) have the checksum {found} instead of {expected}; {again}"
        )
    return contents


def one_line(error: Exception) -> str:
    """Return the start of a library's error message; torch lists every layer, line by line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} …"


def combined(checksums: Sequence[str]) -> str:
    """Return one checksum for several files; for a single file, its own."""
    if len(checksums) == 1:
        return checksums[0]
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()


# -- on this machine ---------------------------------------------------------------------------


def _published(model: str, files: Sequence[WeightsFile | UserFile]) -> tuple[WeightsFile, ...]:
    brought = [each for each in files if isinstance(each, UserFile)]
    if brought:
        names = ", ".join(each.name for each in brought)
        raise ModelError(
            f"the weights of {model} are published on {brought[0].where} without checksums, so that no "
            f"download can be checked; set option weights to a folder that holds {names}"
        )
    return tuple(each for each in files if isinstance(each, WeightsFile))


def _own(model: str, files: Sequence[WeightsFile | UserFile], path: Path) -> tuple[Path, ...]:
    try:
        return _sized(model, _found(model, files, path))
    except OSError as error:
        raise ModelError(
            f"option weights of {model}: {path} cannot be read: {error.strerror}"
        ) from None


def _sized(model: str, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for each in paths:
        if (size := each.stat().st_size) > MOST_BYTES:
            raise ModelError(
                f"option weights of {model}: {each} has {size} bytes, and no weights have more than "
                f"{MOST_BYTES}"
            )
    return paths


def _found(model: str, files: Sequence[WeightsFile | UserFile], path: Path) -> tuple[Path, ...]:
    if path.is_dir():
        paths = tuple(path / each.name for each in files)
        missing = [each.name for each in paths if not each.is_file()]
        if missing:
            raise ModelError(
                f"option weights of {model}: the folder {path} lacks {', '.join(missing)}"
            )
        return paths
    # Devices and pipes are refused, even if they could be read.
    if not path.is_file():
        raise ModelError(f"option weights of {model}: {path} is neither a file nor a folder")
    if len(files) > 1:
        names = ", ".join(each.name for each in files)
        raise ModelError(
            f"option weights of {model}: {path} is one file; give the folder that holds {names}"
        )
    return (path,)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _content(model: str, path: Path, *, own: bool) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _absent(model, path, own=own) from None
    except OSError as error:
        raise ModelError(
            f"the weights of {model}, {path}, cannot be read: {error.strerror}"
        ) from error


def _absent(model: str, path: Path, *, own: bool) -> ModelError:
    todo = (
        "it was there when the model was chosen"
        if own
        else f"run `cloudmask models fetch {model}` once, or set the model's option weights to a path of "
        "your own"
    )
    return ModelError(
        f"the weights of {model} are not on this machine: {path} is missing; {todo}"
    )
