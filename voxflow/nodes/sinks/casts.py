"""Another dtype for what is written, without losing anything unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def cast_for_output(
    data: np.ndarray[Any, Any], dtype: DTypeLike, what: str, scale: float | None = None
) -> np.ndarray[Any, Any]:
    """Cast to the dtype of an output, which the user asked for.

    Floating point becomes integers as in numpy: fractions are cut off; where there is a scale they
    are rounded to the nearest. Floating point may become less precise. Nothing else is lost.

    Parameters
    ----------
    data
        Any array.
    dtype
        The dtype to write.
    what
        The array, for messages.
    scale
        Multiply by this before.

    Raises
    ------
    ValueError
        If values are out of the range of the dtype, or integers that it cannot tell apart.

    Examples
    --------
    >>> cast_for_output(np.array([0.0, 254.7]), np.uint8, "RAW")
    array([  0, 254], dtype=uint8)
    >>> cast_for_output(np.array([0.0, 0.9988]), np.uint8, "PRED", scale=255)
    array([  0, 255], dtype=uint8)
    """
    wanted = np.dtype(dtype)
    if scale is not None:
        data = _scaled(data, scale, wanted, what)
    # numpy calls the step from 64-bit integers to float64 a safe one.
    mixed = data.dtype.kind in "iu" and wanted.kind == "f"
    if not data.size or (np.can_cast(data.dtype, wanted, "safe") and not mixed):
        return data.astype(wanted, copy=False)
    if data.dtype.kind == "c":
        raise ValueError(f"{what} has complex values, which {wanted} cannot hold")
    if wanted.kind in "iub":
        _check_range(data, wanted, what)
        return data.astype(wanted)
    with np.errstate(over="ignore"):
        cast = data.astype(wanted)
    if data.dtype.kind == "f" and np.isinf(cast).sum() > np.isinf(data).sum():
        largest = np.abs(data[np.isfinite(data)]).max()
        raise ValueError(
            f"{what} has values up to {largest:g}, which become infinite as {wanted}; scale them "
            "first, or write another dtype"
        )
    if mixed and not _same_integers(data, cast):
        raise ValueError(
            f"{what} has integers up to {data.max()}, which {wanted} cannot tell apart; write an "
            "integer dtype"
        )
    return cast


def becomes_zero(data: np.ndarray[Any, Any], dtype: DTypeLike) -> bool:
    """Whether a cast makes zeros of values that are not: usually probabilities to be scaled first.

    Examples
    --------
    >>> becomes_zero(np.array([0.0, 0.9]), np.uint8), becomes_zero(np.array([0.0, 9.0]), np.uint8)
    (True, False)
    """
    if data.dtype.kind != "f" or np.dtype(dtype).kind not in "iu" or not data.size:
        return False
    return bool(0 < np.abs(data).max() < 1)


def _scaled(
    data: np.ndarray[Any, Any], scale: float, wanted: np.dtype[Any], what: str
) -> np.ndarray[Any, Any]:
    if data.dtype.kind == "c":
        return data
    if data.dtype.kind in "iub" and wanted.kind in "iu" and scale == int(scale):
        return _scaled_integers(data, int(scale), wanted, what)
    # For so few bits the precision of float32 is enough, and it takes half of the time.
    small = data.dtype.kind == "f" and data.dtype.itemsize <= 4
    work = np.float32 if small and wanted.kind in "iu" and wanted.itemsize <= 2 else np.float64
    try:
        with np.errstate(over="raise"):
            values: np.ndarray[Any, Any] = np.multiply(data, scale, dtype=work)
    except FloatingPointError:
        raise ValueError(f"{what} has values that become infinite times {scale}") from None
    return np.rint(values, out=values) if wanted.kind in "iub" else values


def _scaled_integers(
    data: np.ndarray[Any, Any], scale: int, wanted: np.dtype[Any], what: str
) -> np.ndarray[Any, Any]:
    """Exact, however large they are."""
    ends = [data.min().item() * scale, data.max().item() * scale] if data.size else [0]
    limits = np.iinfo(wanted)
    if min(ends) < limits.min or max(ends) > limits.max:
        raise _out_of_range(min(ends), max(ends), wanted, what)
    # In the range of the dtype at the end, so what wraps around on the way comes back.
    factor = np.array(scale % 2 ** (8 * wanted.itemsize), f"u{wanted.itemsize}").astype(wanted)
    product: np.ndarray[Any, Any] = data.astype(wanted) * factor
    return product


def _out_of_range(low: Any, high: Any, wanted: np.dtype[Any], what: str) -> ValueError:
    least, most = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
    return ValueError(
        f"{what} has values in [{low}, {high}], which {wanted} cannot hold "
        f"([{least}, {most}]); scale them first, or write another dtype"
    )


def _check_range(data: np.ndarray[Any, Any], wanted: np.dtype[Any], what: str) -> None:
    least, most = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
    # Python's numbers are compared exactly, whatever their size. NaN is never inside.
    low, high = data.min().item(), data.max().item()
    fraction = 1 if data.dtype.kind == "f" and wanted.kind != "b" else 0
    inside = low > least - 1 and high < most + 1 if fraction else low >= least and high <= most
    if not inside:
        raise _out_of_range(low, high, wanted, what)


def _same_integers(data: np.ndarray[Any, Any], cast: np.ndarray[Any, Any]) -> bool:
    """Whether floats hold the integers that they were made of."""
    exact = 2 ** (np.finfo(cast.dtype).nmant + 1)
    if -exact <= data.min().item() and data.max().item() <= exact:
        return True
    # The largest floats of the range would overflow on the way back.
    limit = float(np.iinfo(data.dtype).max)
    small = np.abs(cast.astype(np.float64)) < limit
    return bool(small.all()) and np.array_equal(cast.astype(data.dtype), data)
