"""Where a repository is: URL to Icechunk storage, the lock of a run, the branches of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import icechunk
from filelock import FileLock, Timeout

from pipeline.errors import StoreConflictError, StoreError

MAIN = "main"
RUN = "run-"
"""Prefix of the branches of runs."""
PUBLISHED = {"published": True}
"""Metadata of the snapshots that readers see; those between are steps of a run."""
LOCK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a repository lies."""

    url: str
    """As the user wrote it."""
    storage: icechunk.Storage | None
    """None: a local path, whose storage is made when it is opened: making it makes the folder."""
    path: Path | None
    """Folder of a local repository."""

    def lock(self) -> AbstractContextManager[object]:
        """Return the lock that a run holds while it works.

        Only local repositories have one: Icechunk's local storage loses acknowledged commits of
        concurrent processes (its issues 804 and 1494); object stores check for themselves.
        """
        return nullcontext() if self.path is None else _locked(self.path)

    def exists(self) -> bool:
        """Say whether a repository is there."""
        if self.path is not None and not self.path.is_dir():
            if self.path.exists():
                raise StoreError(
                    f"{self.url} is a file: a store is a folder, name another place"
                )
            return False
        return icechunk.Repository.exists(self._storage())

    def open(self) -> icechunk.Repository:
        """Open the repository.

        Raises
        ------
        StoreError
            There is none, or it cannot be read.
        """
        with explained(f"cannot open the store {self.url}"):
            if not self.exists():
                raise StoreError(
                    f"there is no store at {self.url}: check the path, or make one with `cloudmask run`"
                )
            return icechunk.Repository.open(self._storage(), _configuration())

    def open_or_create(self) -> icechunk.Repository:
        """Open the repository, or make an empty one."""
        with explained(f"cannot open or make the store {self.url}"):
            if self.exists():
                return icechunk.Repository.open(self._storage(), _configuration())
            return icechunk.Repository.create(self._storage(), _configuration())

    def _storage(self) -> icechunk.Storage:
        if self.storage is not None:
            return self.storage
        # Each open of local storage logs that it is unsafe for concurrent commits: the lock
        # leaves one committer, so that line is silenced here and no other.
        icechunk.set_logs_filter("warn,icechunk::storage::object_store=error")
        return icechunk.local_filesystem_storage(str(self.path))


def place(url: str) -> Place:
    """Read a URL or path.

    Parameters
    ----------
    url
        A path (``~`` allowed), ``file:///path``, ``s3://bucket/prefix`` or ``gs://bucket/prefix``.
        Credentials come from the environment. An S3 server other than Amazon's is named by
        ``?endpoint_url=https://…``, a region by ``?region=…``.

    Raises
    ------
    StoreError
        The URL has another scheme, or no bucket.
    """
    parts = urlsplit(url)
    if "://" not in url:
        return Place(url=url, storage=None, path=Path(url).expanduser().absolute())
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Place(url=url, storage=None, path=Path(unquote(parts.path)))
    if parts.scheme not in ("s3", "gs") or not parts.netloc:
        raise StoreError(
            f"cannot store at {url!r}: give a path, file:///path, s3://bucket/prefix or gs://bucket/prefix"
        )
    prefix = parts.path.strip("/")
    if parts.scheme == "gs":
        storage = icechunk.gcs_storage(bucket=parts.netloc, prefix=prefix, from_env=True)
    else:
        storage = _s3(parts.netloc, prefix, parts.query)
    return Place(url=url, storage=storage, path=None)


def _s3(bucket: str, prefix: str, query: str) -> icechunk.Storage:
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    unknown = sorted(set(options) - {"endpoint_url", "region"})
    if unknown:
        raise StoreError(
            f"unknown options {unknown} of an S3 URL: endpoint_url and region are known"
        )
    endpoint = options.get("endpoint_url")
    return icechunk.s3_storage(
        bucket=bucket,
        prefix=prefix,
        region=options.get("region"),
        endpoint_url=endpoint,
        allow_http=endpoint is not None and endpoint.startswith("http:"),
        force_path_style=endpoint is not None,
        from_env=True,
    )


def _configuration() -> icechunk.RepositoryConfig:
    """Split manifests by place, so that a commit of one tile does not rewrite those of all tiles."""
    split = {"y": 4, "x": 4, "tile_y": 8, "tile_x": 8}
    name = icechunk.ManifestSplitDimCondition.DimensionName
    splitting = icechunk.ManifestSplittingConfig.from_dict(
        {
            icechunk.ManifestSplitCondition.AnyArray(): {
                name(each): n for each, n in split.items()
            }
        }
    )
    configuration = icechunk.RepositoryConfig.default()
    configuration.manifest = icechunk.ManifestConfig(splitting=splitting)
    return configuration


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise the errors of Icechunk, of codecs and of the disk as `StoreError`, first line only."""
    try:
        yield
    except (icechunk.IcechunkError, OSError, RuntimeError, json.JSONDecodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise StoreError(f"{what}: {reason.lstrip('x ')}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Beside the folder, not in it: everything in it is Icechunk's. The system frees the lock of a
    # killed process, the file may stay.
    lock = path.with_name(path.name + ".lock")
    with explained(f"cannot make the lock {lock}"):
        lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=LOCK_SECONDS)
    except OSError as error:
        if not isinstance(error, Timeout):
            raise StoreError(f"cannot take the lock {lock}: {error}") from error
        raise StoreConflictError(
            f"another run writes to {path} (it holds {lock}): wait until it ends, or use another store"
        ) from error
    try:
        yield
    finally:
        held.release()


# -- branches ----------------------------------------------------------------------------------


def own_branch(repository: icechunk.Repository, run_key: str) -> tuple[str, str]:
    """Return the branch of a run and the snapshot of ``main`` that it builds on.

    A branch of this run that a killed process left is adopted if ``main`` is still where it was;
    else it is made anew. Left branches of other runs that can never be published are deleted.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", run_key):
        raise ValueError(f"a run key has letters, digits and ._- only, not {run_key!r}")
    own = RUN + run_key
    base = repository.lookup_branch(MAIN)
    for branch in sorted(repository.list_branches()):
        if branch.startswith(RUN) and not _builds_on(repository, branch, base):
            repository.delete_branch(branch)
    if own not in repository.list_branches():
        repository.create_branch(own, base)
    _take_back(repository, own, base)
    return own, base


def _take_back(repository: icechunk.Repository, branch: str, base: str) -> None:
    """Drop the record of a run that was killed between writing it and moving ``main``."""
    tip = next(iter(repository.ancestry(branch=branch)))
    if tip.id != base and tip.metadata.get("published") and tip.parent_id is not None:
        repository.reset_branch(branch, tip.parent_id, from_snapshot_id=tip.id)


def _builds_on(repository: icechunk.Repository, branch: str, base: str) -> bool:
    base_time = next(iter(repository.ancestry(snapshot_id=base))).written_at
    for snapshot in repository.ancestry(branch=branch):
        if snapshot.id == base:
            return True
        # Parents are older than their children: beyond the base's age there is nothing to find.
        if snapshot.written_at < base_time:
            return False
    return False
