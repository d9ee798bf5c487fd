"""What is in files: arrays, graphs, attributes, and what is odd about them."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.inspect.arrays import names_in, open_array, root_attrs
from voxflow.inspect.clashes import between, of_one
from voxflow.inspect.find import Paths, find_containers, listed
from voxflow.inspect.values import SAMPLE_BYTES, Values, summarise
from voxflow.pipeline.engine.errors import VoxflowError
from voxflow.stores import store_format
from voxflow.stores.metadata import plain_numbers
from voxflow.stores.storage import Storage, describe_storage
from voxflow.training.covered import find_coverage, read_coverage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.find import Container

__all__ = ["ArrayReport", "FileReport", "GraphReport", "describe", "highest_loss_first"]

_REMOTE_BYTES = 1 << 23
_MAX_ARRAYS = 200
_MAX_TEXT = 2000
_NAMED = 4  # arrays of a warning
_HIDDEN = frozenset({"resolution", "voxel_size", "offset", "units", "axis_names", "multiscales"})


@dataclass
class ArrayReport:
    """One array; what is not known is None.

    Parameters
    ----------
    name
        Its path in the container.
    error
        Why it cannot be read, or None.
    guess
        What it seems to hold: ``"image"``, ``"labels"``, ``"affinities"``, or ``"table"`` for what
        does not lie in space.
    shape, axes, dtype
        In voxels; names of axes; type of a voxel.
    voxel_size, units, offset, extent
        World units: of a voxel, the corner of the first one, and all of them, along spatial axes.
    chunks, compression, total_chunks, missing_chunks
        How it is stored.
    values
        Range and ids.
    attrs
        Other attributes.
    warnings
        What is odd.
    """

    name: str
    error: str | None = None
    guess: str | None = None
    shape: tuple[int, ...] | None = None
    axes: tuple[str, ...] | None = None
    dtype: str | None = None
    voxel_size: list[int | float] | None = None
    units: tuple[str, ...] | None = None
    offset: list[int | float] | None = None
    extent: list[int | float] | None = None
    chunks: tuple[int, ...] | None = None
    compression: str | None = None
    total_chunks: int | None = None
    missing_chunks: int | None = None
    values: Values | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass
class GraphReport:
    """A graph, as snapshots hold it.

    Parameters
    ----------
    name
        Without the ending of its tables.
    nodes, edges
        How many.
    """

    name: str
    nodes: int
    edges: int


@dataclass
class FileReport:
    """One file, folder or URL.

    Parameters
    ----------
    path
        As it was found.
    format
        Of `voxflow.stores.Format`; None if it cannot be told.
    error
        Why it cannot be read, or None.
    arrays, graphs
        What is in it.
    left_out
        How many arrays more there are, which were not looked at.
    loss, iteration
        Of a snapshot.
    attrs
        Other attributes of the root.
    warnings
        What does not fit together.
    coverage
        Of a run: where its training has looked, as `voxflow.training.Covered.as_dict` says it.
    """

    path: str
    format: str | None = None
    error: str | None = None
    arrays: list[ArrayReport] = field(default_factory=list)
    graphs: list[GraphReport] = field(default_factory=list)
    left_out: int = 0
    loss: Any = None
    iteration: int | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    coverage: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it as numbers, text, lists and dicts, for ``json.dumps``."""
        return asdict(self)


def describe(
    paths: Paths,
    *,
    max_bytes: int | None = None,
    max_arrays: int = _MAX_ARRAYS,
) -> list[FileReport]:
    """Say what is in files of any format that is read, of any origin.

    What cannot be read ends in a report with an error, not in an exception.

    Parameters
    ----------
    paths
        Files, folders or URLs, a path in a file behind ``:``, or folders of snapshots. Of a run
        directory, and of the snapshots in it, also where the training has looked.
    max_bytes
        How much of each array is read for its range and ids; None: 128 MiB, and 8 MiB at a URL.
        Of larger arrays, a sample is read, and ``values.share`` says how much. 0: nothing is read.
    max_arrays
        How many arrays of a file are looked at.

    Returns
    -------
    list
        A report for each file.

    Examples
    --------
    >>> describe("nowhere.zarr")[0].error
    'there is no file or folder nowhere.zarr'
    """
    reports = []
    for path in listed(paths):
        coverage = find_coverage(path)
        if coverage is not None:
            reports.append(_looked(coverage))
        try:
            containers = [] if str(path) == str(coverage) else find_containers(path)
        except OSError as error:
            if coverage is None:
                reports.append(FileReport(str(path), error=_said(error)))
            continue
        reports += [describe_one(container, max_bytes, max_arrays) for container in containers]
    return reports


def _looked(file: Path) -> FileReport:
    """Where the training of a run has looked."""
    report = FileReport(str(file), format="coverage")
    try:
        report.coverage = read_coverage(file).as_dict()
    except ValueError as error:
        report.error = _said(error)
    return report


def told(report: FileReport) -> list[str]:
    """All warnings and errors of a file, each once, with the names of the arrays.

    >>> odd = [ArrayReport("a", warnings=["odd"]), ArrayReport("b", warnings=["odd"])]
    >>> told(FileReport("x.zarr", arrays=odd))
    ['a, b: odd']
    """
    names: dict[str, list[str]] = {}
    for array in report.arrays:
        said = [] if array.error is None else [f"cannot be read: {array.error}"]
        for text in (*said, *array.warnings):
            names.setdefault(text, []).append(array.name or "(root)")
    lines = []
    for text, of in names.items():
        rest = f" and {len(of) - _NAMED} more" if len(of) > _NAMED else ""
        lines.append(f"{', '.join(of[:_NAMED])}{rest}: {text}")
    return lines + report.warnings


