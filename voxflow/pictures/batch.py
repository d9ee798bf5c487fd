"""A picture of the arrays of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pictures.layer import Layer, layer_of
from voxflow.pictures.png import save_picture
from voxflow.pictures.sheet import describe_values, draw_sheet
from voxflow.pipeline.data import Array, Batch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from voxflow.pictures.colours import Style

    Pixels = NDArray[np.uint8]

__all__ = ["batch_picture"]


def batch_picture(
    arrays: Batch | Mapping[Any, Array],
    path: str | Path | None = None,
    *,
    styles: Mapping[Any, Style] | None = None,
    stacked: bool | None = None,
    samples: int = 4,
    sections: int = 1,
    channels: int = 4,
    overlays: bool = True,
    size: int = 256,
    title: str = "",
) -> Pixels:
    """Draw the arrays of a batch side by side: a column for each, a row for each sample.

    The picture is that of `draw_sheet`.

    Parameters
    ----------
    arrays
        A batch, or arrays by name. Graphs are left out, and of arrays without a place the range is
        said.
    path
        The PNG to write; its folder is made. None: none is written.
    styles
        How arrays are shown, by their keys or names: see `Layer`. Others are guessed: see
        `guess_style`. "vectors" of an array without a place, which has a component for each axis of
        space in its last axis, are one arrow from the middle of each sample.
    stacked, samples, sections, channels, overlays, size
        As for `draw_sheet`.
    title
        A line above all.

    Returns
    -------
    NDArray[np.uint8]
        The picture, shape (height, width, 3).

    Raises
    ------
    ModuleNotFoundError
        If Pillow is not installed.
    ValueError
        If no array has axes of space, or what is to be an arrow is none.
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
    layers = {
        name: layer_of(name, array, given.get(name))
        for name, array in named.items()
        if not array.spec.nonspatial and array.view.size
    }
    if not layers:
        raise ValueError(
            f"there is nothing to draw: of {', '.join(named) or 'no arrays'} none has voxels"
        )
    for name, array in named.items():
        if name not in layers and given.get(name) == "vectors":
            layers[name] = _one_arrow(name, array, next(iter(layers.values())))
    notes = [f"{n}: {describe_values(a.view)}" for n, a in named.items() if n not in layers]
    sheet = draw_sheet(
        [(title, list(layers.values()))],
        stacked=stacked,
        samples=samples,
        sections=sections,
        channels=channels,
        overlays=overlays,
        size=size,
        notes=notes,
    )
    pixels = np.asarray(sheet)
    if path is not None:
        save_picture(pixels, path)
    return pixels


def _one_arrow(name: str, array: Array, first: Layer) -> Layer:
    """An array without a place as one voxel over all that the first one holds."""
    data, dims = array.view, len(first.extent)
    if data.ndim == 0 or data.shape[-1] != dims:
        raise ValueError(
            f"{name} cannot be drawn as an arrow: it has the shape {tuple(data.shape)}, and would "
            f"need a last axis of {dims} for the axes of space"
        )
    size = tuple(n * v for n, v in zip(first.extent, first.voxel_size, strict=True))
    voxel = np.reshape(data, (*data.shape, *(1,) * dims))
    return Layer(name, voxel, size, first.offset, "vectors")
