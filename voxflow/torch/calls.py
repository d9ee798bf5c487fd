"""Which arrays go into a module, and which tensors come out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.engine import BatchFilter

Name = int | str
"""The position or the name of an argument; the index of an output or the name of a submodule."""


def checked_names(what: str, names: Mapping[Any, Any]) -> dict[Name, ArrayKey]:
    """A mapping from names to keys.

    Raises
    ------
    TypeError
        If a value is no `ArrayKey`, or a name neither a number nor a text.
    """
    for name, key in names.items():
        if not isinstance(key, ArrayKey) or not isinstance(name, int | str):
            raise TypeError(f"{what} maps positions or names to ArrayKeys, got {name!r}: {key!r}")
    return dict(names)


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
    """What came out of a call of a module."""

    def __init__(
        self, node: str, results: tuple[torch.Tensor, ...], hooked: dict[str, Any]
    ) -> None:
        self._node = node
        self._results = results
        self._hooked = hooked

    def __getitem__(self, name: Name) -> torch.Tensor:
        if isinstance(name, str) and not name.isdecimal():
            tensor: torch.Tensor = self._hooked[name]
            return tensor
        if int(name) >= len(self._results):
            raise IndexError(
                f"{self._node} is to take output {name} of the model, which returns "
                f"{len(self._results)}"
            )
        return self._results[int(name)]


@contextmanager
def capturing(
    node: str, model: torch.nn.Module, names: Iterator[Name] | list[Name]
) -> Iterator[Callable[..., Outputs]]:
    """Call a module and see what comes out of it and of its submodules.

    Raises
    ------
    ValueError
        If there is no submodule of a name.
    """
    wanted = [name for name in names if isinstance(name, str) and not name.isdecimal()]
    modules = dict(model.named_modules())
    hooked: dict[str, Any] = {}
    handles = []

    def keep(name: str) -> Callable[..., None]:
        return lambda module, args, result: hooked.__setitem__(name, result)

    def call(*args: Any, **kwargs: Any) -> Outputs:
        result = model(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            result = (result,)
        if not isinstance(result, tuple | list):
            raise TypeError(
                f"{node}: the model has to return a tensor or a tuple of tensors, got "
                f"{type(result).__name__}"
            )
        return Outputs(node, tuple(result), hooked)

    try:
        for name in wanted:
            if name not in modules:
                known = ", ".join(n for n in modules if n) or "none"
                raise ValueError(f"{node}: the model has no submodule {name!r}; there is: {known}")
            handles.append(modules[name].register_forward_hook(keep(name)))
        yield call
    finally:
        for handle in handles:
            handle.remove()


def output_spec(
    node: BatchFilter, key: ArrayKey, given: Mapping[ArrayKey, ArraySpec], inputs: list[ArrayKey]
) -> ArraySpec:
    """The spec of an array that a model makes: as given, completed from the inputs.

    Raises
    ------
    ValueError
        If no voxel size is given and the inputs differ in theirs.
    """
    spec = given[key].copy() if key in given else ArraySpec()
    if spec.voxel_size is None and not spec.nonspatial:
        sizes = {node.spec[i].voxel_size: i for i in inputs if node.spec[i].voxel_size is not None}
        if len(sizes) > 1:
            found = ", ".join(f"{i} {size}" for size, i in sizes.items())
            raise ValueError(
                f"{node.name()} cannot tell the voxel size of {key}, because its inputs differ: "
                f"{found} (world units). Give array_specs={{{key}: ArraySpec(voxel_size=...)}}."
            )
        spec.voxel_size = next(iter(sizes), None)
    if spec.interpolatable is None:
        spec.interpolatable = False
    return spec


def made_array(node: BatchFilter, key: ArrayKey, data: Any, request: BatchRequest) -> Array:
    """An array of what a model made, at the place where it was asked for."""
    spec = node.spec[key].copy()
    if not spec.nonspatial:
        spec.roi = request[key].roi
    spec.dtype = data.dtype
    return Array(data, spec)
