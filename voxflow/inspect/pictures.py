"""Arrays as colours: one section of one array, arrays laid over each other, and sheets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from voxflow.inspect.arrays import Guess, guess
from voxflow.inspect.values import BACKGROUNDS
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from voxflow.pipeline.data import Array

    RGB = NDArray[np.uint8]

__all__ = ["Layer", "colours_of_ids", "draw_sheet", "layer_of", "overlay", "section"]

_GAP, _TEXT = 8, 18  # pixels
_PAPER, _INK = (24, 26, 30), (214, 218, 224)


@dataclass(frozen=True)
class Layer:
    """An array to be drawn.

    Parameters
    ----------
    name
        Shown above it.
    data
        Spatial axes last, all others in front.
    voxel_size, offset
        World units, of the spatial axes; at most three.
    guess
        What it holds.
    unit
        Of world positions, as "nm"; empty if it is not known.
    factors
        By how much it is coarser than its file along the spatial axes, where it is.
    """

    name: str
    data: NDArray[Any]
    voxel_size: tuple[float, ...]
    offset: tuple[float, ...]
    guess: Guess = "image"
    unit: str = ""
    factors: tuple[int, ...] = ()

    @property
    def extent(self) -> tuple[int, ...]:
        """Voxels along the spatial axes."""
        return self.data.shape[self.data.ndim - len(self.voxel_size) :]

    @property
    def centre(self) -> tuple[float, ...]:
        """World position of the middle."""
        each = zip(self.offset, self.extent, self.voxel_size, strict=True)
        return tuple(begin + n * size / 2 for begin, n, size in each)


def layer_of(name: str, array: Array) -> Layer:
    """The layer of an array of a batch.

    Parameters
    ----------
    name
        Shown above it.
    array
        With a region and a voxel size, or without, for voxels of 1.
    """
    spec, data = array.spec, array.data
    dims = min(data.ndim, 3) if spec.roi is None else spec.roi.dims
    size = spec.voxel_size or Coordinate((1,) * dims)
    offset = Coordinate((0,) * dims) if spec.roi is None else spec.roi.offset
    kind = guess(name, data.dtype, data.shape, {})
    if spec.kind is not None and type(spec.kind).__name__ == "Affinities":
        kind = "affinities"
    elif kind == "labels" and spec.interpolatable:
        kind = "image"
    return Layer(name, data, tuple(map(float, size)), tuple(map(float, offset)), kind)


def colours_of_ids(ids: NDArray[Any]) -> RGB:
    """The colour of each id, the same in every picture; black for the background.

    The bits of an id are mixed by the function of splitmix64, and give hue and lightness.
    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Parameters
    ----------
    ids
        Of any integer type, up to 2^64 - 1, and of any shape.

    Returns
    -------
    ndarray
        uint8, with an axis of red, green and blue at the end.

    Examples
    --------
    >>> colours_of_ids(np.array([0, 1, 2**63], np.uint64)).tolist()[0]
    [0, 0, 0]
    """
    ids = np.asarray(ids)
    bits = ids.astype(np.int64).view(np.uint64) if ids.dtype.kind != "u" else ids.astype(np.uint64)
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
    return cast("RGB", colours)


def section(
    layer: Layer,
    axis: int | None = None,
    position: float | None = None,
    limits: tuple[float, float] | None = None,
) -> RGB:
    """One section of an array in colours.

    Parameters
    ----------
    layer
        The array. Of images with one or two channels the first is drawn, of three or more
        the first three as red, green and blue; of other leading axes, their first entry.
    axis
        Spatial axis across which it is cut; None: the first of three, and none of two.
    position
        World position on that axis; None: the middle.
    limits
        Values that are black and white; None: 0 and 255 for uint8, else the least and the
        greatest one.

    Returns
    -------
    ndarray
        uint8: rows, columns, colours.

    Raises
    ------
    ValueError
        If the position is outside.

    Examples
    --------
    >>> ramp = Layer("raw", np.arange(6, dtype=np.uint8).reshape(2, 3), (1, 1), (0, 0))
    >>> section(ramp)[1].tolist()
    [[3, 3, 3], [4, 4, 4], [5, 5, 5]]
    """
    dims = len(layer.voxel_size)
    data = layer.data.reshape(-1, *layer.extent)
    if dims == 1:
        data = data[:, None]
    if dims > 2:
        axis = 0 if axis is None else axis
        place = layer.centre[axis] if position is None else position
        index = int((place - layer.offset[axis]) // layer.voxel_size[axis])
        if not 0 <= index < layer.extent[axis]:
            raise ValueError(f"{layer.name} has no section at {place}")
        data = data.take(index, axis=1 + axis)
    if layer.guess == "labels":
        flat = data[0]
        return colours_of_ids(flat if flat.dtype.kind in "iu" else _whole(flat))
    channels = data[:3] if len(data) >= 3 else data[[0, 0, 0]]
    return np.moveaxis(_to_bytes(channels, limits, layer.guess), 0, -1)


def _whole(values: NDArray[Any]) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", np.nan_to_num(values).astype(np.int64))


def _to_bytes(
    data: NDArray[Any], limits: tuple[float, float] | None, kind: Guess
) -> NDArray[np.uint8]:
    if data.dtype == np.uint8 and limits is None and kind == "image":
        return data
    values = np.nan_to_num(data.real.astype(np.float64), posinf=0, neginf=0)
    low, high = limits or find_limits(values, kind)
    return np.rint(np.clip((values - low) / ((high - low) or 1), 0, 1) * 255).astype(np.uint8)


def find_limits(values: NDArray[Any], kind: Guess = "image") -> tuple[float, float]:
    """Values that are drawn black and white: 0 and 1 for affinities that are in between.

    >>> find_limits(np.array([0.2, 0.8]), "affinities"), find_limits(np.array([-2.0, 5.0]))
    ((0.0, 1.0), (-2.0, 5.0))
    """
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (0.0, 1.0) if kind == "affinities" and low >= 0 and high <= 1 else (low, high)


def overlay(base: RGB, colours: RGB, opacity: float = 0.4) -> RGB:
    """Lay colours over a picture of the same size; black ones are left out.

    >>> overlay(np.full((1, 1, 3), 100, np.uint8), np.zeros((1, 1, 3), np.uint8))[0, 0].tolist()
    [100, 100, 100]
    """
    mixed = base * (1 - opacity) + colours * opacity
    shown = colours.any(axis=-1, keepdims=True)
    return np.where(shown, np.rint(mixed), base).astype(np.uint8)


def draw_sheet(
    rows: Sequence[tuple[str, Sequence[Layer]]], *, height: int = 240, overlays: bool = True
) -> Image:
    """Draw a sheet: a row of arrays for each file or batch, cut through the middle.

    Arrays of a row are cut at the same world position, where they all have it.

    Parameters
    ----------
    rows
        The text above each row, and its arrays.
    height
        Of the largest array of a row, in pixels.
    overlays
        Whether labels and affinities are drawn over the first image, too.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    ModuleNotFoundError
        If Pillow is not installed.
    """
    drawn = [(title, _tiles(layers, height, overlays)) for title, layers in rows]
    width = max([sum(t.width + _GAP for _, t in tiles) for _, tiles in drawn], default=0)
    heights = [
        _TEXT * 2 + max((t.height for _, t in tiles), default=0) + _GAP for _, tiles in drawn
    ]
    return _paste(drawn, heights, (max(width, 320) + _GAP, sum(heights) + _GAP))


def _paste(
    rows: Sequence[tuple[str, Sequence[tuple[str, Image]]]],
    heights: Sequence[int],
    size: tuple[int, int],
) -> Image:
    import PIL.Image
    from PIL import ImageDraw, ImageFont

    sheet = PIL.Image.new("RGB", size, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    top = _GAP
    for (title, tiles), height in zip(rows, heights, strict=True):
        pen.text((_GAP, top), title, fill=_INK, font=font)
        left = _GAP
        for name, tile in tiles:
            pen.text((left, top + _TEXT), _fitting(name, tile.width, font), fill=_INK, font=font)
            sheet.paste(tile, (left, top + 2 * _TEXT))
            left += tile.width + _GAP
        top += height
    return sheet


def _fitting(text: str, width: int, font: Any) -> str:
    """As much of a text's end as there is room for."""
    shown = text
    while len(shown) > 1 and font.getlength(shown) > width:
        shown = f"…{shown[2:]}" if shown.startswith("…") else f"…{shown[1:]}"
    return shown


