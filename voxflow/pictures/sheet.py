"""Contact sheets: arrays side by side, with the same place of the world at the same place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pictures.colours import IN_COLOUR, overlay
from voxflow.pictures.places import place, sections_of, window_of
from voxflow.pictures.png import pillow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from voxflow.pictures.layer import Layer
    from voxflow.pictures.places import Placed, Window

    Pixels = NDArray[np.uint8]

__all__ = ["draw_sheet"]

_BACK, _INK = (250, 250, 250), (20, 20, 20)
_GAP = 8
_NARROWEST = 190  # pixels, which a title needs
_LINE = 15
_FONT = 12


def draw_sheet(
    rows: Sequence[tuple[str, Sequence[Layer]]],
    *,
    stacked: bool | None = None,
    samples: int = 4,
    sections: int = 1,
    channels: int = 4,
    overlays: bool = True,
    size: int = 256,
    notes: Sequence[str] = (),
) -> Image:
    """Draw a sheet: for each file or batch a column for each array, a row for each sample.

    All panels of a batch show the same region of the world; where an array has no voxels, they are
    dark grey. An array that lies elsewhere is shown from the corner of the first one, and its head
    says so. Of a volume, the sections around the middle of what all arrays have are shown, along
    its last two axes. Vectors are arrows in these two axes, all to one scale, which is not that of
    the world: the longest component is as long as arrows are apart. Above each column is what the
    array is: its name, shape, type and range.

    Parameters
    ----------
    rows
        The text above each file or batch, and its arrays.
    stacked
        Whether the first axis of all arrays is that of samples. None: it is if all have one of the
        same size before those of space, and one has channels besides, or has labels.
    samples, sections, channels
        At most how many are shown.
    overlays
        Whether labels and affinities are drawn over the first image, too. Outside of them it is
        darker.
    size
        About how many pixels the longer side of a panel has.
    notes
        Lines below all.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    ModuleNotFoundError
        If Pillow is not installed.
    """
    blocks = []
    for title, layers in rows:
        placed = place([layer for layer in layers if layer.data.size], stacked)
        blocks.append(_block(title, placed, samples, sections, channels, overlays, size))
    return _paint(blocks, notes)


@dataclass(frozen=True)
class _Panel:
    head: tuple[str, ...]
    pixels: Pixels


@dataclass(frozen=True)
class _Block:
    """All of one file or batch: rows with a caption each, and of panels of one size."""

    title: str
    rows: tuple[tuple[str, tuple[_Panel, ...]], ...]

    @property
    def panels(self) -> tuple[_Panel, ...]:
        return self.rows[0][1] if self.rows else ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a panel."""
        return self.panels[0].pixels.shape[:2] if self.panels else (0, 0)

    @property
    def cell(self) -> int:
        """From a column to the next."""
        return max(self.shape[1], _NARROWEST) + _GAP

    @property
    def head(self) -> int:
        """Height of what is above the rows."""
        lines = bool(self.title) + max([len(p.head) for p in self.panels], default=0)
        return lines * _LINE + _GAP

    @property
    def caption(self) -> int:
        return _LINE if any(caption for caption, _ in self.rows) else 0

    @property
    def height(self) -> int:
        return self.head + len(self.rows) * (self.caption + self.shape[0] + _GAP)


def _block(
    title: str,
    placed: Sequence[Placed],
    samples: int,
    sections: int,
    channels: int,
    overlays: bool,
    size: int,
) -> _Block:
    if not placed:
        return _Block(title, ())
    window = window_of(placed, size)
    rows = tuple(
        (_caption(i, position, placed), _panels(placed, i, position, window, channels, overlays))
        for i in range(min(samples, max(len(p.data) for p in placed)))
        for position in sections_of(placed, sections)
    )
    return _Block(title, rows)


def _caption(sample: int, position: Sequence[float], placed: Sequence[Placed]) -> str:
    said = [f"sample {sample}"] if max(len(p.data) for p in placed) > 1 else []
    if position:
        size = max(placed, key=lambda p: len(p.shape)).voxel_size
        begin = [p - v / 2 for p, v in zip(position, size, strict=False)]
        said.append("section at " + ", ".join(f"{b:.6g}" for b in begin))
    return ", ".join(said)


