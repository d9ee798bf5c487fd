"""What a scan leaves in files, and where the record of it is kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.target import existing_target
from voxflow.stores import OutputMismatch
from voxflow.stores.place import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Exist", "Output", "outputs_of", "settle"]

Exist = Literal["resume", "overwrite", "error"]
"""What to do where an output is there already: go on, if it was begun by the same job; replace it;
or refuse."""

_FOLDERS = ("zarr", "n5", "precomputed")


class Output:
    """A dataset that a scan fills.

    Parameters
    ----------
    writer
        The node that writes it.
    name
        Its path in the node's store.

    Attributes
    ----------
    record
        The folder in which a record of it can be kept; None if it does not lie on a disk.
    """

    def __init__(self, writer: DatasetWrite, name: str) -> None:
        self.writer = writer
        self.name = name
        self.record = _record(writer.store, name, writer.format)

    @property
    def exists(self) -> bool:
        """Whether the dataset is there."""
        return existing_target(self.writer.store, self.name) is not None

    def __str__(self) -> str:
        store = self.writer.store
        where = os.fspath(store) if isinstance(store, str | os.PathLike) else type(store).__name__
        return f"{where}:{self.name}"


def outputs_of(nodes: Iterable[Any]) -> Sequence[Output]:
    """All datasets that some of these nodes write."""
    writers = [node for node in nodes if isinstance(node, DatasetWrite)]
    return [Output(writer, name) for writer in writers for name in writer.dataset_names.values()]


def _record(store: Any, name: str, kind: Any) -> Path | None:
    place = locate(store, name, kind if isinstance(store, str | os.PathLike) else None)
    root = getattr(place.store, "root", place.store)  # of zarr's store of a directory
    if not isinstance(root, str | os.PathLike) or "://" in os.fspath(root):
        return None
    path = Path(root)
    if place.kind in _FOLDERS and not path.is_file():  # a file: a zip archive
        return path / place.path / ".scan"
    return path.with_name(f"{path.name}.scan") / place.path


def settle(outputs: Sequence[Output], exist: Exist) -> None:
    """Do what is wanted about outputs that are there, before a pipeline is built.

    Raises
    ------
    OutputMismatch
        If there are some, and there are to be none.
    """
    there = [output for output in outputs if exist != "resume" and output.exists]
    if there and exist == "error":
        raise OutputMismatch(
            f"{', '.join(map(str, there))} is there already, and exist='error'. Remove it, write "
            "to another file or name, go on with it (exist='resume') or replace it "
            "(exist='overwrite')"
        )
    for output in there:
        output.writer.remove()
        if output.record is not None:
            shutil.rmtree(output.record, ignore_errors=True)
