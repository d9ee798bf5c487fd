"""Zarr among the formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import Attrs, MissingChunks, Mode
from voxflow.stores.drivers import Driver, Level
from voxflow.stores.errors import DatasetNotFound
from voxflow.stores.names import clean_path
from voxflow.stores.ngff import list_levels
from voxflow.stores.zarr import ZarrDataset
from voxflow.stores.zarr_create import create_zarr, delete_zarr, zarr_attrs
from voxflow.stores.zarr_place import describe_store, zarr_names

__all__ = ["driver"]


class _Zarr(Driver):
    def open(
        self, store: Any, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> ZarrDataset:
        return ZarrDataset(store, path, mode, missing)

    def names(self, store: Any) -> list[str]:
        return zarr_names(store)

    def levels(self, store: Any, path: str) -> Sequence[Level]:
        try:
            attrs = zarr_attrs(store, path, "r")
        except DatasetNotFound:
            return ()
        return [
            Level(clean_path(f"{path}/{below}"), Coordinate(size))
            for below, size in list_levels(attrs, f"{describe_store(store)}:{path}")
        ]

    def attrs(self, store: Any, path: str, mode: Mode) -> Attrs:
        return zarr_attrs(store, path, mode)

    def create(self, store: Any, path: str, **options: Any) -> None:
        geometry = options.pop("geometry")
        create_zarr(store, path, axes=geometry and geometry.axes, **options)

    def delete(self, store: Any, path: str) -> None:
        delete_zarr(store, path)


driver = _Zarr()
