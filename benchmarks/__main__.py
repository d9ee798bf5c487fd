"""Run benchmarks: ``python -m benchmarks [NAME ...]``; all of them without a name."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from pkgutil import iter_modules

from . import suites
from .harness.environments import FOLDER
from .harness.table import save, show

NAMES = sorted(module.name for module in iter_modules(suites.__path__))


def main() -> None:
    """Measure, show, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; all by default")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--rounds", type=int, default=7, help="how often the sides take turns")
    parser.add_argument("--out", type=Path, default=FOLDER / "results.json", help="a JSON file")
    options = parser.parse_args()
    modules = {n: importlib.import_module(f"benchmarks.suites.{n}") for n in options.names or NAMES}
    if options.list:
        for name, module in modules.items():
            print(f"{name:<12} {module.TITLE}")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    tables, versions = {}, {}
    for name, module in modules.items():
        tables[name], used = module.run(options.rounds)
        versions.update(used)
        show(module.TITLE, tables[name])
        save(options.out, tables, versions)
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
