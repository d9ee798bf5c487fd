"""What a model says of every batch that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from voxflow.jax.checkpoint import load_params
from voxflow.nodes.flow.generic_predict import GenericPredict
from voxflow.nodes.flow.model_outputs import made_array, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from voxflow.jax.generic_jax_model import GenericJaxModel
    from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest


class Predict(GenericPredict):
    """Adds the outputs of a jax model to every batch that passes.

    Parameters
    ----------
    model
        The model.
    inputs
        Arrays that go into it, by name.
    outputs
        Arrays that come out of it, by their names in the outputs of ``forward``.
    array_specs
        Specs of the outputs, where they are not those of the inputs.
    checkpoint
        A file of `Train`; None: the first parameters, which follow from the seed of the request.
    spawn_subprocess
        Predict in a process of its own.

    Raises
    ------
    FileNotFoundError
        At the first request, if the checkpoint is not there.
    KeyError
        At a request, if the model has no output of that name, or an input is not in the request.
    """

    def __init__(
        self,
        model: GenericJaxModel,
        inputs: Mapping[str, Any],
        outputs: Mapping[Any, ArrayKey],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        checkpoint: str | Path | None = None,
        spawn_subprocess: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, array_specs, spawn_subprocess)
        self.model = model
        self.checkpoint = checkpoint
        self.params: Any = None
        self._forward: Callable[[Any, Any], Mapping[str, Any]] | None = None

    def start(self) -> None:
        """Load the checkpoint."""
        self.params = None if self.checkpoint is None else load_params(self.checkpoint)[0]
        self._forward = jax.jit(self.model.forward)

    def predict(self, batch: Batch, request: BatchRequest) -> None:
        """Run the model."""
        inputs = values_of(self.inputs, batch)
        params = self.params
        if params is None:
            params = self.model.initialize(jax.random.PRNGKey(request.random_seed), inputs)
        assert self._forward is not None
        outputs = self._forward(params, inputs)
        for name, key in self.outputs.items():
            if key not in request:
                continue
            if name not in outputs:
                known = ", ".join(map(repr, outputs)) or "none"
                raise KeyError(f"{self.name()}: the model has no output {name!r}; it has: {known}")
            batch[key] = made_array(self, key, np.asarray(outputs[name]), request)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code stays where it is.
        return {**super().__getstate__(), "_forward": None}
