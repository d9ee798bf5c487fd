"""Is an array an image or a map of labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def guess_interpolatable(dtype: DTypeLike | None) -> bool | None:
    """Whether values between voxels are likely to mean something: floating point and uint8.

    Examples
    --------
    >>> guess_interpolatable("uint8"), guess_interpolatable("uint64")
    (True, False)
    """
    if dtype is None:
        return None
    return np.issubdtype(dtype, np.floating) or np.dtype(dtype) == np.uint8
