"""The file of a snapshot."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.sinks.attributes import storable_attrs
from voxflow.nodes.sinks.casts import becomes_zero, cast_for_output
from voxflow.pipeline.data import Array, Graph
from voxflow.pipeline.data.kinds import attrs_of_kind
from voxflow.stores import Geometry, close_all, create_dataset, open_attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from voxflow.pipeline.data import Batch, ReplayToken

logger = logging.getLogger(__name__)


def write_snapshot(
    path: Path,
    batch: Batch,
    names: Mapping[Any, str],
    *,
    token: ReplayToken | None,
    compression: Any = "gzip",
    dtypes: Mapping[Any, Any] | None = None,
    value_range: bool = False,
) -> None:
    """Write arrays and graphs of a batch; the file appears under its name when it is complete.

    Parameters
    ----------
    path
        The file: ``.zarr``, else HDF5. One that is there is replaced.
    batch
        Holds all that has a name.
    names
        The path in the file for each array and graph.
    token
        What it takes to make the batch again.
    compression
        As for `voxflow.stores.create_dataset`.
    dtypes
        Another dtype for an array; None: none has another.
    value_range
        Whether each array gets the attribute `value_range`.
    """
    dtypes = dtypes or {}
    items = [(name, key, batch[key], dtypes.get(key)) for key, name in names.items()]
    attrs = _root_attrs(batch, token)
    write_items(path, items, attrs, compression=compression, value_range=value_range)


def write_items(
    path: Path,
    items: Iterable[tuple[str, Any, Array | Graph, Any]],
    attrs: Mapping[str, Any],
    *,
    compression: Any = None,
    value_range: bool = False,
) -> None:
    """Write arrays and graphs to a file, which appears under its name when it is complete.

    Parameters
    ----------
    path
        The file: ``.zarr``, else HDF5. One that is there is replaced.
    items
        The path in the file, the key, the array or graph, and another dtype or None, for each.
    attrs
        Of the root.
    compression, value_range
        As for `write_snapshot`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    kind: Literal["hdf5", "zarr"] = "zarr" if path.suffix == ".zarr" else "hdf5"
    options = {"format": kind, "compression": compression}
    _remove(partial)
    try:
        # Held to the end: as long as it lives the file is not closed and opened in between.
        root = open_attrs(partial, mode="r+", format=kind)
        for name, key, item, dtype in items:
            if isinstance(item, Array):
                _write_array(partial, name, str(key), item, dtype, value_range, options)
            else:
                _write_graph(partial, name, item, options)
        root.update(attrs)
        del root
        close_all()
        _replace(partial, path)
    finally:
        _remove(partial)


def _write_array(
    path: Path, name: str, key: str, array: Array, dtype: Any, value_range: bool, options: Any
) -> None:
    spec, data = array.spec, array.data
    if dtype is not None:
        if becomes_zero(data, dtype):
            logger.warning("%s: all values of %s become 0 as %s", path.name, key, dtype)
        data = cast_for_output(data, dtype, key)
    geometry = None
    if spec.roi is not None and spec.voxel_size is not None:
        geometry = Geometry(spec.voxel_size, spec.roi.offset)
    attrs = storable_attrs({**attrs_of_kind(spec.kind), **array.attrs}, key)
    if value_range and data.size:
        attrs = {"value_range": [data.min().item(), data.max().item()], **attrs}
    _write(path, name, data, options, geometry=geometry, attrs=attrs)


def _write_graph(path: Path, name: str, graph: Graph, options: Any) -> None:
    parts = {"ids": graph.ids, "locations": graph.locations, "edges": graph.edge_array}
    for part, data in parts.items():
        # What is empty has the shape (0,), whatever its columns would be.
        data = np.asarray(data) if len(data) else np.empty((0,), np.asarray(data).dtype)
        _write(path, f"{name}-{part}", data, options)


def _write(path: Path, name: str, data: np.ndarray[Any, Any], options: Any, **more: Any) -> None:
    plain = data.ndim == 0 or data.size == 0
    given = {**options, "compression": None if plain else options["compression"]}
    dataset = create_dataset(path, name, data.shape, data.dtype, **given, **more)
    if data.size:
        dataset.write(tuple(slice(0, n) for n in data.shape), data)


def _root_attrs(batch: Batch, token: ReplayToken | None) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    if batch.loss is not None:
        attrs["loss"] = np.asarray(batch.loss, dtype=float).squeeze().tolist()
    if batch.iteration is not None:
        attrs["iteration"] = int(batch.iteration)
    if token is not None:
        attrs["replay_token"] = str(token)
    return attrs


def _replace(partial: Path, path: Path) -> None:
    if path.is_dir() or partial.is_dir():
        _remove(path)
    partial.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
