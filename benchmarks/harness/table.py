"""Rows as a table in the terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import platform
from datetime import date
from math import isnan
from pathlib import Path
from typing import Any

from voxflow.pipeline.engine.workers import available_cpus

from .measure import Row

#: How many of a unit are a second, or a byte.
UNITS = {"ms": 1e3, "us": 1e6, "ns": 1e9, "s": 1.0, "MB": 1e-6}

_WIDTHS = (46, 28, 12, 12, 9, 11, 11)
HEAD = ("work", "beside", "ours", "theirs", "ratio", "goal", "floor")


def show(title: str, rows: list[Row]) -> None:
    """Print a table; what misses its goal is marked."""
    print(f"\n{title}")
    print(_line(HEAD))
    for row in rows:
        missed = (row.goal is not None and row.ratio < row.goal) or (
            row.limit is not None and row.ours > row.limit
        )
        print(_line(cells(row)) + (" missed" if missed else ""))
    for note in dict.fromkeys(row.note for row in rows if row.note):
        print(f"  {note}")


def cells(row: Row) -> tuple[str, ...]:
    """What stands in the columns of `HEAD`."""
    return (
        row.work,
        row.baseline,
        _amount(row.ours, row.unit),
        _amount(row.theirs, row.unit),
        "" if isnan(row.ratio) else f"{row.ratio:.{2 if row.ratio < 2 else 1}f}x",
        _goal(row),
        "" if row.floor is None else _amount(row.floor, row.unit),
    )


def _amount(value: float, unit: str) -> str:
    if isnan(value):
        return ""
    shown = value * UNITS[unit]
    return f"{shown:.{0 if shown >= 100 else 1 if shown >= 10 else 2}f} {unit}"


def _goal(row: Row) -> str:
    if row.limit is not None:
        return f"< {row.limit * UNITS[row.unit]:g} {row.unit}"
    return "" if row.goal is None else f"{row.goal:g}x"


def _line(cells: tuple[str, ...]) -> str:
    left = "".join(f"{cell:<{n}}" for cell, n in zip(cells[:2], _WIDTHS[:2], strict=True))
    return left + "".join(f"{cell:>{n}}" for cell, n in zip(cells[2:], _WIDTHS[2:], strict=True))


def save(
    path: Path, tables: dict[str, list[Row]], versions: dict[str, Any], package: str = "suites"
) -> None:
    """Write tables to a file; what it says of other tables, from the same processor, stays.

    The package of `benchmarks` is that in which each table has a module, with its title.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: [dataclasses.asdict(row) for row in rows] for name, rows in tables.items()}
    before = json.loads(path.read_text()) if path.exists() else {}
    processor = _processor()
    if before.get("machine", {}).get("processor") == processor:
        content = before["tables"] | content
        versions = before["machine"]["versions"] | versions
    machine = {
        "python": platform.python_version(),
        "processor": processor,
        "processors": available_cpus(),
        "versions": versions,
    }
    text = {
        "date": date.today().isoformat(),
        "package": package,
        "machine": machine,
        "tables": content,
    }
    path.write_text(json.dumps(text, indent=1, default=float))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
