"""A picture of arrays side by side, with the same place of the world at the same place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, Batch
from voxflow.training.colors import (
    Style,
    blended,
    colored,
    guessed_style,
    value_range,
)
from voxflow.training.png import pillow, save_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["batch_picture"]

NOTHING = (44, 40, 48)
"""The colour of where an array has no voxels."""

_BACK, _INK = 250, 20
_GAP = 8
_NARROWEST = 190  # pixels, which a title needs
_LINE = 15


@dataclass(frozen=True)
class _Shown:
    """An array with all axes: samples, channels, then those of space."""

    name: str
    array: Array
    style: Style
    data: NDArray[Any]
    offset: tuple[float, ...]
    voxel_size: tuple[float, ...]
    limits: tuple[float, float]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape[2:]

    def plane(self, sample: int, place: Sequence[float]) -> NDArray[Any]:
        """A section with all channels: shape (channels, y, x); of no rows where it has none."""
        index = [
            math.floor((p - o) / v)
            for p, o, v in zip(place, self.offset, self.voxel_size, strict=False)
        ]
        if sample >= len(self.data) or any(
            not 0 <= i < n for i, n in zip(index, self.shape, strict=False)
        ):
            return np.zeros((self.data.shape[1], 0, self.shape[-1]), self.data.dtype)
        where: tuple[Any, ...] = (sample, slice(None), *index)
        found: NDArray[Any] = self.data[where]
        return found


@dataclass(frozen=True)
class _Window:
    """The part of the world that all panels show, in y and x."""

    begin: tuple[float, float]
    pixel: float
    shape: tuple[int, int]

    def rows_and_columns(self, shown: _Shown) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """For both axes: which pixels an array has voxels for, and which voxels."""
        found = []
        for axis in (0, 1):
            places = self.begin[axis] + (np.arange(self.shape[axis]) + 0.5) * self.pixel
            size = shown.voxel_size[axis - 2]
            index = np.floor((places - shown.offset[axis - 2]) / size).astype(np.int64)
            inside = np.flatnonzero((index >= 0) & (index < shown.shape[axis - 2]))
            found.append((inside, index[inside]))
        return found


def batch_picture(
    arrays: Batch | Mapping[Any, Array],
    path: str | Path | None = None,
    *,
    styles: Mapping[Any, Style] | None = None,
    stacked: bool | None = None,
    samples: int = 4,
    sections: int = 1,
    channels: int = 4,
    overlay: bool = True,
    size: int = 256,
    title: str = "",
) -> Pixels:
    """Draw arrays side by side: a column for each, a row for each sample and section.

    All panels of a picture show the same region of the world, in voxels as they are; where an
    array has none, they are dark grey. Of a volume, the sections around the middle of what all
    arrays have are shown, along its last two axes. Ids have colours that are the same in each
    picture. Above each column is what the array is: its key, shape, type and range.

    Parameters
    ----------
    arrays
        A batch, or arrays by name. Graphs are left out.
    path
        The PNG to write; its folder is made. None: none is written.
    styles
        How arrays are shown, by their keys or names: "gray", "rgb" (the first three channels),
        "labels", "mask" or "weights". Others are guessed: see `guessed_style`.
    stacked
        Whether the first axis of all arrays is that of samples. None: it is if all have one of the
        same size before those of space, and one has channels besides, or has labels.
    samples, sections, channels
        At most how many are shown.
    overlay
        Whether the first image is shown once more with the first labels over it.
    size
        About how many pixels the longer side of a panel has.
    title
        A line above all.

    Returns
    -------
    NDArray[np.uint8]
        The picture, shape (height, width, 3).

    Raises
    ------
    ImportError
        If Pillow is not installed.
    ValueError
        If no array has axes of space.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> from voxflow import ArraySpec, Roi
    >>> raw = Array(np.zeros((8, 8), np.float32), ArraySpec(Roi((0, 0), (32, 32)), (4, 4)))
    >>> ids = Array(np.ones((4, 4), np.uint64), ArraySpec(Roi((8, 8), (16, 16)), (4, 4)))
    >>> batch_picture({"raw": raw, "ids": ids}, size=8).shape[2]
    3
    """
    given = {str(key): style for key, style in (styles or {}).items()}
    named = {str(k): v for k, v in arrays.items() if isinstance(v, Array)}
    spatial = {n: a for n, a in named.items() if not a.spec.nonspatial and a.data.size}
    if not spatial:
        raise ValueError(
            f"there is nothing to draw: of {', '.join(named) or 'no arrays'} none has voxels"
        )
    stacked = _is_stacked(spatial, given) if stacked is None else stacked
    shown = [_shown(name, a, given.get(name), stacked) for name, a in spatial.items()]
    window = _window(shown, size)
    places = _places(shown, sections)
    rows = [
        (_caption(i, place, shown, places), _panels(shown, i, place, window, channels, overlay))
        for i in range(min(samples, max(len(s.data) for s in shown)))
        for place in places
    ]
    lines = [f"{n}: {_said(a)}" for n, a in named.items() if n not in spatial]
    pixels = _sheet(rows, title, lines)
    if path is not None:
        save_picture(pixels, path)
    return pixels


# -- arrays ---------------------------------------------------------------------------------------


def _dims(array: Array) -> int:
    spec = array.spec
    if spec.roi is not None:
        return spec.roi.dims
    return min(array.data.ndim, 3) if spec.voxel_size is None else spec.voxel_size.dims


def _is_stacked(arrays: Mapping[str, Array], styles: Mapping[str, Style]) -> bool:
    leads = {name: a.shape[: len(a.shape) - _dims(a)] for name, a in arrays.items()}
    if len({lead[:1] for lead in leads.values()}) > 1 or () in leads.values():
        return False
    return any(
        len(lead) > 1
        or (styles.get(name) or guessed_style(name, arrays[name], lead[-1])) == "labels"
        for name, lead in leads.items()
    )


def _shown(name: str, array: Array, style: Style | None, stacked: bool) -> _Shown:
    dims, spec = _dims(array), array.spec
    data = array.view
    lead, space = data.shape[: data.ndim - dims], data.shape[data.ndim - dims :]
    space = (1,) * (2 - dims) + space
    count = lead[0] if stacked and lead else 1
    full = data.reshape(count, -1, *space)
    size = (1.0,) * dims if spec.voxel_size is None else tuple(map(float, spec.voxel_size))
    offset = (0.0,) * dims if spec.roi is None else tuple(map(float, spec.roi.offset))
    flat = 2 - dims  # a line is drawn as an image of one row
    chosen = guessed_style(name, array, full.shape[1]) if style is None else style
    return _Shown(
        name,
        array,
        chosen,
        full,
        (0.0,) * flat + offset,
        (size[0],) * flat + size,
        value_range(data, chosen),
    )


# -- where ----------------------------------------------------------------------------------------


def _window(shown: Sequence[_Shown], size: int) -> _Window:
    begin, end = [], []
    for axis in (-2, -1):
        begin.append(min(s.offset[axis] for s in shown))
        end.append(max(s.offset[axis] + s.shape[axis] * s.voxel_size[axis] for s in shown))
    finest = min(min(s.voxel_size[-2:]) for s in shown)
    longest = max(b - a for a, b in zip(begin, end, strict=True)) / finest
    # Whole pixels for a voxel, or whole voxels for a pixel.
    pixel = finest / max(1, int(size / longest)) if longest <= size else finest
    if longest > size:
        pixel = finest * max(1, round(longest / size))
    shape = [max(1, math.ceil((b - a) / pixel - 1e-6)) for a, b in zip(begin, end, strict=True)]
    return _Window((begin[0], begin[1]), pixel, (shape[0], shape[1]))


def _places(shown: Sequence[_Shown], sections: int) -> list[tuple[float, ...]]:
    """Where the sections lie along all axes before the last two."""
    deep = max(shown, key=lambda s: len(s.shape))
    middle, axes = [], len(deep.shape) - 2
    count, step = 1, 0.0
    for axis in range(axes):
        those = [s for s in shown if len(s.shape) == len(deep.shape)]
        low = max(s.offset[axis] for s in those)
        high = min(s.offset[axis] + s.shape[axis] * s.voxel_size[axis] for s in those)
        coarsest = max(s.voxel_size[axis] for s in those)
        if high <= low:  # nothing that all have
            low, high = deep.offset[axis], deep.offset[axis] + coarsest * deep.shape[axis]
        slices = max(1, int((high - low) / coarsest + 1e-6))
        middle.append(low + (slices // 2 + 0.5) * coarsest)
        if axis == axes - 1:
            count, step = min(sections, slices), coarsest
            middle[-1] -= (count // 2) * step
    if not axes:
        return [()]
    return [(*middle[:-1], middle[-1] + i * step) for i in range(count)]


def _caption(
    sample: int, place: Sequence[float], shown: Sequence[_Shown], places: Sequence[Any]
) -> str:
    said = [f"sample {sample}"] if max(len(s.data) for s in shown) > 1 else []
    if place:
        size = max(shown, key=lambda s: len(s.shape)).voxel_size
        begin = [p - v / 2 for p, v in zip(place, size, strict=False)]
        said.append("section at " + ", ".join(f"{b:.6g}" for b in begin))
    return ", ".join(said)


# -- panels ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Panel:
    lines: tuple[str, ...]
    pixels: Pixels


def _panels(
    shown: Sequence[_Shown],
    sample: int,
    place: Sequence[float],
    window: _Window,
    channels: int,
    overlay: bool,
) -> list[_Panel]:
    panels: list[_Panel] = []
    first: dict[str, tuple[_Shown, Pixels]] = {}
    for each in shown:
        plane = each.plane(sample, place[len(place) - (len(each.shape) - 2) :])
        if each.style == "rgb":
            planes, names = [plane[:3]], [f" [:{min(3, len(plane))}]" if len(plane) > 3 else ""]
        else:
            planes = list(plane[:channels])
            names = [f" [{c}]" if len(plane) > 1 else "" for c in range(len(planes))]
        for name, values in zip(names, planes, strict=True):
            pixels = _placed(values, each, window)
            panels.append(_Panel((each.name + name, *_told(each)), pixels))
            first.setdefault(each.style, (each, pixels))
    if overlay and "gray" in first and "labels" in first:
        (image, under), (labels, over) = first["gray"], first["labels"]
        # Outside of the labels the image is darker.
        rows, columns = (inside for inside, _ in window.rows_and_columns(labels))
        seen = np.zeros(window.shape, bool)
        seen[np.ix_(rows, columns)] = True
        mixed = np.where(seen[..., None], blended(under, over * seen[..., None]), under // 2)
        panels.append(_Panel((f"{image.name} + {labels.name}",), mixed.astype(np.uint8)))
    return panels


def _placed(values: NDArray[Any], shown: _Shown, window: _Window) -> Pixels:
    (rows, i), (columns, j) = window.rows_and_columns(shown)
    pixels = np.full((*window.shape, 3), NOTHING, np.uint8)
    if rows.size and columns.size and values.size:
        part = values[..., i[:, None], j[None, :]]
        pixels[np.ix_(rows, columns)] = colored(part, shown.style, shown.limits)
    return pixels


def _told(shown: _Shown) -> tuple[str, str]:
    array = shown.array
    what = f"{'x'.join(map(str, array.shape))} {array.dtype}"
    return what, _said(array, count=shown.style == "labels")


def _said(array: Array, count: bool = False) -> str:
    """The range of an array, and how many ids it has."""
    data = array.view
    if not data.size:
        return "empty"
    if data.dtype.kind not in "iub":
        finite = data[np.isfinite(data)]
        low, high = (finite.min(), finite.max()) if finite.size else (math.nan, math.nan)
        bad = data.size - finite.size
        return f"{low:.4g} to {high:.4g}" + (f", {bad} not finite" if bad else "")
    said, ids = f"{data.min()} to {data.max()}", len(np.unique(data)) if count else 0
    return f"{ids} id{'s' * (ids > 1)}, {said}" if count else said


# -- the sheet ------------------------------------------------------------------------------------


def _sheet(rows: Sequence[tuple[str, list[_Panel]]], title: str, notes: Sequence[str]) -> Pixels:
    image, draw, font = pillow(), pillow("ImageDraw"), pillow("ImageFont").load_default(12)
    first = rows[0][1]
    height, width = first[0].pixels.shape[:2]
    cell = max(width, _NARROWEST) + _GAP
    head = _GAP + (_LINE if title else 0) + _LINE * max(len(p.lines) for p in first) + 4
    captioned = _LINE if any(caption for caption, _ in rows) else 0
    step = captioned + height + _GAP
    shape = head + step * len(rows) + _LINE * len(notes) + 4, _GAP + cell * len(first), 3
    canvas = np.full(shape, _BACK, np.uint8)
    for r, (_, panels) in enumerate(rows):
        top = head + step * r + captioned
        for c, panel in enumerate(panels):
            left = _GAP + cell * c
            canvas[top : top + height, left : left + width] = panel.pixels
    sheet = image.fromarray(canvas)
    pen = draw.Draw(sheet)

    def write(text: str, left: int, top: int, room: int) -> None:
        while text and pen.textlength(text, font=font) > room:
            text = text[:-2] + "\u2026" if len(text) > 2 else ""
        pen.text((left, top), text, fill=(_INK,) * 3, font=font)

    write(title, _GAP, _GAP // 2, shape[1])
    for c, panel in enumerate(first):
        for n, line in enumerate(panel.lines):
            begin = _GAP // 2 + (_LINE if title else 0) + n * _LINE
            write(line, _GAP + cell * c, begin, cell - _GAP)
    for r, (caption, _) in enumerate(rows):
        write(caption, _GAP, head + step * r - 2, shape[1])
    for n, note in enumerate(notes):
        write(note, _GAP, head + step * len(rows) + n * _LINE, shape[1])
    return np.asarray(sheet)
