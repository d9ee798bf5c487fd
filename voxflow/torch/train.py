"""One training step for every batch that passes."""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from voxflow.nodes.flow.model_outputs import made_array, output_spec
from voxflow.nodes.sinks.target import claim_place, release
from voxflow.nodes.values.normalize import statistics_upstream
from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest, RunPosition
from voxflow.pipeline.engine import BatchFilter
from voxflow.torch.buffers import KeptBuffers
from voxflow.torch.calls import checked_names
from voxflow.torch.checkpoint import (
    Checkpoint,
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    remove_unfinished,
    restore_rng,
    rng_states,
    save_checkpoint,
)
from voxflow.torch.devices import choose_device
from voxflow.torch.forward import Forward
from voxflow.torch.of_step import OfStep
from voxflow.torch.own_methods import refuse_own
from voxflow.torch.step import Step
from voxflow.torch.summary import open_summary
from voxflow.torch.tensors import to_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from voxflow.torch.calls import Name

logger = logging.getLogger(__name__)

_REMEDY = (
    "What went in is error.batch; to make it again, replay(error.token) on the pipeline without "
    "this node."
)


class Train(BatchFilter):
    """Trains a torch model, one step for every batch that passes.

    Every step sets `batch.loss` and `batch.iteration`. Checkpoints hold model, optimizer, step,
    torch's random state, position in the run, and statistics of `Normalize`. If one is there, the
    training goes on with the batch and torch's draws (dropout) that would have come next.

    A batch that is made again with `Pipeline.replay` has the loss, the outputs and the gradients of
    the model as it is now; it is no step: model, optimizer and iteration stay as they are. A
    request with a seed of the user's own is a step outside of the run: a training that is resumed
    goes on with what follows the last batch of the run.

    Parameters
    ----------
    model
        The model. Its ``forward`` returns a tensor or a tuple of tensors.
    loss
        Called with `loss_inputs`; returns a scalar.
    optimizer
        Holds the parameters of the model.
    inputs
        Arrays that go into the model, by the position or name of the argument.
    outputs
        Arrays that come out of the model, by the index in what ``forward`` returns or by the name
        of a submodule. They are in the batch where they are asked for.
    loss_inputs
        Arrays that go into the loss, by position or name. Outputs keep their gradient.
    gradients
        Arrays with the gradient of the loss with respect to an output (by index), or to a
        submodule's output or a tensor that the model keeps (by name). They are in the batch where
        they are asked for.
    array_specs
        Specs of outputs and gradients, where they are not those of the inputs.
    checkpoint_basename
        What the names of checkpoints begin with: ``<checkpoint_basename>_checkpoint_<iteration>``.
        Each node needs one of its own.
    save_every
        After how many iterations a checkpoint is written.
    log_dir
        Where to write the loss for TensorBoard; None: nowhere.
    log_every
        After how many iterations the loss is written there.
    spawn_subprocess
        Has no effect: the model is trained in this process.
    device
        "auto" takes a GPU if there is one; any other device has to be there.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If names, keys, numbers or the device are wrong, or a class that inherits from this one
        brings a ``train_step`` of its own, which ``GenericTrain`` is for.
    ValueError
        At setup, if another node saves under the same name, or a checkpoint is of something else.
    NonFiniteLoss
        At a request, if the loss is infinite or not a number.
    """

    # Workers would each train a copy of their own.
    writes: ClassVar[bool] = True

    model = OfStep()
    loss = OfStep()
    optimizer = OfStep()

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Any,
        optimizer: torch.optim.Optimizer,
        inputs: Mapping[Name, ArrayKey],
        outputs: Mapping[Name, ArrayKey],
        loss_inputs: Mapping[Name, ArrayKey],
        gradients: Mapping[Name, ArrayKey] | None = None,
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        checkpoint_basename: str = "model",
        save_every: int = 2000,
        log_dir: str | Path | None = None,
        log_every: int = 1,
        spawn_subprocess: bool = False,
        device: str | torch.device = "auto",
    ) -> None:
        generic = "voxflow.nodes.flow.generic_train.GenericTrain"
        refuse_own(self, generic, "start", "train_step", "stop")
        if save_every < 1 or log_every < 1:
            raise ValueError(
                f"save_every and log_every have to be at least 1, got {save_every}, {log_every}"
            )
        self.device = choose_device(device)
        self._forward = Forward(inputs, outputs, loss_inputs, self.device, self.name)
        self._step = Step(self._forward, model, loss, optimizer, remedy=_REMEDY)
        self.inputs = self._forward.inputs
        self.outputs = self._forward.outputs
        self.loss_inputs = self._forward.loss_inputs
        self.gradients = checked_names("gradients", gradients or {})
        self.array_specs = dict(array_specs or {})
        self.checkpoint_basename = checkpoint_basename
        self.save_every = save_every
        self.log_dir = log_dir
        self.log_every = log_every
        self.iteration = 0
        self.summary_writer: Any = None
        # What follows the last batch of the run, whatever else was trained on since.
        self._next: RunPosition | None = None
        self._rng: dict[str, torch.Tensor] | None = None

    # -- life -----------------------------------------------------------------------------------

    def setup(self) -> None:
        """Say what the model makes, and load the latest checkpoint."""
        inputs = [key for key in self._forward.needed() if not self.spec[key].nonspatial]
        for key in [*self.outputs.values(), *self.gradients.values()]:
            self.provides(key, output_spec(self, key, self.array_specs, inputs))
        self.model.to(self.device)
        if isinstance(self.loss, torch.nn.Module):
            self.loss.to(self.device)
        if not self.model.training:
            logger.warning("%s: the model is in evaluation mode; call model.train()", self.name())
        self._claim_checkpoints()
        self._resume()
        self.summary_writer = open_summary(self.log_dir, self.iteration)

    def _claim_checkpoints(self) -> None:
        names = checkpoint_path(self.checkpoint_basename, "")
        remedy = f"save {names}<iteration>; give one of them another checkpoint_basename"
        claim_place(self, os.path.realpath(names), remedy)

    def _resume(self) -> None:
        self._next = self._rng = None
        remove_unfinished(self.checkpoint_basename)
        path = latest_checkpoint(self.checkpoint_basename)
        if path is None:
            self.iteration = 0
            return
        found = load_checkpoint(path, self.device)
        try:
            self.model.load_state_dict(found.model)
        except RuntimeError as error:
            raise ValueError(
                f"{path} is not from this model. Give another checkpoint_basename to start anew, "
                f"or the model that it was saved from. {error}"
            ) from error
        if found.optimizer is None:
            logger.warning("%s has no state of the optimizer, which starts anew", path)
        else:
            self._load_optimizer(path, found.optimizer)
        self._rng = found.rng
        self.iteration = found.iteration
        self._next = found.position
        logger.info("going on from iteration %d of %s", self.iteration, path)

    def _load_optimizer(self, path: Path, state: dict[str, Any]) -> None:
        try:
            self.optimizer.load_state_dict(state)
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{path} is not from this optimizer: {error}. Give another checkpoint_basename to "
                "start anew."
            ) from error

    def resume_position(self) -> RunPosition | None:
        """The batch that follows the last one in the checkpoint."""
        return self._next

    def teardown(self) -> None:
        """Close the log."""
        release(self)
        if self.summary_writer is not None:
            self.summary_writer.close()
            self.summary_writer = None

    # -- a step ---------------------------------------------------------------------------------

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all inputs of the model and of the loss."""
        needed = BatchRequest()
        for key in self._forward.needed():
            if key not in request:
                raise KeyError(
                    f"{self.name()} needs {key}, which is not in the request; ask for it with "
                    "the region that the model or the loss is to see"
                )
            needed[key] = request[key]
            needed[key].placeholder = False
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Train one step."""
        start = time.time()
        if request.replayed:
            return self._looked_at(batch, request)
        if request.position is not None:
            self._go_on_from(request.position)
        if self._rng is not None:
            # Not before: who knows what was drawn since the checkpoint was loaded.
            restore_rng(self._rng)
            self._rng = None
        made = self._computed(batch, request)
        self._step.update()
        self.iteration += 1
        made.iteration = self.iteration
        self._log(float(made.loss), time.time() - start)
        if self.iteration % self.save_every == 0:
            self._save()
        return made

    def _go_on_from(self, position: RunPosition) -> None:
        if self._next is None and self.iteration == 0 and position.index > 0:
            logger.warning(
                "%s found no checkpoint and starts anew with batch %d of the run. If another node "
                "resumed the run, and this one was stopped before it was saved for the first time, "
                "then remove the checkpoints of the other, too",
                self._who(),
                position.index,
            )
        self._next = position.next()

    def _computed(self, batch: Batch, request: BatchRequest) -> Batch:
        """The outputs, the loss and its gradients, which the parameters have, too."""
        wanted = {name: key for name, key in self.gradients.items() if key in request}
        passed = self._step.gradients(batch, self.iteration + 1, wanted)
        made = self._arrays_of(self.outputs, passed.outputs.__getitem__, request)
        made.loss = to_array(passed.loss)
        gradient = partial(self._forward.gradient, outputs=passed.outputs)
        return made.merge(self._arrays_of(wanted, gradient, request))

    def _looked_at(self, batch: Batch, request: BatchRequest) -> Batch:
        """What a step would compute; nothing of the training moves."""
        buffers, states = KeptBuffers(self.model), rng_states()
        try:
            return self._computed(batch, request)
        finally:
            buffers.put_back()
            restore_rng(states)
            self.optimizer.zero_grad()

    def _arrays_of(
        self,
        names: Mapping[Name, ArrayKey],
        tensor_of: Callable[[Name], torch.Tensor],
        request: BatchRequest,
    ) -> Batch:
        made = Batch()
        for name, key in names.items():
            if key in request:
                made[key] = made_array(self, key, to_array(tensor_of(name)), request)
        return made

    def _log(self, loss: float, seconds: float) -> None:
        logger.info("iteration=%d loss=%f time=%f", self.iteration, loss, seconds)
        if self.summary_writer is not None and self.iteration % self.log_every == 0:
            self.summary_writer.add_scalar("loss", loss, self.iteration)

    def _save(self) -> None:
        if self.summary_writer is not None:
            # A resumed run goes on with the curve from here.
            self.summary_writer.flush()
        checkpoint = Checkpoint(
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            iteration=self.iteration,
            rng=rng_states(),
            position=self._next,
            statistics=statistics_upstream(self),
        )
        save_checkpoint(checkpoint_path(self.checkpoint_basename, self.iteration), checkpoint)
