"""Another dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class AsType(BatchFilter):
    """Casts an array to another dtype, in its place or as a new array.

    Values are cast as numpy does it: fractions are cut off. Values that the dtype cannot hold are
    an error, they do not wrap around.

    Parameters
    ----------
    source
        The array to cast.
    target_dtype
        The dtype it gets.
    target
        The name of the result; None: the array keeps its name.

    Raises
    ------
    TypeError
        If `source` or `target` is no `ArrayKey`, or `target_dtype` no dtype.
    ValueError
        At a request: if an integer dtype cannot hold the values.
    """

    def __init__(
        self, source: ArrayKey, target_dtype: DTypeLike, target: ArrayKey | None = None
    ) -> None:
        for name, key in (("source", source), ("target", target)):
            if not isinstance(key, ArrayKey) and not (name == "target" and key is None):
                raise TypeError(f"{name} has to be an ArrayKey, got {key!r}")
        self.source = source
        self.target_dtype = np.dtype(target_dtype)
        self.target = source if target is None else target

    def setup(self) -> None:
        """Say which dtype there will be."""
        self.enable_autoskip()
        spec = self.spec[self.source].copy()
        spec.dtype = self.target_dtype
        if self.target == self.source:
            self.updates(self.source, spec)
        else:
            self.provides(self.target, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the source where the target is asked for."""
        needed = BatchRequest()
        needed[self.source] = request[self.target].copy()
        needed[self.source].dtype = None
        return needed

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Cast."""
        array = batch[self.source]
        self._check(array.data)
        spec = array.spec.copy()
        spec.dtype = self.target_dtype
        data = array.data.astype(self.target_dtype)
        made = Batch()
        made[self.target] = Array(data, spec, dict(array.attrs))
        return made

    def _check(self, data: np.ndarray[Any, Any]) -> None:
        wanted = self.target_dtype
        if wanted.kind not in "ui" or data.dtype.kind not in "uif" or not data.size:
            return
        if np.can_cast(data.dtype, wanted, "safe"):
            return
        # As Python's numbers, which compare exactly with the ends of 64-bit ranges.
        low, high = data.min().item(), data.max().item()
        limits = np.iinfo(wanted)
        if not (low > limits.min - 1 and high < limits.max + 1):
            raise ValueError(
                f"{self.name()} is to make {wanted} of {self.source}, which has values in "
                f"[{low}, {high}]; {wanted} holds [{limits.min}, {limits.max}]. Scale them "
                "first, or take a wider dtype."
            )
