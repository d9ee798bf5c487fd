"""Decoded chunks that tensorstore keeps, where one process reads alone."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxflow.stores.base import StoredDataset

__all__ = ["ChunkPool"]


class ChunkPool:
    """Decoded chunks of all datasets that are read through it, until nobody has the pool.

    Parameters
    ----------
    nbytes
        How many bytes of them are kept.
    """

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes
        self._context: Any = None
        self._lock = threading.RLock()
        self._kept: weakref.WeakKeyDictionary[StoredDataset, StoredDataset | None] = (
            weakref.WeakKeyDictionary()
        )

    def keeping(self, dataset: StoredDataset) -> StoredDataset | None:
        """The same dataset, whose chunks are kept here; None if it does not know how."""
        with self._lock:
            try:
                return self._kept[dataset]
            except KeyError:
                self._kept[dataset] = kept = dataset.keeping(self)
                return kept

    @property
    def context(self) -> Any:
        """What tensorstore has to be told."""
        from voxflow.stores.remote import make_context

        with self._lock:
            if self._context is None:
                self._context = make_context(self._nbytes)
            return self._context
