"""What can be changed while a network is trained, under dotted names."""

from __future__ import annotations

import difflib
import logging
from typing import TYPE_CHECKING, Any

import torch

from voxflow.pipeline.engine import Pipeline
from voxflow.training.places import (
    AttributePlace,
    DropoutPlace,
    NodePlace,
    OptimizerPlace,
    Place,
    is_plain,
    same,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voxflow.training.places import Value

__all__ = ["Targets", "UnknownTarget"]

logger = logging.getLogger(__name__)

_ALIASES = {"mom": "momentum", "wd": "weight_decay"}
_SHOWN = 3


class UnknownTarget(LookupError):
    """There is nothing of this name that can be changed."""


class Targets:
    """Gets and sets numbers of a training by name, such as ``"optimizer.lr"``.

    What there is depends on the things:

    - of an optimizer its options, ``optimizer.lr``, ``.weight_decay``, ``.momentum`` (the first
      beta of Adam), of all parameter groups or of one: ``optimizer.1.lr``. One weight decay for all
      leaves groups without any, such as biases, without;
    - of a module ``model.dropout``, the rates of all dropout layers; the floating-point options of
      torch's layers, ``model.encoder.2.eps``; all plain attributes of other modules;
    - of a pipeline the parameters of its nodes' constructors by label,
      ``augment.ElasticAugment.p``, but for those of sources. A value is what the constructor would
      take, and checked by it; what `setup` made of it stays. `PreCache` nodes downstream start
      their workers anew, as these have copies of the node: that takes a second or so;
    - of anything else, such as a loss, its plain attributes: ``loss.weights``.

    Plain are numbers, texts, None, and lists of these; tensors that are no parameters count as
    lists.

    Parameters
    ----------
    things
        An optimizer, modules, pipelines, or anything else, by the first part of their targets'
        names.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> targets = Targets({"model": model, "optimizer": optimizer})
    >>> targets.set("optimizer.lr", 0.01)
    0.1
    >>> targets.get("model.dropout")
    0.5
    >>> targets.describe()["optimizer.lr"]
    0.01
    """

    def __init__(self, things: Mapping[str, Any]) -> None:
        self._things = {name: thing for name, thing in things.items() if thing is not None}
        self._set: dict[str, Value] = {}
        self._places: dict[str, Place] = {}

    def get(self, path: str) -> Value:
        """The present value: a number, or a list where layers or groups differ.

        Raises
        ------
        UnknownTarget
            If there is no such target. The message has the names that are most alike.
        """
        return self._place(path).get()

    def set(self, path: str, value: Value) -> Value:
        """Change a value, at once. The next step is the first one to see it.

        Parameters
        ----------
        path
            The name.
        value
            A number for all layers or groups, or a list with one for each.

        Returns
        -------
        float | int | bool | str | None | list
            What it was before.

        Raises
        ------
        UnknownTarget
            If there is no such target.
        TypeError, ValueError
            If the value is not possible. Nothing is changed then.
        """
        place = self._place(path)
        old = place.get()
        if not same(old, value):
            place.set(value)
        if place.is_kept:
            self._set[place.path] = place.get()
        return old

    def describe(self) -> dict[str, Value]:
        """All that can be set, with the present values."""
        return {
            path: place.get()
            for name, thing in self._things.items()
            for path, place in _places(name, thing)
        }

    def put(self, name: str, thing: Any) -> None:
        """Let a name stand for another thing, such as a new optimizer."""
        self._things[name] = thing
        self._places.clear()

    def state_dict(self) -> dict[str, Any]:
        """What was set, but for what the states of optimizers hold anyway."""
        return dict(self._set)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set what an earlier part of the run had set. What is no longer there is told."""
        for path, value in state.items():
            try:
                self.set(path, value)
            except UnknownTarget as error:
                logger.warning("%s was set to %s, and is not now: %s", path, value, error)

    def _place(self, path: str) -> Place:
        name, _, rest = path.partition(".")
        thing = self._things.get(name)
        if isinstance(thing, torch.optim.Optimizer):
            *group, option = rest.split(".")
            path = ".".join([name, *group, _ALIASES.get(option, option)])
        if path not in self._places:
            there = dict(_places(name, thing)) if name in self._things else {}
            if path not in there:
                raise UnknownTarget(self._unknown(path, name, list(there)))
            self._places[path] = there[path]
        return self._places[path]

    def _unknown(self, path: str, name: str, there: list[str]) -> str:
        if name not in self._things:
            there = list(self.describe())
        # Names of equal likeness: the shorter ones are those that people mean.
        close = difflib.get_close_matches(path, sorted(there, key=len), n=_SHOWN, cutoff=0.6)
        guess = f"did you mean {' or '.join(close)}? " if close else ""
        what = f"{name} has {len(there)}" if name in self._things else f"there are {len(there)}"
        return (
            f"there is no target {path!r}; {guess}Names begin with {', '.join(self._things)}; "
            f"{what}, which describe() lists"
        )


def _places(name: str, thing: Any) -> Iterator[tuple[str, Place]]:
    for place in _of(name, thing):
        yield place.path, place


def _of(name: str, thing: Any) -> Iterator[Place]:
    if isinstance(thing, torch.optim.Optimizer):
        yield from OptimizerPlace.all_of(name, thing)
    elif isinstance(thing, torch.nn.Module):
        yield from DropoutPlace.all_of(name, thing)
        for inner, module in thing.named_modules():
            yield from _attributes(f"{name}.{inner}" if inner else name, module)
    elif isinstance(thing, Pipeline):
        yield from NodePlace.all_of(name, thing)
    else:
        yield from _attributes(name, thing)


def _attributes(path: str, owner: Any) -> Iterator[Place]:
    home = type(owner).__module__
    # Sizes of torch's layers are built into their weights.
    only_floats = home.startswith("torch.nn.modules.") and home != "torch.nn.modules.loss"
    values = dict(getattr(owner, "__dict__", {}))
    if isinstance(owner, torch.nn.Module):
        values.pop("training", None)
        buffers = {} if only_floats else dict(owner.named_buffers(recurse=False))
        values |= {n: b.tolist() for n, b in buffers.items() if _is_short(b)}
    for attribute, value in values.items():
        possible = type(value) is float if only_floats else is_plain(value)
        if possible and not attribute.startswith("_"):
            yield AttributePlace(f"{path}.{attribute}", owner, attribute)


def _is_short(buffer: torch.Tensor) -> bool:
    # Weights of classes, not images.
    return buffer.ndim <= 1 and buffer.numel() <= 1000
