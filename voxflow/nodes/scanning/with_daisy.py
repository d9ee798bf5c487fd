"""Blocks handed out by daisy, to workers that write them themselves."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import threading
import time
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import psutil

from voxflow.nodes.flow.serving import upstream_of
from voxflow.nodes.scanning.groups import Groups, make_groups
from voxflow.nodes.scanning.job import run_here
from voxflow.nodes.scanning.launch import start_worker, write_script
from voxflow.nodes.scanning.serve import Service, served
from voxflow.nodes.scanning.worth import WorkersPay
from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.pipeline.engine.workers import WorkerDied, thread_caps
from voxflow.pipeline.engine.workers.failures import capture, rethrow
from voxflow.pipeline.engine.workers.work_file import write_work
from voxflow.stores.cache.arena import default_arena
from voxflow.stores.disk import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from voxflow.nodes.scanning.job import Job
    from voxflow.nodes.scanning.scan import Scan
    from voxflow.nodes.scanning.serve import Outcome

__all__ = ["obstacle", "run_with_daisy"]

logger = logging.getLogger(__name__)

_MISSING = (
    'a scan whose workers write needs daisy, which is not installed; pip install "voxflow[scan]"'
)
_TICK = 0.5

_PATIENCE = 5.0

_ALONE = 32
"""A worker looks at so many blocks for the first that can be done."""

_STOPPED = 3.0
"""Seconds after which a worker that is stopped (SIGSTOP) is taken for lost."""


def obstacle(scan: Scan, job: Job) -> str | None:
    """Why workers cannot write what they make themselves; None if they can.

    Parameters
    ----------
    scan
        The node, set up.
    job
        What is to be done.

    Raises
    ------
    ImportError
        If workers are to be started elsewhere, and daisy is not installed.
    """
    if importlib.util.find_spec("daisy") is None:
        if scan.worker_command is not None:
            raise ImportError(_MISSING)
        return _MISSING
    if job.record is None:
        return f"the outputs of {scan.label} do not lie on a disk; give record= a folder"
    if scan.method == "thread":
        return f"the workers of {scan.label} are threads"
    for node in upstream_of(scan)[1:]:
        if isinstance(node, DatasetWrite):
            for key in node.dataset_names:
                found = _not_at_once(node, key, job)
                if found is not None:
                    return found
        elif getattr(node, "writes", False):
            return f"{node.label} is to see all blocks, in order"
    return None


def _not_at_once(writer: DatasetWrite, key: Any, job: Job) -> str | None:
    owned = job.blocks.owned(0)
    if key not in owned:
        return f"{key} is not in the reference"
    # What the first block owns ends at a border.
    return writer.parallel_obstacle(key, job.blocks.stride, owned[key].end)


def run_with_daisy(
    scan: Scan,
    job: Job,
    serve: Callable[[Iterable[int]], Generator[Outcome, None, None]],
    update: Callable[[int], None],
) -> None:
    """Have daisy's workers do all blocks that are not done.

    The first one is done alone, so that the outputs are there: here, or by a worker where workers
    are started elsewhere, as this machine may have no GPU. Those that follow are done here as well
    until it is known that workers are worth their start. Not so when a job goes on: what ended it
    may have been a block that takes the process with it.

    Parameters
    ----------
    scan
        The node, set up.
    job
        What is to be done.
    serve
        Serves blocks here, given their numbers.
    update
        Told how many blocks are done.

    Raises
    ------
    Exception
        What a worker raised that made the scan stop.
    WorkerDied
        If workers end again and again.
    """
    share = default_arena().share(scan.num_workers)
    if scan.worker_command is None and not job.done and _done_here(scan, job, serve, update):
        return
    with default_arena().limited(0):  # what is kept here is of no use to workers
        _do_with_workers(scan, job, share, update)


def _done_here(
    scan: Scan,
    job: Job,
    serve: Callable[[Iterable[int]], Generator[Outcome, None, None]],
    update: Callable[[int], None],
) -> bool:
    """Do the first block, and more while workers do not pay: whether there is nothing left."""
    # What is decoded for the first block is there for the next ones.
    with default_arena().alone():
        began = time.monotonic()
        _do_one(scan, job)
        update(job.done)
        if job.finished or not job.done:
            return True
        pay = WorkersPay(job, scan.num_workers, time.monotonic() - began)
        run_here(job, lambda numbers: serve(pay.until(numbers)), update)
        return not pay.known


def _do_with_workers(scan: Scan, job: Job, share: int, update: Callable[[int], None]) -> None:
    """Have workers do what is left, each of which keeps so many bytes of decoded chunks."""
    job.begin()
    folder = job.recorded.folder / "work"
    shutil.rmtree(folder, ignore_errors=True)
    with disk_errors(str(folder), "made"):
        folder.mkdir(parents=True)
    job.recorded.go()
    try:
        with disk_errors(str(folder), "written"):
            write_script(folder / "worker.sh", folder / "work")
        # The workers of one machine share its processors.
        caps = thread_caps(scan.num_workers) if scan.worker_command is None else {}
        start = partial(start_worker, str(folder / "worker.sh"), scan.worker_command, caps)
        write = partial(_write_work, scan, job, share, folder)
        _do_all(partial(_run_round, scan, job, start=start, write=write, update=update), scan, job)
    finally:
        _end_workers(str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _do_all(run: Callable[[Groups], tuple[list[int], str]], scan: Scan, job: Job) -> None:
    if not job.done and not _do_first(run, job):
        return
    groups = _groups(scan, job, one_by_one=job.policy.timeout is not None)
    lost, error = run(groups)
    if lost and groups.size > 1:
        # One block took the rest of its group with it.
        lost, error = run(_groups(scan, job, one_by_one=True))
    for number in lost:
        job.note_lost(number, f"its worker ended, or took too long, each time: {error}")


def _do_first(run: Callable[[Groups], tuple[list[int], str]], job: Job) -> bool:
    """Do one block alone, of the first that are not left out; False: there is none."""
    pending = job.pending()
    left: list[int] = []
    deaths = 0
    while deaths < job.policy.budget:
        numbers = left or list(islice(pending, 1 if job.policy.timeout is not None else _ALONE))
        if not numbers:
            break
        lost, error = run(Groups(numbers, len(numbers), one_is_enough=True))
        if job.done:
            return True
        if any(job.failures[n]["worth_retrying"] for n in numbers if n in job.failures):
            break
        # One after the other: its worker ended with the first that nobody can tell of.
        left = [number for number in numbers if number in lost]
        if left:
            job.note_lost(left.pop(0), f"its worker ended, or took too long, each time: {error}")
            deaths += 1
    job.conclude()
    return False


def _end_workers(folder: str) -> None:
    """Wait until all workers that were started here have ended; those that do not are killed."""
    workers = _workers(folder)
    _, alive = psutil.wait_procs(workers, timeout=_PATIENCE)
    for worker in alive:
        worker.kill()
    psutil.wait_procs(alive, timeout=_PATIENCE)


def _workers(folder: str) -> list[psutil.Process]:
    """The workers that were started here."""
    children = psutil.Process().children()
    return [child for child in children if any(folder in word for word in _words(child))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _groups(scan: Scan, job: Job, one_by_one: bool) -> Groups:
    pending = len(job.blocks) - job.done
    return make_groups(job.blocks.counts, pending, scan.num_workers, one_by_one)


def _run_round(
    scan: Scan,
    job: Job,
    groups: Groups,
    *,
    start: Callable[..., Any],
    write: Callable[[Groups], None],
    update: Callable[[int], None],
) -> tuple[list[int], str]:
    """Do all blocks once: which were lost with their workers, and how."""
    write(groups)
    error = _run_blockwise(scan, job, groups, start, update)
    return [number for number in job.pending() if number not in job.failures], error


def _do_one(scan: Scan, job: Job) -> None:
    # The next ones are for the workers: none is made ahead.
    service = Service(scan.label, ahead=1, stall_timeout=scan.stall_timeout)
    upstream = scan.get_upstream_provider()
    with closing(served(upstream, job.blocks, job.pending(), service)) as outcomes:
        for number, outcome in outcomes:
            if job.note(number, outcome):
                return


def _write_work(scan: Scan, job: Job, cache_bytes: int, folder: Path, groups: Groups) -> None:
    from voxflow.nodes.scanning.worker import Work

    in_turn = scan.num_workers == 1
    service = Service(scan.label, stall_timeout=scan.stall_timeout, in_turn=in_turn)
    upstream = scan.get_upstream_provider()
    work = Work(upstream, job.blocks, groups, job.policy, service, cache_bytes)
    with disk_errors(str(folder), "written"):
        write_work(folder / "work", work)


def _run_blockwise(
    scan: Scan, job: Job, groups: Groups, start: Callable[..., Any], update: Callable[[int], None]
) -> str:
    import daisy.v2 as daisy
    from daisy import logging as daisy_logging

    record = job.recorded
    done = record.done.copy()
    done[sorted(job.left_out)] = 1
    seconds = job.policy.timeout or 10 * scan.stall_timeout
    task = daisy.Task(
        task_id=scan.label,
        total_roi=daisy.Roi((0,), (len(groups),)),
        read_roi=daisy.Roi((0,), (1,)),
        write_roi=daisy.Roi((0,), (1,)),
        process_function=start,
        read_write_conflict=False,
        fit="valid",
        max_workers=scan.num_workers,
        max_retries=job.policy.retries,
        max_worker_restarts=job.policy.restarts,
        timeout=seconds * (1 if groups.one_is_enough else groups.size),
        skip_mask=groups.settled(done),
    )
    before = daisy_logging.get_log_basedir()
    daisy_logging.set_log_basedir(record.folder / "logs")
    try:
        with _Watch(job, update):
            states = daisy.run_blockwise(
                task,
                progress=False,
                block_tracking=False,
                return_states=True,
                host="127.0.0.1" if scan.worker_command is None else None,
                summary=False,
            )
    except RuntimeError as error:
        _told(job, scan)
        raise WorkerDied(
            f"{scan.label}: its workers ended again and again, so the scan stopped: {job.done} of "
            f"{len(job.blocks)} blocks are done. What they wrote is in {record.folder / 'logs'}. "
            f"{error}"
        ) from error
    finally:
        daisy_logging.set_log_basedir(before)
    update(job.done)
    _told(job, scan)
    # Its last line: what comes before is daisy's own traceback.
    told = str(states[scan.label].last_worker_error or "").strip().splitlines()
    job.workers_ended = job.workers_ended or bool(told)
    return told[-1].strip() if told else "nothing is known"


def _told(job: Job, scan: Scan) -> None:
    """Raise what a worker told that made all of them stop."""
    stopped = job.recorded.stopped()
    if stopped is not None:
        rethrow(stopped, f"a worker of {scan.label}")


class _Watch:
    """Sees how far the workers are, and ends those that are stopped, in a thread."""

    def __init__(self, job: Job, update: Callable[[int], None]) -> None:
        self._job, self._update = job, update
        self._workers = str(job.recorded.folder / "work")
        self._error: BaseException | None = None
        self._since: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="voxflow-scan", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._job.learn_failures()
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        while not self._over.wait(_TICK):
            self._end_stopped()
            try:
                self._job.refresh()
                self._update(self._job.done)
            except BaseException as error:
                # Raised when the workers have ended; those go on to be watched.
                self._error = self._error or error
                self._job.recorded.stop(capture(error))

    def _end_stopped(self) -> None:
        now = time.monotonic()
        self._since = {
            child.pid: self._since.get(child.pid, now)
            for child in _workers(self._workers)
            if _status(child) == psutil.STATUS_STOPPED
        }
        for pid, since in self._since.items():
            if now - since > _STOPPED:
                logger.warning("worker %d has been stopped for %.0f s: it is ended", pid, _STOPPED)
                with suppress(psutil.Error):
                    psutil.Process(pid).kill()


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return ""
