"""Hand a 100 MB array from a worker to the parent: ``python -m benchmarks.handover``.

Compared, in turn, in the same run: `WorkerPool` (shared slots), `multiprocessing.Queue`
(pickle through a pipe, what gunpowder's pool does), and the floor, one memcpy in the parent.
Medians of the wall time per hand-over, of the parent's processor time, and of the pairwise
ratios. The sender always has its array ready, so that nothing but the hand-over is timed; the
receiver looks at one value in every page.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

import numpy as np

from voxflow.pipeline.engine.workers import WorkerPool

Receive = Callable[[], Any]


def main() -> None:
    """Run, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    nbytes = args.megabytes * 10**6
    with ExitStack() as stack:
        ways: dict[str, Receive] = {
            "memcpy": memcpy(nbytes),
            "WorkerPool": stack.enter_context(pool(nbytes)),
            "mp.Queue": stack.enter_context(queue(nbytes)),
        }
        times = measure(ways, args.rounds, nbytes)
    report(times, args.megabytes)


def measure(ways: dict[str, Receive], rounds: int, nbytes: int) -> dict[str, Any]:
    """Return wall and processor seconds of each way, interleaved."""
    times: dict[str, Any] = {name: [] for name in ways}
    for turn in range(rounds + 3):
        for name, receive in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            array = receive()
            seconds = time.perf_counter() - wall, time.process_time() - cpu
            if array.nbytes != nbytes or int(array[::4096].max()) != 1:
                raise RuntimeError(f"{name} did not hand over the array")
            del array
            if turn >= 3:  # the first make slots, and fault in their pages
                times[name].append(seconds)
            time.sleep(0.05)
    return times


def report(times: dict[str, Any], megabytes: int) -> None:
    """Print medians, and medians of pairwise ratios."""
    queue_wall = [wall for wall, _ in times["mp.Queue"]]
    copy_wall = [wall for wall, _ in times["memcpy"]]
    print(f"{megabytes} MB      wall ms   parent CPU ms   x mp.Queue   / memcpy")
    for name, pairs in times.items():
        wall, cpu = zip(*pairs, strict=True)
        faster = median(q / w for q, w in zip(queue_wall, wall, strict=True))
        slower = median(w / c for c, w in zip(copy_wall, wall, strict=True))
        print(
            f"{name:<12}{median(wall) * 1e3:9.2f}{median(cpu) * 1e3:16.2f}"
            f"{faster:13.1f}{slower:11.2f}"
        )


def memcpy(nbytes: int) -> Receive:
    """One copy into memory that is already there."""
    source, target = np.ones(nbytes, np.uint8), np.zeros(nbytes, np.uint8)

    def receive() -> Any:
        np.copyto(target, source)
        return target

    return receive


@contextmanager
def pool(nbytes: int) -> Iterator[Receive]:
    """The array lies ready in the worker: pack, copy to the slot, tell, map."""
    kept: list[Any] = []

    def serve(_: object) -> Any:
        if not kept:
            kept.append(np.ones(nbytes, np.uint8))
        return kept[0]

    with WorkerPool(serve, 1, ahead=1, name="handover") as workers:

        def receive() -> Any:
            workers.submit(None)
            return workers.result()

        yield receive


@contextmanager
def queue(nbytes: int) -> Iterator[Receive]:
    """The array lies ready in a process that puts it into a queue when asked."""
    context = multiprocessing.get_context("spawn")
    asks, answers = context.Queue(), context.Queue()
    process = context.Process(target=_answer, args=(asks, answers, nbytes), daemon=True)
    process.start()

    def receive() -> Any:
        asks.put(True)
        return answers.get()

    yield receive
    asks.put(False)
    process.join()


def _answer(asks: Any, answers: Any, nbytes: int) -> None:
    array = np.ones(nbytes, np.uint8)
    while asks.get():
        answers.put(array)


if __name__ == "__main__":
    main()
