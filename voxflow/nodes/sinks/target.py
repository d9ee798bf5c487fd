"""A dataset that a writer fills, and who it belongs to."""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.nodes.sinks.casts import becomes_zero, cast_for_output
from voxflow.nodes.sinks.layout import Cells
from voxflow.nodes.sinks.places import identity
from voxflow.pipeline.geometry import Coordinate, Roi, describe, voxel_slices
from voxflow.stores import (
    DatasetNotFound,
    MetadataMissing,
    OutputMismatch,
    StoreNotFound,
    open_dataset,
    read_geometry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from voxflow.pipeline.data import Array, ArrayKey, ArraySpec
    from voxflow.stores import Geometry, StoredDataset
    from voxflow.stores.place import Format

logger = logging.getLogger(__name__)


class Target:
    """A dataset with its place, written by regions of the world.

    Parameters
    ----------
    dataset
        Open for writing. Its spatial axes are the last ones.
    geometry
        Where it lies.
    """

    def __init__(self, dataset: StoredDataset, geometry: Geometry) -> None:
        self.dataset = dataset
        self._geometry = geometry
        self._voxel_size = geometry.voxel_size
        shape = Coordinate(dataset.shape[len(dataset.shape) - len(self._voxel_size) :])
        self._roi = Roi(geometry.offset, shape * self._voxel_size)
        self._warned = self._missed = False

    def check(self, spec: ArraySpec, lead: tuple[int, ...] | None, dtype: Any) -> None:
        """Raise if the dataset is not one that could have been made for an array.

        Parameters
        ----------
        spec
            What is provided.
        lead
            The channel axes of the data; None if they are not known yet.
        dtype
            What it is to hold; None: whatever it holds.

        Raises
        ------
        OutputMismatch
            With all the differences.
        """
        differ = self._differences(spec, lead, dtype)
        if differ:
            raise OutputMismatch(
                f"{self.dataset.uri} is there already, and differs: {'; '.join(differ)}. Remove "
                "it, or write to another file or name."
            )

    def _differences(self, spec: ArraySpec, lead: tuple[int, ...] | None, dtype: Any) -> list[str]:
        differ = []
        ndim, dims = len(self.dataset.shape), len(self._voxel_size)
        have = self.dataset.shape[: ndim - dims]
        for what, there, wanted in (
            ("voxel size", self._voxel_size, spec.grid),
            ("shape of the channels", have, lead),
            ("dtype", self.dataset.dtype, dtype),
        ):
            if wanted is not None and there != wanted:
                differ.append(f"its {what} is {there}, not {wanted}")
        if self._geometry.spatial not in (None, tuple(range(ndim - dims, ndim))):
            differ.append(f"its spatial axes are {self._geometry.spatial}, not the last ones")
        if self._voxel_size != spec.grid:
            return differ  # regions cannot be compared
        covers = describe(self._roi, self._voxel_size)
        if unbounded(spec):
            return differ  # what lies inside is written
        if any((a - b) % v for a, b, v in zip(self._roi.begin, spec.region.begin, spec.grid)):  # noqa: B905
            differ.append(f"its voxels begin at {self._roi.begin}, between those of the output")
        elif not self._roi.contains(spec.region):
            differ.append(f"it covers {covers}, not all of {describe(spec.region, spec.grid)}")
        return differ

    @property
    def roi(self) -> Roi:
        """Where it lies."""
        return self._roi

    def inside(self, array: Array, expected: bool = True) -> Array | None:
        """The part of an array that lies in the dataset; None: there is none.

        Blocks of a scan may lie outside where only some of their arrays are asked for; of others
        that is not `expected`, and the first one is told of.
        """
        part = array.spec.region.intersect(self._roi)
        if not part.empty:
            return array.crop(part, copy=False)
        if not expected and not self._missed:
            self._missed = True
            logger.warning(
                "%s: nothing is written of blocks outside of %s, the first is %s",
                self.dataset.uri,
                self._roi,
                array.spec.roi,
            )
        return None

    @property
    def cells(self) -> Cells:
        """The grid of chunks or shards; of no chunks, one cell for all."""
        sizes = (self.dataset.chunks or self.dataset.shape)[-len(self._voxel_size) :]
        return Cells(self._roi.begin, Coordinate(sizes) * self._voxel_size)

    def cast(
        self, voxels: np.ndarray[Any, Any], scale: float | None = None
    ) -> np.ndarray[Any, Any]:
        """Voxels as the dataset holds them, multiplied before by a scale."""
        silent = self._warned or scale is not None
        if not silent and becomes_zero(voxels, self.dataset.dtype):
            self._warned = True
            logger.warning(
                "%s: all values of a block are between -1 and 1 and become 0 as %s; if they are "
                "probabilities, scale them, as with scale=255",
                self.dataset.uri,
                self.dataset.dtype,
            )
        return cast_for_output(voxels, self.dataset.dtype, self.dataset.uri, scale)

    def write(self, data: np.ndarray[Any, Any], roi: Roi) -> None:
        """Write voxels to their place.

        Raises
        ------
        OutOfBounds
            If the region is not inside the dataset.
        """
        self.dataset.write(self._place(data, roi), data)

    def begin(self, data: np.ndarray[Any, Any], roi: Roi) -> Callable[[], None] | None:
        """Begin to write voxels to their place; see `StoredDataset.begin_write`."""
        return self.dataset.begin_write(self._place(data, roi), data)

    def _place(self, data: np.ndarray[Any, Any], roi: Roi) -> tuple[slice, ...]:
        region = voxel_slices(roi, self._roi.offset, self._voxel_size)
        lead = (slice(0, n) for n in data.shape[: data.ndim - len(region)])
        return (*lead, *region)


@dataclass(frozen=True)
class Piece:
    """Voxels that are to be written to a dataset.

    Parameters
    ----------
    target
        The dataset.
    data
        The voxels, as it holds them.
    region
        Where, in world units.
    shared
        Whether somebody else may have the voxels.
    """

    target: Target
    data: np.ndarray[Any, Any]
    region: Roi
    shared: bool = True


class Targets:
    """The open datasets of a writer; copies of the node share them, other processes do not."""

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.targets: dict[ArrayKey, Target] = {}
        self._writing = threading.Lock()

    def write(self, pieces: Sequence[Piece]) -> None:
        """Write pieces, and hand them to the operating system."""
        # One at a time: blocks may share chunks, which are read, changed and written.
        with self._writing:
            for piece in pieces:
                piece.target.write(piece.data, piece.region)
            for piece in pieces:
                piece.target.dataset.flush()

    def close(self, kind: Format | None) -> None:
        """Let go of them."""
        with self.opening, self._writing:
            self.targets.clear()
        if kind != "zarr":
            from voxflow.stores import close_all

            # Whatever else still holds a dataset: the file is complete now.
            close_all()

    def __reduce__(self) -> tuple[Any, ...]:
        return Targets, ()


def unbounded(spec: ArraySpec) -> bool:
    """Whether what is provided has no end, or nobody says where it ends."""
    return spec.roi is None or spec.roi.unbounded


def existing_target(store: Any, name: str) -> Target | None:
    """The dataset that is there under a name, open for writing; None if there is none.

    Raises
    ------
    OutputMismatch
        If it does not say where it lies.
    """
    try:
        dataset = open_dataset(store, name, "r+")
    except (StoreNotFound, DatasetNotFound) as error:
        if "is a group" in str(error):
            raise OutputMismatch(
                f"{name!r} in {store} is a group, which no dataset can take the place of; write "
                "to another name"
            ) from None
        return None
    try:
        return Target(dataset, read_geometry(dataset))
    except MetadataMissing as error:
        raise OutputMismatch(
            f"{dataset.uri} is there already, and does not say its voxel size, so that it cannot "
            "be written to. Remove it, or write to another file or name."
        ) from error


_owners: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_registry = threading.Lock()


def claim(owner: Any, store: Any, name: str) -> None:
    """Make a dataset one that only this node writes, until `release`.

    Raises
    ------
    ValueError
        If another node of this process writes it.
    """
    remedy = f"write {name!r} of {store}; give one of them another name or file"
    claim_place(owner, identity(store, name), remedy)


def claim_place(owner: Any, place: str, doing: str) -> None:
    """Make a place one that only this node writes to, until `release`.

    Parameters
    ----------
    owner
        The node.
    place
        One text for one place.
    doing
        What two nodes would both do, and what to do instead.

    Raises
    ------
    ValueError
        If another node of this process writes to it.
    """
    with _registry:
        other = _owners.get(place)
        if other is not None and other is not owner:
            raise ValueError(f"{other.label} and {owner.label} would both {doing}")
        _owners[place] = owner


def release(owner: Any) -> None:
    """Give up all datasets that a node claimed."""
    with _registry:
        for place in [place for place, node in _owners.items() if node is owner]:
            del _owners[place]
