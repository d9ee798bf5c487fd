"""Weights of another training: strictly, where they match, or fitted; and weights that stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Mode = Literal["strict", "matching", "adapt"]


@dataclass(frozen=True)
class LoadReport:
    """What became of each weight.

    Attributes
    ----------
    taken
        Names of weights that were taken as they are.
    adapted
        Names of weights of another shape, of which the common part was taken.
    left
        Names of weights of the model that stayed as they were, with the reason.
    unused
        Names of weights that the model has not.
    """

    taken: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.taken)} weights taken"]
        lines += [f"adapted: {name}" for name in self.adapted]
        lines += [f"left as it was: {name} ({why})" for name, why in self.left.items()]
        lines += [f"not used: {name}" for name in self.unused]
        return "\n".join(lines)


@torch.no_grad()
def load_weights(
    model: torch.nn.Module, weights: Mapping[str, torch.Tensor], mode: Mode = "strict"
) -> LoadReport:
    """Let a model have weights that another one may have been trained to.

    Parameters
    ----------
    model
        The model.
    weights
        A state dict.
    mode
        "strict": names and shapes have to be the same. "matching": what has the same name and
        shape is taken. "adapt": also what has the same name and another shape, of as many axes:
        the part that both have in common, which is the first of the channels (axes 0 and 1) and
        the middle of a kernel (the other axes).

    Returns
    -------
    LoadReport
        What became of each weight.

    Raises
    ------
    ValueError
        If the mode is unknown; or with "strict", if anything differs: the model stays as it was.

    Examples
    --------
    >>> old, new = torch.nn.Linear(3, 2), torch.nn.Linear(3, 4)
    >>> load_weights(new, old.state_dict(), "adapt").adapted
    ['weight', 'bias']
    >>> bool((new.weight[:2] == old.weight).all())
    True
    """
    if mode not in ("strict", "matching", "adapt"):
        raise ValueError(f"mode is 'strict', 'matching' or 'adapt', got {mode!r}")
    own = model.state_dict()
    report = LoadReport(unused=[name for name in weights if name not in own])
    for name, value in own.items():
        _sort_in(report, name, value, weights.get(name), mode)
    if mode == "strict" and (report.left or report.unused):
        raise ValueError(
            f"the weights are not those of this model:\n{report}\nTake mode='matching' to leave "
            "such weights as they are, or 'adapt' to take the part that fits."
        )
    for name in report.taken:
        own[name].copy_(weights[name])
    for name in report.adapted:
        mine, theirs = _common(own[name].shape, weights[name].shape)
        own[name][mine] = weights[name][theirs].to(own[name])
    return report


def _sort_in(
    report: LoadReport, name: str, own: torch.Tensor, other: torch.Tensor | None, mode: Mode
) -> None:
    if other is None:
        report.left[name] = "is not there"
    elif own.shape == other.shape:
        report.taken.append(name)
    elif mode == "adapt" and own.ndim == other.ndim:
        report.adapted.append(name)
    else:
        report.left[name] = f"has the shape {tuple(own.shape)}, not {tuple(other.shape)}"


def _common(
    own: Sequence[int], other: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the part that both have is, in the one and in the other."""
    mine, theirs = [], []
    for axis, (a, b) in enumerate(zip(own, other, strict=True)):
        size = min(a, b)
        first, second = ((a - size) // 2, (b - size) // 2) if axis > 1 else (0, 0)
        mine.append(slice(first, first + size))
        theirs.append(slice(second, second + size))
    return tuple(mine), tuple(theirs)


def freeze(model: torch.nn.Module, patterns: Sequence[str] | str) -> list[str]:
    """Let parameters stay as they are. Running means of a normalisation are no parameters.

    Parameters
    ----------
    model
        The model.
    patterns
        What the names of parameters match, with ``*`` and ``?`` as in names of files.

    Returns
    -------
    list[str]
        The names.

    Raises
    ------
    ValueError
        If nothing matches a pattern.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
    >>> freeze(model, "0.*")
    ['0.weight', '0.bias']
    """
    parameters, found = dict(model.named_parameters()), _matching(model, patterns)
    for name in found:
        parameters[name].requires_grad_(False)
        # An optimizer would go on with the last one.
        parameters[name].grad = None
    return found


def unfreeze(model: torch.nn.Module, patterns: Sequence[str] | str = "*") -> list[str]:
    """Let parameters be trained that were frozen. The optimizer has to have them, too.

    Parameters
    ----------
    model
        The model.
    patterns
        As for `freeze`.

    Returns
    -------
    list[str]
        The names of those that were frozen.

    Raises
    ------
    ValueError
        If nothing matches a pattern.

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1)
    >>> _ = freeze(model, "*")
    >>> unfreeze(model, "b*")
    ['bias']
    """
    parameters = dict(model.named_parameters())
    found = [n for n in _matching(model, patterns) if not parameters[n].requires_grad]
    for name in found:
        parameters[name].requires_grad_(True)
    return found


def _matching(model: torch.nn.Module, patterns: Sequence[str] | str) -> list[str]:
    parameters = dict(model.named_parameters())
    found: list[str] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matches = [name for name in parameters if fnmatchcase(name, pattern)]
        if not matches:
            near = get_close_matches(pattern, parameters, 3, 0.3) or list(parameters)[:3]
            raise ValueError(
                f"no parameter matches {pattern!r}; there is, for example: {', '.join(near)}"
            )
        found += [name for name in matches if name not in found]
    return found
