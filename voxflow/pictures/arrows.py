"""Vectors as arrows over a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pictures.png import pillow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["SPACING", "draw_arrows"]

SPACING = 18
"""Pixels from an arrow to the next, at least."""

_COLOUR = (255, 208, 0)
_HEAD = 0.3  # of the length
_OPENING = math.radians(150)


def draw_arrows(pixels: Pixels, starts: NDArray[Any], vectors: NDArray[Any]) -> Pixels:
    """Draw arrows over a picture.

    Parameters
    ----------
    pixels
        Shape (height, width, 3).
    starts, vectors
        Where arrows begin and what leads to their tips: pixels, shape (arrows, 2), y before x.
        Those that are 0 or not finite are left out.

    Returns
    -------
    NDArray[np.uint8]
        A copy with the arrows.

    Examples
    --------
    >>> made = draw_arrows(np.zeros((9, 9, 3), np.uint8), np.array([[4, 1]]), np.array([[0, 6]]))
    >>> int((made[4, :, 0] > 0).sum())
    7
    """
    image = pillow().fromarray(pixels)
    pen = pillow("ImageDraw").Draw(image)
    kept = np.isfinite(vectors).all(axis=1) & (np.abs(vectors) > 0).any(axis=1)
    for (y, x), (down, right) in zip(starts[kept], vectors[kept], strict=True):
        tip = x + right, y + down
        pen.line([(x, y), tip], fill=_COLOUR)
        length, angle = _HEAD * math.hypot(down, right), math.atan2(down, right)
        if length < 1.5:
            continue
        for side in (angle - _OPENING, angle + _OPENING):
            end = tip[0] + length * math.cos(side), tip[1] + length * math.sin(side)
            pen.line([tip, end], fill=_COLOUR)
    return np.asarray(image).copy()
