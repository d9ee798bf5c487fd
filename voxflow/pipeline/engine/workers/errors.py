"""What can go wrong with a worker. No imports: everyone may name these errors.

RuntimeError
  WorkerError              base of all that a pool raises on its own account
    WorkerDied             a worker ended although nobody asked it to
    WorkerStalled          a worker is there but makes no progress
    WorkerFailed           a task raised; carries the remote exception as text
    NotPicklable           (also TypeError) the work cannot be sent to a process
"""

from __future__ import annotations


class WorkerError(RuntimeError):
    """Something is wrong with a pool of workers.

    Examples
    --------
    >>> issubclass(WorkerDied, WorkerError)
    True
    """


class WorkerDied(WorkerError):
    """A worker ended unasked: killed, crashed, or left by ``os._exit``.

    Attributes
    ----------
    worker : int or None
        Number of the worker in its pool; None for the fork server.
    pid : int or None
    exitcode : int or None
        Exit code; negative is the number of the signal that ended it.
    """

    worker: int | None = None
    pid: int | None = None
    exitcode: int | None = None


class WorkerStalled(WorkerError):
    """A worker is alive but does nothing: stopped, or stuck in one task.

    Attributes
    ----------
    worker : int
    pid : int or None
        None for a thread.
    stack : str
        Where the worker's threads stood, as far as they could be asked.
    """

    worker: int | None = None
    pid: int | None = None
    stack: str = ""


class WorkerFailed(WorkerError):
    """A task raised in a worker.

    Attributes
    ----------
    type_name : str
        Name of the remote exception's type, with its module.
    remote_message : str
    remote_notes : tuple of str
    remote_traceback : str
        The traceback as the worker would have printed it.
    """

    type_name: str = ""
    remote_message: str = ""
    remote_notes: tuple[str, ...] = ()
    remote_traceback: str = ""


class NotPicklable(WorkerError, TypeError):
    """The work for a pool of processes cannot be sent to another process."""
