"""The arrays of a container: open, with their place in the world and what they seem to be."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    MetadataConflict,
    MetadataMissing,
    StoreError,
    list_datasets,
    list_levels,
    open_attrs,
    open_dataset,
    read_geometry,
    store_format,
)
from voxflow.stores.metadata import axis_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.inspect.find import Container
    from voxflow.stores import StoredDataset

__all__ = ["Guess", "StoredArray", "guess", "names_in", "open_array", "root_attrs"]

Guess = Literal["image", "labels", "affinities", "table"]
"""What an array seems to hold; a table is something that does not lie in space."""

_LABELS = re.compile(
    r"label|(?<![a-z])(seg|gt|ids?|mask|unlabell?ed)|neuron|fragment|instance|segment|object|cleft"
    r"|mitochondri|nuclei|membrane|semantic|(_|\b)ids$|classes"
)
_IMAGE = re.compile(
    r"raw|image|(?<![a-z])(em|img|data)(?![a-z])|pred|weight|scale|dist|aff|grad|lsd"
)
_AFFINITIES = re.compile(r"(?<![a-z])aff")
_TABLE = re.compile(r"(-|/|^)(ids|locations|edges|types|partners|offsets|comments|targets)$")
_MISSING = "its voxel size is not stated: taken as 1 of no unit"


@dataclass
class StoredArray:
    """An open dataset, and where it lies.

    Parameters
    ----------
    name
        Its path in the container.
    dataset
        Open for reading.
    geometry
        Where it lies, with voxels of 1 where the file does not say; None for tables.
    guess
        What it seems to be.
    stated
        Whether the file states the voxel size.
    notes
        What is odd about the metadata.
    """

    name: str
    dataset: StoredDataset
    geometry: Geometry | None
    guess: Guess
    stated: bool
    notes: list[str] = field(default_factory=list)

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes that lie in space."""
        if self.geometry is None:
            return ()
        ndim, dims = len(self.dataset.shape), len(self.geometry.voxel_size)
        return self.geometry.spatial or tuple(range(ndim - dims, ndim))

    @property
    def extent(self) -> tuple[int, ...]:
        """Voxels along each spatial axis."""
        return tuple(self.dataset.shape[axis] for axis in self.spatial)

    @property
    def axes(self) -> tuple[str, ...]:
        """Name of each axis; none of a table."""
        if self.geometry is None:
            return ()
        return self.geometry.axes or axis_names(len(self.dataset.shape), len(self.spatial))

    @property
    def region(self) -> Roi | None:
        """What it covers of the world."""
        if self.geometry is None:
            return None
        size = self.geometry.voxel_size
        return Roi(self.geometry.offset, size * Coordinate(self.extent))


def names_in(container: Container) -> list[str]:
    """List the datasets of a container; of a server that does not list, what its metadata name.

    Raises
    ------
    StoreError
        If the container cannot be read.
    """
    names = _listed(container)
    path = container.path
    if path:
        names = [name for name in names if name == path or name.startswith(f"{path}/")] or [path]
    return names


def _listed(container: Container) -> list[str]:
    store = container.store
    if "://" in store:
        return _at_url(container)
    names = list_datasets(store)
    kind = store_format(store)
    if kind == "tiff":
        return names or [""]  # to be told why there is nothing
    return _stacks(store, names) if kind == "images" else names


def _at_url(container: Container) -> list[str]:
    """What a server lists or consolidated metadata name; else a pyramid, or the dataset itself."""
    store = container.store
    try:
        names = list_datasets(store)
    except (NotImplementedError, ValueError, StoreError) as error:
        if "list" not in str(error):
            raise
        names = []
    names = names or [level.path for level in list_levels(store, container.path)]
    if names:
        return names
    try:
        open_dataset(store, container.path)
    except DatasetNotFound as error:
        raise DatasetNotFound(
            f"{error}; what else is there cannot be listed: name a dataset, as in {store}/raw"
        ) from error
    return [container.path]


