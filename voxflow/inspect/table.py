"""What is in files, as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.inspect.describe import told
from voxflow.inspect.looked import coverage_lines
from voxflow.stores.metadata import NANOMETERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType

    from voxflow.inspect.describe import ArrayReport, FileReport
    from voxflow.inspect.values import Values

__all__ = ["loss_text", "print_reports", "unit_text", "values_text"]

_SHORT = {1: "nm", 1000: "µm", 10**6: "mm"}
_SHOWN_IDS = 3
_PARTS = ("ids", "locations", "edges")


def print_reports(reports: Iterable[FileReport], console: Console) -> None:
    """Print a table for each file.

    Parameters
    ----------
    reports
        As `voxflow.inspect.describe` gives them.
    console
        Of rich.
    """
    for number, report in enumerate(reports):
        if number:
            console.print()
        for part in _of_file(report):
            console.print(part, soft_wrap=isinstance(part, str))


def _of_file(report: FileReport) -> Iterable[RenderableType]:
    from rich.text import Text

    facts = [report.format or ""]
    facts += [f"iteration {report.iteration}"] if report.iteration is not None else []
    facts += [f"loss {loss_text(report.loss)}"] if report.loss is not None else []
    yield Text.assemble((report.path, "bold"), "  ", (", ".join(filter(None, facts)), "dim"))
    if report.error is not None:
        yield Text(f"  cannot be read: {report.error}", "red")
        return
    if report.coverage is not None:
        yield from coverage_lines(report.path, report.coverage)
        return
    parts = {f"{g.name}{mark}{part}" for g in report.graphs for mark in "-/" for part in _PARTS}
    arrays = [array for array in report.arrays if array.name not in parts]
    if arrays:
        yield _table(arrays)
    elif not parts:
        yield Text("  no arrays")
    if report.left_out:
        yield Text(f"  and {report.left_out} arrays more, which were not looked at")
    for graph in report.graphs:
        yield Text(f"  graph {graph.name}: {graph.nodes} nodes, {graph.edges} edges")
    for name, value in report.attrs.items():
        yield Text(f"  {name} = {_short(value)}", "dim", overflow="ellipsis", no_wrap=True)
    for text in told(report):
        yield Text.assemble(("  ! ", "yellow"), text)


def _table(arrays: Sequence[ArrayReport]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("array", overflow="fold", min_width=12)
    for name in ("shape", "voxel size", "region", "stored", "values"):
        table.add_column(name, overflow="fold")
    for array in arrays:
        # Text, not markup: names and messages of files may hold brackets.
        if array.shape is None:
            table.add_row(Text(array.name or "(root)"), Text("cannot be read", "red"))
            continue
        cells = [array.name or "(root)", *_cells(array)]
        row = [Text(cell) for cell in cells]
        if array.error is not None:
            row[-1] = Text("cannot be read", "red")
        table.add_row(*row)
    return table


def _cells(array: ArrayReport) -> list[str]:
    axes = "".join(name.rstrip("^") for name in array.axes or ())
    axes = axes if len(axes) == len(array.shape or ()) else " ".join(array.axes or ())
    shape = " × ".join(map(str, array.shape or ())) or "()"
    stored = [f"{_sizes(array.chunks)}"] if array.chunks else ["one piece"]
    if array.compression:
        stored.append(array.compression)
    if array.missing_chunks:
        stored.append(f"{array.missing_chunks} of {array.total_chunks} missing")
    size = region = ""
    if array.voxel_size is not None and array.offset is not None and array.extent is not None:
        size = f"{_sizes(array.voxel_size)} {unit_text(array.units)}".rstrip()
        pairs = zip(array.offset, array.extent, strict=True)
        region = ", ".join(f"{_number(b)}:{_number(b + n)}" for b, n in pairs)
    return [
        f"{shape}\n{axes} {array.dtype}".replace("\n ", "\n"),
        size,
        region,
        "\n".join(stored),
        values_text(array.values),
    ]


def values_text(values: Values | None) -> str:
    """Say range and ids of an array in short.

    >>> from voxflow.inspect.values import Values
    >>> values_text(Values(0, 255, 0.25))
    '0 to 255 (of 25 % of it)'
    """
    if values is None or values.low is None:
        return ""
    lines = [f"{_number(values.low)} to {_number(values.high)}"]
    if values.labels is not None:
        labels = values.labels
        ids = "1 id" if labels.count == 1 else f"{labels.count} ids"
        lines = [f"{ids}, {labels.background:.0%} background"]
        lines += ["largest " + ", ".join(str(i) for i, _ in labels.largest[:_SHOWN_IDS])]
        lines = lines if labels.largest else lines[:1]
    if values.share < 1:
        lines[-1] += f" (of {max(values.share, 0.0001):.2%} of it)".replace(".00%", " %")
    return "\n".join(lines)


def unit_text(units: Sequence[str] | None) -> str:
    """The unit of all axes in short; nothing where it is not known.

    >>> unit_text(["nanometer", "nanometer"]), unit_text(None)
    ('nm', '')
    """
    names = dict.fromkeys(_SHORT.get(NANOMETERS.get(unit, 0), unit) for unit in units or ())
    return ", ".join(names)


def loss_text(loss: Any) -> str:
    """A loss, or several of them, in short."""
    if isinstance(loss, list):
        return ", ".join(map(loss_text, loss))
    return f"{loss:.6g}" if isinstance(loss, int | float) else str(loss)


def _sizes(values: Sequence[int | float]) -> str:
    return " × ".join(map(_number, values))


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _short(value: Any, most: int = 100) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}..."
