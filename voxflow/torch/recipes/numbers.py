"""From the bits of voxels to numbers to compute with, and back to the type of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from voxflow.ops.values.changes import Pointwise
from voxflow.ops.values.make import work_type
from voxflow.torch.tensors import carried, widened

from .changes import changed

_TYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}


@dataclass(frozen=True)
class Values:
    """What becomes of single values; bits are those of `voxflow.torch.tensors.carried`.

    Attributes
    ----------
    source
        the type of the data.
    changes
        of the values.
    result
        the type of the result.
    """

    source: np.dtype[Any]
    changes: Sequence[Pointwise]
    result: np.dtype[Any]

    def numbers(self, bits: torch.Tensor) -> torch.Tensor:
        """In the type to compute in, of voxels as they were read."""
        work = _TYPES[work_type(self.source, self.result)]
        if self.source.kind == "u" and self.source.itemsize == 8:
            return bits.to(work) + (bits < 0).to(work) * 2.0**64
        return widened(bits, self.source).to(work)

    def finished(self, numbers: torch.Tensor) -> torch.Tensor:
        """The result, in bits."""
        return stored(changed(numbers, self.changes), self.result)

    def of(self, bits: torch.Tensor) -> torch.Tensor:
        """The result, in bits, of voxels as they were read; they themselves if nothing is done."""
        if not self.changes and self.source.newbyteorder("=") == self.result:
            return bits
        return self.finished(self.numbers(bits))


def stored(numbers: torch.Tensor, dtype: np.dtype[Any]) -> torch.Tensor:
    """Numbers in the bits of a type, rounded to the nearest whole number where it has no others."""
    kind = bits_type(dtype)
    if dtype.kind not in "ui":
        return numbers.to(kind)
    limits = np.iinfo(dtype)
    top = float(limits.max)
    if top > limits.max:  # no float between: 2**63 and 2**64 do not fit
        top = float(np.nextafter(top, 0.0))
    numbers = torch.floor(numbers + 0.5).clamp(float(limits.min), top)
    if dtype.kind == "u" and dtype.itemsize == 8:
        return torch.where(numbers >= 2.0**63, numbers - 2.0**64, numbers).to(kind)
    return numbers.to(torch.int64).to(kind)


def bits_type(dtype: np.dtype[Any]) -> torch.dtype:
    """The type of torch that carries the bits of a type of numpy."""
    return torch.from_numpy(carried(np.empty(0, dtype))).dtype
