"""The base of nodes that train a model, whatever library it is made with."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from voxflow.nodes.flow.model_node import ModelNode
from voxflow.nodes.flow.model_outputs import latest_file
from voxflow.nodes.flow.model_process import ModelProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest

__all__ = ["GenericTrain", "TrainProcessDied"]

logger = logging.getLogger(__name__)


class TrainProcessDied(RuntimeError):
    """The process that trains has ended unasked, or hangs."""


class GenericTrain(ModelNode):
    """Trains a model, one step for every batch that passes. Subclasses say how.

    They override `start`, which makes the model ready at setup; `train_step`, which adds outputs,
    gradients, ``batch.loss`` and ``batch.iteration`` to the batch; and `stop`.

    Parameters
    ----------
    inputs
        What goes into the model, by name: an `ArrayKey`, the name of an attribute of the batch, or
        a numpy array.
    outputs
        Arrays that come out of it, by name.
    gradients
        Arrays with the gradient of the loss with respect to something, by name.
    array_specs
        Specs of outputs and gradients, where they are not those of the inputs.
    spawn_subprocess
        Train in a process of its own. The node goes there as a copy, and has to be picklable.

    Raises
    ------
    ValueError
        At setup, if no voxel size is given and the inputs differ in theirs.
    KeyError
        At a request, if an input is not in it.
    TrainProcessDied
        At a request, if the process has ended.
    """

    # Workers would each train a copy of their own.
    writes: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Mapping[Any, Any],
        outputs: Mapping[Any, ArrayKey],
        gradients: Mapping[Any, ArrayKey],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        spawn_subprocess: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, array_specs, spawn_subprocess)
        self.gradients = dict(gradients or {})
        self.provided_arrays = [*self.outputs.values(), *self.gradients.values()]

    # -- for subclasses -------------------------------------------------------------------------

    def train_step(self, batch: Batch, request: BatchRequest) -> None:
        """Train one step, and put into the batch what comes out of it.

        Parameters
        ----------
        batch
            With all inputs. It is changed in place.
        request
            What is asked of this node; outputs and gradients that are not in it can be left out.
        """
        raise NotImplementedError(f"{self.name()} does not implement train_step()")

    # -- life -----------------------------------------------------------------------------------

    def setup(self) -> None:
        """Say what the model makes, and start."""
        self._provide(self.provided_arrays)
        if self.spawn_subprocess:
            self._process = ModelProcess(self, "train_step", TrainProcessDied)
        else:
            self.start()
        self.initialized = True

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Train one step."""
        start = time.time()
        if self._process is None:
            self.train_step(batch, request)
        else:
            batch = self._process(batch, request)
        logger.info(
            "iteration=%s loss=%s time=%f", batch.iteration, batch.loss, time.time() - start
        )
        return batch

    # -- names of checkpoints -------------------------------------------------------------------

    def _checkpoint_name(self, basename: str | Path, iteration: int | str) -> str:
        """The file of an iteration: ``<basename>_checkpoint_<iteration>``."""
        return f"{basename}_checkpoint_{iteration}"

    def _get_latest_checkpoint(self, basename: str | Path) -> tuple[str | None, int]:
        """The file with the highest iteration and this iteration; None and 0 if there is none."""
        return latest_file(self._checkpoint_name(basename, ""))
