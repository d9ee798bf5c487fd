"""Which blocks of a scan are done, which failed, and what is said of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.nodes.scanning.failures import ScanFailed, Streak, failure, table, worth_retrying
from voxflow.nodes.scanning.record import Record, read_manifest, write_manifest
from voxflow.nodes.scanning.tubes import Tubes
from voxflow.pipeline.engine.notes import add_note
from voxflow.pipeline.engine.workers import WorkerDied
from voxflow.stores import DiskFull, OutputMismatch, ReadOnly, StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from voxflow.nodes.scanning.blocks import ScanBlocks
    from voxflow.nodes.scanning.serve import Outcome
    from voxflow.nodes.sinks.places import Output
    from voxflow.pipeline.data import Batch

__all__ = ["Job", "ScanPolicy", "run_here"]


_TRACEBACKS = 1000
"""Of how many failed blocks the tracebacks are kept in memory."""

_FOR_ALL = (DiskFull, ReadOnly, StoreUnreachable)
"""Errors that no other block would be spared: a full disk, a server that has gone."""


@dataclass(frozen=True)
class ScanPolicy:
    """What becomes of blocks that fail.

    Parameters
    ----------
    retries
        How often a block is tried again.
    retry_failed
        Whether blocks that failed in an earlier run are tried again.
    budget
        After how many blocks in a row that fail with the same error the scan stops.
    timeout
        Seconds after which a block is given up, and its worker ended, where workers write; the
        first block is made by this process, and has none. None: a multiple of the scan's
        `stall_timeout`.
    restarts
        How often workers that ended are replaced, where workers write.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    retries: int = 2
    retry_failed: bool = True
    budget: int = 10
    timeout: float | None = None
    restarts: int = 100

    def __post_init__(self) -> None:
        if self.retries < 0 or self.budget < 1 or self.restarts < 0:
            raise ValueError(
                "retries and restarts have to be at least 0, budget at least 1; got "
                f"{self.retries}, {self.restarts}, {self.budget}"
            )
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout has to be more than 0 seconds, got {self.timeout}")


