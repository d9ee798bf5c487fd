"""Where the values of targets are, in optimizers, modules, nodes and other things."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from voxflow.nodes.flow.precache import PreCache
from voxflow.nodes.flow.serving import upstream_of
from voxflow.pipeline.engine.arguments import UNKNOWN, Arguments
from voxflow.pipeline.engine.describe import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.pipeline.engine import Pipeline

    Value = float | int | bool | str | None | list[Any]

_DROPOUTS = tuple(
    kind
    for name, kind in vars(torch.nn).items()
    if isinstance(kind, type) and "Dropout" in name and issubclass(kind, torch.nn.Module)
)


class Place(ABC):
    """Where a value is.

    Attributes
    ----------
    path
        The name of the target.
    is_kept
        Whether a checkpoint has to keep what was set, as nobody else does.
    """

    is_kept = True

    def __init__(self, path: str) -> None:
        self.path = path

    @abstractmethod
    def get(self) -> Value:
        """The present value."""

    @abstractmethod
    def set(self, value: Any) -> None:
        """Change it."""

    def _each(self, value: Any, count: int, what: str) -> list[Any]:
        """A value for each of several, from one for all or a list."""
        if not isinstance(value, list | tuple):
            return [value] * count
        if len(value) != count:
            raise ValueError(f"{self.path} has {count} {what}, got {len(value)} values: {value}")
        return list(value)


class OptimizerPlace(Place):
    """An option of an optimizer, in all groups of parameters or one."""

    is_kept = False

    def __init__(
        self, path: str, optimizer: torch.optim.Optimizer, option: str, group: int | None = None
    ) -> None:
        super().__init__(path)
        self._optimizer = optimizer
        self._option = option
        self._group = group

    @classmethod
    def all_of(cls, name: str, optimizer: torch.optim.Optimizer) -> Iterator[Place]:
        """All options."""
        groups = optimizer.param_groups
        options = [o for o, v in groups[0].items() if o != "params" and is_plain(v)]
        if "momentum" not in options and _home(groups[0], "momentum") is not None:
            options.append("momentum")
        for option in options:
            yield cls(f"{name}.{option}", optimizer, option)
        for i in range(len(groups) if len(groups) > 1 else 0):
            for option in options:
                yield cls(f"{name}.{i}.{option}", optimizer, option, i)

    def get(self) -> Value:
        """One value, or one for each group if they differ."""
        return _joint([_option(group, self._option) for group in self._groups()])

    def set(self, value: Any) -> None:
        """Set it in each group."""
        groups = self._groups()
        old = [_option(group, self._option) for group in groups]
        if isinstance(old[0], list) and not (value and isinstance(value[0], list | tuple)):
            new = [value] * len(groups)
        else:
            new = self._each(value, len(groups), "groups of parameters")
        if self._option == "weight_decay" and not isinstance(value, list | tuple) and any(old):
            new = [n if o else o for n, o in zip(new, old, strict=True)]
        new = [fitting(self.path, n, _as_option(o)) for n, o in zip(new, old, strict=True)]
        for of in new:
            _check_option(self.path, self._option, of)
        for group, of in zip(groups, new, strict=True):
            _set_option(group, self._option, of)

    def _groups(self) -> list[dict[str, Any]]:
        groups = self._optimizer.param_groups
        return groups if self._group is None else [groups[self._group]]


class DropoutPlace(Place):
    """The rates of all dropout layers of a module."""

    def __init__(self, path: str, layers: Sequence[Any]) -> None:
        super().__init__(path)
        self._layers = layers

    @classmethod
    def all_of(cls, name: str, module: torch.nn.Module) -> Iterator[Place]:
        """One, if there are such layers."""
        layers = [layer for layer in module.modules() if isinstance(layer, _DROPOUTS)]
        if layers:
            yield cls(f"{name}.dropout", layers)

    def get(self) -> Value:
        """One rate, or one for each layer if they differ."""
        return _joint([layer.p for layer in self._layers])

    def set(self, value: Any) -> None:
        """Set the rates."""
        rates = [
            fitting(self.path, rate, 0.0)
            for rate in self._each(value, len(self._layers), "dropout layers")
        ]
        for rate in rates:
            if not 0 <= rate <= 1:
                raise ValueError(f"{self.path} has to be from 0 to 1, got {rate}")
        for layer, rate in zip(self._layers, rates, strict=True):
            layer.p = rate


class AttributePlace(Place):
    """An attribute of an object. Tensors stay where they are, and get other numbers."""

    def __init__(self, path: str, owner: Any, attribute: str) -> None:
        super().__init__(path)
        self._owner = owner
        self._attribute = attribute

    def get(self) -> Value:
        """Its value."""
        value: Value = _listed(getattr(self._owner, self._attribute))
        return value

    def set(self, value: Any) -> None:
        """Set it."""
        old = getattr(self._owner, self._attribute)
        if isinstance(old, torch.Tensor):
            new = torch.as_tensor(value, dtype=old.dtype, device=old.device)
            if new.shape != old.shape and new.ndim > 0:
                raise ValueError(
                    f"{self.path} has {old.numel()} values, got {new.numel()}: {value}"
                )
            with torch.no_grad():
                old.copy_(new)
        else:
            new = fitting(self.path, value, old)
            self._check(new)
            setattr(self._owner, self._attribute, new)

    def _check(self, value: Any) -> None:
        """Raise where a loss of torch would do so at the next step, and end the run."""
        of_torch = type(self._owner).__module__ == "torch.nn.modules.loss"
        if of_torch and self._attribute == "reduction" and value not in ("mean", "sum"):
            raise ValueError(f"{self.path} has to be mean or sum, got {value!r}")


class NodePlace(Place):
    """A parameter of the constructor of a node."""

    def __init__(self, path: str, pipeline: Pipeline, node: Any, parameter: str) -> None:
        super().__init__(path)
        self._pipeline = pipeline
        self._node = node
        self._parameter = parameter

    @classmethod
    def all_of(cls, name: str, pipeline: Pipeline) -> Iterator[Place]:
        """All plain parameters of all nodes."""
        nodes = list(pipeline.nodes())
        for label, node in zip(labels_of(nodes), nodes, strict=True):
            # A source has opened what it was given.
            if node.changes_no_result is True or node.takes_no_input:
                continue
            for parameter, value in node._engine_arguments.by_name(type(node)).items():
                if is_plain(value):
                    yield cls(f"{name}.{label}.{parameter}", pipeline, node, parameter)

    def get(self) -> Value:
        """What the node was made with, or what was set since."""
        value: Value = _listed(self._arguments()[self._parameter])
        return value

    def set(self, value: Any) -> None:
        """Give the node what the constructor makes of it, and start workers with copies anew."""
        arguments = self._arguments()
        new = fitting(self.path, value, arguments[self._parameter])
        kind = type(self._node)
        # Two nodes that differ in nothing else show which attributes depend on the parameter.
        before, after = kind(**arguments), kind(**{**arguments, self._parameter: new})
        changed = {
            attribute: of
            for attribute, of in vars(after).items()
            if not attribute.startswith("_engine") and not _equal(vars(before).get(attribute), of)
        }
        if not changed:
            raise ValueError(f"{self.path} cannot be changed: {kind.__name__} does not keep it")
        vars(self._node).update(changed)
        self._node._engine_arguments = Arguments((), {**arguments, self._parameter: new})
        for node in self._pipeline.nodes():
            if isinstance(node, PreCache) and self._node in upstream_of(node):
                node.restart()

    def _arguments(self) -> dict[str, Any]:
        named = self._node._engine_arguments.by_name(type(self._node))
        return {name: value for name, value in named.items() if value is not UNKNOWN}


# -- values -------------------------------------------------------------------------------------


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, None, a list of these, or a tensor with one number."""
    if isinstance(value, torch.Tensor):
        return value.ndim == 0
    if isinstance(value, list | tuple):
        return all(is_plain(of) for of in value)
    return value is None or isinstance(value, bool | int | float | str)