def _tiles(layers: Sequence[Layer], height: int, overlays: bool) -> list[tuple[str, Image]]:
    """The pictures of a row, all at one scale."""
    layers = [layer for layer in layers if layer.data.size]
    if not layers:
        return []
    tallest = max(_height(layer) for layer in layers)
    base = next((layer for layer in layers if layer.guess == "image"), None)
    tiles = []
    for layer in layers:
        position = _common(layer, layers)
        picture = section(layer, position=position)
        tiles.append((layer.name, _scaled(picture, layer, height / tallest)))
        if overlays and base is not None and layer.guess in ("labels", "affinities"):
            both = _over(base, layer, position)
            tiles += (
                []
                if both is None
                else [("over " + base.name, _scaled(both, base, height / tallest))]
            )
    return tiles


def _height(layer: Layer) -> float:
    rows = layer.extent[-2] if len(layer.extent) > 1 else 1
    return rows * layer.voxel_size[max(-2, -len(layer.voxel_size))]


def _common(layer: Layer, layers: Sequence[Layer]) -> float | None:
    """The middle of what all arrays of as many axes share, on the first of three axes."""
    if len(layer.voxel_size) < 3:
        return None
    same = [other for other in layers if len(other.voxel_size) == len(layer.voxel_size)]
    begin = max(other.offset[0] for other in same)
    end = min(other.offset[0] + other.extent[0] * other.voxel_size[0] for other in same)
    return (begin + end) / 2 if begin < end else None


