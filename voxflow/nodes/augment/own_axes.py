"""What a spatial node is asked for, in the axes that it moves, and in which voxels it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.same_objects import SameObjects
from voxflow.pipeline.geometry import Roi

if TYPE_CHECKING:
    from voxflow.nodes.augment.spatial import SpatialAugment
    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.geometry import Coordinate


def last_axes(roi: Roi, ndim: int) -> Roi:
    """A region in its last `ndim` axes.

    Examples
    --------
    >>> last_axes(Roi((0, 10, 20), (1, 2, 3)), 2)
    [10:12, 20:23] (2, 3)
    """
    return Roi(roi.begin[-ndim:], roi.shape[-ndim:])


def own_total(node: SpatialAugment, request: BatchRequest, ndim: int) -> Roi | None:
    """All that is asked for, in the last `ndim` axes (world); None if nothing has a place.

    Raises
    ------
    ValueError
        If something has fewer axes.
    """
    total: Roi | None = None
    for key, spec in request.items():
        if spec.roi is None:
            continue
        if spec.roi.dims < ndim:
            raise ValueError(
                f"{node.name()} moves {ndim} axes, but {spec.roi} was asked of {key}; give "
                "spatial_dims="
            )
        total = _joined(total, spec.roi, ndim)
    return total


@SameObjects
def _joined(total: Roi | None, roi: Roi, ndim: int) -> Roi:
    """What holds a region and another one in its last axes."""
    own = last_axes(roi, ndim)
    return own if total is None else total.union(own)


def arrays_along(request: BatchRequest, axis: int) -> tuple[Any, Any] | None:
    """Where the first array begins and the last one ends along an axis (world); None: no array."""
    rois = [spec.roi for spec in request.array_specs.values() if spec.roi is not None]
    if not rois:
        return None
    return min(roi.begin[axis] for roi in rois), max(roi.end[axis] for roi in rois)


def sections(request: BatchRequest, total: Roi, thickness: Any, axis: int) -> tuple[Any, int]:
    """Where the first section begins (world), and how many there are in all that is asked for.

    Sections hold whole voxels, wherever graphs begin, so that points stay with their voxels.

    Parameters
    ----------
    request
        Sections are counted from where its arrays begin.
    total
        All that is asked for, of the same last axes (world).
    thickness
        Of a section (world).
    axis
        The axis across the sections, counted from the last one: below 0.
    """
    begin, end = total.begin[axis], total.end[axis]
    first, _ = arrays_along(request, axis) or (begin, end)
    start = first + (begin - first) // thickness * thickness
    return start, int(-((start - end) // thickness))


def one_voxel_size(node: SpatialAugment, request: BatchRequest) -> Coordinate:
    """The voxel size of the arrays that are asked for (world).

    Raises
    ------
    RuntimeError
        If nothing in the request says what a voxel is.
    ValueError
        If arrays differ.
    """
    sizes = {
        size: key for key in request.array_specs if (size := node.spec[key].voxel_size) is not None
    }
    if not sizes:
        raise RuntimeError(
            f"{node.name()} measures in voxels, and nothing in the request says how large one "
            "is: ask for an array as well (as a placeholder, if its data are not wanted), or "
            "give voxel_size="
        )
    if len(sizes) > 1:
        found = ", ".join(f"{key} {size}" for size, key in sizes.items())
        raise ValueError(
            f"{node.name()} measures in voxels, and the arrays differ in theirs: {found} "
            "(world units). Give voxel_size=."
        )
    return next(iter(sizes))
