"""Values between 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_FACTORS = {np.dtype(np.uint8): 1 / 255, np.dtype(np.uint16): 1 / 65535}


class Normalize(BatchFilter):
    """Casts an array to floating point and scales it: ``array.astype(dtype) * factor``.

    Parameters
    ----------
    array
        The array to normalise.
    factor
        The factor; None: from the dtype, such that the largest value becomes 1 (1/255 for uint8,
        1/65535 for uint16). Floating point values have to lie in [0, 1] already.
    dtype
        The dtype of the result.

    Raises
    ------
    ValueError
        At a request: if no factor was given and the dtype is another one, or floating point values
        lie outside of [0, 1].
    """

    def __init__(
        self, array: ArrayKey, factor: float | None = None, dtype: DTypeLike = np.float32
    ) -> None:
        self.array = array
        self.factor = factor
        self.dtype = np.dtype(dtype)

    def setup(self) -> None:
        """Say which dtype there will be."""
        self.enable_autoskip()
        spec = self.spec[self.array].copy()
        spec.dtype = self.dtype
        self.updates(self.array, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the array, whatever its dtype is upstream."""
        needed = BatchRequest()
        needed[self.array] = request[self.array].copy()
        needed[self.array].dtype = None
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Cast and scale."""
        array = batch[self.array]
        factor = self._factor_for(array.data) if self.factor is None else self.factor
        data = array.data.astype(self.dtype)
        if factor != 1:
            data *= np.asarray(factor, self.dtype)
        spec = array.spec.copy()
        spec.dtype = self.dtype
        made = Batch()
        made[self.array] = Array(data, spec, dict(array.attrs))
        return made

    def _factor_for(self, data: np.ndarray[Any, Any]) -> float:
        if data.dtype in _FACTORS:
            return _FACTORS[data.dtype]
        if not np.issubdtype(data.dtype, np.floating):
            raise ValueError(
                f"{self.name()} knows no factor for {self.array}, which is {data.dtype}: "
                "only for uint8, uint16 and floating point. Give factor=..."
            )
        low, high = (float(data.min()), float(data.max())) if data.size else (0.0, 1.0)
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"{self.name()} expects floating point values of {self.array} in [0, 1], found "
                f"[{low:g}, {high:g}]. Give factor=... to scale them."
            )
        return 1
