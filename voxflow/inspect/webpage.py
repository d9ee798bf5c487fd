"""One page for the browser that holds all it shows, and opens from disk."""

from __future__ import annotations

import base64
import html
import json
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.inspect.describe import FileReport, describe_one, loss_number, plain, told
from voxflow.inspect.find import Paths, find_all, listed
from voxflow.inspect.graphs import read_graphs
from voxflow.inspect.looked import coverage_for_page
from voxflow.inspect.pack import Packed, fit, pack
from voxflow.inspect.read import READ_VOXELS, read_layers
from voxflow.inspect.table import loss_text, unit_text, values_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.inspect.find import Container

__all__ = ["choose_shown", "write_page"]

MAX_BYTES = 5_000_000
"""Of the page."""

_FOR_EACH = 100  # bytes around an array
_LEAST_VOXELS = 1 << 24  # that are read of each file
_MAX_FILES = 12
_EXACT = 2**53 - 1
_MOST_DRAWN = 1000  # letters
_FEW = 3  # warnings of a file that is not shown
_SCRIPTS = (
    "unpack.js",
    "volume.js",
    "ortho.js",
    "histogram.js",
    "cards.js",
    "facts.js",
    "nodes.js",
    "app.js",
)


def write_page(
    paths: Paths,
    out: str | os.PathLike[str],
    *,
    max_files: int = _MAX_FILES,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Write a page that shows arrays of files as sections, over each other and side by side.

    The page asks nothing of a network. Arrays are made coarser where it would become larger than
    it may be, and of many files some are shown; the page says so.

    Parameters
    ----------
    paths
        As for `voxflow.inspect.describe`.
    out
        The page, ``.html``; one that is there is replaced.
    max_files
        How many files have their arrays in the page: the first, the last, the one of the highest
        loss, and others evenly spread. The loss of all of them is shown.
    max_bytes
        Of the page.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StoreNotFound
        If there is nothing at a path.
    """
    paths = listed(paths)
    containers = find_all(paths)
    reports = [describe_one(container, max_bytes=0) for container in containers]
    shown = choose_shown(reports, max_files)
    for number in shown:
        reports[number] = describe_one(containers[number])
    files = [_file(report, number in shown) for number, report in enumerate(reports)]
    packed: list[Packed] = []
    for number in shown:
        packed += _add_layers(files[number], containers[number], len(packed), len(shown))
    looked = coverage_for_page(paths)
    report = {"files": files, "shown": shown, "title": _title(containers), "coverage": looked}
    _add_facts(files, packed)
    room = max_bytes - len(_fill(report, []).encode()) - _FOR_EACH * 2 * len(packed)
    blobs = fit(packed, max(0, room) * 3 // 4)
    _add_facts(files, packed)
    page = _fill(report, [*(codes for codes, _ in blobs), *(ids for _, ids in blobs)])
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(page, encoding="utf-8")
    partial.replace(target)
    return target


def choose_shown(reports: Sequence[FileReport], most: int) -> list[int]:
    """Choose files: the first, the last, that of the highest loss, and others evenly spread.

    >>> choose_shown([FileReport(str(i), loss=-abs(i - 3.0)) for i in range(9)], 4)
    [0, 3, 5, 8]
    """
    able = [i for i, report in enumerate(reports) if report.error is None]
    if len(able) <= most:
        return able
    losses = {i: loss_number(reports[i].loss) for i in able}
    with_loss = [i for i in able if losses[i] is not None]
    chosen = dict.fromkeys((able[0], able[-1]))
    chosen |= dict.fromkeys([max(with_loss, key=lambda i: losses[i] or 0.0)] if with_loss else [])
    for count in range(most, len(able) + 1):  # more of them, where some were chosen already
        if len(chosen) >= most:
            break
        chosen |= dict.fromkeys(able[round(i)] for i in np.linspace(0, len(able) - 1, count))
    return sorted(list(chosen)[:most])


def _title(containers: Sequence[Container]) -> str:
    first = os.path.basename(containers[0].name.rstrip("/"))
    return first if len(containers) == 1 else f"{first} and {len(containers) - 1} more"


def _add_facts(files: Sequence[dict[str, Any]], packed: Sequence[Packed]) -> None:
    """Say of each array how it is packed."""
    for file in files:
        for array in file["layers"] or ():
            array.update(_layer(packed[array["blob"]]))


def _file(report: FileReport, shown: bool) -> dict[str, Any]:
    """What the page says of a file besides its arrays; of one that is not shown, less."""
    attrs = dict(report.attrs) if shown else {}
    token = _parsed(attrs.pop("replay_token", None))
    return {
        "path": report.path,
        "format": report.format,
        "error": report.error,
        "iteration": report.iteration,
        "loss": loss_number(report.loss),
        "lossText": None if report.loss is None else loss_text(report.loss),
        "token": token,
        **_visit(report, attrs),
        "attrs": attrs,
        "arrays": [_array(array) for array in report.arrays] if shown else [],
        "warnings": told(report)[: None if shown else _FEW],
        "layers": None,
        "graphs": [],
        "notes": [],
    }


def _visit(report: FileReport, attrs: dict[str, Any]) -> dict[str, Any]:
    """Of a file of a trace, the node and what it drew, and of which batch; also if not shown."""
    node, token = (report.attrs.get(name) for name in ("node", "replay_token"))
    if not isinstance(node, str) or "request" not in report.attrs:
        return {"node": None, "batch": token if isinstance(token, str) else None}
    drew = str(attrs.pop("draws", report.attrs.get("draws", "")))
    attrs.pop("node", None)
    return {"node": node, "drew": drew[:_MOST_DRAWN], "batch": token}


def _parsed(text: Any) -> Any:
    """A token as what it is made of."""
    try:
        return plain(json.loads(text)) if isinstance(text, str) else plain(text)
    except ValueError:
        return text


def _array(array: Any) -> dict[str, Any]:
    shape = " × ".join(map(str, array.shape or ()))
    size = " × ".join(f"{n:.6g}" for n in array.voxel_size or ())
    facts = {
        "shape": f"{shape} {array.dtype or ''}".strip(),
        "voxel size": f"{size} {unit_text(array.units)}".strip(),
        "offset": " ".join(f"{n:.6g}" for n in array.offset or ()),
        "values": values_text(array.values).replace("\n", "; "),
        **{name: str(value) for name, value in array.attrs.items()},
    }
    return {"name": array.name, "facts": {k: v for k, v in facts.items() if v}}


def _add_layers(file: dict[str, Any], container: Container, first: int, files: int) -> list[Packed]:
    """Read the arrays of a file; as many voxels as there is room for, in all files together."""
    try:
        layers, notes = read_layers(container, max(_LEAST_VOXELS, READ_VOXELS // files))
        file["graphs"] = read_graphs(container)
    except Exception as error:  # each format has errors of its own
        file["notes"].append(f"cannot be shown: {' '.join(str(error).split())}")
        return []
    file["notes"] += notes
    file["layers"] = [{"blob": first + i} for i in range(len(layers))]
    return [pack(layer) for layer in layers]


def _layer(packed: Packed) -> dict[str, Any]:
    layer = packed.layer
    lead = layer.data.shape[: layer.data.ndim - len(layer.voxel_size)]
    extent = zip(layer.extent, layer.voxel_size, strict=True)
    return {
        "name": layer.name,
        "guess": layer.style,
        "shape": list(packed.codes.shape[1:]),
        "lead": list(lead),
        "voxelSize": packed.voxel_size,
        "offset": list(layer.offset),
        "extent": [n * size for n, size in extent],
        "type": packed.codes.dtype.name,
        "low": packed.low,
        "high": packed.high,
        "exact": packed.exact,
        "unit": layer.unit,
        "dtype": layer.data.dtype.name,
        "labels": packed.ids is not None,
        "signed": packed.signed,
        "factors": packed.factors,
    }


def _fill(report: dict[str, Any], blobs: Sequence[bytes]) -> str:
    folder = resources.files("voxflow.inspect") / "page"
    texts = {name: (folder / name).read_text("utf-8") for name in ("page.html", "page.css")}
    scripts = "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    data = "\n".join(
        f'<script type="text/plain" id="blob-{i}">{base64.b64encode(blob).decode()}</script>'
        for i, blob in enumerate(blobs)
    )
    filled = {
        "TITLE": html.escape(report["title"]),
        "STYLE": texts["page.css"],
        "REPORT": _as_script({**report, "blobs": len(blobs) // 2}),
        "BLOBS": data,
        "SCRIPT": scripts,
    }
    page = texts["page.html"]
    parts = page.split("@@")  # every second one is a name
    return "".join(filled[part] if i % 2 else part for i, part in enumerate(parts))


def _exact(value: Any) -> Any:
    """With text for whole numbers that JavaScript would round."""
    if isinstance(value, dict):
        return {name: _exact(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(entry) for entry in value]
    large = isinstance(value, int) and abs(value) > _EXACT
    return str(value) if large else value


def _as_script(value: Any) -> str:
    """JSON that ends no script, whatever text is in it."""
    text = json.dumps(_exact(value), ensure_ascii=True, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
