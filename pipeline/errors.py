"""The tree of errors.

::

    CloudmaskError
    ├── ConfigError                 the job file or a setting is wrong
    ├── SearchError                 a catalogue gave an answer that cannot be used
    │   ├── EmptySearchError        … no item of it covers the AOI and the dates
    │   └── CatalogUnavailableError … no answer at all                        (a retry can help)
    ├── GridError                   no pixel grid can be drawn for the AOI
    ├── AssetError                  an asset of an item cannot be read: the item is dropped
    │   └── AssetUnavailableError   … for now: timeouts, 5xx, 429             (a retry can help)
    ├── AccessError                 a URL may not be read, or not without an account
    │   └── AccessUnavailableError  … for now: a name, token or file server   (a retry can help)
    ├── RadiometryError             no rule makes an item's numbers reflectance: the item is dropped
    ├── ModelError                  a model is unknown, lacks a band, or has wrong weights
    ├── MemoryBudgetError           the run cannot fit in the memory that it may use
    ├── WorkersError                a cluster does not answer, or loses its workers (a retry can help)
    ├── StoreError                  a store cannot be opened, read or written
    │   ├── StoreConflictError      … because another run changed it meanwhile (a retry can help)
    │   ├── StoreDamagedError       … because it is not what was written
    │   └── StoreUnavailableError   … for now: its storage does not answer    (a retry can help)
    ├── IncompleteError             more was dropped than the job allows: nothing is published
    ├── QueryError                  a query that the archive cannot answer
    │   └── NotArchivedError        … because no run ever searched or masked that area and time
    ├── LabelledDataError           a file of a labelled data set does not have the expected layout
    └── TrainingError               a training cannot go on: no numbers any more, or nowhere to write

Each class has `retryable`, whether trying again can help, and `exit_code`, the status of the command line.
Secrets and control characters are removed from a message when the error is made, so that it may be printed,
logged, stored and pickled.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pipeline.shown import printable, shown


class CloudmaskError(Exception):
    """The root of all errors raised on purpose."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, *args: object) -> None:
        super().__init__(
            *(printable(shown(each)) if isinstance(each, str) else each for each in args)
        )


class ConfigError(CloudmaskError):
    """The job file or a setting is wrong; the message has one line per mistake."""

    exit_code = 2


class SearchError(CloudmaskError):
    """A catalogue gave an answer that cannot be used."""

    exit_code = 3


class EmptySearchError(SearchError):
    """No item covers the AOI within the dates."""


class CatalogUnavailableError(SearchError):
    """A catalogue did not answer."""

    retryable = True


class GridError(CloudmaskError):
    """No pixel grid can be drawn for the AOI with the settings of the job."""

    exit_code = 2


class AssetError(CloudmaskError):
    """An asset of an item cannot be read; the item can be dropped with this reason."""

    exit_code = 4

    def __init__(self, item_id: str, asset: str, reason: str) -> None:
        self.item_id = item_id
        self.asset = asset
        self.reason = printable(shown(reason))
        named = printable(item_id, lines=False)
        super().__init__(f"item {named}, asset {asset!r}: {self.reason}")

    def __reduce__(self) -> tuple[type[AssetError], tuple[str, str, str]]:
        """Allow pickling: worker processes return errors."""
        return type(self), (self.item_id, self.asset, self.reason)


class AssetUnavailableError(AssetError):
    """An asset cannot be read for now."""

    retryable = True


class AccessError(CloudmaskError):
    """A URL may not be read: it is refused, or needs a login that is missing or invalid."""

    exit_code = 4


class AccessUnavailableError(AccessError):
    """The name server, the token server or the host of a URL did not answer."""

    retryable = True


class RadiometryError(CloudmaskError):
    """No rule makes reflectance of an item's numbers."""

    exit_code = 4


class ModelError(CloudmaskError):
    """A model is unknown, lacks a band, or has wrong weights."""

    exit_code = 5


class MemoryBudgetError(CloudmaskError):
    """The run cannot fit in the memory that it may use."""

    exit_code = 2


class WorkersError(CloudmaskError):
    """A cluster does not answer, has no worker with what the model needs, or loses its workers."""

    retryable = True
    exit_code = 6


class StoreError(CloudmaskError):
    """A store cannot be opened, read or written."""

    exit_code = 6


class StoreConflictError(StoreError):
    """Another run changed the store meanwhile."""

    retryable = True


class StoreDamagedError(StoreError):
    """The content of a store is not what was written: a flipped bit, a lost file."""

    def __init__(
        self, path: str, chunk: tuple[int, ...] | None, reason: str, *, doing: str = ""
    ) -> None:
        where = path if chunk is None else f"{path}, chunk {'/'.join(map(str, chunk))},"
        super().__init__(
            f"{doing and doing + ': '}{where} is damaged ({reason}): `cloudmask verify STORE` "
            "lists all that is lost and says how to mend it"
        )
        self.path = path
        self.chunk = chunk
        self.reason = reason
        self.doing = doing

    def during(self, doing: str) -> StoreDamagedError:
        """Return the same error, its message beginning with what was being done."""
        return type(self)(self.path, self.chunk, self.reason, doing=self.doing or doing)

    def __reduce__(self) -> tuple[Any, ...]:
        """Allow pickling: worker processes return errors."""
        return _damaged, (self.path, self.chunk, self.reason, self.doing)


def _damaged(
    path: str, chunk: tuple[int, ...] | None, reason: str, doing: str
) -> StoreDamagedError:
    return StoreDamagedError(path, chunk, reason, doing=doing)


class StoreUnavailableError(StoreError):
    """The storage of a store does not answer: timeouts, 5xx, too many requests."""

    retryable = True


class IncompleteError(CloudmaskError):
    """More was dropped than the job allows."""

    exit_code = 7


class QueryError(CloudmaskError):
    """The archive cannot answer the query."""

    exit_code = 2


class NotArchivedError(QueryError):
    """No run ever searched or masked that area and time: there may be scenes."""

    exit_code = 8


class LabelledDataError(CloudmaskError):
    """A file of a labelled data set does not have the expected layout."""

    exit_code = 2


class TrainingError(CloudmaskError):
    """A training cannot go on; what it wrote before is still there."""
