"""A worker ends when its parent ends, whatever either of them is doing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

from .wire import readable

_PR_SET_PDEATHSIG = 1


def watch_parent(lifeline: int, parent: int) -> None:
    """End this process when the parent dies.

    Parameters
    ----------
    lifeline : int
        Read end of a pipe whose write end only the parent holds, and never writes to.
    parent : int
        The parent's process id. Watched as well where the system can: a process that the parent
        forked may hold a copy of the pipe.
    """
    watched = [lifeline]
    with contextlib.suppress(AttributeError, OSError):
        watched.append(os.pidfd_open(parent))

    def wait() -> None:
        readable(watched)
        os._exit(1)

    threading.Thread(target=wait, name="voxflow-lifeline", daemon=True).start()


def die_with_creator() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux).

    This also ends a worker that is stopped, or deep in a library that holds the interpreter.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def end_with(process: int) -> None:
    """End this process when another one ends, that need not be its parent.

    Parameters
    ----------
    process
        The other one's number. If it has ended already, this one ends at once.
    """
    die_with_creator()

    def wait() -> None:
        try:
            readable([os.pidfd_open(process)])
        except ProcessLookupError:
            pass
        except (AttributeError, OSError):  # no such calls: look now and then
            while _exists(process):
                time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=wait, name="voxflow-lifeline", daemon=True).start()


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
