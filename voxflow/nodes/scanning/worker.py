"""A worker of a scan: does the blocks that daisy hands out, and writes them.

``python -m voxflow.nodes.scanning.worker WORK CONTEXT``
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.nodes.scanning.forecast import forecast, plan_block
from voxflow.nodes.scanning.groups import Groups
from voxflow.nodes.scanning.heap import Ceiling, share_heap
from voxflow.nodes.scanning.job import Job, ScanPolicy
from voxflow.nodes.scanning.launch import PARENT
from voxflow.nodes.scanning.record import Record
from voxflow.nodes.scanning.serve import Service, served
from voxflow.pipeline.engine.legacy_random import borrowed_state
from voxflow.pipeline.engine.workers.failures import capture
from voxflow.pipeline.engine.workers.lifeline import end_with
from voxflow.pipeline.engine.workers.limits import cap_loaded_libraries
from voxflow.pipeline.engine.workers.work_file import read_work
from voxflow.stores.cache.arena import default_arena

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.nodes.scanning.blocks import ScanBlocks

__all__ = ["Work", "work_off"]


@dataclass(frozen=True)
class Work:
    """What all workers of a scan are given.

    Parameters
    ----------
    upstream
        The node that blocks are asked of, writers included.
    blocks
        All blocks.
    groups
        What daisy hands out.
    policy
        What becomes of blocks that fail.
    service
        How blocks are served in a worker.
    cache_bytes
        How much a worker keeps of decoded chunks.
    """

    upstream: Any
    blocks: ScanBlocks
    groups: Groups
    policy: ScanPolicy
    service: Service
    cache_bytes: int


def work_off(path: Path) -> None:
    """Do blocks until there are no more; where daisy is, stands in the environment."""
    try:
        work: Work = read_work(path)
    except Exception as error:
        # The others cannot either: each that ended would be replaced, so hand all blocks back.
        Record(path.parent.parent, 0).stop(capture(error))
        _serve_daisy(lambda group: False)
        return
    cap_loaded_libraries()
    record = Record(path.parent.parent, work.blocks.total)
    job = Job(work.blocks, work.policy, record)
    arena = default_arena()
    block = plan_block(work.upstream, work.blocks)
    ceiling = Ceiling(forecast(block, work.service, work.cache_bytes))
    with borrowed_state(True), arena.limited(work.cache_bytes), arena.alone():
        _serve_daisy(partial(_done, work, job, ceiling))


def _serve_daisy(do: Callable[[int], bool]) -> None:
    import daisy
    from daisy.block import BlockStatus

    client = daisy.Client(daisy.Context.from_env())
    while True:
        with client.acquire_block() as block:
            if block is None:
                return
            if not do(int(block.write_roi.offset[0])):
                block.status = BlockStatus.FAILED


def _done(work: Work, job: Job, ceiling: Ceiling, group: int) -> bool:
    """Do the blocks of a group that are not done: whether all are, afterwards."""
    record = job.record
    if record is None or record.stopped() is not None:
        return False
    record.refresh()  # another worker may have begun with the group, and died
    numbers = [n for n in work.groups.numbers(group) if not record.done[n]]
    failed = False
    try:
        with closing(served(work.upstream, work.blocks, numbers, work.service)) as outcomes:
            for number, outcome in outcomes:
                done = job.note(number, outcome)
                failed = failed or not (done or number in job.left_out)
                ceiling.look()
                if done and work.groups.one_is_enough:
                    return True
    except Exception as error:
        record.stop(capture(error))
        return False
    return not failed


def main() -> None:
    """Be a worker."""
    share_heap()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides what Ctrl-C means
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        end_with(int(parent))
    path, os.environ["DAISY_CONTEXT"] = Path(sys.argv[1]), sys.argv[2]
    work_off(path)


if __name__ == "__main__":
    main()
