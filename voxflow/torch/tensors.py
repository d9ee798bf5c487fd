"""From numpy to torch and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from voxflow.pipeline.data import Array
from voxflow.pipeline.data.deferred import Deferred
from voxflow.torch.pinned import upload

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What travels as it is, and most arrays are.
_AS_IT_IS = frozenset(map(np.dtype, ("u1", "f4", "f8", "i4", "i8")))
# Torch computes with signed integers: unsigned ones travel as the signed ones of the same bits, and
# are widened to the next that holds them.
_SIGNED = {np.dtype(f"u{n}"): np.dtype(f"i{n}") for n in (2, 4, 8)}
_WIDER = {2: (torch.int32, 0xFFFF), 4: (torch.int64, 0xFFFF_FFFF)}
_UNSIGNED = {2: torch.uint16, 4: torch.uint32, 8: torch.uint64}


def to_tensor(data: NDArray[Any] | Array, device: torch.device | str = "cpu") -> torch.Tensor:
    """A tensor of an array, without a copy where torch can take the array as it is.

    Mirrored views, read-only arrays and foreign byte orders are copied. uint16 becomes int32,
    uint32 and uint64 become int64.

    Parameters
    ----------
    data
        An array of any shape, or one of a batch, which may be on the device already (`ToDevice`).
        To a CUDA device it goes through pinned memory. Where it is that of a worker, it must not be
        written to before the device has read it: look at what was computed from the tensor, or call
        ``torch.cuda.synchronize()``.
    device
        Where the tensor goes.

    Returns
    -------
    torch.Tensor
        Of the same shape.

    Raises
    ------
    OverflowError
        If a uint64 value does not fit into int64.

    Examples
    --------
    >>> to_tensor(np.arange(3, dtype=np.uint16)[::-1])
    tensor([2, 1, 0], dtype=torch.int32)
    """
    if isinstance(data, Array):
        deferred = data.deferred
        if isinstance(deferred, OnDevice):
            return deferred.tensor.to(device)
        data = data.data
    if not isinstance(device, torch.device):
        device = torch.device(device)
    if data.dtype in _AS_IT_IS:
        return upload(data, device)
    return widened(upload(carried(data), device), data.dtype)


def carried(data: NDArray[Any]) -> NDArray[Any]:
    """The bits of an array in a type that torch computes with, and in the order of this machine."""
    native = data.dtype.newbyteorder("=")
    data = data.astype(native, copy=False)
    return data.view(_SIGNED[native]) if native in _SIGNED else data


def widened(bits: torch.Tensor, dtype: np.dtype[Any]) -> torch.Tensor:
    """The numbers of a type that travelled as `carried`, in a type that torch computes with.

    Raises
    ------
    OverflowError
        If a uint64 value does not fit into int64.
    """
    if dtype.kind != "u" or dtype.itemsize == 1:
        return bits
    if dtype.itemsize in _WIDER:
        wider, mask = _WIDER[dtype.itemsize]
        return bits.to(wider).bitwise_and_(mask)
    if bool((bits < 0).any()):
        largest = int(bits[bits < 0].max()) + 2**64
        raise OverflowError(
            f"torch has no uint64 to compute with, and {largest} does not fit into int64; "
            "renumber the ids first"
        )
    return bits


def exact(bits: torch.Tensor, dtype: np.dtype[Any]) -> torch.Tensor:
    """What travelled as `carried`, in the very type that it was: torch can hold all of them."""
    if dtype.kind != "u" or dtype.itemsize == 1:
        return bits
    return bits.view(_UNSIGNED[dtype.itemsize])


@final
class OnDevice(Deferred):
    """Voxels that lie on a device, and are copied from there if somebody looks at them.

    Parameters
    ----------
    bits
        The voxels, as `carried`.
    dtype
        The type that they are.

    Examples
    --------
    >>> ids = np.array([1, 2**64 - 1], np.uint64)
    >>> OnDevice(torch.from_numpy(carried(ids)), ids.dtype).make()
    array([                   1, 18446744073709551615], dtype=uint64)
    """

    elsewhere = True

    def __init__(self, bits: torch.Tensor, dtype: np.dtype[Any]) -> None:
        self._bits = bits
        self._dtype = dtype.newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the voxels."""
        return tuple(self._bits.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Their type."""
        return self._dtype

    @property
    def tensor(self) -> torch.Tensor:
        """They, where they lie, in the types of `to_tensor`; raises what that raises."""
        return widened(self._bits, self._dtype)

    def make(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """A copy in the memory of this machine."""
        fetched: NDArray[Any] = self._bits.to("cpu", copy=True).numpy().view(self._dtype)
        if out is None:
            return fetched
        np.copyto(out, fetched)
        return out


def to_array(tensor: torch.Tensor) -> NDArray[Any]:
    """An array of a tensor, on the CPU and without its history.

    The array shares its memory with a tensor on the CPU. bfloat16, which numpy has not, becomes
    float32.
    """
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: NDArray[Any] = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    return array
