"""Run benchmarks on a GPU: ``python -m benchmarks.gpu [NAME ...]``; all of them without a name.

With ``--device cpu`` they run in the smallest sizes, to see that they do.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import torch

import voxflow
from benchmarks.harness.environments import FOLDER
from benchmarks.harness.table import save, show
from benchmarks.programs.serve import versions

NAMES = ("device", "feeding", "prediction", "session", "transfer")


def main() -> None:
    """Measure, show, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; all by default")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ...; cpu: smallest sizes")
    parser.add_argument("--rounds", type=int, default=20, help="how often each thing is measured")
    parser.add_argument("--out", type=Path, default=FOLDER / "gpu.json", help="a JSON file")
    options = parser.parse_args()
    modules = {n: importlib.import_module(f"benchmarks.gpu.{n}") for n in options.names or NAMES}
    if options.list:
        for name, module in modules.items():
            print(f"{name:<12} {module.TITLE}")
        return
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            f"these benchmarks need a CUDA device; torch {torch.__version__} (built for CUDA "
            f"{torch.version.cuda}) sees none. Take a machine with one, with a build of torch for "
            "its CUDA; or --device cpu, to see that they run",
            file=sys.stderr,
        )
        sys.exit(2)
    FOLDER.mkdir(parents=True, exist_ok=True)
    tables = {}
    used = {"voxflow": versions(voxflow) | {"cuda": torch.version.cuda, "device": named(device)}}
    for name, module in modules.items():
        tables[name] = module.run(device, options.rounds)
        show(module.TITLE, tables[name])
        save(options.out, tables, used, "gpu")
    print(f"\nwritten to {options.out}")


def named(device: torch.device) -> str:
    """The device in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()
