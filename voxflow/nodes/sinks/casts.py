"""Another dtype for what is written, without losing anything unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def cast_for_output(
    data: np.ndarray[Any, Any], dtype: DTypeLike, what: str
) -> np.ndarray[Any, Any]:
    """Cast to the dtype of an output, which the user asked for.

    Floating point becomes integers as in numpy: fractions are cut off.

    Parameters
    ----------
    data
        Any array.
    dtype
        The dtype to write.
    what
        The array, for messages.

    Raises
    ------
    ValueError
        If values are out of the range of the dtype, or if all that is in [0, 1] would become 0.

    Examples
    --------
    >>> cast_for_output(np.array([0.0, 254.7]), np.uint8, "RAW")
    array([  0, 254], dtype=uint8)
    """
    wanted = np.dtype(dtype)
    if data.dtype == wanted or np.can_cast(data.dtype, wanted, "safe") or not data.size:
        return data.astype(wanted, copy=False)
    if wanted.kind in "iub":
        low, high = data.min(), data.max()
        limits = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
        if not (low >= limits[0] and high <= limits[1]):
            raise ValueError(
                f"{what} has values in [{low}, {high}], which {wanted} cannot hold "
                f"([{limits[0]}, {limits[1]}]); scale them first, or write another dtype"
            )
        if data.dtype.kind == "f" and 0 < high < 1 and low > -1:
            raise ValueError(
                f"{what} has values in [{low:g}, {high:g}], which would all become 0 as {wanted}; "
                "scale them first, for example with IntensityScaleShift(key, 255, 0)"
            )
    return data.astype(wanted)
