"""What goes into a model and comes out of it, whatever library it is made with."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, BatchRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.pipeline.data import Batch
    from voxflow.pipeline.engine import BatchFilter


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
    """An array of what a model made, at the place where it was asked for.

    Raises
    ------
    ValueError
        If it does not have the size that was asked for.
    """
    spec = node.spec[key].copy()
    if not spec.nonspatial:
        spec.roi = request[key].roi
    spec.dtype = data.dtype
    if spec.roi is not None and spec.voxel_size is not None:
        asked = tuple(spec.roi.shape / spec.voxel_size)
        made = tuple(data.shape)[-len(asked) :]
        if made != asked:
            raise ValueError(
                f"{node.name()}, {key}: the model made {made} voxels (of the shape "
                f"{tuple(data.shape)}), but {asked} were asked for: {spec.roi} in world units. "
                "Ask for that many, or for as much more of the inputs as the model needs around "
                "its output"
            )
    return Array(data, spec)


def array_inputs(inputs: Mapping[Any, Any]) -> list[ArrayKey]:
    """The arrays among the inputs of a model; others are attributes of the batch, or at hand."""
    return list(dict.fromkeys(v for v in inputs.values() if isinstance(v, ArrayKey)))


def spatial(node: BatchFilter, keys: list[ArrayKey]) -> list[ArrayKey]:
    """Those of the inputs that have a place."""
    return [key for key in keys if not node.spec[key].nonspatial]


def inputs_needed(node: BatchFilter, keys: list[ArrayKey], request: BatchRequest) -> BatchRequest:
    """A request for all inputs, with the regions in which they are asked for.

    Raises
    ------
    KeyError
        If one of them is not in the request.
    """
    needed = BatchRequest()
    for key in keys:
        if key not in request:
            raise KeyError(
                f"{node.name()} needs {key}, which is not in the request; ask for it with the "
                "region that the model is to see"
            )
        needed[key] = request[key]
        needed[key].placeholder = False
    return needed


def values_of(inputs: Mapping[Any, Any], batch: Batch) -> dict[Any, Any]:
    """What goes into a model: the data of arrays, attributes of the batch, and what is at hand."""
    return {name: _value(value, batch) for name, value in inputs.items()}


def _value(value: Any, batch: Batch) -> Any:
    if isinstance(value, ArrayKey):
        return batch[value].data
    return getattr(batch, value) if isinstance(value, str) else value


def latest_file(base: str) -> tuple[str | None, int]:
    """Of the files that are named so, with a number behind, the one with the highest.

    Parameters
    ----------
    base
        What the names begin with, folders included.

    Returns
    -------
    tuple[str | None, int]
        The file and its number; None and 0 if there is none.
    """
    folder, start = Path(base).parent, Path(base).name
    found = folder.glob(f"{glob.escape(start)}*")
    numbers = [int(n) for path in found if (n := path.name[len(start) :]).isdecimal()]
    return (f"{base}{max(numbers)}", max(numbers)) if numbers else (None, 0)
