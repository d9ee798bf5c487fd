"""A contact sheet of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from voxflow.inspect.describe import describe_one
from voxflow.inspect.find import Paths, find_all
from voxflow.inspect.read import read_layers
from voxflow.inspect.table import loss_text
from voxflow.inspect.webpage import choose_shown
from voxflow.pictures import draw_sheet
from voxflow.stores import StoreError

if TYPE_CHECKING:
    from voxflow.inspect.describe import FileReport
    from voxflow.pictures import Layer

__all__ = ["write_sheet"]

_MAX_FILES = 24


def write_sheet(
    paths: Paths,
    out: str | os.PathLike[str],
    *,
    size: int = 256,
    max_files: int = _MAX_FILES,
) -> Path:
    """Write a picture of files: a row for each, with every array cut through the middle.

    Labels and affinities are also drawn over the first image of their file.

    Parameters
    ----------
    paths
        As for `voxflow.inspect.describe`.
    out
        The picture, of any format that Pillow knows by its suffix.
    size
        About how many pixels the longer side of a panel has.
    max_files
        How many files are drawn: the first, the last, the one of the highest loss, and others
        evenly spread.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    StoreNotFound
        If there is nothing at a path.
    StoreError
        If nothing of it can be drawn.
    """
    containers = find_all(paths)
    reports = [describe_one(container, max_bytes=0) for container in containers]
    rows: list[tuple[str, list[Layer]]] = []
    for number in choose_shown(reports, max_files):
        layers, notes = read_layers(containers[number])
        title = "  ".join([_title(reports[number]), *notes])
        rows += [(title, layers)] if layers else []
    if not rows:
        names = ", ".join(container.name for container in containers[:5])
        raise StoreError(f"{names}: there is no array in two or three dimensions to draw")
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(rows, size=size).save(target)
    return target


def _title(report: FileReport) -> str:
    facts = [os.path.basename(report.path.rstrip("/"))]
    facts += [f"iteration {report.iteration}"] if report.iteration is not None else []
    facts += [f"loss {loss_text(report.loss)}"] if report.loss is not None else []
    return ", ".join(facts)
