"""Colours of ids: the same in every picture, and in the page for the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["BACKGROUNDS", "as_uint64", "colours_of_ids"]

BACKGROUNDS = (0, 2**64 - 1)
"""Ids that stand for no object: 0, and the one of CREMI's synapses."""


def as_uint64(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """Ids of any type as uint64: of negative ones the two's complement, of floats the nearest.

    >>> as_uint64(np.array([-1, 5])).tolist(), as_uint64(np.array([6.9, np.nan])).tolist()
    ([18446744073709551615, 5], [7, 0])
    """
    if ids.dtype.kind == "u":
        return ids.astype(np.uint64, copy=False)
    if ids.dtype.kind in "fc":
        ids = np.nan_to_num(np.rint(np.abs(ids) if ids.dtype.kind == "c" else ids))
    return ids.astype(np.int64).view(np.uint64)


def colours_of_ids(ids: NDArray[Any]) -> Pixels:
    """The colour of each id, the same in every picture; black for the background.

    The bits of an id are mixed by the function of splitmix64, and give hue and lightness.
    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Parameters
    ----------
    ids
        Of any integer type, up to 2^64 - 1, and of any shape. Of negative ones, the two's
        complement counts.

    Returns
    -------
    ndarray
        uint8, with an axis of red, green and blue at the end.

    Examples
    --------
    >>> colours_of_ids(np.array([0, 1, 2**63], np.uint64)).tolist()[0]
    [0, 0, 0]
    """
    # The page has the same in `paletteOf` of voxflow/inspect/page/volume.js.
    bits = as_uint64(np.asarray(ids))
    with np.errstate(over="ignore"):  # the products are meant to wrap
        x = bits + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    hue = (x & np.uint64(0xFFFF)).astype(np.float64) / 0x10000 * 6
    light = 0.48 + 0.2 * ((x >> np.uint64(16)) & np.uint64(0xFF)).astype(np.float64) / 255
    chroma = 0.8 * (1 - np.abs(2 * light - 1))
    channels = []
    for shift in (5.0, 3.0, 1.0):  # of HSL, written with one ramp for each channel
        ramp = np.clip(np.abs((hue + shift - 2) % 6 - 3) - 1, 0, 1)
        channels.append(light + chroma * (ramp - 0.5))
    colours = np.rint(np.stack(channels, axis=-1) * 255).astype(np.uint8)
    colours[np.isin(bits, np.array(BACKGROUNDS, np.uint64))] = 0
    return cast("Pixels", colours)