def _stacks(folder: str, names: list[str]) -> list[str]:
    """The stacks in a folder; its images one by one where they are not the sections of one."""
    if os.path.isfile(folder):
        return [""]
    if "" not in names:
        return names
    try:
        open_dataset(folder)
    except StoreError:
        return [name for name in names if name]
    return [name for name in names if not os.path.isfile(os.path.join(folder, name))]


def root_attrs(container: Container) -> dict[str, Any]:
    """The attributes of the container itself; none where it has no such."""
    try:
        return dict(open_attrs(container.store, container.path))
    except (StoreError, NotImplementedError):
        return {}


def open_array(container: Container, name: str) -> StoredArray:
    """Open a dataset, and find out where it lies.

    Raises
    ------
    StoreError
        If it cannot be opened.
    """
    dataset = open_dataset(container.store, name)
    attrs = dict(dataset.attrs)
    notes: list[str] = []
    geometry, stated = _geometry(dataset, notes)
    kind = guess(name, dataset.dtype, dataset.shape, attrs)
    if kind == "table" and not stated:
        return StoredArray(name, dataset, None, "table", False)
    if geometry is None or not dataset.shape:
        return StoredArray(name, dataset, None, "table", False, notes)
    if not stated and not notes:
        notes.append(_MISSING)
    return StoredArray(name, dataset, geometry, "image" if kind == "table" else kind, stated, notes)


def _geometry(dataset: StoredDataset, notes: list[str]) -> tuple[Geometry | None, bool]:
    """Where it lies, and whether the file says so."""
    if not dataset.shape:
        return None, False
    try:
        return read_geometry(dataset), True
    except MetadataMissing:
        pass
    except (MetadataConflict, TypeError, ValueError) as error:
        notes.append(f"where it lies is not clear, taken as voxels of 1: {error}")
        return _ones(dataset, plain=True), False
    return _ones(dataset), False


def _ones(dataset: StoredDataset, plain: bool = False) -> Geometry:
    """Voxels of 1, of an array whose first axes are channels where it has more than three."""
    ndim = len(dataset.shape)
    if not plain:
        named = read_geometry(dataset, default="ones")
        if named.axes is not None and named.spatial is not None:
            dims = len(named.spatial)
            return Geometry(
                Coordinate((1,) * dims), Coordinate((0,) * dims), None, named.axes, named.spatial
            )
    dims = min(ndim, 3)
    return Geometry(Coordinate((1,) * dims), Coordinate((0,) * dims))


def guess(
    name: str, dtype: np.dtype[Any], shape: tuple[int, ...], attrs: Mapping[str, Any]
) -> Guess:
    """Guess what an array holds, from its name, type and attributes.

    Parameters
    ----------
    name
        Of the dataset.
    dtype, shape
        Of its voxels.
    attrs
        ``kind`` is taken as it stands, where it is one of these.

    Examples
    --------
    >>> guess("volumes/raw", np.dtype("u1"), (5, 5, 5), {})
    'image'
    >>> guess("volumes/labels/neuron_ids", np.dtype("u8"), (5, 5, 5), {})
    'labels'
    >>> guess("AFFINITIES", np.dtype("f4"), (3, 5, 5, 5), {})
    'affinities'
    """
    if attrs.get("kind") in get_args(Guess):
        return attrs["kind"]  # type: ignore[no-any-return]
    last = name.rstrip("/").rpartition("/")[2].lower()
    is_table = len(shape) == 2 and shape[1] <= 4 and _TABLE.search(name.lower())
    if dtype.kind not in "biufc" or len(shape) < 2 or is_table:
        return "table"
    if "affinity_neighborhood" in attrs or (_AFFINITIES.search(last) and len(shape) > 2):
        return "affinities"
    if dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize >= 4):
        return "labels"
    if dtype.kind == "c" or _IMAGE.search(last):
        return "image"
    return "labels" if _LABELS.search(name.lower()) else "image"
