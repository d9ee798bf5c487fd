"""Which colours values have in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.pictures.ids import colours_of_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Range = tuple[float, float]

__all__ = ["Style", "coloured", "overlay", "value_range"]

Style = Literal["image", "rgb", "labels", "affinities", "mask", "weights", "vectors"]
"""How an array is shown."""

IN_COLOUR = ("rgb", "affinities")
"""Of which the first three channels are red, green and blue."""

NOT_A_NUMBER = (255, 0, 255)

_SAMPLED = 1_000_000
"""From more values than that, each so manieth is looked at."""


def value_range(data: NDArray[Any], style: Style, clipped: float = 0.5) -> Range:
    """From which value to which colours go.

    Parameters
    ----------
    data
        All values, of any shape.
    style
        "image": nearly all values, so that a few that are far away do not hide the others.
        "rgb" and "affinities": from 0 to 1 where all values lie there, of uint8 to 255; else as
        of an image. "weights": from 0 to the largest. "vectors": from 0 to the largest component.
    clipped
        Percent of values at either end that are left out.

    Examples
    --------
    >>> value_range(np.array([0.25, 0.5]), "affinities")
    (0.0, 1.0)
    >>> value_range(np.array([0.5, 4.0]), "weights")
    (0.0, 4.0)
    """
    if style in IN_COLOUR and data.dtype == np.uint8:
        return 0.0, 255.0
    seen = _real(data.reshape(-1)[:: max(1, data.size // _SAMPLED)])
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        return 0.0, 1.0
    least, most = float(seen.min()), float(seen.max())
    if style == "vectors":
        return 0.0, max(-least, most)
    if style == "weights":
        return min(0.0, least), most
    if style in IN_COLOUR and least >= 0 and most <= 1:
        return 0.0, 1.0
    low, high = np.percentile(seen, (clipped, 100 - clipped))
    return (float(low), float(high)) if low < high else (least, most)


def coloured(values: NDArray[Any], style: Style, limits: Range) -> Pixels:
    """Pixels of values.

    Parameters
    ----------
    values
        Shape (height, width); for "rgb" and "affinities" (channels, height, width), of which the
        first three are red, green and blue, and for "vectors", of which the length is shown. Of
        complex ones, the magnitude.
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
    >>> coloured(np.array([[0.0, 2.0, np.nan]]), "image", (0.0, 2.0))[0].tolist()
    [[0, 0, 0], [255, 255, 255], [255, 0, 255]]
    """
    if style == "labels":
        return colours_of_ids(values)
    if style == "mask":
        return np.repeat(np.where(values != 0, 255, 0).astype(np.uint8)[..., None], 3, axis=-1)
    if style == "vectors":
        return coloured(np.sqrt((values.astype(np.float64) ** 2).sum(axis=0)), "image", limits)
    low, high = limits
    span = high - low if high > low else 1.0
    parts = np.clip((_real(values) - low) / span, 0, 1)
    bad = np.isnan(parts)
    parts[bad] = 0
    if style == "weights":
        pixels = np.stack([np.clip(3 * parts - shift, 0, 1) for shift in range(3)], axis=-1)
    elif style in IN_COLOUR:
        pixels = np.zeros((*values.shape[1:], 3))
        pixels[..., : len(parts)] = np.moveaxis(parts[:3], 0, -1)
        bad = np.logical_or.reduce(bad[:3])
    else:
        pixels = np.repeat(parts[..., None], 3, axis=-1)
    made = np.rint(255 * pixels).astype(np.uint8)
    made[bad] = NOT_A_NUMBER
    return made


def _real(values: NDArray[Any]) -> NDArray[np.float64]:
    return (np.abs(values) if values.dtype.kind == "c" else values).astype(np.float64)


def overlay(base: Pixels, colours: Pixels, opacity: float = 0.4) -> Pixels:
    """Lay colours over a picture of the same size; black ones are left out.

    Parameters
    ----------
    base, colours
        Shape (height, width, 3).
    opacity
        How much is seen of the colours.

    Examples
    --------
    >>> overlay(np.full((1, 1, 3), 100, np.uint8), np.zeros((1, 1, 3), np.uint8))[0, 0].tolist()
    [100, 100, 100]
    """
    mixed = base * (1 - opacity) + colours * opacity
    shown = colours.any(axis=-1, keepdims=True)
    return np.where(shown, np.rint(mixed), base).astype(np.uint8)
