"""What a format has to offer, and which module has it.

A format is one module beside this one with a `driver`. All that opens, lists and makes datasets
goes through it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.stores.errors import StoreError

if TYPE_CHECKING:
    from voxflow.pipeline.geometry import Coordinate
    from voxflow.stores.base import Attrs, MissingChunks, Mode, StoredDataset

__all__ = ["Driver", "Level", "driver_of"]

_MODULES = {
    "hdf5": "hdf5_driver",
    "zarr": "zarr_driver",
    "n5": "n5",
    "precomputed": "precomputed",
    "tiff": "tiff",
    "images": "images",
    "knossos": "knossos",
}


@dataclass(frozen=True)
class Level:
    """One level of a pyramid.

    Parameters
    ----------
    path
        Of its dataset in the store.
    voxel_size
        In world units, of the spatial axes.
    """

    path: str
    voxel_size: Coordinate


class Driver:
    """One format; stores are as `voxflow.stores.place.locate` gives them."""

    def open(
        self, store: Any, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> StoredDataset:
        """Open a dataset that is there."""
        raise NotImplementedError

    def names(self, store: Any) -> list[str]:
        """The paths of all datasets."""
        raise NotImplementedError

    def levels(self, store: Any, path: str) -> Sequence[Level]:
        """The levels of the pyramid at a path, finest first; none if there is no pyramid."""
        return ()

    def attrs(self, store: Any, path: str, mode: Mode) -> Attrs:
        """The attributes of a dataset, or of a group where the format has groups."""
        return self.open(store, path, mode, "error", None).attrs

    def create(self, store: Any, path: str, **options: Any) -> None:
        """Make a dataset that is not there; options as `voxflow.stores.create_dataset` has them."""
        raise StoreError(
            f"{store}: this format is only read; write Zarr, N5, precomputed, HDF5 or TIFF"
        )

    def delete(self, store: Any, path: str) -> None:
        """Delete a dataset."""
        raise StoreError(f"{store} is not deleted, because its format is only read")


def driver_of(kind: str) -> Driver:
    """The driver of a format, whose package is imported only now."""
    found: Driver = importlib.import_module(f"voxflow.stores.{_MODULES[kind]}").driver
    return found
