"""A trace as a folder of files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.nodes.sinks.snapshot_file import write_items
from voxflow.pipeline.data import ArrayKey
from voxflow.pipeline.engine.trace import short

if TYPE_CHECKING:
    from voxflow.pipeline.data import Key
    from voxflow.pipeline.engine import NodeTrace, Trace

_FILE = re.compile(r"\d{2,}-.*\.zarr")
_MOST = 2000  # letters of what a node drew


def write_trace(trace: Trace, path: str | Path) -> Path:
    """Write a Zarr file for each visit; see `voxflow.pipeline.engine.Trace.write`."""
    folder = Path(path)
    _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, visit in enumerate(trace):
        label = re.sub(r"[^\w.-]+", "_", visit.node)
        items = [
            (f"{side}/{key}", key, item, None)
            for side, found in (("inputs", visit.inputs), ("outputs", visit.outputs))
            for key, item in found.items()
        ]
        write_items(folder / f"{number:02d}-{label}.zarr", items, _attrs(trace, visit))
    return folder


def _clear(folder: Path) -> None:
    """Remove an older trace."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if not _FILE.fullmatch(file.name):
            raise FileExistsError(
                f"{folder} holds {file.name}, which is no file of a trace; give an empty folder, "
                "one that is not there, or that of an older trace"
            )
    for file in files:
        shutil.rmtree(file)


def _attrs(trace: Trace, visit: NodeTrace) -> dict[str, Any]:
    attrs: dict[str, Any] = {"node": visit.node, "request": _asked(visit)}
    if visit.draws is not None:
        attrs["draws"] = short(visit.draws, _MOST)
    if visit.partial:
        attrs["partial"] = ", ".join(map(str, _in_order(visit.partial)))
    if trace.batch.token is not None:
        attrs["replay_token"] = str(trace.batch.token)
    return attrs


def _asked(visit: NodeTrace) -> str:
    return "; ".join(f"{key} {spec.roi}" for key, spec in visit.request.items())


def _in_order(keys: frozenset[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (not isinstance(key, ArrayKey), str(key)))
