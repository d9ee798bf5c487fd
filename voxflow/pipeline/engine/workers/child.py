"""The worker process: receives the work once, then answers task after task."""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import dill  # type: ignore[import-untyped]

from . import lifeline
from .blame import find_unpicklable
from .errors import WorkerFailed
from .failures import capture
from .limits import cap_loaded_libraries
from .packing import adopt_main_classes, load_task, pack_by_value, pack_result
from .shared import receiving
from .slots import Part, SlotWriter, load_placed
from .wire import Connection


class Welcome(NamedTuple):
    """The first message to a worker.

    Its descriptors are the work, the report, the lifeline, and shared memory that the work uses.
    """

    parent: int
    argv: list[str]
    stream: bytes | None
    parts: tuple[Part, ...]
    nbytes: int


def run_worker(fd: int) -> NoReturn:
    """Be a worker on this connection until its other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    lifeline.die_with_creator()
    connection = Connection(socket.socket(fileno=fd))
    code = 0
    try:
        with contextlib.suppress(BrokenPipeError):  # the pool has gone: nothing to tell it
            _work(connection)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        # Threads that libraries have left running must not keep the worker.
        os._exit(code)


def _work(connection: Connection) -> None:
    first = connection.receive()
    if first is None:
        return
    welcome = Welcome(*first.body)
    work_fd, report_fd, lifeline_fd, *shared_fds = first.fds
    lifeline.watch_parent(lifeline_fd, welcome.parent)
    report = open(report_fd, "ab", buffering=0)  # noqa: SIM115  (open for life)
    faulthandler.enable(report)
    faulthandler.register(signal.SIGUSR1, report)
    try:
        with receiving(shared_fds):
            serve = _load(welcome, work_fd)
    except BaseException as error:
        connection.send(("broken", capture(error)))
        return
    connection.send(("ready",))
    slots = SlotWriter()
    while (message := connection.receive()) is not None:
        kind, *values = message.body
        if kind == "free":
            slots.free(*values)
        elif kind == "drop":
            slots.drop(*values)
        else:
            _answer(connection, slots, serve, *values)


def _load(welcome: Welcome, work_fd: int) -> Callable[[Any], Any]:
    sys.argv = welcome.argv
    exporter: Any = b""
    if welcome.nbytes:
        # Copy on write: large arrays of the work exist once, until somebody changes them.
        exporter = mmap.mmap(work_fd, welcome.nbytes, access=mmap.ACCESS_COPY)
    os.close(work_fd)
    serve, setup = load_placed(welcome.stream, welcome.parts, exporter, dill.loads)
    adopt_main_classes()
    if setup is not None:
        setup()
    cap_loaded_libraries()
    return serve  # type: ignore[no-any-return]


def _answer(
    connection: Connection,
    slots: SlotWriter,
    serve: Callable[[Any], Any],
    index: int,
    by_reference: bytes | None,
    by_value: bytes | None,
    coming: tuple[bytes | None, bytes | None] | None,
) -> None:
    """Do one task; whatever it raises is its answer."""
    fds: list[int] = []
    answer: tuple[Any, ...]
    started = time.perf_counter()
    if coming is not None:
        with contextlib.suppress(Exception):  # it is told when it is served
            serve.announce(load_task(*coming))  # type: ignore[attr-defined]
    try:
        result = serve(load_task(by_reference, by_value))
        try:
            packed = pack_result(result)
        except Exception as error:
            raise _no_way_to_send(result, error) from error
        placed, fds = slots.place(packed)
        answer = ("result", index, tuple(placed))
    except BaseException as error:
        answer = ("error", index, tuple(capture(error)))
    seconds = time.perf_counter() - started
    connection.send((*answer, seconds, getattr(serve, "prefetches", False)), fds)
    for fd in fds:
        os.close(fd)


def _no_way_to_send(result: Any, error: Exception) -> WorkerFailed:
    path, reason = find_unpicklable(result, pack_by_value, "result") or ("result", error)
    return WorkerFailed(
        f"The result of a task cannot be sent back from its worker: {path} cannot be pickled "
        f"({type(reason).__name__}: {reason}). Return plain values and arrays, or use "
        'method="thread".'
    )
