"""Hooks are called in such a way that their mistakes do not end the training."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from voxflow.torch.checkpoint import loadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

logger = logging.getLogger(__name__)

FAILURE = "failure"
"""The name of the event that says what a hook met."""


class Hooks:
    """The hooks of a session.

    A hook is any object with some of the methods ``check(session)``, ``begin(session)``,
    ``after_step(session, step)``, ``end(session)``, ``recorded(session, values)``,
    ``after_loss(session, given, kind)``, ``state_dict()``, ``load_state_dict(state)``. What it
    raises is logged, the first time with its traceback as an event, and the training goes on; but
    what ``check`` raises is raised, before anything has begun.

    Parameters
    ----------
    hooks
        The hooks.
    say
        Takes the events, by name.
    """

    def __init__(self, hooks: Sequence[Any], say: Callable[[Mapping[str, Any]], None]) -> None:
        self._hooks = list(hooks)
        self._names = dict(_labels(self._hooks))
        self._say = say
        self._failed: set[tuple[int, str, type]] = set()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._hooks)

    def of_rank(self, rank: int) -> None:
        """Keep those that a process has: the first one all, others what is for ``every_rank``."""
        if rank:
            self._hooks = [h for h in self._hooks if getattr(h, "every_rank", False)]

    def check(self, session: Any) -> None:
        """Let hooks say that they cannot work, before the training begins."""
        for hook in self._hooks:
            if hasattr(hook, "check"):
                hook.check(session)

    def call(self, method: str, *args: Any) -> None:
        """Call a method of all hooks that have it: in their order, at the end backwards."""
        for hook in reversed(self._hooks) if method == "end" else self._hooks:
            function = getattr(hook, method, None)
            if function is not None:
                self.guarded(hook, method, function, *args)

    def guarded(self, hook: Any, what: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call something of a hook; None if it fails."""
        try:
            return function(*args)
        except Exception as error:
            self._failure(hook, what, error)
            return None

    def _failure(self, hook: Any, what: str, error: Exception) -> None:
        key = (id(hook), what, type(error))
        if key in self._failed:
            return
        self._failed.add(key)
        name = self._names.get(id(hook), type(hook).__name__)
        logger.warning(
            "%s failed in %s, the training goes on; more of the same is not logged",
            name,
            what,
            exc_info=error,
        )
        self._say(
            {
                FAILURE: {
                    "hook": name,
                    "method": what,
                    "error": f"{type(error).__name__}: {error}",
                    "traceback": "".join(traceback.format_exception(error)),
                }
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """The states of all hooks that have one, by their names."""
        states = {}
        for hook in self._hooks:
            if hasattr(hook, "state_dict"):
                name = self._names[id(hook)]
                state = self.guarded(hook, "state_dict", _loadable_state, hook, name)
                if state is not None:
                    states[name] = state
        return states

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Let hooks go on; one that is new begins anew."""
        for hook in self._hooks:
            name = self._names[id(hook)]
            if name in states and hasattr(hook, "load_state_dict"):
                self.guarded(hook, "load_state_dict", hook.load_state_dict, states[name])


def _labels(hooks: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """Names by which hooks are known in a checkpoint: of the class, and counted."""
    seen: dict[str, int] = {}
    for hook in hooks:
        name = type(hook).__name__
        seen[name] = seen.get(name, 0) + 1
        yield id(hook), name if seen[name] == 1 else f"{name}-{seen[name]}"


def _loadable_state(hook: Any, name: str) -> Any:
    # One that cannot be loaded is not to keep the others from being saved.
    return loadable(hook.state_dict(), f"the state of {name}")
