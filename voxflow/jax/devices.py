"""One step on one device, or on several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.jax.generic_jax_model import GenericJaxModel

AXIS = "num_devices"
"""The name by which a model averages over devices."""


def choose_devices(count: int | None) -> int:
    """How many devices of this process to use: all of them, if it is not said.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    there = jax.local_device_count()
    if count is not None and not 1 <= count <= there:
        raise ValueError(f"n_devices={count} was asked for; jax sees {there} here")
    return there if count is None else count


def check_divisible(inputs: dict[str, Any], count: int) -> None:
    """Raise ValueError unless the first axis of every input can be shared out to the devices."""
    odd = {name: np.shape(value) for name, value in inputs.items() if not _divides(count, value)}
    if odd:
        raise ValueError(
            f"the first axis of every input is shared out to {count} devices and has to be a "
            f"multiple of {count}, got {odd}; make batches larger with Stack, or use n_devices=1"
        )


def _divides(count: int, value: Any) -> bool:
    shape = np.shape(value)
    return bool(shape) and shape[0] % count == 0


def part_of_one(inputs: dict[str, Any], count: int) -> dict[str, Any]:
    """The inputs as one of the devices sees them."""
    return {name: value[: len(value) // count] for name, value in inputs.items()}


def compiled_step(model: GenericJaxModel, count: int) -> Callable[[Any, Any], Any]:
    """The model's step as a function of parameters and inputs.

    On several devices, all of which hold the parameters, each computes with its part of the inputs;
    outputs are put together again along the first axis, losses are means.
    """
    if count == 1:
        step: Callable[[Any, Any], Any] = jax.jit(
            lambda params, inputs: model.train_step(params, inputs, False)
        )
        return step

    def part(params: Any, inputs: Any) -> Any:
        params, outputs, loss = model.train_step(params, inputs, True)
        return params, outputs, jax.lax.pmean(loss, AXIS)

    mesh = Mesh(np.array(jax.local_devices()[:count]), (AXIS,))
    everywhere, shared_out = PartitionSpec(), PartitionSpec(AXIS)
    mapped = jax.jit(
        jax.shard_map(
            part,
            mesh=mesh,
            in_specs=(everywhere, shared_out),
            out_specs=(everywhere, shared_out, everywhere),
            # It cannot be known whether a model averages: it is what it promises.
            check_vma=False,
        )
    )

    def on_all(params: Any, inputs: Any) -> Any:
        params = jax.device_put(params, NamedSharding(mesh, everywhere))
        inputs = jax.device_put(inputs, NamedSharding(mesh, shared_out))
        return mapped(params, inputs)

    return on_all