def _over(base: Layer, layer: Layer, position: float | None) -> RGB | None:
    """A layer over another one, voxel for voxel of the latter; None where they do not meet."""
    dims = len(base.voxel_size)
    if len(layer.voxel_size) != dims or dims < 2:
        return None
    try:
        below, above = section(base, position=position), section(layer, position=position)
    except ValueError:
        return None
    places, inside = [], []
    for axis, count in ((dims - 2, below.shape[0]), (dims - 1, below.shape[1])):
        world = base.offset[axis] + (np.arange(count) + 0.5) * base.voxel_size[axis]
        index = np.floor((world - layer.offset[axis]) / layer.voxel_size[axis]).astype(int)
        inside.append((index >= 0) & (index < layer.extent[axis]))
        places.append(np.clip(index, 0, layer.extent[axis] - 1))
    moved = above[np.ix_(*places)] * np.logical_and.outer(*inside)[..., None].astype(np.uint8)
    return overlay(below, moved)


def _scaled(picture: RGB, layer: Layer, scale: float) -> Image:
    """Pixels that are square in the world, of so many pixels to a world unit."""
    import PIL.Image

    rows, columns = picture.shape[:2]
    high = max(1, round(_height(layer) * scale))
    wide = max(1, round(columns * layer.voxel_size[-1] * scale))
    image = PIL.Image.fromarray(picture)
    nearest = high >= rows or layer.guess == "labels"
    how = PIL.Image.Resampling.NEAREST if nearest else PIL.Image.Resampling.BOX
    return image.resize((wide, high), how)
