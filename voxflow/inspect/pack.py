"""Arrays packed for the page: few bits a voxel, deflated, and smaller until they fit."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pictures import value_range
from voxflow.pictures.ids import as_uint64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxflow.pictures import Layer

__all__ = ["Packed", "fit", "pack"]

_MAX_VOXELS = 1 << 23
_CLIPPED = 0.1  # percent of values at either end


@dataclass
class Packed:
    """An array for the page.

    Attributes
    ----------
    layer
        Where it is from.
    codes
        What is stored: channels and spatial axes; brightness of 0 to 255, or places in ``ids``.
    voxel_size
        Of what is stored, in world units.
    low, high
        The values of brightness 0 and 255.
    exact
        Whether brightness 0 to 255 are the values themselves.
    ids
        Of labels, as uint64; negative ones as their two's complement.
    signed
        Whether ids may be negative.
    factors
        By how much it is coarser than the file, along each spatial axis.
    """

    layer: Layer
    codes: NDArray[Any]
    voxel_size: list[float]
    low: float = 0.0
    high: float = 255.0
    exact: bool = True
    ids: NDArray[np.uint64] | None = None
    signed: bool = False
    factors: list[int] = field(default_factory=list)

    def deflated(self) -> bytes:
        """The deflated codes, little-endian."""
        codes = np.ascontiguousarray(self.codes)
        return zlib.compress(codes.astype(codes.dtype.newbyteorder("<")).tobytes(), 6)

    def ids_bytes(self) -> bytes:
        """The deflated ids, little-endian; nothing where there are none."""
        return b"" if self.ids is None else zlib.compress(self.ids.astype("<u8").tobytes())

    def halve(self) -> bool:
        """Make voxels twice as large along the axis on which they are smallest, if there is one."""
        shape = self.codes.shape[1:]
        able = [axis for axis, n in enumerate(shape) if n > 1]
        if not able:
            return False
        axis = min(able, key=lambda i: (self.voxel_size[i], -shape[i]))
        self.codes = _halved(self.codes, axis + 1, self.ids is None)
        self._forget_ids()
        self.voxel_size[axis] *= 2
        self.factors[axis] *= 2
        return True

    def _forget_ids(self) -> None:
        """Keep the ids that are still there."""
        if self.ids is not None and self.ids.size:
            used, codes = np.unique(self.codes, return_inverse=True)
            self.ids = self.ids[used]
            kind = np.min_scalar_type(len(used) - 1)
            self.codes = codes.reshape(self.codes.shape).astype(kind)


def pack(layer: Layer) -> Packed:
    """Turn an array into what the page shows."""
    data = layer.data.reshape(-1, *layer.extent)
    size = list(layer.voxel_size)
    ones = list(layer.factors) or [1] * len(size)
    if layer.style == "labels":
        if data.dtype.kind == "f":
            data = np.nan_to_num(np.rint(data)).astype(np.int64)
        packed = Packed(layer, data, size, signed=data.dtype.kind == "i", factors=ones)
        packed.ids = np.empty(0, np.uint64)  # so that labels are not averaged
        _shrink(packed)
        ids, codes = np.unique(packed.codes, return_inverse=True)
        packed.ids = as_uint64(ids)
        kind = np.min_scalar_type(max(len(ids) - 1, 0))
        packed.codes = codes.reshape(packed.codes.shape).astype(kind)
        return packed
    if data.dtype == np.uint8 and layer.style == "image":
        packed = Packed(layer, data, size, factors=ones)
    else:
        packed = _dimmed(layer, data, size, ones)
    _shrink(packed)
    return packed


def _dimmed(layer: Layer, data: NDArray[Any], size: list[float], ones: list[int]) -> Packed:
    """Values as brightness; a few at either end are clipped, so that they do not darken all."""
    values = np.abs(data) if data.dtype.kind == "c" else data
    low, high = value_range(values, layer.style, _CLIPPED)
    high = high if high > low else low + 1
    codes = np.empty(values.shape, np.uint8)
    for channel, source in zip(codes, values, strict=True):
        scaled = np.nan_to_num((source.astype(np.float32) - low) * (255 / (high - low)))
        channel[...] = np.rint(np.clip(scaled, 0, 255))
    return Packed(layer, codes, size, low, high, exact=False, factors=ones)


def _shrink(packed: Packed) -> None:
    while packed.codes.size > _MAX_VOXELS and packed.halve():
        pass


def _halved(codes: NDArray[Any], axis: int, average: bool) -> NDArray[Any]:
    if not average:
        return codes[(slice(None),) * axis + (slice(None, None, 2),)]
    if codes.shape[axis] % 2:
        last = codes.take([-1], axis=axis)
        codes = np.concatenate([codes, last], axis=axis)
    pairs = codes.reshape(*codes.shape[:axis], -1, 2, *codes.shape[axis + 1 :])
    total = pairs.sum(axis=axis + 1, dtype=np.uint16)
    halved: NDArray[np.uint8] = ((total + 1) // 2).astype(np.uint8)
    return halved


def fit(packed: Sequence[Packed], max_bytes: int) -> list[tuple[bytes, bytes]]:
    """Deflate arrays; make the one that takes most coarser, until all fit.

    Parameters
    ----------
    packed
        The arrays, which are changed.
    max_bytes
        For all of them.

    Returns
    -------
    list
        The deflated codes and ids of each.
    """
    blobs = [(each.deflated(), each.ids_bytes()) for each in packed]
    sizes = [len(codes) + len(ids) for codes, ids in blobs]
    while sum(sizes) > max_bytes:
        able = [i for i, each in enumerate(packed) if max(each.codes.shape[1:]) > 1]
        if not able:
            break
        largest = max(able, key=lambda i: sizes[i])
        packed[largest].halve()
        blobs[largest] = packed[largest].deflated(), packed[largest].ids_bytes()
        sizes[largest] = len(blobs[largest][0]) + len(blobs[largest][1])
    return blobs
