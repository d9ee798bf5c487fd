"""What is changed while a training runs, by its hooks and from other threads."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from voxflow.training.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

Followed = tuple[list[tuple[str, Any]], list[dict[str, Any]]]
"""What was set, and the options of the optimizer."""


class Changes:
    """Changes targets of a training between two steps.

    The thread that trains, in which hooks run, changes them at once: no step is under way. What
    other threads set waits until the step is done.

    Parameters
    ----------
    targets
        What can be changed.
    record
        Takes what was changed, by name.
    """

    def __init__(self, targets: Targets, record: Callable[[Mapping[str, Any]], None]) -> None:
        self.targets = targets
        self._record = record
        self._lock = threading.Lock()
        self._queue: list[tuple[str, Any]] = []
        self._made: list[tuple[str, Any]] = []
        self._thread: int | None = None

    def begin(self) -> None:
        """From now on this thread trains."""
        self._thread = threading.get_ident()

    def end(self) -> None:
        """Nobody trains."""
        self._thread = None

    @property
    def going_on(self) -> bool:
        """Whether somebody trains."""
        return self._thread is not None

    def set(self, path: str, value: Any) -> None:
        """Change something, or let it be changed when the step is done.

        Raises
        ------
        UnknownTarget, TypeError, ValueError
            If there is no such target, or the value is not possible. Of what waits, it is logged.
        """
        if self._thread in (None, threading.get_ident()):
            self._change(path, value)
        else:
            self.targets.get(path)
            with self._lock:
                self._queue.append((path, value))

    def _change(self, path: str, value: Any) -> None:
        self.targets.set(path, value)
        self._made.append((path, value))
        self._record({f"set.{path}": value})

    def make_waiting(self) -> None:
        """Change what other threads have set."""
        if not self._queue:
            return
        with self._lock:
            queue, self._queue = self._queue, []
        for path, value in queue:
            try:
                self._change(path, value)
            except (LookupError, TypeError, ValueError) as error:
                logger.warning("%s was not set to %r: %s", path, value, error)
                self._record({"failure": {"set": path, "error": str(error)}})

    def forget(self) -> None:
        """Nobody follows: there are no other processes."""
        self._made.clear()

    def to_follow(self, optimizer: Any) -> Followed:
        """What other processes have to change as well, to be as this one is."""
        made, self._made = self._made, []
        # Not only what was set: schedulers of torch change them without a word.
        options = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        return [one for one in made if not one[0].startswith("optimizer.")], options

    def follow(self, changed: Followed, optimizer: Any) -> None:
        """Be as the process is that changed something."""
        made, options = changed
        for path, value in made:
            self.targets.set(path, value)
        for group, new in zip(optimizer.param_groups, options, strict=True):
            group.update(new)
