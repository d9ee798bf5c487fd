"""What writers are asked for: names, options by key, and a grid of chunks on which blocks lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey, BatchRequest, ProviderSpec
    from voxflow.pipeline.geometry import Roi

    Sizes = Sequence[int] | Mapping[ArrayKey, Sequence[int]] | None
    Factors = float | Mapping[ArrayKey, float] | None

_LEAST = 4  # of a block, chunks are at least one of so many parts


class Cells(NamedTuple):
    """A grid along the spatial axes, in world units."""

    begin: Coordinate
    size: Coordinate


def parse_names(names: Mapping[Any, str], *kinds: type) -> dict[Any, str]:
    """Names of datasets by key.

    Raises
    ------
    TypeError
        If a key is of none of these kinds.
    ValueError
        If two keys go to one dataset.
    """
    for key in names:
        if not isinstance(key, kinds):
            known = " and ".join(f"{kind.__name__}s" for kind in kinds)
            raise TypeError(f"dataset_names maps {known} to names of datasets, got {key!r}")
    clean = [str(name).strip("/") for name in names.values()]
    twice = sorted({name for name in clean if clean.count(name) > 1})
    if twice:
        raise ValueError(f"more than one array would be written to {', '.join(twice)}")
    return dict(names)


def by_key(option: Any, keys: Iterable[ArrayKey], name: str) -> dict[ArrayKey, Any]:
    """An option for each array, given as one for all or as a mapping.

    Raises
    ------
    ValueError
        If the mapping speaks of other arrays.
    """
    if option is None:
        return {}
    if not isinstance(option, Mapping):
        return dict.fromkeys(keys, option)
    others = [str(key) for key in option if key not in set(keys)]
    if others:
        raise ValueError(f"{name} speaks of {', '.join(others)}, which is not written here")
    return {key: value for key, value in option.items() if value is not None}


def all_axes(
    sizes: Sequence[int] | None, shape: Sequence[int], dims: int, name: str
) -> tuple[int, ...] | None:
    """Sizes along all axes of an array; those of the spatial axes alone keep the others whole.

    Raises
    ------
    ValueError
        If there are neither as many as axes, nor as many as spatial axes.

    Examples
    --------
    >>> all_axes((64, 64), (3, 100, 100), 2, "chunks")
    (3, 64, 64)
    """
    if sizes is None:
        return None
    if len(sizes) == dims:
        return (*(max(1, size) for size in shape[: len(shape) - dims]), *map(int, sizes))
    if len(sizes) != len(shape):
        raise ValueError(
            f"{name}={tuple(sizes)} does not fit shape {tuple(shape)}: give one size for each of "
            f"its {dims} spatial axes, or for all {len(shape)}"
        )
    return tuple(map(int, sizes))


def stride_of(request: BatchRequest, offered: ProviderSpec) -> Coordinate | None:
    """How far blocks of a scan are from one another, as one of them shows; None: it is no scan's.

    That is the smallest extent of what a block asks for, in whole voxels of all arrays.
    """
    if request.write_rois is None:
        return None
    rois = [s.roi for k, s in request.items() if k in offered and s.roi is not None]
    stride = Coordinate(min(axis) for axis in zip(*(roi.shape for roi in rois), strict=True))
    step = offered.get_lcm_voxel_size([k for k in request.array_specs if k in offered.array_specs])
    return stride if step is None else stride // step * step


def block_on_grid(
    part: Roi, whole: Roi, voxel_size: Coordinate, stride: Coordinate | None
) -> tuple[int, ...]:
    """The shape in voxels of which whole ones lie between the borders of any two blocks.

    Parameters
    ----------
    part
        What one block writes.
    whole
        What all of them write.
    voxel_size
        In world units, as all the others.
    stride
        How far blocks are from one another; None: it is not known, `part` begins a grid.

    Returns
    -------
    tuple
        Where that would be less than a quarter of the stride, the stride: chunks are shared then.
    """
    if stride is None:
        return tuple(int(n) for n in part.shape / voxel_size)
    begin, end = (part - whole.offset) / voxel_size, whole.shape / voxel_size
    sizes = []
    for axis, step in enumerate(stride / voxel_size):
        first, last = int(begin.begin[axis]), int(begin.end[axis])
        border = 0 if last >= end[axis] else last
        sizes.append(_common(int(step), first, border, int(end[axis])))
    return tuple(sizes)


def _common(step: int, first: int, border: int, end: int) -> int:
    common = math.gcd(step, first, border)
    return min(common if common * _LEAST >= min(step, end) else step, end)


def shared_axes(cells: Cells, whole: Roi, stride: Coordinate, origin: Coordinate) -> list[int]:
    """Along which axes two blocks touch one cell of a grid.

    Parameters
    ----------
    cells
        The grid.
    whole
        What all blocks write.
    stride, origin
        Borders of blocks are ``origin + k * stride``, for any whole ``k``.
    """
    return [axis for axis in range(len(stride)) if _shared(axis, cells, whole, stride, origin)]


def _shared(axis: int, cells: Cells, whole: Roi, stride: Coordinate, origin: Coordinate) -> bool:
    begin, end, step = whole.begin[axis], whole.end[axis], stride[axis]
    border = begin + (origin[axis] - begin) % step
    if border == begin:
        border += step
    # If the first two fit, their distance is a multiple of the cell, and all others fit, too.
    inside = [place for place in (border, border + step) if place < end]
    return any((place - cells.begin[axis]) % cells.size[axis] for place in inside)


def aligned(stride: Coordinate, cells: Cells) -> Coordinate:
    """The smallest stride on a grid that is not smaller."""
    pairs = zip(stride, cells.size, strict=True)
    return Coordinate(-(-step // size) * size for step, size in pairs)
