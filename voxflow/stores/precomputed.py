"""Datasets in neuroglancer's precomputed format.

Source: https://github.com/google/neuroglancer, "Precomputed volume format". A folder with a file
``info`` holds a pyramid of one image, whose axes are x, y, z, channel. Voxel sizes are in nm, and
an offset is a whole number of voxels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import (
    Attrs,
    Compression,
    MissingChunks,
    Mode,
    missing_chunk,
    wrong_compression,
)
from voxflow.stores.drivers import Driver, Level
from voxflow.stores.errors import DatasetNotFound, ReadOnly, StoreError, StoreNotFound
from voxflow.stores.grid import chunks_of
from voxflow.stores.metadata import NANOMETERS, Geometry, geometry_attrs, plain_numbers
from voxflow.stores.names import clean_path
from voxflow.stores.precomputed_shards import chunk_id, open_shards, which_are_stored
from voxflow.stores.remote import (
    check_bucket,
    delete_folder,
    is_url,
    join,
    kvstore_spec,
    open_array,
    read_key,
)
from voxflow.stores.tensor import TensorDataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds, Index

__all__ = ["PrecomputedDataset"]

_DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "float32")
_SCALE = "@"  # between the path of a volume and the key of one of its scales


class PrecomputedDataset(TensorDataset):
    """One scale of a precomputed volume in a folder or at a URL.

    Parameters
    ----------
    root
        A folder or URL.
    path
        Of the volume in it; ``"raw@8_8_40"`` names a scale, else it is the finest.
    mode
        ``"r"`` or ``"r+"``.
    missing_chunks
        What reading a chunk that is not stored means.

    Raises
    ------
    ReadOnly
        If it is sharded, and to be written to.
    """

    _driver = "neuroglancer_precomputed"

    def __init__(
        self, root: str, path: str, mode: Mode = "r", missing_chunks: MissingChunks = "error"
    ) -> None:
        volume, _, key = path.partition(_SCALE)
        self._info = _read_info(root, volume)
        keys = [scale["key"] for scale in self._info["scales"]]
        if key and key not in keys:
            raise DatasetNotFound(f"{root}:{volume} has no scale {key!r}, which has: {keys}")
        self._index = keys.index(key) if key else 0
        self._sharding = self._info["scales"][self._index].get("sharding")
        if self._sharding and mode == "r+":
            raise ReadOnly(
                f"{root}:{path} is sharded, which is only read: tensorstore leaves out chunks of "
                "zeros there, so that nobody could tell them from lost ones. Write to another "
                "volume, or overwrite this one (exist='overwrite'), which makes it anew without "
                "shards"
            )
        super().__init__(root, path, mode, missing_chunks)

    @property
    def folder(self) -> str:
        """Where the volume is."""
        return join(self._root, self._path.partition(_SCALE)[0])

    def _spec(self) -> dict[str, Any]:
        return {**super()._spec(), "scale_index": self._index}

    def _arranged(self, array: Any) -> Any:
        import tensorstore

        channels = int(self._info["num_channels"])
        ours = array.T if channels > 1 else array.T[0]
        return ours[tensorstore.d[:].translate_to[0]]

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        data = super()._read(region, bounds)
        if self._sharding and self._missing == "error" and data.size:
            self._check_shards(bounds, data)
        return data

    def _check_shards(self, bounds: Bounds, data: NDArray[Any]) -> None:
        """Raise if what was read as 0 is not stored."""
        grid = self._grid
        touched = list(chunks_of(bounds, grid))
        empty = [index for index in touched if not data[_in_region(index, grid, bounds)].any()]
        if not empty:
            return
        counts = [-(-n // size) for n, size in zip(self.shape, grid, strict=True)][:-4:-1]
        ids = [chunk_id(index[:-4:-1], counts) for index in empty]
        folder = join(self.folder, self._info["scales"][self._index]["key"])
        there = which_are_stored(open_shards(folder, self._sharding), folder, ids)
        missing = [index for index, stored in zip(empty, there, strict=True) if not stored]
        if missing:
            raise missing_chunk(self, bounds, missing, len(touched), grid=grid, fill=0)

    @property
    def attrs(self) -> Attrs:
        """What the volume says of where it lies, which cannot be changed."""
        scale = self._info["scales"][self._index]
        size = Coordinate(scale["resolution"][::-1])
        offset = Coordinate(scale.get("voxel_offset", (0, 0, 0))[::-1]) * size
        lead = ("c",) if int(self._info["num_channels"]) > 1 else ()
        geometry = Geometry(size, offset, ("nm",) * 3, (*lead, "z", "y", "x"))
        return cast("Attrs", MappingProxyType(geometry_attrs(geometry)))


def _in_region(index: Index, grid: Sequence[int], bounds: Bounds) -> tuple[slice, ...]:
    """Where a chunk lies in what was read of a region."""
    return tuple(
        slice(max(i * size - begin, 0), min((i + 1) * size, end) - begin)
        for i, size, (begin, end) in zip(index, grid, bounds, strict=True)
    )


def _read_info(root: str, path: str) -> dict[str, Any]:
    folder = join(root, path)
    found = read_key(folder, "info")
    if found is None:
        if not is_url(root) and not os.path.isdir(root):
            raise StoreNotFound(f"there is no folder {root}")
        raise DatasetNotFound(
            f"there is no precomputed volume in {folder}: it would have a file 'info'"
        )
    try:
        info = json.loads(found)
        return {"num_channels": info["num_channels"], "scales": info["scales"]}
    except (ValueError, KeyError) as error:
        raise StoreError(
            f"{folder}info is damaged, or not of a precomputed volume: {error}"
        ) from error


class _Precomputed(Driver):
    def open(
        self, store: str, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> PrecomputedDataset:
        return PrecomputedDataset(store, path, mode, missing)

    def names(self, store: str) -> list[str]:
        if is_url(store):
            return [""] if read_key(store, "info") is not None else []
        found = []
        for folder, below, files in os.walk(store):
            if "info" in files:
                below.clear()
                found.append(clean_path(os.path.relpath(folder, store).replace(os.sep, "/")))
        return ["" if name == "." else name for name in found]

    def levels(self, store: str, path: str) -> Sequence[Level]:
        return [
            Level(f"{path}{_SCALE}{scale['key']}", Coordinate(scale["resolution"][::-1]))
            for scale in _read_info(store, path)["scales"]
        ]

    def create(self, store: str, path: str, **options: Any) -> None:
        _create(store, path, **options)

    def delete(self, store: str, path: str) -> None:
        delete_folder(join(store, path))


def _create(
    store: str,
    path: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    compression: Compression,
    geometry: Geometry | None,
    attrs: Mapping[str, Any],
    **_: Any,
) -> None:
    uri = f"{store}:{path}"
    if dtype.name not in _DTYPES:
        raise StoreError(f"{uri}: precomputed holds {', '.join(_DTYPES)}, not {dtype}")
    if len(shape) not in (3, 4) or (len(shape) == 4 and chunks[0] != shape[0]):
        raise StoreError(
            f"{uri}: precomputed holds three axes, or channels before them that are in one chunk, "
            f"not shape {shape} in chunks {chunks}"
        )
    stated = geometry_attrs(geometry) if geometry else {}
    others = sorted(name for name in attrs if name not in stated)
    if others:
        raise StoreError(f"{uri}: precomputed has no attributes of its own, such as {others}")
    where = _in_nanometers(geometry or Geometry(Coordinate((1,) * 3), Coordinate((0,) * 3)), uri)
    labels = dtype.name in ("uint32", "uint64") and len(shape) == 3
    spec = {
        "driver": PrecomputedDataset._driver,
        "kvstore": kvstore_spec(join(store, path)),
        "multiscale_metadata": {
            "data_type": dtype.name,
            "num_channels": shape[0] if len(shape) == 4 else 1,
            "type": "segmentation" if labels else "image",
        },
        "scale_metadata": {
            "size": list(shape[:-4:-1]),
            "chunk_size": list(chunks[:-4:-1]),
            **where,
            **_encoding(compression),
        },
    }
    check_bucket(join(store, path), uri)  # tensorstore would ask on and on
    open_array(spec, uri, create=True, open=True)


def _in_nanometers(geometry: Geometry, uri: str) -> dict[str, Any]:
    if len(geometry.voxel_size) != 3:
        raise StoreError(f"{uri}: precomputed has three spatial axes, not {geometry.voxel_size}")
    units = tuple(unit or "nm" for unit in geometry.units or ("nm",) * 3)
    unknown = [unit for unit in units if unit not in NANOMETERS]
    if unknown:
        raise StoreError(
            f"{uri}: precomputed is in nm, and {unknown[0]!r} is not known as a length"
        )
    factors = Coordinate(NANOMETERS[unit] for unit in units)
    size, offset = geometry.voxel_size * factors, geometry.offset * factors
    voxels = [Fraction(o) / Fraction(s) for o, s in zip(offset, size, strict=True)]
    if any(place.denominator != 1 for place in voxels):
        raise StoreError(
            f"{uri}: the offset {geometry.offset} is not a whole number of voxels of "
            f"{geometry.voxel_size}, which is all that precomputed can state: write Zarr, N5 or "
            "HDF5"
        )
    return {
        "resolution": plain_numbers(size)[::-1],
        "voxel_offset": [int(place) for place in voxels[::-1]],
    }


def _encoding(compression: Compression) -> dict[str, Any]:
    if compression is None:
        return {"encoding": "raw"}
    if compression != "compressed_segmentation":
        raise wrong_compression(
            compression, ["compressed_segmentation"], "a precomputed volume", ""
        )
    return {
        "encoding": "compressed_segmentation",
        "compressed_segmentation_block_size": [8, 8, 8],
    }


driver = _Precomputed()
