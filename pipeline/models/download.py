"""Downloads the weights of a model by its name, into the cache that `pipeline.models.weights.files` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests

from pipeline.errors import ModelError
from pipeline.models.families.provider import provider
from pipeline.models.weights.files import WeightsFile, cache_folder

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes downloaded so far and the total bytes."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_CHUNK_BYTES = 2**18
_TIMEOUT_S = 60


def files(name: str) -> tuple[WeightsFile, ...]:
    """Return the files to download for a model; empty if it has no weights or a package brings them.

    Raises
    ------
    ModelError
        There is no such model.
    """
    # Not every provider has files: the method is not part of `Provider`.
    found: Any = provider(name)
    published: Callable[[str], tuple[WeightsFile, ...]] | None = getattr(found, "files", None)
    return published(name) if published else ()


def fetch(name: str, progress: Progress | None = None) -> tuple[Path, ...]:
    """Download the weights of a model into the cache; files already there are only verified.

    Parameters
    ----------
    name
        A family or a model.
    progress
        Called after every piece with the file's name, the bytes downloaded so far and the total bytes.

    Returns
    -------
    Where the files are.

    Raises
    ------
    ModelError
        There is no such model, it has nothing to download, or the download failed.
    """
    published = files(name)
    if not published:
        raise ModelError(
            f"{name} has nothing to fetch: it needs no weights, or they come with an installed package"
        )
    return download(name, published, progress)


def download(
    model: str, files: Sequence[WeightsFile], progress: Progress | None = None
) -> tuple[Path, ...]:
    """Download files into the cache; files already there are only verified.

    A file gets its name only when it is complete and its checksum right, so that neither an interrupted download
    nor another process that downloads the same file leaves a partial one.

    Parameters
    ----------
    model
        The model's name, for messages.
    files
        Files to download.
    progress
        Called after every piece.

    Returns
    -------
    Where the files are.

    Raises
    ------
    ModelError
        The host cannot be reached or does not have the file, the download is incomplete or has another checksum,
        or the file cannot be written.
    """
    folder = cache_folder()
    return tuple(_fetch(model, each, folder, progress) for each in files)


def _fetch(model: str, file: WeightsFile, folder: Path, progress: Progress | None) -> Path:
    _refuse_plain(model, file.url)
    # pooch logs every download to stderr, which would break the progress bar.
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            pooch.retrieve(
                file.url,
                known_hash=f"sha256:{file.sha256}",
                fname=file.name,
                path=folder,
                downloader=_downloader(file, progress),
            )
        )
    except requests.HTTPError as error:
        reason = f"the host answered {error}"
    except requests.exceptions.ChunkedEncodingError:
        reason = f"the download ended before its {file.size_bytes} bytes"
    except (requests.ConnectionError, requests.Timeout):
        reason = "the host cannot be reached from here"
    except requests.RequestException as error:
        reason = f"the download failed: {error}"
    except ValueError as error:
        reason = f"what came is not the published file: {error}"
    except OSError as error:
        reason = f"{folder} cannot be written: {error.strerror or error}"
    raise ModelError(
        f"{file.name} of {model} was not fetched from {file.url}: {reason}; try again, or download it "
        "by other means and set the model's option weights to its path"
    )


def _downloader(
    file: WeightsFile, progress: Progress | None
) -> Callable[[str, str, object], None]:
    """Return a downloader for pooch, called with a URL and a path; pooch's own leaves connections open on errors."""

    def download(url: str, path: str, _: object) -> None:
        done = 0
        with (
            requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer,
            Path(path).open("wb") as opened,
        ):
            answer.raise_for_status()
            for piece in answer.iter_content(_CHUNK_BYTES):
                done += opened.write(piece)
                # A host that never stops sending would fill the disk.
                if done > file.size_bytes:
                    raise ValueError(f"more than its {file.size_bytes} bytes")
                if progress is not None:
                    progress(file.name, done, file.size_bytes)

    return download


def _refuse_plain(model: str, url: str) -> None:
    parts = urlsplit(url)
    # A mirror on this very machine has no certificate.
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ModelError(f"the weights of {model} come by https alone; got {url}")
