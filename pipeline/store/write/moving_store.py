"""A store that moves from one session to the next, so that what is open stays open after a commit."""

from __future__ import annotations

from zarr.abc.store import Store
from zarr.storage import WrapperStore


class MovingStore(WrapperStore[Store]):
    """The store of the open session of a run.

    Icechunk closes a session at each commit. What the next one sees is what was committed, so groups and arrays
    need not be opened again: on a composite of ten arrays that takes longer than the commit.
    """

    def move(self, store: Store) -> None:
        """Go on with the store of another session, on a state with the same groups and arrays."""
        self._store = store

    @property
    def supports_consolidated_metadata(self) -> bool:
        """Whether zarr looks for the metadata of all arrays in one object."""
        return self._store.supports_consolidated_metadata
