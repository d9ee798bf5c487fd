"""Write the results of benchmarks as a page: ``python -m benchmarks.page [FROM.json] [TO.md]``."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable
from math import nan
from pathlib import Path
from typing import Any

from .harness.environments import FOLDER
from .harness.measure import Row
from .harness.table import HEAD, cells

PAGE = Path(__file__).parents[1] / "docs/figures/benchmarks.md"

COMMANDS = {"suites": "`make bench`", "gpu": "`python -m benchmarks.gpu`"}


def page(results: dict[str, Any]) -> str:
    """A section with a table for each suite."""
    machine = results["machine"]
    package = results.get("package", "suites")
    used = ", ".join([f"Python {machine['python']}", *_used(machine["versions"])])
    lines = [
        f"Written by {COMMANDS[package]} on {results['date']}: {machine['processor']}, "
        f"{machine['processors']} processors; {used}."
    ]
    for name, found in sorted(results["tables"].items()):
        title = importlib.import_module(f"benchmarks.{package}.{name}").TITLE
        rows = [_row(values) for values in found]
        lines += ["", f"### {name}", "", f"{title[:1].upper()}{title[1:]}.", ""]
        lines += [_line(HEAD), _line(["---", "---", *["---:"] * (len(HEAD) - 2)])]
        lines += [_line(cells(row)) for row in rows]
        for note in dict.fromkeys(row.note for row in rows if row.note):
            lines += ["", f"{note[:1].upper()}{note[1:]}."]
    return "\n".join(lines) + "\n"


def _used(versions: dict[str, dict[str, str]]) -> list[str]:
    """Whose versions count: of each side its library; on a device also what computes there."""
    used = [f"{name} {found[name]}" for name, found in sorted(versions.items()) if name in found]
    devices = [found for found in versions.values() if "device" in found]
    return used + [f"torch {d['torch']}, CUDA {d['cuda']} on {d['device']}" for d in devices]


def _row(values: dict[str, Any]) -> Row:
    # JSON has no word for what is not known.
    unknown = {name: nan for name in ("ours", "theirs", "ratio") if values[name] is None}
    return Row(**values | unknown)


def _line(parts: Iterable[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def main() -> None:
    """Read, write."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "results.json"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else PAGE
    target.write_text(page(json.loads(source.read_text())))
    print(f"written to {target}")


if __name__ == "__main__":
    main()
