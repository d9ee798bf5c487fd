"""Which arrays go into a module, and which tensors come out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import torch

from voxflow.pipeline.data import ArrayKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Name = int | str
"""The position or the name of an argument; the index of an output or the name of a submodule."""


def checked_names(what: str, names: Mapping[Any, Any]) -> dict[Name, ArrayKey]:
    """A mapping from names to keys.

    Raises
    ------
    TypeError
        If a value is no `ArrayKey`, or a name neither a number nor a text.
    ValueError
        If a number is negative, or there twice (``0`` and ``"0"`` are the same).
    """
    for name, key in names.items():
        if not isinstance(key, ArrayKey) or not isinstance(name, int | str):
            raise TypeError(f"{what} maps positions or names to ArrayKeys, got {name!r}: {key!r}")
        if isinstance(name, int) and name < 0:
            raise ValueError(f"{what}: positions count from 0, got {name}: {key}")
    if len({str(name) for name in names}) < len(names):
        raise ValueError(f"{what} names one position twice: {list(names)} (0 and '0' are the same)")
    return dict(names)


def checked_arguments(what: str, names: Mapping[Any, Any]) -> dict[Name, ArrayKey]:
    """A mapping from the arguments of a call to keys.

    Raises
    ------
    TypeError, ValueError
        As `checked_names`; also if positions leave a gap.
    """
    checked = checked_names(what, names)
    _, named = arguments(checked)
    lost = [name for name in named if name.isdecimal()]
    if lost:
        raise ValueError(
            f"{what}: positions go from 0 on without a gap, got {sorted(lost, key=int)} without "
            "the ones before"
        )
    return checked


def arguments(values: Mapping[Name, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Split values into positional and named arguments.

    The values 0, 1, ... up to the first gap are positional; ``0`` and ``"0"`` are the same.

    Examples
    --------
    >>> arguments({0: "a", "1": "b", "mask": "c"})
    (['a', 'b'], {'mask': 'c'})
    """
    named = {str(name): value for name, value in values.items()}
    positional: list[Any] = []
    while str(len(positional)) in named:
        positional.append(named.pop(str(len(positional))))
    return positional, named


class Outputs:
    """What came out of a call of a module: its results by index, and what was asked for by name."""

    def __init__(self, node: str, model: torch.nn.Module, hooked: dict[str, Any]) -> None:
        self._node = node
        self._model = model
        self._hooked = hooked
        self._results: tuple[Any, ...] = ()

    def __getitem__(self, name: Name) -> torch.Tensor:
        tensor = self._named(name) if _is_name(name) else self._indexed(int(name))
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"{self._node}: output {name!r} of the model has to be a tensor, got "
                f"{type(tensor).__name__}"
            )
        return tensor

    def _indexed(self, index: int) -> Any:
        if index >= len(self._results):
            raise IndexError(
                f"{self._node} is to take output {index} of the model, which returns "
                f"{len(self._results)}"
            )
        return self._results[index]

    def _named(self, name: Name) -> Any:
        if name in self._hooked:
            return self._hooked[name]
        tensor = getattr(self._model, str(name), None)
        if isinstance(tensor, torch.Tensor):
            return tensor
        modules = dict(self._model.named_modules())
        if name in modules:
            raise ValueError(f"{self._node}: the model did not use its submodule {name!r}")
        known = ", ".join(n for n in modules if n) or "none"
        raise ValueError(f"{self._node}: the model has no submodule {name!r}; there is: {known}")


class capturing:  # noqa: N801 -- it is a block, and a step has one: a generator takes longer
    """Call a module and see what comes out of it and of its submodules.

    Several threads may do so at once. A name that is no submodule's may be that of an attribute
    that holds a tensor once the module was called.

    Parameters
    ----------
    node
        Who calls, for messages.
    model
        The module.
    names
        What is to be seen.
    run
        What is called in the module's place, such as the module compiled.
    """

    def __init__(
        self,
        node: str,
        model: torch.nn.Module,
        names: Iterable[Name],
        run: Callable[..., Any] | None = None,
    ) -> None:
        self._node = node
        self._model = model
        self._called = model if run is None else run
        self._asked = [str(name) for name in names if _is_name(name)]
        self._hooked: dict[str, Any] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> Callable[..., Outputs]:
        if self._asked:
            modules = dict(self._model.named_modules())
            wanted = [name for name in self._asked if name in modules]
            self._handles = [modules[n].register_forward_hook(self._keeping(n)) for n in wanted]
        return self._call

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _keeping(self, name: str) -> Callable[..., None]:
        caller = threading.get_ident()

        def hook(module: Any, args: Any, result: Any) -> None:
            # All threads that use the model right now call all hooks.
            if threading.get_ident() == caller:
                self._hooked[name] = result

        return hook

    def _call(self, *args: Any, **kwargs: Any) -> Outputs:
        outputs = Outputs(self._node, self._model, self._hooked)
        result = self._called(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            result = (result,)
        if not isinstance(result, tuple | list):
            raise TypeError(
                f"{self._node}: the model has to return a tensor or a tuple of tensors, got "
                f"{type(result).__name__}"
            )
        outputs._results = tuple(result)
        return outputs


def _is_name(name: Name) -> bool:
    return isinstance(name, str) and not name.isdecimal()