class Job:
    """The blocks of one scan: which are to be done, and what became of them.

    Parameters
    ----------
    blocks
        All blocks.
    policy
        What becomes of those that fail.
    record
        Where it is written down; None: nowhere, so that it cannot be resumed.
    manifest
        What the job is.
    places
        The folders in which that is written down: that of the record, and one for each output.
    outputs
        What is written.

    Attributes
    ----------
    goes_on
        Whether it was begun before, and not finished.
    workers_ended
        Whether any worker ended that should have gone on.
    """

    def __init__(
        self,
        blocks: ScanBlocks,
        policy: ScanPolicy,
        record: Record | None = None,
        manifest: dict[str, Any] | None = None,
        places: Sequence[Path] = (),
        outputs: Sequence[Output] = (),
    ) -> None:
        self.blocks = blocks
        self.policy = policy
        self.record = record
        self.manifest = manifest
        self.places = places
        self.outputs = outputs
        self.failures: dict[int, dict[str, Any]] = {}
        self.done_before = 0
        self.goes_on = False
        self.workers_ended = False
        self.left_out: set[int] = set()
        self._streak = Streak(policy.budget)
        self._first: Exception | None = None
        self._succeeded = 0
        # Workers are given a job that is written down.
        self._begun = manifest is None

    def go_on(self) -> None:
        """Go on with what is written down."""
        record = self.record
        if record is None:
            return
        record.lock()
        self._begun = True
        record.refresh()
        record.compact()
        self.done_before = record.count
        self.goes_on = not self.finished
        failed = {e["block"]: e for e in record.notes("failed") if not self.is_done(e["block"])}
        if self.policy.retry_failed:
            record.forget("failed")
        else:
            self.failures.update(failed)
            self.left_out.update(failed)

    def begin(self) -> None:
        """Write down what the job is; once the outputs are there.

        Raises
        ------
        OutputMismatch
            If another scan began with the outputs at the same time.
        """
        if self.record is None or self.manifest is None or self._begun:
            return
        self.record.lock()
        if read_manifest(self.record.folder) is not None:
            raise OutputMismatch(
                f"another scan has begun to write this output since this one was started "
                f"({self.record.folder}); start it again to go on with that"
            )
        # The one that counts comes last.
        for place in reversed(self.places):
            write_manifest(place, self.manifest)
        self._begun = True
        for entry in self.failures.values():
            self.record.note("failed", entry)

    @property
    def recorded(self) -> Record:
        """The record.

        Raises
        ------
        RuntimeError
            If there is none.
        """
        if self.record is None:
            raise RuntimeError("this job is not written down anywhere, as its workers need")
        return self.record

    @property
    def done(self) -> int:
        """How many blocks are done, in this run and before."""
        return self.done_before + self._succeeded

    @property
    def finished(self) -> bool:
        """Whether all blocks are done."""
        return self.done == len(self.blocks)

    def pending(self) -> Iterator[int]:
        """The blocks that are not done yet, neighbours soon after one another."""
        for number in Tubes(self.blocks.counts):
            if not self.is_done(number) and number not in self.left_out:
                yield number

    def refresh(self) -> None:
        """Learn what workers have done."""
        if self.record is not None:
            self.record.refresh()
            self._succeeded = self.record.count - self.done_before

    def learn_failures(self) -> None:
        """Learn which blocks failed in workers."""
        if self.record is None:
            return
        self.refresh()
        self.failures = {}
        for entry in self.record.notes("failed"):
            if not self.is_done(entry["block"]):
                self._remember(entry)

    def is_done(self, number: int) -> bool:
        """Whether a block is done."""
        return self.record is not None and bool(self.record.done[number])

    def note(self, number: int, outcome: Batch | Exception) -> bool:
        """Note what came of a block: whether it is done.

        Raises
        ------
        Exception
            What the block raised, if it is time to stop.
        """
        if isinstance(outcome, Exception):
            self._note_failure(number, outcome)
            return False
        self._succeeded += 1
        self._streak.broken()
        self.failures.pop(number, None)
        if self.record is not None:
            self.begin()
            self._note_health(number, outcome)
            self.record.mark_done(number)
        return True

    def _note_health(self, number: int, batch: Batch) -> None:
        for key, array in batch.arrays.items():
            found = array.attrs.get("health")
            if found and self.record is not None:
                region = str(array.spec.roi)
                entry = {"block": int(number), "array": str(key), "region": region, **found}
                self.record.note("health", entry)

    def _note_failure(self, number: int, error: Exception) -> None:
        again = number in self.failures or self._failed_elsewhere(number)
        entry = failure(number, self.blocks.owned(number), error)
        self._first = self._first or error
        if isinstance(error, _FOR_ALL):
            # Not the block's fault; and the record may lie on the same disk.
            self._remember(entry)
            raise error
        self._note(entry)
        if not worth_retrying(error):
            self.left_out.add(number)
        if getattr(error, "stops", False):
            raise error
        # Those that failed before are tried one after another: that is no streak.
        if worth_retrying(error) and not again and self._streak.add(entry):
            self.refresh()
            add_note(
                error,
                f"{self.policy.budget} blocks in a row failed with this error, so the scan "
                f"stopped: {self.done} of {len(self.blocks)} are done. Run it again to go on",
            )
            raise error

    def _failed_elsewhere(self, number: int) -> bool:
        return self.record is not None and number in self.record.failed_elsewhere()

    def _note(self, entry: dict[str, Any]) -> None:
        self._remember(entry)
        if self.record is not None and self._begun:
            self.record.note("failed", entry)

    def _remember(self, entry: dict[str, Any]) -> None:
        # Those of all blocks of a large scan would not fit into memory; the record has them.
        if len(self.failures) >= _TRACEBACKS:
            entry = {**entry, "traceback": ""}
        self.failures[entry["block"]] = entry

    def note_lost(self, number: int, text: str) -> None:
        """Note that a block failed, of which nobody could tell."""
        self._note(failure(number, self.blocks.owned(number), WorkerDied(text)))

    def close(self) -> None:
        """Let go of the record."""
        if self.record is not None:
            self.record.close()

    def to_retry(self) -> list[int]:
        """The blocks that failed in this run and may succeed yet."""
        return [number for number in self.failures if number not in self.left_out]

    def conclude(self) -> None:
        """Raise if blocks failed.

        Raises
        ------
        ScanFailed
            With a table of the errors; or if blocks are not done of which nothing is known.
        Exception
            What the first block raised, if none was done at all.
        """
        if not self.failures and self.finished:
            return
        if self._first is not None and not self.done:
            raise self._first
        where = "" if self.record is None else f" (details: {self.record.folder})"
        if not self.failures:
            left = len(self.blocks) - self.done
            raise ScanFailed(
                f"{left} of {len(self.blocks)} blocks are not done, and nothing is known of "
                f"them{where}. Run it again to do them"
            )
        again = "Run it again to try the failed ones once more"
        if not self.policy.retry_failed:
            again = "They are tried once more if it is run again with retry_failed=True"
        raise ScanFailed(
            f"{len(self.failures)} of {len(self.blocks)} blocks failed, {self.done} are done"
            f"{where}. {again}.\n"
            f"{table(self.failures.values())}",
            self.failures.values(),
        ) from self._first


def run_here(
    job: Job,
    serve: Callable[[Iterable[int]], Generator[Outcome, None, None]],
    update: Callable[[int], None],
) -> None:
    """Serve all blocks that are not done, and those that fail once more.

    Parameters
    ----------
    job
        The blocks.
    serve
        Serves blocks, given their numbers.
    update
        Told how many blocks are done.
    """
    numbers: Iterable[int] = job.pending()
    for _ in range(1 + job.policy.retries):
        # Closed at once, also if an error, which keeps it alive, is looked at later.
        with closing(serve(numbers)) as outcomes:
            for number, outcome in outcomes:
                job.note(number, outcome)
                update(job.done)
                del outcome
        numbers = job.to_retry() if job.done else []
        if not numbers:
            break
