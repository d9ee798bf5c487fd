"""Nodes that gunpowder keeps in a room of their own; here they live among the others.

Each name is listed in the stub beside this file and loaded at its first use.
"""

import ast as _ast
import importlib as _importlib
from importlib.util import resolve_name as _resolve_name
from pathlib import Path as _Path

# lazy_loader reads no stub that imports from beside its room.
_homes = {
    alias.name: _resolve_name("." * line.level + (line.module or ""), __name__)
    for line in _ast.parse(_Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(line, _ast.ImportFrom)
    for alias in line.names
}
__all__ = sorted(_homes)


def __getattr__(name):
    if name not in _homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    thing = globals()[name] = getattr(_importlib.import_module(_homes[name]), name)
    return thing


def __dir__():
    return list(__all__)
