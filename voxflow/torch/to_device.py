"""Arrays of a batch on a device, where what is not made yet is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.ops.recipe import Recipe
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.torch.devices import choose_device
from voxflow.torch.pinned import upload
from voxflow.torch.recipes.make import made
from voxflow.torch.tensors import OnDevice, carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


class ToDevice(BatchFilter):
    """Moves arrays to a device, which also does what upstream nodes have left to be done.

    Nodes that move voxels or change their values (spatial augmentation, `Normalize`,
    `IntensityAugment`, `IntensityScaleShift`) hand on what is to be done. If nobody has looked at
    the voxels since, what was read goes to the device, and the device does it; see `make_on`.
    Values then agree with those of the CPU up to rounding. `Train` and `Predict` take such arrays
    where they are, and so does `to_tensor`. Whoever looks at ``array.data`` gets a copy.

    Put it where voxels are looked at next by a network. What a node has looked at before, or a
    worker of `PreCache` has sent, is made already and only moved. Upstream of `PreCache` with
    workers, every worker would use the device, and send copies.

    Parameters
    ----------
    arrays
        Which arrays; None: all of the batch.
    device
        "auto" takes a GPU if there is one; any other device has to be there.

    Raises
    ------
    RuntimeError
        If the device is not there.
    KeyError
        At setup, if nothing upstream provides one of the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> import voxflow as gp
    >>> from voxflow.torch import ToDevice, to_tensor
    >>> raw = gp.ArrayKey("RAW")
    >>> volume = gp.Array(np.arange(4.0), gp.ArraySpec(gp.Roi((0,), (4,)), (1,)))
    >>> source = gp.ArraySource(raw, volume) + gp.IntensityScaleShift(raw, 2, 1)
    >>> with gp.build(source + ToDevice(device="cpu")) as pipeline:
    ...     batch = pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((1,), (3,))}))
    >>> to_tensor(batch[raw], "cpu")
    tensor([3., 5., 7.], dtype=torch.float64)
    """

    def __init__(
        self, arrays: Sequence[ArrayKey] | None = None, device: str | torch.device = "auto"
    ) -> None:
        if isinstance(arrays, ArrayKey):
            raise TypeError(f"arrays is a sequence of keys: ToDevice([{arrays}])")
        self.arrays = None if arrays is None else list(arrays)
        self.device = choose_device(device)

    def setup(self) -> None:
        """Know that what is asked for is there."""
        for key in self.arrays or ():
            self.updates(key, self.spec[key])
        self.enable_autoskip(self.arrays is not None)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Move them."""
        moved = Batch()
        for key, array in batch.arrays.items():
            if self.arrays is not None and key not in self.arrays:
                continue
            moved[key] = Array(self._on_device(array), array.spec, dict(array.attrs))
        return moved

    def _on_device(self, array: Array) -> OnDevice:
        deferred = array.deferred
        if isinstance(deferred, OnDevice):
            return deferred
        if isinstance(deferred, Recipe):
            return OnDevice(made(deferred, self.device), array.dtype)
        return OnDevice(upload(carried(array.view), self.device), array.dtype)
