"""How data go on beyond their borders: not at all, or mirrored."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxflow.pipeline.compiled import kernel

__all__ = ["Mirror", "borders", "folded"]

#: How data are mirrored at their borders, in the words of `numpy.pad`: the voxel at the border is
#: not repeated, or it is.
Mirror = Literal["reflect", "symmetric"]


@lru_cache(maxsize=128)
def borders(shape: tuple[int, ...], mirror: Mirror | None) -> NDArray[np.float64]:
    """What kernels have to know of the borders of data of such a shape: (axes, 2).

    For each axis how far before the first voxel the mirror stands, and after how many voxels all
    begins anew, which is 0 for data that end.

    Examples
    --------
    >>> borders((5, 7), "symmetric").tolist(), borders((5, 1), "reflect").tolist()
    ([[0.5, 10.0], [0.5, 14.0]], [[0.0, 8.0], [0.0, 1.0]])
    """
    half = 0.5 if mirror == "symmetric" else 0.0
    periods = [max(2.0 * (n - 1 + 2 * half), 1.0) if mirror else 0.0 for n in shape]
    return np.array([(half, period) for period in periods])


@kernel
def folded(u: float, half: float, period: float, inverse: float) -> Any:
    """Where in mirrored data that is which is seen at `u`; `inverse` is ``1 / period``."""
    u += half
    return abs(u - period * np.rint(u * inverse)) - half
