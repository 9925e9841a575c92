"""Where a store is: from its URL to Icechunk's storage, and the lock of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import icechunk
from filelock import FileLock, Timeout

from pipeline.access import RetryPolicy, Verdict
from pipeline.errors import StoreConflictError, StoreDamagedError, StoreError
from pipeline.store.base.translate_errors import ICECHUNK_ERRORS, explained

MAIN = "main"
PLAIN = "zarr+"
"""Before the URL of a plain Zarr store."""
RUN = "run-"
"""Prefix of the branches of runs."""
REPLAY = "replay-"
"""Prefix of the scratch branches on which a run's commits are replayed."""
PUBLISHED = {"published": True}
"""Metadata of the snapshots that readers see; those between are commits of a run."""
# Icechunk raises what it logs, too; and it warns at each opening of local storage that concurrent commits
# are unsafe, which our lock rules out.
icechunk.set_logs_filter("off")
LOCK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLocation:
    """Where a repository lies."""

    url: str
    """As the user wrote it."""
    storage: icechunk.Storage | None
    """None: a local path, whose storage is made when it is opened: making it makes the folder."""
    path: Path | None
    """Folder of a local repository."""
    plain: bool = False
    """Whether it is a plain Zarr store; see `pipeline.store.write.plain_zarr`."""

    def require_history(self, wish: str) -> None:
        """Refuse what only an Icechunk repository can do.

        Raises
        ------
        StoreError
            It is a plain store.
        """
        if self.plain:
            raise StoreError(
                f"{self.url} is a plain Zarr store, which has no history: {wish}. "
                "A store without zarr+ in its URL has one"
            )

    def lock(self) -> AbstractContextManager[object]:
        """Return the lock that a run takes while it works.

        Only local repositories have one: Icechunk's local storage loses acknowledged commits of
        concurrent processes (its issues 804 and 1494); object stores check for themselves.
        """
        return nullcontext() if self.path is None else _locked(self.path)

    def exists(self) -> bool:
        """Say whether a repository is there."""
        if self.path is not None and not self.path.is_dir():
            if self.path.exists():
                raise StoreError(
                    f"{self.url} is a file, and a store is a folder: name another path"
                )
            return False
        if icechunk.Repository.exists(self._storage()):
            return True
        if self.path is not None and (self.path / "snapshots").is_dir():
            raise StoreDamagedError(f"refs/branch.{MAIN} of {self.url}", None, "it is lost")
        return False

    def open(self) -> icechunk.Repository:
        """Open the repository.

        Raises
        ------
        StoreError
            There is none, or it cannot be read.
        """
        self.require_history("this needs one")
        with explained(f"cannot open the store {self.url}"):
            if not self.exists():
                raise StoreError(
                    f"there is no store at {self.url}: check the path, or make one with `cloudmask run`"
                )
            return icechunk.Repository.open(self._storage(), _configuration())

    def open_or_create(self) -> icechunk.Repository:
        """Open the repository, or make an empty one.

        Raises
        ------
        StoreError
            It cannot be read, or the folder has other content.
        """
        with explained(f"cannot open or make the store {self.url}"):
            # On a local path the lock admits one run.
            if self.path is not None or self.exists():
                return self._open_or_create()
            return _retried(self._open_or_create)

    def _open_or_create(self) -> icechunk.Repository:
        do = icechunk.Repository.open if self.exists() else icechunk.Repository.create
        return do(self._storage(), _configuration())

    def _storage(self) -> icechunk.Storage:
        if self.storage is not None:
            return self.storage
        return icechunk.local_filesystem_storage(str(self.path))


def _retried(do: Callable[[], icechunk.Repository]) -> icechunk.Repository:
    """Open or create, again if that fails: another run may be creating the same repository."""

    def judge(error: Exception) -> Verdict:
        return Verdict.UNKNOWN if isinstance(error, ICECHUNK_ERRORS) else Verdict.PERMANENT

    policy = RetryPolicy(attempts=4, first_wait_s=0.2, longest_wait_s=2.0)
    return policy.call(do, judge=judge)


