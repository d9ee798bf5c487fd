"""Segments of an array in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.data import Array
from voxflow.pipeline.data.kinds import Affinities, kind_of_attrs
from voxflow.segmentation.block import whole_block
from voxflow.segmentation.hashing import number_ids
from voxflow.segmentation.lookup import Lookup
from voxflow.segmentation.methods import MutexWatershed
from voxflow.segmentation.volume_graph import Graphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArraySpec
    from voxflow.segmentation.block import Block
    from voxflow.segmentation.methods import Method

__all__ = ["neighborhood_of", "segment", "segment_ids"]


@overload
def segment(
    affinities: Array,
    method: Method | None = ...,
    *,
    neighborhood: Sequence[Sequence[int]] | None = ...,
    mask: Any = ...,
    min_size: int = ...,
) -> Array: ...
@overload
def segment(
    affinities: npt.NDArray[Any],
    method: Method | None = ...,
    *,
    neighborhood: Sequence[Sequence[int]] | None = ...,
    mask: Any = ...,
    min_size: int = ...,
) -> npt.NDArray[np.uint64]: ...
def segment(
    affinities: Any,
    method: Method | None = None,
    *,
    neighborhood: Sequence[Sequence[int]] | None = None,
    mask: Any = None,
    min_size: int = 0,
) -> Any:
    """Segment affinities that are in memory; see `segment_blockwise` for those that are not.

    Parameters
    ----------
    affinities
        Shape (channels, \\*spatial), one to three spatial axes. Floating point from 0 to 1, or
        unsigned integers of which the largest stands for 1 (else see ``full`` of the method).
    method
        `MutexWatershed`, `Components` or `Watershed`; None: `MutexWatershed()`.
    neighborhood
        The offset of each channel in voxels. None: what the array says of itself, as those of
        `AddAffinities` and of files that voxflow wrote do.
    mask
        0 where there is no object; shape (\\*spatial), an `Array` or plain.
    min_size
        Segments of fewer voxels become 0.

    Returns
    -------
    Array or numpy.ndarray
        As the affinities: uint64, shape (\\*spatial). Ids count from 1, in the order of the first
        voxels of segments.

    Raises
    ------
    ValueError
        If the neighbourhood is not known, or shapes do not fit.
    TypeError
        If the affinities are signed integers.

    Examples
    --------
    >>> affinities = np.array([[0, 255, 0, 255, 255]], np.uint8)
    >>> segment(affinities, neighborhood=[[-1]])
    array([1, 1, 2, 2, 2], dtype=uint64)
    """
    method = MutexWatershed() if method is None else method
    spec = affinities.spec if isinstance(affinities, Array) else None
    data = affinities.view if isinstance(affinities, Array) else np.asarray(affinities)
    if neighborhood is None:
        neighborhood = _own_neighborhood(affinities)
    inside = mask.view if isinstance(mask, Array) else mask
    if method.full is None and data.dtype.kind == "u" and data.size and data.max() == 1:
        raise ValueError(
            f"the largest affinity is 1, of {data.dtype}, of which {np.iinfo(data.dtype).max} "
            "stands for 1: are these 0 and 1, as AddAffinities makes them? Then say so (full=1)"
        )
    block = whole_block(data, neighborhood, None if inside is None else np.asarray(inside))
    if spec is not None and spec.voxel_size is not None:
        block = block.with_voxel_size(spec.voxel_size)
    found = segment_block(method, block, min_size)
    return found if spec is None else Array(found, _label_spec(spec))


def segment_block(method: Method, block: Block, min_size: int = 0) -> npt.NDArray[np.uint64]:
    """Segments of a block that has nothing around it, numbered from 1."""
    fragments = method.fragments(block)
    if method.final_in_whole:
        numbers, ids = number_ids(fragments.reshape(-1))
        sizes = np.bincount(numbers, minlength=len(ids) + 1)[1:]
        return Lookup(ids, segment_ids(sizes, ids, min_size))(fragments)
    graph = method.graph(block, fragments)
    ((_, segments),) = method.join(Graphs.of_one(block, graph)).blocks
    return Lookup(graph.fragments, segment_ids(graph.sizes, segments, min_size))(fragments)


def segment_ids(
    sizes: npt.NDArray[np.int64],
    segments: npt.NDArray[np.uint64],
    min_size: int = 0,
) -> npt.NDArray[np.uint64]:
    """Number the segments of fragments from 1, in the order of their first voxels.

    Parameters
    ----------
    sizes
        How many voxels each fragment has.
    segments
        The smallest id of the fragments of its segment.
    min_size
        Segments of fewer voxels become 0.
    """
    names, which = np.unique(segments, return_inverse=True)
    voxels = np.zeros(len(names), np.int64)
    np.add.at(voxels, which, sizes)
    kept = voxels >= min_size
    ids = np.where(kept, np.cumsum(kept), 0).astype(np.uint64)
    return ids[which]


def neighborhood_of(attrs: Any, where: str) -> tuple[tuple[int, ...], ...]:
    """The neighbourhood that attributes of an array state.

    Raises
    ------
    ValueError
        If they state none.
    """
    kind = kind_of_attrs(attrs)
    if isinstance(kind, Affinities):
        return kind.offsets
    raise ValueError(
        f"{where} does not say which voxels its channels compare: give neighborhood=, or write the "
        'attribute "affinity_neighborhood" (a list of offsets in voxels), as voxflow does where '
        "the spec has kind=Affinities(...)"
    )


def _own_neighborhood(affinities: Any) -> tuple[tuple[int, ...], ...]:
    if isinstance(affinities, Array):
        if isinstance(affinities.spec.kind, Affinities):
            return affinities.spec.kind.offsets
        return neighborhood_of(affinities.attrs, "the array of affinities")
    return neighborhood_of({}, "a plain array")


def _label_spec(spec: ArraySpec) -> ArraySpec:
    spec = spec.copy()
    spec.kind, spec.dtype, spec.interpolatable = None, np.dtype(np.uint64), False
    return spec
