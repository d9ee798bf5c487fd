"""Which colours values have in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.data import Array

    Pixels = NDArray[np.uint8]
    Range = tuple[float, float]

__all__ = ["Style", "blended", "colored", "guessed_style", "id_colors", "value_range"]

Style = Literal["gray", "rgb", "labels", "mask", "weights"]
"""How values are shown."""

NOT_A_NUMBER = (255, 0, 255)

_SAMPLED = 1_000_000
"""From more values than that, each so manieth is looked at."""


def id_colors(ids: NDArray[Any]) -> Pixels:
    """Colours of ids: an id has the same in each picture, whichever others are there.

    Parameters
    ----------
    ids
        Integers of any type and shape. All 64 bits count. 0 is black, a negative id grey.

    Returns
    -------
    NDArray[np.uint8]
        Red, green and blue along one more axis, at the end.

    Notes
    -----
    The hash is the finaliser of SplitMix64: Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195.

    Examples
    --------
    >>> id_colors(np.array([0, 1, 2**64 - 1], np.uint64)).tolist()
    [[0, 0, 0], [109, 220, 128], [182, 187, 64]]
    >>> id_colors(np.array([-1])).tolist()
    [[90, 90, 90]]
    """
    wide = ids.astype(np.uint64 if ids.dtype.kind in "ub" else np.int64).view(np.uint64)
    mixed = wide + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    hue = (mixed & np.uint64(0xFFFF)).astype(np.float32) / 0x10000
    saturation = 0.5 + ((mixed >> np.uint64(16)) & np.uint64(0xFF)).astype(np.float32) / 0xFF * 0.4
    value = 0.7 + ((mixed >> np.uint64(24)) & np.uint64(0xFF)).astype(np.float32) / 0xFF * 0.3
    colors = _from_hsv(hue, saturation, value)
    colors[ids == 0] = 0
    if ids.dtype.kind == "i":
        colors[ids < 0] = 90
    return colors


def _from_hsv(hue: NDArray[Any], saturation: NDArray[Any], value: NDArray[Any]) -> Pixels:
    shifts = np.array([5, 3, 1], np.float32)  # of red, green and blue along the six edges
    place = (shifts + 6 * hue[..., None]) % 6
    part = np.clip(np.minimum(place, 4 - place), 0, 1)
    fraction = value[..., None] * (1 - saturation[..., None] * part)
    made: Pixels = np.round(255 * fraction).astype(np.uint8)
    return made


def value_range(data: NDArray[Any], style: Style) -> Range:
    """From which value to which colours go.

    Parameters
    ----------
    data
        All values, of any shape.
    style
        "gray": nearly all values, so that a few that are far away do not hide the others. "rgb":
        from 0 to 1 where all values lie there, of uint8 to 255. "weights": from 0 to the largest.

    Examples
    --------
    >>> value_range(np.array([0.25, 0.5]), "rgb")
    (0.0, 1.0)
    >>> value_range(np.array([0.5, 4.0]), "weights")
    (0.0, 4.0)
    """
    if style == "rgb" and data.dtype == np.uint8:
        return 0.0, 255.0
    seen = data.reshape(-1)[:: max(1, data.size // _SAMPLED)].astype(np.float64)
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        return 0.0, 1.0
    if style == "weights":
        return min(0.0, float(seen.min())), float(seen.max())
    if style == "rgb" and seen.min() >= 0 and seen.max() <= 1:
        return 0.0, 1.0
    low, high = np.quantile(seen, [0.005, 0.995])
    return float(low), float(high)


def colored(values: NDArray[Any], style: Style, limits: Range) -> Pixels:
    """Pixels of values.

    Parameters
    ----------
    values
        Shape (height, width); for "rgb" (channels, height, width), of which the first three are
        red, green and blue.
    style
        How.
    limits
        What becomes dark, and what becomes bright.

    Returns
    -------
    NDArray[np.uint8]
        Shape (height, width, 3). What is not a number is magenta.

    Examples
    --------
    >>> colored(np.array([[0.0, 2.0, np.nan]]), "gray", (0.0, 2.0))[0].tolist()
    [[0, 0, 0], [255, 255, 255], [255, 0, 255]]
    """
    if style == "labels":
        return id_colors(
            values if values.dtype.kind in "iub" else np.nan_to_num(values).astype(np.int64)
        )
    if style == "mask":
        return np.repeat(np.where(values != 0, 255, 0).astype(np.uint8)[..., None], 3, axis=-1)
    low, high = limits
    span = high - low if high > low else 1.0
    with np.errstate(invalid="ignore"):
        parts = np.clip((values.astype(np.float64) - low) / span, 0, 1)
    bad = np.isnan(parts)
    parts[bad] = 0
    if style == "weights":
        pixels = np.stack([np.clip(3 * parts - shift, 0, 1) for shift in range(3)], axis=-1)
    elif style == "rgb":
        pixels = np.zeros((*values.shape[1:], 3))
        pixels[..., : len(parts)] = np.moveaxis(parts[:3], 0, -1)
        bad = np.logical_or.reduce(bad[:3])
    else:
        pixels = np.repeat(parts[..., None], 3, axis=-1)
    made = np.round(255 * pixels).astype(np.uint8)
    made[bad] = NOT_A_NUMBER
    return made


def blended(image: Pixels, labels: Pixels, share: float = 0.4) -> Pixels:
    """An image with its labels over it, where they are not black.

    Parameters
    ----------
    image, labels
        Shape (height, width, 3).
    share
        How much is seen of the labels.
    """
    mixed = (1 - share) * image + share * labels
    there = labels.any(axis=-1, keepdims=True)
    return np.where(there, np.round(mixed), image).astype(np.uint8)


def guessed_style(name: str, array: Array, channels: int) -> Style:
    """How an array is shown of which nobody says it: by its kind, its type and its name.

    Parameters
    ----------
    name
        The name of its key.
    array
        The array.
    channels
        How many channels it has.
    """
    name, spec, kind = name.upper(), array.spec, array.dtype.kind
    if kind == "b" or "MASK" in name:
        return "mask"
    if spec.kind is not None or ("AFF" in name and channels > 1):
        return "rgb"
    if kind in "iu":
        # Images of 32 or 64 bits are rare, where nobody says whether they can be interpolated.
        unknown = spec.interpolatable is None and array.dtype.itemsize >= 4
        named = "LABEL" in name
        return "labels" if spec.interpolatable is False or unknown or named else "gray"
    return "weights" if "WEIGHT" in name or "SCALE" in name else "gray"
