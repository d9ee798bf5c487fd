"""Where a training has looked, as a table and as pictures."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.inspect.find import listed
from voxflow.training.coverage_plot import coverage_picture, plot_coverage
from voxflow.training.covered import find_coverage, read_coverage

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from voxflow.inspect.find import Paths

__all__ = ["coverage_files", "coverage_for_page", "coverage_lines", "write_coverage"]

_PICTURE = "plots/coverage.png"
_CLASSES = 12


def coverage_files(paths: Paths) -> list[Path]:
    """The coverage of all runs that paths name, each once."""
    found = (find_coverage(path) for path in listed(paths))
    return list(dict.fromkeys(file for file in found if file is not None))


def coverage_lines(path: str, coverage: Mapping[str, Any]) -> Iterable[RenderableType]:
    """Say where a training has looked.

    Parameters
    ----------
    path
        Of the file.
    coverage
        As `voxflow.training.Covered.as_dict` says it.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    yield Text(f"  where {coverage['steps']} steps have looked")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    names = ("source", "array", "reads", "times a voxel was read", "never read", "most of it in")
    for name in names:
        table.add_column(name, overflow="fold")
    for of in coverage["sources"]:
        cells = [of["source"], of["key"], str(of["visits"]), "", "", ""]
        if of["never"] is not None:
            cells[3] = f"{of['mean']:.3g} on average, {of['most']:.3g} at most"
            cells[4] = f"{of['never']:.1%}"
            cells[5] = "\n".join(_box(*bounds) for bounds in of["never_boxes"])
        table.add_row(*(Text(cell) for cell in cells))
    yield table
    for name in dict.fromkeys(branch["node"] for branch in coverage["inputs"]):
        own = [branch for branch in coverage["inputs"] if branch["node"] == name]
        told = (f"{b['number']}: {b['taken']:.1%} (wanted {b['wanted']:.1%})" for b in own)
        yield Text(f"  inputs of {name}  {', '.join(told)}")
    for key, shares in coverage["classes"].items():
        told = (f"{value}: {share:.2%}" for value, share in list(shares.items())[:_CLASSES])
        more = f" and {len(shares) - _CLASSES} more" if len(shares) > _CLASSES else ""
        yield Text(f"  classes of {key}  {', '.join(told)}{more}")
    picture = Path(path).parent / _PICTURE
    if picture.is_file():
        yield Text(f"  drawn in {picture}", "dim")


def _box(begin: Sequence[float], end: Sequence[float]) -> str:
    return ", ".join(f"{a:.6g}:{b:.6g}" for a, b in zip(begin, end, strict=True))


def coverage_for_page(paths: Paths) -> list[dict[str, Any]]:
    """For the page: numbers, and the picture as a URL that holds it."""
    parts = []
    for file in coverage_files(paths):
        part: dict[str, Any] = {"path": str(file.parent), "numbers": None, "picture": None}
        parts.append(part)
        try:
            covered = read_coverage(file)
            part["numbers"] = covered.as_dict()
            content = base64.b64encode(coverage_picture(covered)).decode()
            part["picture"] = f"data:image/png;base64,{content}"
        except (ValueError, ImportError) as error:
            part["note"] = str(error)
    return parts


def write_coverage(paths: Paths, out: str | os.PathLike[str]) -> list[Path]:
    """Draw where trainings have looked beside another picture, as ``<name>-coverage.png``."""
    target = Path(out)
    files = coverage_files(paths)
    names = [f"-{i}" if i > 1 else "" for i in range(1, len(files) + 1)]
    return [
        plot_coverage(file, target.with_name(f"{target.stem}-coverage{name}.png"))
        for file, name in zip(files, names, strict=True)
    ]