def describe_one(
    container: Container, max_bytes: int | None = None, max_arrays: int = _MAX_ARRAYS
) -> FileReport:
    """Say what is in one file; see `describe`."""
    report = FileReport(container.name)
    if max_bytes is None:
        max_bytes = _REMOTE_BYTES if "://" in container.store else SAMPLE_BYTES
    # What a file of any origin makes its library raise is not to be foreseen.
    try:
        report.format = store_format(container.store)
        names = names_in(container)
        attrs = {name: plain(value) for name, value in root_attrs(container).items()}
    except Exception as error:
        report.error = _said(error)
        return report
    report.loss, report.iteration = attrs.pop("loss", None), attrs.pop("iteration", None)
    report.attrs = {name: value for name, value in attrs.items() if name not in _HIDDEN}
    report.left_out = max(0, len(names) - max_arrays)
    opened: list[StoredArray] = []
    for name in names[:max_arrays]:
        described, array = _describe_array(container, name, max_bytes)
        report.arrays.append(described)
        opened += [] if array is None else [array]
    report.graphs = list(_graphs(report.arrays))
    report.warnings = list(between(opened))
    return report


def _describe_array(
    container: Container, name: str, max_bytes: int
) -> tuple[ArrayReport, StoredArray | None]:
    try:
        array = open_array(container, name)
    except Exception as error:
        return ArrayReport(name, error=_said(error)), None
    report = ArrayReport(
        name,
        guess=array.guess,
        shape=array.dataset.shape,
        axes=array.axes or None,
        dtype=str(array.dataset.dtype),
        chunks=array.dataset.chunks,
    )
    storage = Storage()
    try:
        storage = describe_storage(array.dataset)
        report.attrs = {
            key: plain(value) for key, value in array.dataset.attrs.items() if key not in _HIDDEN
        }
        report.values = summarise(array, max_bytes) if max_bytes else None
    except Exception as error:
        report.error = _said(error)
    report.compression = storage.compression
    report.total_chunks, report.missing_chunks = storage.total, storage.missing
    _add_place(report, array)
    report.warnings = list(of_one(array, report.values, storage))
    return report, array


def _add_place(report: ArrayReport, array: StoredArray) -> None:
    if array.geometry is None or array.region is None:
        return
    report.voxel_size = numbers(array.geometry.voxel_size)
    report.units = array.geometry.units
    report.offset = numbers(array.geometry.offset)
    report.extent = numbers(array.region.shape)


def numbers(values: Any) -> list[int | float]:
    """Exact values as numbers; the nearest ones where there are none that are the same.

    >>> numbers((40, 9.5))
    [40, 9.5]
    """
    try:
        return plain_numbers(values)
    except VoxflowError:
        return [float(value) for value in values]


_PART = re.compile(r"(.*?)(-|/)(ids|locations|edges)")


def _graphs(arrays: list[ArrayReport]) -> list[GraphReport]:
    """Graphs that lie in tables called ``X-ids``, ``X-locations`` and ``X-edges``."""
    parts: dict[str, dict[str, ArrayReport]] = {}
    for array in arrays:
        match = _PART.fullmatch(array.name)
        if match and array.shape is not None and array.guess == "table":
            parts.setdefault(match[1], {})[match[3]] = array
    return [
        GraphReport(name, *(_rows(tables.get(part)) for part in ("locations", "edges")))
        for name, tables in parts.items()
        if "ids" in tables and "locations" in tables
    ]


def _rows(table: ArrayReport | None) -> int:
    return table.shape[0] if table is not None and table.shape else 0


def plain(value: Any) -> Any:
    """Turn an attribute of any file into numbers, text, lists and dicts; long ones are cut off.

    >>> plain(np.array([1, 2])), plain(b"text"), plain(1 + 2j)
    ([1, 2], 'text', '(1+2j)')
    """
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= _MAX_TEXT else f"array of {value.shape}"
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, bytes):
        return plain(value.decode(errors="replace"))
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def loss_number(loss: Any) -> float | None:
    """A loss as one number: the mean of several; None where it is none, or not finite.

    >>> loss_number([1.0, 3.0]), loss_number("nan")
    (2.0, None)
    """
    if isinstance(loss, list):
        return float(np.mean(loss)) if loss else None
    return float(loss) if isinstance(loss, int | float) and np.isfinite(loss) else None


def highest_loss_first(reports: Iterable[FileReport]) -> list[FileReport]:
    """Files in another order: the highest loss first, those without a loss last.

    >>> reports = [FileReport("a", loss=1.0), FileReport("b"), FileReport("c", loss=2.0)]
    >>> [report.path for report in highest_loss_first(reports)]
    ['c', 'a', 'b']
    """

    def key(report: FileReport) -> float:
        loss = loss_number(report.loss)
        return np.inf if loss is None else -loss

    return sorted(reports, key=key)


def _said(error: BaseException) -> str:
    """What an error says, in one line, with its kind where it is not one of ours."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, VoxflowError) else f"{type(error).__name__}: {text}"