def locate_store(url: str) -> StoreLocation:
    """Read a URL or path.

    Parameters
    ----------
    url
        A path (``~`` allowed), ``file:///path``, ``s3://bucket/prefix``, ``gs://bucket/prefix``,
        ``az://container/prefix?account=NAME`` or
        ``abfs://container@NAME.dfs.core.windows.net/prefix`` (``abfss://`` is the same).
        Credentials come from the environment. An S3 server other than Amazon's is named by
        ``?endpoint_url=https://…``, a region by ``?region=…``. ``zarr+`` before a path or a
        ``file:`` URL makes it a plain Zarr store.

    Raises
    ------
    StoreError
        The URL has another scheme or unknown options, or no bucket, container or account.
    """
    if url.startswith(PLAIN):
        inner = locate_store(url.removeprefix(PLAIN))
        if inner.path is None:
            raise StoreError(
                f"{url!r}: a plain Zarr store lies on a local path, where a lock keeps it to one run: "
                f"use {inner.url!r}"
            )
        return replace(inner, url=url, plain=True)
    parts = urlsplit(url)
    if "://" not in url:
        return StoreLocation(url=url, storage=None, path=Path(url).expanduser().absolute())
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return StoreLocation(url=url, storage=None, path=Path(unquote(parts.path)))
    if parts.scheme not in _OBJECT_STORES or not parts.netloc:
        raise StoreError(
            f"cannot store at {url!r}: give a path, file:///path, s3://bucket/prefix, "
            "gs://bucket/prefix or az://container/prefix?account=NAME"
        )
    return StoreLocation(url=url, storage=_OBJECT_STORES[parts.scheme](parts), path=None)


def _options(parts: SplitResult, *known: str) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise StoreError(
            f"unknown options {unknown} of a URL of scheme {parts.scheme}: "
            f"known are {', '.join(known) or 'none'}"
        )
    return options


def _prefix(parts: SplitResult) -> str:
    return unquote(parts.path).strip("/")


def _gcs(parts: SplitResult) -> icechunk.Storage:
    _options(parts)
    return icechunk.gcs_storage(bucket=parts.netloc, prefix=_prefix(parts), from_env=True)


def _azure(parts: SplitResult) -> icechunk.Storage:
    """Read ``az://container/…?account=NAME`` and the longer spelling of Hadoop."""
    options = _options(parts, "account")
    container, _, host = parts.netloc.partition("@")
    account = options.get("account") or host.partition(".")[0]
    if not account or not container:
        raise StoreError(
            f"cannot tell the account of {parts.geturl()!r}: give "
            "az://container/prefix?account=NAME or abfs://container@NAME.dfs.core.windows.net/prefix"
        )
    return icechunk.azure_storage(
        account=account, container=container, prefix=_prefix(parts), from_env=True
    )


def _s3(parts: SplitResult) -> icechunk.Storage:
    options = _options(parts, "endpoint_url", "region")
    endpoint = options.get("endpoint_url")
    return icechunk.s3_storage(
        bucket=parts.netloc,
        prefix=_prefix(parts),
        region=options.get("region"),
        endpoint_url=endpoint,
        allow_http=endpoint is not None and endpoint.startswith("http:"),
        force_path_style=endpoint is not None,
        from_env=True,
    )


_OBJECT_STORES: dict[str, Callable[[SplitResult], icechunk.Storage]] = {
    "s3": _s3,
    "gs": _gcs,
    "az": _azure,
    "abfs": _azure,
    "abfss": _azure,
}


MANIFEST_CHUNKS = {"time": 128, "y": 4, "x": 4, "tile_y": 8, "tile_x": 8}
"""Stored objects that a manifest lists, by dimension."""


def _configuration() -> icechunk.RepositoryConfig:
    """Split manifests, so that a commit of one tile and night does not rewrite those of all.

    A manifest of an older store, which was not split by time, is split when it is written next.
    """
    name = icechunk.ManifestSplitDimCondition.DimensionName
    splitting = icechunk.ManifestSplittingConfig.from_dict(
        {
            icechunk.ManifestSplitCondition.AnyArray(): {
                name(each): n for each, n in MANIFEST_CHUNKS.items()
            }
        }
    )
    configuration = icechunk.RepositoryConfig.default()
    configuration.manifest = icechunk.ManifestConfig(splitting=splitting)
    return configuration


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Beside the folder, not in it: everything in it is Icechunk's. The system frees the lock of a
    # killed process, the file may stay.
    lock = path.with_name(path.name + ".lock")
    with explained(f"cannot make the lock {lock}"):
        lock.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(lock)
    try:
        file_lock.acquire(timeout=LOCK_SECONDS)
    except OSError as error:
        if not isinstance(error, Timeout):
            raise StoreError(f"cannot take the lock {lock}: {error}") from error
        raise StoreConflictError(
            f"another run writes to {path} (and has the lock {lock}): wait until it ends, or use another store"
        ) from error
    try:
        yield
    finally:
        file_lock.release()
