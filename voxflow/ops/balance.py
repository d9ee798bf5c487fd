"""Loss weights that give each class the same say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .pointers import unlocked
from .runs import pieces_of, runs

__all__ = ["balance"]

# Up to so many classes are told apart by comparing (which vectorises), more by looking up.
FEW_CLASSES = 4
CHUNK = 4096


def balance(
    labels: npt.NDArray[Any],
    masks: npt.NDArray[Any] | Sequence[npt.NDArray[Any]] = (),
    slab: Sequence[int] | None = None,
    num_classes: int = 2,
    clipmin: float | None = 0.05,
    clipmax: float | None = 0.95,
) -> npt.NDArray[np.float32]:
    """Weights that are large for rare classes: ``mask / (num_classes * fraction)``.

    The fraction of a class is the number of its voxels with a positive mask, divided by the sum
    of the mask, clipped to [clipmin, clipmax]. Each slab is balanced by itself.

    Parameters
    ----------
    labels
        Class numbers 0 ... num_classes - 1, of any shape and any integer, bool or floating dtype
        (affinities, for example).
    masks
        One or more arrays of the labels' shape, not negative, multiplied with each other and with
        the weights.
    slab
        Size of the pieces that are balanced by themselves, one entry per axis of the labels, -1
        for the full axis: ``(1, -1, -1, -1)`` balances each affinity channel. None: one piece.
    num_classes
        How many classes there are. A class that is absent takes no part.
    clipmin, clipmax
        Bounds for the fractions, None for no bound.

    Returns
    -------
    numpy.ndarray
        float32, of the labels' shape.

    Raises
    ------
    ValueError
        A label is not one of the classes, a mask has another shape, or the slab does not fit.

    Examples
    --------
    >>> weights = balance(np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    >>> [round(float(weight), 4) for weight in weights[:2]]
    [5.0, 0.5556]
    """
    given = [masks] if isinstance(masks, np.ndarray) else list(masks)
    if num_classes < 1:
        raise ValueError(f"num_classes is at least 1; got {num_classes}")
    for mask in given:
        if mask.shape != labels.shape:
            raise ValueError(
                f"a mask has shape {mask.shape}, the labels {labels.shape}; "
                "they have to cover the same voxels"
            )
    pieces = pieces_of(labels.shape, slab, "the labels")
    flat = _flat(labels)
    weights = _product(given, labels.shape)
    out = weights.reshape(-1)
    rule = num_classes, clipmin, clipmax
    for starts, length in runs(labels.shape, pieces):
        for piece in starts:
            _balance_piece(flat, out, piece, length, bool(given), rule)
    return weights


def _flat(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if labels.dtype == bool:
        return unlocked(np.ascontiguousarray(labels).view(np.uint8).reshape(-1))
    if labels.dtype.kind not in "iuf":
        raise ValueError(f"class labels are numbers; got {labels.dtype}")
    plain = np.ascontiguousarray(labels, dtype=labels.dtype.newbyteorder("="))
    return unlocked(plain.reshape(-1))


def _product(masks: Sequence[npt.NDArray[Any]], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    out = np.empty(shape, dtype=np.float32)
    for number, mask in enumerate(masks):
        if number == 0:
            out[...] = mask
        else:
            out *= mask
    return out


def _balance_piece(
    labels: npt.NDArray[Any],
    weights: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    length: int,
    masked: bool,
    rule: tuple[int, float | None, float | None],
) -> None:
    num_classes, clipmin, clipmax = rule
    counts = np.zeros(num_classes, dtype=np.int64)
    few = num_classes <= FEW_CLASSES
    if masked:
        count = _count_masked_few if few else _count_masked
        bad, total = count(labels, weights, starts, length, counts)
    else:
        bad = (_count_few if few else _count)(labels, starts, length, counts)
        total = float(len(starts) * length)
    if bad:
        _refuse(labels, starts, length, num_classes)
    fractions = counts / total if total > 0 else np.zeros(num_classes)
    if clipmin is not None or clipmax is not None:
        fractions = np.clip(fractions, clipmin, clipmax)
    scale = np.zeros(num_classes, dtype=np.float32)
    present = counts > 0
    scale[present] = 1.0 / (num_classes * fractions[present])
    (_weigh_few if few else _weigh)(labels, weights, starts, length, scale, masked)


def _refuse(
    labels: npt.NDArray[Any], starts: npt.NDArray[np.int64], length: int, num_classes: int
) -> None:
    for start in starts:
        row = labels[start : start + length]
        bad = (row < 0) | (row >= num_classes) | (row != np.floor(row))
        if bad.any():
            raise ValueError(
                f"labels to balance are classes 0 to {num_classes - 1} (num_classes="
                f"{num_classes}); found {row[bad][0]}: raise num_classes, or turn the ids into "
                "classes first"
            )


# The kernels see the arrays flat, one piece as runs. With few classes each chunk of labels is read
# once per class while it is in the cache, without branches. Narrow counters and comparisons in the
# labels' own dtype let these loops vectorise; so does adding up the mask in any order.


@kernel
def _count_few(labels: Any, starts: Any, length: Any, counts: Any) -> Any:
    valid = 0
    for start in starts:
        for low in range(start, start + length, CHUNK):
            chunk = labels[low : min(low + CHUNK, start + length)]
            for c in range(counts.size):
                wanted = labels.dtype.type(c)
                found = np.uint16(0)
                for x in range(chunk.size):
                    found = np.uint16(found + (chunk[x] == wanted))
                counts[c] += found
                valid += int(found)
    return valid != starts.size * length


@kernel
def _count_masked_few(labels: Any, mask: Any, starts: Any, length: Any, counts: Any) -> Any:
    valid, total = 0, 0.0
    for start in starts:
        for low in range(start, start + length, CHUNK):
            high = min(low + CHUNK, start + length)
            chunk, known = labels[low:high], mask[low:high]
            for c in range(counts.size):
                wanted = labels.dtype.type(c)
                found, inside = np.uint16(0), np.uint16(0)
                for x in range(chunk.size):
                    found = np.uint16(found + (chunk[x] == wanted))
                    inside = np.uint16(inside + ((chunk[x] == wanted) & (known[x] > 0)))
                counts[c] += inside
                valid += int(found)
            total += _total(known)
    return valid != starts.size * length, total


@kernel(fastmath={"reassoc"})
def _total(values: Any) -> Any:
    total = 0.0
    for x in range(values.size):
        total += values[x]
    return total


@kernel
def _count(labels: Any, starts: Any, length: Any, counts: Any) -> Any:
    for start in starts:
        for x in range(start, start + length):
            c = np.int64(labels[x])
            if c != labels[x] or c < 0 or c >= counts.size:
                return True
            counts[c] += 1
    return False


@kernel
def _count_masked(labels: Any, mask: Any, starts: Any, length: Any, counts: Any) -> Any:
    total = 0.0
    for start in starts:
        for x in range(start, start + length):
            c = np.int64(labels[x])
            if c != labels[x] or c < 0 or c >= counts.size:
                return True, total
            counts[c] += mask[x] > 0
            total += mask[x]
    return False, total


@kernel
def _weigh_few(
    labels: Any, weights: Any, starts: Any, length: Any, scale: Any, masked: Any
) -> None:
    factors = np.empty(CHUNK, dtype=np.float32)
    for start in starts:
        for low in range(start, start + length, CHUNK):
            high = min(low + CHUNK, start + length)
            chunk, out = labels[low:high], weights[low:high]
            for x in range(chunk.size):
                factors[x] = scale[0]
            for c in range(1, scale.size):
                wanted, factor = labels.dtype.type(c), scale[c]
                for x in range(chunk.size):
                    factors[x] = factor if chunk[x] == wanted else factors[x]
            for x in range(chunk.size):
                out[x] = out[x] * factors[x] if masked else factors[x]


@kernel
def _weigh(labels: Any, weights: Any, starts: Any, length: Any, scale: Any, masked: Any) -> None:
    for start in starts:
        for x in range(start, start + length):
            factor = scale[np.int64(labels[x])]
            weights[x] = weights[x] * factor if masked else factor
