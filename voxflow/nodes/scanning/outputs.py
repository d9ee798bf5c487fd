"""What a scan leaves in files, and what is done about files that are there."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.scanning.record import remove_record
from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.target import existing_target
from voxflow.stores import OutputMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from voxflow.nodes.sinks.places import Output

__all__ = ["Exist", "exists", "outputs_of", "settle", "tidy", "writers_of"]

# Under these names zarr and tensorstore begin to write a chunk.
_BEGUN = re.compile(r"\.([0-9a-f]{32}\.partial|__lock)$")

Exist = Literal["resume", "overwrite", "error"]
"""What to do where an output is there already: go on, if it was begun by the same job; replace it;
or refuse."""


def writers_of(nodes: Iterable[Any]) -> list[DatasetWrite]:
    """Those of some nodes that write datasets."""
    return [node for node in nodes if isinstance(node, DatasetWrite)]


def outputs_of(nodes: Iterable[Any]) -> list[Output]:
    """All datasets that some nodes write."""
    return [output for writer in writers_of(nodes) for output in writer.outputs()]


def exists(output: Output) -> bool:
    """Whether a dataset is there."""
    return existing_target(output.store, output.path) is not None


def settle(writers: Sequence[DatasetWrite], exist: Exist, record: Path | None = None) -> None:
    """Do what is wanted about outputs that are there, before a pipeline is built.

    Parameters
    ----------
    writers
        Those of the pipeline.
    exist
        What is wanted.
    record
        A folder for the record that is not that of an output.

    Raises
    ------
    OutputMismatch
        If there are some, and there are to be none; or if a scan writes them at the moment.
    """
    if exist == "resume":
        return
    if exist == "overwrite" and record is not None:
        remove_record(record)
    for writer in writers:
        there = [output for output in writer.outputs() if exists(output)]
        if there and exist == "error":
            raise OutputMismatch(
                f"{', '.join(map(str, there))} is there already, and exist='error'. Remove it, "
                "write to another file or name, go on with it (exist='resume') or replace it "
                "(exist='overwrite')"
            )
        # Before the data: what a kill leaves of them is not taken for done.
        for output in writer.outputs():
            if output.record is not None and exist == "overwrite":
                remove_record(output.record)
        if there:
            writer.remove()


def tidy(outputs: Iterable[Output]) -> None:
    """Remove what kills left of chunks that were being written, once they are written.

    Nobody reads it, so that what cannot be removed may stay.
    """
    for output in outputs:
        for folder, _, names in os.walk(output.location or ""):
            for name in names:
                if _BEGUN.search(name):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))
