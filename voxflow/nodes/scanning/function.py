"""One call that predicts a volume into files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.nodes.scanning.callback import ScanBar, ScanCallback
from voxflow.nodes.scanning.outputs import outputs_of, settle, writers_of
from voxflow.nodes.scanning.record import Record
from voxflow.nodes.scanning.scan import Scan
from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.engine import Pipeline, build
from voxflow.stores.base import parse_choice

if TYPE_CHECKING:
    from voxflow.nodes.scanning.job import ScanPolicy
    from voxflow.nodes.scanning.outputs import Exist

__all__ = ["ScanReport", "scan"]


@dataclass(frozen=True)
class ScanReport:
    """What a scan did.

    Attributes
    ----------
    blocks
        How many there are.
    done_before
        How many of them were done by earlier runs.
    seconds
        How long this run took.
    health
        What is strange about the values of blocks, as `CheckHealth` found it: the number of the
        ``block``, the ``array``, its ``region`` (world units), and the findings.
    record
        The folder with the record; None if none could be kept.
    """

    blocks: int
    done_before: int
    seconds: float
    health: Sequence[dict[str, Any]]
    record: Path | None

    def __str__(self) -> str:
        now = self.blocks - self.done_before
        strange = f", {len(self.health)} findings" if self.health else ""
        return f"{now} of {self.blocks} blocks in {self.seconds:.1f} s{strange}"


def scan(
    pipeline: Any,
    reference: BatchRequest,
    *,
    num_workers: int = 1,
    exist: Exist = "resume",
    policy: ScanPolicy | None = None,
    worker_command: str | None = None,
    record: str | Path | None = None,
    progress: ScanCallback | None = None,
    seed: int | None = None,
) -> ScanReport:
    """Have a pipeline fill its outputs, block by block.

    It can be interrupted at any time, also by a kill: called once more it goes on where it was,
    and returns at once if all is done.

    Parameters
    ----------
    pipeline
        Ends with the nodes that write, such as `ZarrWrite`.
    reference
        What one block asks for; only sizes and relative positions matter.
    num_workers
        How many processes make blocks; 1: only this one. More need ``voxflow[scan]``.
    exist
        What to do where an output is there: "resume" goes on if it was begun by the same job, and
        refuses if not; "overwrite" replaces it; "error" refuses.
    policy
        What becomes of blocks that fail; None: `ScanPolicy()`.
    worker_command
        How to start a worker elsewhere: ``"sbatch --wait {command}"``, ``"bsub -K {command}"``.
    record
        The folder for the record of what is done; None: in the folder of the first output, or
        beside its file.
    progress
        Told about the progress; None: a progress bar.
    seed
        Of all randomness, if there is any.

    Returns
    -------
    ScanReport
        What was done.

    Raises
    ------
    ValueError
        If the pipeline writes nothing, or an option is out of range.
    OutputMismatch
        If an output is there that is of another job, or is not to be there.
    ScanFailed
        If blocks failed, after all others were done.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> volume = np.arange(60, dtype=np.uint8).reshape(6, 10)
    >>> pipeline = (
    ...     gp.ArraySource(raw, volume, spec=gp.ArraySpec(voxel_size=(4, 4)))
    ...     + gp.IntensityScaleShift(raw, 2, 0)
    ...     + gp.ZarrWrite({raw: "raw"}, tempfile.mkdtemp(), "out.zarr")
    ... )
    >>> reference = gp.BatchRequest({raw: gp.Roi((0, 0), (12, 20))})
    >>> report = gp.scan(pipeline, reference, progress=gp.ScanCallback())
    >>> report.blocks, report.done_before
    (4, 0)
    >>> gp.scan(pipeline, reference, progress=gp.ScanCallback()).done_before
    4
    """
    parse_choice("exist", exist, ("resume", "overwrite", "error"))
    whole = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
    writers = writers_of(whole.nodes())
    if not writers:
        raise ValueError("the pipeline writes nothing; put ZarrWrite or another writer at its end")
    settle(writers, exist, None if record is None else Path(record))
    heard = _Heard(ScanBar() if progress is None else progress)
    started = time.monotonic()
    node = Scan(
        reference,
        num_workers,
        progress_callback=heard,
        policy=policy,
        record=record,
        worker_command=worker_command,
    )
    with build(whole + node, seed=seed) as built:
        built.request_batch(BatchRequest())
    places = (output.record for output in outputs_of(writers))
    folder = node.record or next((place for place in places if place is not None), None)
    seconds = time.monotonic() - started
    return ScanReport(heard.blocks, heard.before, seconds, _health(folder), folder)


def _health(folder: Path | None) -> Sequence[dict[str, Any]]:
    """What was found about each block, once: one that a kill hit may have been noted twice."""
    if folder is None:
        return ()
    notes = Record(folder, 0).notes("health")
    return tuple({(note["block"], note["array"]): note for note in notes}.values())


class _Heard(ScanCallback):
    """Passes on what it is told, and keeps how it began."""

    def __init__(self, inner: ScanCallback) -> None:
        self._inner = inner
        self.blocks = 0
        self.before: int = -1

    def plan(self, text: str) -> None:
        self._inner.plan(text)

    def start(self, num_total: int) -> None:
        self.blocks = num_total
        self._inner.start(num_total)

    def update(self, num_processed: int) -> None:
        if self.before < 0:
            self.before = num_processed
        self._inner.update(num_processed)

    def stop(self) -> None:
        self._inner.stop()
