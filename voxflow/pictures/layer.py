"""An array to be drawn, and one section of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from voxflow.pictures.colours import IN_COLOUR, Style, coloured, value_range
from voxflow.pipeline.data.kinds import Affinities, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.data import Array

    Pixels = NDArray[np.uint8]

__all__ = ["Layer", "guess_style", "layer_of", "section"]


@dataclass(frozen=True)
class Layer:
    """An array to be drawn.

    Parameters
    ----------
    name
        Shown above it.
    data
        Spatial axes last, all others in front.
    voxel_size, offset
        World units, of the spatial axes.
    style
        How it is shown. "image": each channel in grey, three of uint8 as red, green and blue.
        "rgb" and "affinities": the first three channels as red, green and blue. "labels", "mask"
        and "weights": ids, what is not 0, and values from black over red to white. "vectors": a
        component for each axis of space, as grey for the length; a sheet has arrows over it.
    unit
        Of world positions, as "nm"; empty if it is not known.
    factors
        By how much it is coarser than its file along the spatial axes, where it is.

    Raises
    ------
    ValueError
        If there is no such style, or the axes do not fit.
    """

    name: str
    data: NDArray[Any]
    voxel_size: tuple[float, ...]
    offset: tuple[float, ...]
    style: Style = "image"
    unit: str = ""
    factors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Say what is wrong here, and not where it is drawn."""
        if self.style not in get_args(Style):
            raise ValueError(
                f"{self.name} cannot be shown as {self.style!r}: take one of "
                + ", ".join(get_args(Style))
            )
        dims = len(self.voxel_size)
        if dims != len(self.offset) or not 0 < dims <= self.data.ndim:
            raise ValueError(
                f"{self.name} has {self.data.ndim} axes, a voxel size of {dims}, and an offset of "
                f"{len(self.offset)}: give both for each axis of space"
            )

    @property
    def lead(self) -> tuple[int, ...]:
        """Entries along the axes before the spatial ones."""
        return self.data.shape[: self.data.ndim - len(self.voxel_size)]

    @property
    def extent(self) -> tuple[int, ...]:
        """Voxels along the spatial axes."""
        return self.data.shape[self.data.ndim - len(self.voxel_size) :]

    @property
    def centre(self) -> tuple[float, ...]:
        """World position of the middle."""
        each = zip(self.offset, self.extent, self.voxel_size, strict=True)
        return tuple(begin + n * size / 2 for begin, n, size in each)


def layer_of(name: str, array: Array, style: Style | None = None) -> Layer:
    """The layer of an array of a batch.

    Parameters
    ----------
    name
        Shown above it.
    array
        With a region and a voxel size, or without, for voxels of 1.
    style
        How it is shown; None: as `guess_style` says.
    """
    spec, data, dims = array.spec, array.view, _dims(array)
    size = (1.0,) * dims if spec.voxel_size is None else tuple(map(float, spec.voxel_size))
    offset = (0.0,) * dims if spec.roi is None else tuple(map(float, spec.roi.offset))
    return Layer(name, data, size, offset, guess_style(name, array) if style is None else style)


def guess_style(name: str, array: Array) -> Style:
    """How an array is shown of which nobody says it: by its kind, its type and its name.

    Parameters
    ----------
    name
        The name of its key.
    array
        The array.
    """
    name, spec, kind = name.upper(), array.spec, array.dtype.kind
    if kind == "b" or "MASK" in name:
        return "mask"
    is_weight = "WEIGHT" in name or "SCALE" in name
    if isinstance(spec.kind, Affinities) or ("AFF" in name and len(array.shape) > _dims(array)):
        return "rgb" if is_weight else "affinities"
    if isinstance(spec.kind, Vectors):
        return "vectors"
    if spec.kind is not None:
        return "rgb"
    if kind in "iu":
        # Images of 32 or 64 bits are rare, where nobody says whether they can be interpolated.
        unknown = spec.interpolatable is None and array.dtype.itemsize >= 4
        named = "LABEL" in name
        return "labels" if spec.interpolatable is False or unknown or named else "image"
    return "weights" if is_weight else "image"


def _dims(array: Array) -> int:
    spec = array.spec
    if spec.roi is not None:
        return spec.roi.dims
    return min(len(array.shape), 3) if spec.voxel_size is None else spec.voxel_size.dims


def section(
    layer: Layer,
    axis: int | None = None,
    position: float | None = None,
    limits: tuple[float, float] | None = None,
) -> Pixels:
    """One section of an array in colours.

    Parameters
    ----------
    layer
        The array. Of images with one or two channels the first is drawn, of three or more
        the first three as red, green and blue; of other leading axes, their first entry.
    axis
        Spatial axis across which it is cut; None: the first of three, and none of two.
    position
        World position on that axis; None: the middle.
    limits
        Values that are black and white; None: as `value_range` finds for the whole array.

    Returns
    -------
    ndarray
        uint8: rows, columns, colours.

    Raises
    ------
    ValueError
        If the position is outside.

    Examples
    --------
    >>> ramp = Layer("raw", np.arange(6, dtype=np.uint8).reshape(2, 3), (1, 1), (0, 0))
    >>> section(ramp, limits=(0, 255))[1].tolist()
    [[3, 3, 3], [4, 4, 4], [5, 5, 5]]
    """
    dims = len(layer.voxel_size)
    data = layer.data.reshape(-1, *layer.extent)
    if dims == 1:
        data = data[:, None]
    if dims > 2:
        axis = 0 if axis is None else axis
        place = layer.centre[axis] if position is None else position
        index = int((place - layer.offset[axis]) // layer.voxel_size[axis])
        if not 0 <= index < layer.extent[axis]:
            raise ValueError(f"{layer.name} has no section at {place}")
        data = data.take(index, axis=1 + axis)
    style = "rgb" if layer.style == "image" and len(data) > 2 else layer.style
    if limits is None:
        limits = value_range(layer.data, style)
    if style == "vectors" or (style in IN_COLOUR and len(data) > 1):
        return coloured(data, style, limits)
    return coloured(data[0], "image" if style in IN_COLOUR else style, limits)
