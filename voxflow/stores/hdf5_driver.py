"""HDF5 among the formats."""

from __future__ import annotations

from typing import Any

from voxflow.stores.base import Attrs, MissingChunks, Mode
from voxflow.stores.drivers import Driver
from voxflow.stores.hdf5 import Hdf5Dataset, create_hdf5, delete_hdf5, hdf5_attrs, hdf5_names

__all__ = ["driver"]


class _Hdf5(Driver):
    def open(
        self, store: Any, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> Hdf5Dataset:
        return Hdf5Dataset(store, path, mode, missing, locking)

    def names(self, store: Any) -> list[str]:
        return hdf5_names(store)

    def attrs(self, store: Any, path: str, mode: Mode) -> Attrs:
        return hdf5_attrs(store, path, mode)

    def create(self, store: Any, path: str, **options: Any) -> None:
        for other in ("shards", "zarr_format", "separator", "geometry"):
            del options[other]
        create_hdf5(store, path, **options)

    def delete(self, store: Any, path: str) -> None:
        delete_hdf5(store, path)


driver = _Hdf5()