def _panels(
    placed: Sequence[Placed],
    sample: int,
    position: Sequence[float],
    window: Window,
    channels: int,
    overlays: bool,
) -> tuple[_Panel, ...]:
    panels: list[_Panel] = []
    base = _base(placed)
    drawn: dict[int, tuple[Pixels, NDArray[np.bool_]]] = {}
    for number, each in enumerate(placed):
        head = _head(each)
        for name, values in _channels(each, each.plane(sample, position), channels):
            pixels, there = window.draw(values, each)
            panels.append(_Panel((each.layer.name + name, *head), pixels))
            drawn.setdefault(number, (pixels, there))
    for number, each in enumerate(placed if overlays and base is not None else []):
        over = each.layer.style in ("labels", "affinities") and not each.moved
        if over and base is not None and not placed[base].moved:
            (under, _), (pixels, there) = drawn[base], drawn[number]
            mixed = overlay(under, pixels * there[..., None])
            name = f"{placed[base].layer.name} + {each.layer.name}"
            panels.append(_Panel((name,), np.where(there[..., None], mixed, under // 2)))
    return tuple(panels)


def _base(placed: Sequence[Placed]) -> int | None:
    """Which one others are drawn over: the first image."""
    for style in ("image", "rgb"):
        for number, each in enumerate(placed):
            if each.layer.style == style:
                return number
    return None


def _channels(placed: Placed, plane: NDArray[Any], channels: int) -> list[tuple[str, NDArray[Any]]]:
    """What is drawn of a section for itself, with its place among the channels."""
    if placed.style == "vectors":
        return [("", plane[: len(placed.layer.extent)])]
    if placed.style in IN_COLOUR:
        return [(f" [:{min(3, len(plane))}]" if len(plane) > 3 else "", plane[:3])]
    names = [f" [{c}]" if len(plane) > 1 else "" for c in range(len(plane))]
    return list(zip(names, plane, strict=True))[:channels]


def _head(placed: Placed) -> tuple[str, ...]:
    layer = placed.layer
    lines = [f"{'x'.join(map(str, layer.data.shape))} {layer.data.dtype}"]
    if any(factor > 1 for factor in layer.factors):
        lines.append("coarser than its file by " + "x".join(map(str, layer.factors)))
    else:
        lines.append(describe_values(layer.data, count=layer.style == "labels"))
    if placed.moved:
        lines.append("lies elsewhere: " + ", ".join(f"{begin:.6g}" for begin in layer.offset))
    return tuple(lines)


def describe_values(data: NDArray[Any], count: bool = False) -> str:
    """The range of an array, and how many ids it has.

    >>> describe_values(np.array([3, 5, 5]), count=True), describe_values(np.array([0.5, np.nan]))
    ('2 ids, 3 to 5', '0.5 to 0.5, 1 not finite')
    """
    if not data.size:
        return "empty"
    data = np.abs(data) if data.dtype.kind == "c" else data
    if data.dtype.kind not in "iub":
        good = np.isfinite(data)
        finite = data if good.all() else data[good]
        low, high = (finite.min(), finite.max()) if finite.size else (math.nan, math.nan)
        bad = data.size - finite.size
        return f"{low:.4g} to {high:.4g}" + (f", {bad} not finite" if bad else "")
    said, ids = f"{data.min()} to {data.max()}", len(np.unique(data)) if count else 0
    return f"{ids} id{'s' * (ids > 1)}, {said}" if count else said


# -- paper ----------------------------------------------------------------------------------------


def _paint(blocks: Sequence[_Block], notes: Sequence[str]) -> Image:
    image, draw, fonts = pillow(), pillow("ImageDraw"), pillow("ImageFont")
    width = _GAP + max([b.cell * max(1, len(b.panels)) for b in blocks], default=_NARROWEST)
    height = _GAP // 2 + sum(b.height for b in blocks) + _LINE * len(notes) + _GAP // 2
    sheet = image.new("RGB", (width, height), _BACK)
    pen, font = draw.Draw(sheet), fonts.load_default(_FONT)

    def write(text: str, left: int, top: int, room: int, end: bool = False) -> None:
        shown = _fitting(text, lambda t: bool(font.getlength(t) <= room), end)
        pen.text((left, top), shown, fill=_INK, font=font)

    top = _GAP // 2
    for block in blocks:
        write(block.title, _GAP, top, width - _GAP)
        begin = top + (_LINE if block.title else 0)
        for c, panel in enumerate(block.panels):
            for n, line in enumerate(panel.head):
                left = _GAP + block.cell * c
                write(line, left, begin + n * _LINE, block.cell - _GAP, end=n == 0)
        top += block.head
        for caption, panels in block.rows:
            write(caption, _GAP, top - 2, width - _GAP)
            top += block.caption
            for c, panel in enumerate(panels):
                sheet.paste(image.fromarray(panel.pixels), (_GAP + block.cell * c, top))
            top += block.shape[0] + _GAP
    for n, note in enumerate(notes):
        write(note, _GAP, top + n * _LINE, width - _GAP)
    return sheet  # type: ignore[no-any-return]


def _fitting(text: str, fits: Any, end: bool) -> str:
    """As much of a text as there is room for: its beginning, or its end."""
    shown, kept = text, len(text)
    while kept > 0 and not fits(shown):
        kept -= 1
        shown = f"\u2026{text[len(text) - kept :]}" if end else f"{text[:kept]}\u2026"
    return shown
