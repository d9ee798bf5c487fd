"""The base of nodes that add what a model says, whatever library it is made with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from voxflow.nodes.flow.model_node import ModelNode
from voxflow.nodes.flow.model_process import ModelProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest

__all__ = ["GenericPredict", "PredictProcessDied"]

_starting = threading.Lock()


class PredictProcessDied(RuntimeError):
    """The process that predicts has ended unasked, or hangs."""


class GenericPredict(ModelNode):
    """Adds the outputs of a model to every batch that passes. Subclasses say how.

    They override `start`, which makes the model ready at the first request, in the process that
    computes (the workers of a `Scan` have their own); `predict`, which adds the outputs to the
    batch; and `stop`.

    Parameters
    ----------
    inputs
        What goes into the model, by name: an `ArrayKey`, the name of an attribute of the batch, or
        a numpy array.
    outputs
        Arrays that come out of it, by name.
    array_specs
        Specs of the outputs, where they are not those of the inputs.
    spawn_subprocess
        Predict in a process of its own. The node goes there as a copy, and has to be picklable.

    Raises
    ------
    ValueError
        At setup, if no voxel size is given and the inputs differ in theirs.
    KeyError
        At a request, if an input is not in it.
    PredictProcessDied
        At a request, if the process has ended.
    """

    def __init__(
        self,
        inputs: Mapping[Any, Any],
        outputs: Mapping[Any, ArrayKey],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        spawn_subprocess: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, array_specs, spawn_subprocess)

    # -- for subclasses -------------------------------------------------------------------------

    def predict(self, batch: Batch, request: BatchRequest) -> None:
        """Put the outputs of the model into the batch.

        Parameters
        ----------
        batch
            With all inputs. It is changed in place.
        request
            What is asked of this node; outputs that are not in it can be left out.
        """
        raise NotImplementedError(f"{self.name()} does not implement predict()")

    # -- life -----------------------------------------------------------------------------------

    def setup(self) -> None:
        """Say what the model makes."""
        self.enable_autoskip()
        self._provide(self.outputs.values())

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Predict."""
        self._start_once()
        if self._process is not None:
            return self._process(batch, request)
        self.predict(batch, request)
        return batch

    def _start_once(self) -> None:
        with _starting:
            if self.initialized:
                return
            if self.spawn_subprocess:
                self._process = ModelProcess(self, "predict", PredictProcessDied)
            else:
                self.start()
            self.initialized = True

    def __getstate__(self) -> dict[str, Any]:
        # A worker starts its own.
        return {**self.__dict__, "initialized": False, "_process": None}
