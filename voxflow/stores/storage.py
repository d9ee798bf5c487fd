"""How the voxels of a dataset are stored: compression, and chunks that are not there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.stores.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.stores.base import StoredDataset

__all__ = ["Storage", "describe_storage"]

_LISTED = 200_000  # chunks; more of them are not listed, because that takes minutes


@dataclass(frozen=True)
class Storage:
    """How a dataset is stored.

    Parameters
    ----------
    compression
        As ``"gzip:4"``; ``""`` if voxels are stored as they are, None if that is not known.
    total
        The number of cells of the grid of writing; None if there is no grid.
    missing
        How many of them are not stored; None if that is not known.
    """

    compression: str | None = None
    total: int | None = None
    missing: int | None = None


def describe_storage(dataset: StoredDataset) -> Storage:
    """Say how a dataset is stored, as far as that can be told without reading voxels.

    Parameters
    ----------
    dataset
        An open dataset of any format.

    Examples
    --------
    >>> import numpy as np
    >>> from voxflow.stores import open_dataset
    >>> describe_storage(open_dataset(np.zeros((4, 4))))
    Storage(compression=None, total=None, missing=None)
    """
    from voxflow.stores.hdf5 import Hdf5Dataset
    from voxflow.stores.n5 import N5Dataset
    from voxflow.stores.zarr import ZarrDataset

    total = None
    if dataset.chunks is not None:
        pairs = zip(dataset.shape, dataset.chunks, strict=True)
        total = math.prod(-(-extent // size) for extent, size in pairs)
    if isinstance(dataset, Hdf5Dataset):
        return _of_hdf5(dataset, total)
    if isinstance(dataset, ZarrDataset):
        return _of_zarr(dataset, total)
    if isinstance(dataset, N5Dataset):
        return Storage(_of_n5(dataset), total, None)
    return Storage(None, total, None)


def _of_hdf5(dataset: Any, total: int | None) -> Storage:
    with dataset._handle.opened() as file:
        found = dataset._dataset(file)
        codec, level = found.compression, found.compression_opts
        if codec is None:  # or a filter that h5py does not know
            plist = found.id.get_create_plist()
            names = [plist.get_filter(i)[3].decode() for i in range(plist.get_nfilters())]
            codec = "+".join(name for name in names if name not in ("shuffle", "fletcher32"))
        stored = found.id.get_num_chunks() if total is not None else 0
    name = f"{codec}:{level}" if isinstance(level, int) else codec
    return Storage(name, total, None if total is None else total - stored)


def _of_zarr(dataset: Any, total: int | None) -> Storage:
    array = dataset._array()
    steps = [*array.filters, *array.compressors]
    name = "+".join(_codec(step) for step in steps)
    if total is None or total > _LISTED or not array.store.supports_listing:
        return Storage(name, total, None)
    if str(getattr(array.store, "root", "")).startswith(("s3://", "gs://")):
        return Storage(name, total, None)  # each thousand keys is a request
    try:
        in_shard = math.prod(array.shards or array.chunks) // math.prod(array.chunks)
        stored = array.nchunks_initialized // in_shard
    except StoreError:
        return Storage(name, total, None)
    return Storage(name, total, total - stored)


def _codec(step: Any) -> str:
    """Name a codec of zarr's formats 2 and 3, as `voxflow.stores.Compression` has it."""
    told = step.to_dict() if hasattr(step, "to_dict") else step.get_config()
    name = str(told.get("name") or told.get("id"))
    options = {**told, **(told.get("configuration") or {})}
    parts = [options.get("cname"), next(_levels(options), None)]
    return ":".join(str(part) for part in (name, *parts) if part is not None)


def _levels(options: dict[str, Any]) -> Iterator[Any]:
    return (options[key] for key in ("level", "clevel") if key in options)


def _of_n5(dataset: Any) -> str | None:
    from voxflow.stores.n5 import read_attributes

    stored = read_attributes(dataset.folder) or {}
    told = stored.get("compression") or {"type": stored.get("compressionType", "raw")}
    name = told.get("type", "raw")
    if name == "raw":
        return ""
    parts = [told.get("cname"), told.get("level", told.get("clevel"))]
    return ":".join(str(part) for part in (name, *parts) if part is not None)
