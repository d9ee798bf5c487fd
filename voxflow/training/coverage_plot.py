"""A picture of where a training has looked."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.training.covered import CLASSES, read_coverage
from voxflow.training.plots import figure_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.training.covered import Covered, SourceMap

__all__ = ["coverage_picture", "plot_coverage"]

_MOST_MAPS = 12
_MOST_BARS = 16
_FEW_BARS = 3
_COLUMNS = 4
_COLUMN, _ROW = 4.2, 3.9  # inches
_NEVER = "#d43d51"
_BARS = "#3266cc"
_WANTED = "#e8862e"
_AXES = "zyx"


def plot_coverage(path: str | Path, out: str | Path) -> Path:
    """Draw where a training has looked; see `coverage_picture`.

    Parameters
    ----------
    path
        The run directory, or ``coverage.npz`` in it.
    out
        The picture, ``.png``; one that is there is replaced.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no coverage, or it cannot be read.
    ImportError
        If matplotlib is not installed.
    """
    target = Path(out)
    content = coverage_picture(read_coverage(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def coverage_picture(covered: Covered) -> bytes:
    """Draw how often each part of each source was read, as a PNG.

    A volume is seen along its first axis and, below, along the one after it: the mean of all that
    lies behind one another, red where nothing of it was ever read. Bars are how often inputs were
    taken, beside how likely they were, and how often classes were seen.

    Parameters
    ----------
    covered
        Of how many sources there may be; the 12 of which most was never read are drawn.
    """
    shown = chosen(covered.maps)
    bars = [draw for draw in (_draw_branches, _draw_classes) if _has(draw, covered)]
    count = max(1, len(shown) + len(bars))
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    heights = [_ROW] * rows
    for i, of in enumerate(shown):
        heights[i // columns] = max(heights[i // columns], _ROW * len(_views(of)) * 0.8)
    size = _COLUMN * columns, sum(heights)
    figure = figure_class()(figsize=size, dpi=100, layout="constrained")
    grid = figure.add_gridspec(rows, columns, height_ratios=heights)
    places = [grid[i // columns, i % columns] for i in range(count)]
    for of, place in zip(shown, places, strict=False):
        _draw_map(figure, place, of)
    for draw, place in zip(bars, places[len(shown) :], strict=False):
        draw(figure.add_subplot(place), covered)
    left_out = sum(1 for of in covered.maps if of.times.ndim) - len(shown)
    more = f"; {left_out} more sources are not shown" if left_out else ""
    figure.suptitle(f"Where {covered.steps} steps have looked{more}", fontsize=11)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def chosen(maps: Sequence[SourceMap], most: int = _MOST_MAPS) -> list[SourceMap]:
    """Those of which most was never read, in the order in which they were."""
    placed = [of for of in maps if of.times.ndim]
    order = sorted(range(len(placed)), key=lambda i: -placed[i].never)
    return [placed[i] for i in sorted(order[:most])]


def _has(draw: Any, covered: Covered) -> bool:
    return bool(covered.branches if draw is _draw_branches else covered.classes)


def _draw_map(figure: Any, place: Any, of: SourceMap) -> None:
    views = _views(of)
    ratios = [_height(of, rows, columns) for _, rows, columns in views]
    inner = place.subgridspec(len(views), 1, height_ratios=ratios)
    most = max(1e-9, max(float(seen.max()) for seen, *_ in views))
    for i, (seen, rows, columns) in enumerate(views):
        axes = figure.add_subplot(inner[i, 0])
        extent = (of.begin[columns], of.end[columns], of.end[rows], of.begin[rows])
        never = np.ma.masked_where(seen == 0, seen)
        axes.set_facecolor(_NEVER)
        flat = seen.shape[0] == 1
        image = axes.imshow(
            never,
            extent=(extent[0], extent[1], 1, 0) if flat else extent,
            vmin=0,
            vmax=most,
            cmap="viridis",
            aspect="auto" if flat or ratios[i] < 0.3 else "equal",
            interpolation="nearest",
        )
        axes.tick_params(labelsize=7)
        names = _AXES[-of.times.ndim :] if of.times.ndim <= len(_AXES) else "?" * of.times.ndim
        axes.set_xlabel(names[columns], fontsize=8)
        axes.set_ylabel("" if flat else names[rows], fontsize=8)
        if flat:
            axes.set_yticks([])
        if i == 0:
            title = f"{of.source}, {of.key}\n{of.visits} reads, {of.never:.0%} never"
            axes.set_title(title, fontsize=8)
    bar = figure.colorbar(image, ax=figure.axes[-len(views) :], shrink=0.8)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("times read", fontsize=7)


def _views(of: SourceMap) -> list[tuple[np.ndarray[Any, Any], int, int]]:
    """Pictures of a map, and the axes of their rows and columns."""
    times, dims = of.times, of.times.ndim
    if dims == 1:
        return [(times[None], 0, 0)]
    behind = tuple(range(dims - 2))
    views = [(times.mean(axis=behind) if behind else times, dims - 2, dims - 1)]
    if dims > 2:
        others = (*range(dims - 3), dims - 2)
        views.append((times.mean(axis=others), dims - 3, dims - 1))
    return views


def _height(of: SourceMap, rows: int, columns: int) -> float:
    """How high a picture is for its width, within what can be read."""
    size = [end - begin for begin, end in zip(of.begin, of.end, strict=True)]
    return min(1.0, max(0.2, size[rows] / size[columns])) if rows != columns else 0.2


def _draw_branches(axes: Any, covered: Covered) -> None:
    shown = covered.branches[:_MOST_BARS]
    totals: dict[str, int] = {}
    for branch in covered.branches:
        totals[branch.node] = totals.get(branch.node, 0) + covered.taken(branch)
    shares = [covered.taken(b) / max(1, totals[b.node]) for b in shown]
    at = np.arange(len(shown))
    axes.bar(at, shares, color=_BARS, label="taken")
    axes.plot(at, [b.wanted for b in shown], "_", color=_WANTED, ms=22, mew=2, label="wanted")
    _finish(axes, "Inputs", [f"{b.node} {b.number}" for b in covered.branches])
    axes.legend(fontsize=7)


def _draw_classes(axes: Any, covered: Covered) -> None:
    names, shares = [], []
    for key, counts in covered.classes.items():
        total = max(1, int(counts.sum()))
        for value in np.flatnonzero(counts):
            names.append(f"{key} {'others' if value == CLASSES else value}")
            shares.append(counts[value] / total)
    axes.bar(np.arange(len(names[:_MOST_BARS])), shares[:_MOST_BARS], color=_BARS)
    _finish(axes, "Classes", names)


def _finish(axes: Any, title: str, names: list[str]) -> None:
    shown, left_out = names[:_MOST_BARS], len(names[_MOST_BARS:])
    turned = {"rotation": 60, "ha": "right"} if len(shown) > _FEW_BARS else {}
    axes.set_xticks(range(len(shown)), shown, **turned)
    axes.set_xlim(-0.8, max(len(shown), 3) - 0.2)
    axes.set_ylim(0, 1)
    axes.tick_params(labelsize=7)
    axes.grid(axis="y", alpha=0.3)
    axes.set_title(f"{title}, share{f'; {left_out} more' if left_out else ''}", fontsize=8)