def same(one: Any, other: Any) -> bool:
    """Whether two values are alike, as lists or tuples."""
    return bool(_listed(one) == _listed(other)) and isinstance(one, bool) == isinstance(other, bool)


def fitting(path: str, value: Any, old: Any) -> Any:
    """A value as it takes the place of an old one.

    Raises
    ------
    TypeError
        If it is of another kind.
    """
    value = _listed(value)
    if isinstance(old, list | tuple) and isinstance(value, list):
        olds = list(old) if len(old) == len(value) else [None] * len(value)
        items = [fitting(path, v, o) for v, o in zip(value, olds, strict=True)]
        return tuple(items) if isinstance(old, tuple) else items
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(old, float | torch.Tensor) and number:
        return float(value)
    whole = number and float(value).is_integer()
    kinds = (
        old is None and is_plain(value),
        value is None and not isinstance(old, bool | int | float | torch.Tensor),
        isinstance(old, bool) and isinstance(value, bool),
        isinstance(old, str) and isinstance(value, str),
    )
    if any(kinds):
        return value
    if isinstance(old, int) and not isinstance(old, bool) and whole:
        return int(value)
    raise TypeError(f"{path} is {_listed(old)!r}, which {value!r} cannot take the place of")


def _listed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_listed(of) for of in value]
    return value


def _joint(values: list[Any]) -> Value:
    listed: list[Value] = [_listed(value) for value in values]
    return listed[0] if all(same(listed[0], of) for of in listed) else listed


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (ValueError, TypeError, RuntimeError):  # arrays
        return False


# -- options of optimizers ----------------------------------------------------------------------


def _home(group: dict[str, Any], option: str) -> str | None:
    """Where a group has an option: what others call momentum is a beta of Adam, and a rho."""
    if option == "momentum" and option not in group:
        return next((name for name in ("betas", "rho") if name in group), None)
    return option


def _option(group: dict[str, Any], option: str) -> Any:
    home = _home(group, option)
    value = group[str(home)]
    return value[0] if home == "betas" and option == "momentum" else _listed(value)


def _set_option(group: dict[str, Any], option: str, value: Any) -> None:
    home = str(_home(group, option))
    if home == "betas" and option == "momentum":
        value = (value, *group[home][1:])
    if isinstance(group[home], torch.Tensor):
        # Compiled and captured steps read the tensor.
        group[home].fill_(value)
    else:
        group[home] = tuple(value) if isinstance(group[home], tuple) else value


def _as_option(value: Any) -> Any:
    # Some defaults are the integer 0; no option that is counted can be 0.
    return 0.0 if type(value) is int and value == 0 else value


def _check_option(path: str, option: str, value: Any) -> None:
    numbers = value if isinstance(value, list) else [value]
    if option in ("lr", "weight_decay", "momentum", "betas", "eps") and not all(
        n is None or 0 <= n < math.inf for n in numbers
    ):
        raise ValueError(f"{path} has to be 0 or more, and finite, got {value}")
    if option in ("momentum", "betas") and not all(n < 1 for n in numbers):
        raise ValueError(f"{path} has to be below 1, got {value}")
