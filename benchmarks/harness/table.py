"""Rows as a table in the terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import platform
from pathlib import Path
from typing import Any

from .measure import Row

_WIDTHS = (44, 28, 10, 12, 9, 7, 10)
_HEAD = ("work", "beside", "ours, ms", "theirs, ms", "ratio", "goal", "floor, ms")


def show(title: str, rows: list[Row]) -> None:
    """Print a table; what misses its goal is marked."""
    print(f"\n{title}")
    print(_line(_HEAD))
    for row in rows:
        missed = row.goal is not None and row.ratio < row.goal
        cells = (
            row.work,
            row.baseline,
            f"{row.ours * 1e3:.3f}",
            f"{row.theirs * 1e3:.3f}",
            f"{row.ratio:.1f}x",
            "" if row.goal is None else f"{row.goal:g}x",
            "" if row.floor is None else f"{row.floor * 1e3:.2f}",
        )
        print(_line(cells) + (" missed" if missed else ""))
    for note in dict.fromkeys(row.note for row in rows if row.note):
        print(f"  {note}")


def _line(cells: tuple[str, ...]) -> str:
    left = "".join(f"{cell:<{n}}" for cell, n in zip(cells[:2], _WIDTHS[:2], strict=True))
    return left + "".join(f"{cell:>{n}}" for cell, n in zip(cells[2:], _WIDTHS[2:], strict=True))


def save(path: Path, tables: dict[str, list[Row]], versions: dict[str, Any]) -> None:
    """Write all tables to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "processor": _processor(), "versions": versions}
    content = {name: [dataclasses.asdict(row) for row in rows] for name, rows in tables.items()}
    path.write_text(json.dumps({"machine": machine, "tables": content}, indent=1, default=float))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
