"""A fixed scale and shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.ops.recipe import Recipe
from voxflow.ops.values import Scale
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter


class IntensityScaleShift(BatchFilter):
    """Scales and shifts the values of an array: ``array * scale + shift``.

    Floating point arrays keep their dtype. Integers become floating point (float32 up to 16 bits,
    else float64), unless `scale` and `shift` are integers as well: then they keep their dtype, and
    a result that it cannot hold is an error.

    Parameters
    ----------
    array
        The array to change.
    scale
        The factor.
    shift
        What is added after scaling.

    Raises
    ------
    ValueError
        At a request: if integers get out of the range of their dtype.
    """

    def __init__(self, array: ArrayKey, scale: float, shift: float) -> None:
        self.array = array
        self.scale = scale
        self.shift = shift

    def setup(self) -> None:
        """Say which dtype there will be."""
        self.enable_autoskip()
        spec = self.spec[self.array].copy()
        if spec.dtype is not None:
            spec.dtype = self._result_dtype(spec.dtype)
            self.looks_at_nothing = spec.dtype.kind == "f"
        self.updates(self.array, spec)

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Scale and shift."""
        if self.array not in batch:
            return
        array = batch[self.array]
        spec = array.spec.copy()
        spec.dtype = self._result_dtype(array.dtype)
        batch[self.array] = Array(self._changed(array, spec.dtype), spec, dict(array.attrs))

    def _changed(self, array: Array, dtype: np.dtype[Any]) -> Any:
        if dtype.kind == "f":
            return Recipe.of(array).changed([Scale(self.scale, self.shift)], dtype)
        if dtype.kind in "ui":
            self._check_range(array.data)
        data = np.multiply(array.data, _number(self.scale, dtype), dtype=dtype, casting="unsafe")
        data += _number(self.shift, dtype)
        return data

    def _result_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        if dtype.kind in "fc":
            return dtype
        whole = all(isinstance(v, (int, np.integer)) for v in (self.scale, self.shift))
        return dtype if whole and dtype.kind in "ui" else np.result_type(dtype, np.float32)

    def _check_range(self, data: np.ndarray[Any, Any]) -> None:
        if not data.size:
            return
        scale, shift = int(self.scale), int(self.shift)
        ends = [int(v) * scale + shift for v in (data.min(), data.max())]
        limits = np.iinfo(data.dtype)
        if min(ends) < limits.min or max(ends) > limits.max:
            raise ValueError(
                f"{self.name()} would give {self.array} values in [{min(ends)}, {max(ends)}], "
                f"which {data.dtype} cannot hold; give scale and shift as floating point numbers, "
                "or put AsType upstream"
            )


def _number(value: float, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A factor or summand; integers wrap around as sums and products of their dtype do."""
    if dtype.kind not in "ui":
        return np.asarray(value, dtype)
    bits = 8 * dtype.itemsize
    return np.asarray(int(value) % 2**bits, f"u{dtype.itemsize}").view(dtype)
