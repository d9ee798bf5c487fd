"""The commands that every training has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.training.commands import looking, steering, values
from voxflow.training.commands.registry import Commands

if TYPE_CHECKING:
    from voxflow.training.commands.registry import Function

_LOOK: tuple[Function, ...] = (
    steering.status,
    values.get,
    looking.paramstats,
    looking.gradstats,
    looking.actstats,
    looking.filters,
    looking.debugbatch,
    looking.preview,
    looking.validate,
)
_CHANGE: tuple[Function, ...] = (
    steering.resume,
    steering.pause,
    steering.stop,
    steering.kill,
    steering.save,
    steering.snapshot,
    values.setlr,
    values.setmom,
    values.setwd,
    values.sethist,
)
_ALONE: tuple[Function, ...] = (steering.load, values.optimizer)


def standard_commands() -> Commands:
    """A registry with the commands that every training has.

    Examples
    --------
    >>> print(standard_commands().help("setlr"))
    setlr RATE
    <BLANKLINE>
    Set the learning rate.
    """
    commands = Commands()
    for function in _LOOK:
        commands.add(function)
    for function in _CHANGE:
        commands.add(function, changes=True)
    for function in _ALONE:
        commands.add(function, changes=True, alone=True)
    commands.add(values.put, name="set", changes=True)
    return commands
