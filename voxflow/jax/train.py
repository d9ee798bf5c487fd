"""One training step for every batch that passes."""

from __future__ import annotations

import glob
import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from voxflow.jax.checkpoint import load_params, save_params
from voxflow.jax.devices import check_divisible, choose_devices, compiled_step, part_of_one
from voxflow.nodes.flow.generic_train import GenericTrain
from voxflow.nodes.flow.model_outputs import made_array, values_of
from voxflow.nodes.sinks.target import claim_place, release

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxflow.jax.generic_jax_model import GenericJaxModel
    from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest, RunPosition

logger = logging.getLogger(__name__)


class Train(GenericTrain):
    """Trains a jax model, one step for every batch that passes.

    Every step sets `batch.loss` and `batch.iteration`. The first parameters follow from the seed
    of the first request. If a checkpoint is there, the training goes on from it, with the batch
    that would have come next. A batch that is made again with `Pipeline.replay` is no step.

    Parameters
    ----------
    model
        The model.
    inputs
        Arrays that go into it by name: an `ArrayKey`, the name of an attribute of the batch, or a
        numpy array.
    outputs
        Arrays that come out of it, by their names in the outputs of ``train_step``.
    gradients
        More of those, for what they are called.
    array_specs
        Specs of outputs and gradients, where they are not those of the inputs.
    checkpoint_basename
        What the names of checkpoints begin with: ``<checkpoint_basename>_checkpoint_<iteration>``.
    save_every
        After how many iterations a checkpoint is written.
    keep_n_checkpoints
        How many of the latest checkpoints are kept; None: all.
    log_dir
        Where to write the loss for TensorBoard; None: nowhere.
    log_every
        After how many iterations the loss is written there.
    spawn_subprocess
        Train in a process of its own.
    n_devices
        How many devices share the first axis of the inputs; None: all that jax sees.
    validate_fn
        Called with the model and its parameters; its result (a number, or several by name) is
        logged, and written for TensorBoard.
    validate_every
        After how many iterations it is called.

    Raises
    ------
    ValueError
        If a number is out of range, or there are not so many devices; at a request, if the first
        axis cannot be shared out.
    FloatingPointError
        At a request, if the loss is infinite or not a number. The model stays as it was.
    """

    def __init__(
        self,
        model: GenericJaxModel,
        inputs: Mapping[str, Any],
        outputs: Mapping[Any, ArrayKey],
        gradients: Mapping[Any, ArrayKey] | None = None,
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        checkpoint_basename: str = "model",
        save_every: int = 2000,
        keep_n_checkpoints: int | None = None,
        log_dir: str | Path | None = None,
        log_every: int = 1,
        spawn_subprocess: bool = False,
        n_devices: int | None = None,
        validate_fn: Callable[[Any, Any], Any] | None = None,
        validate_every: int | None = None,
    ) -> None:
        numbers = {
            "save_every": save_every,
            "log_every": log_every,
            "keep_n_checkpoints": keep_n_checkpoints,
            "validate_every": validate_every,
        }
        small = {name: n for name, n in numbers.items() if n is not None and n < 1}
        if small:
            raise ValueError(f"these have to be at least 1: {small}")
        super().__init__(inputs, outputs, gradients or {}, array_specs, spawn_subprocess)
        self.model = model
        self.checkpoint_basename = checkpoint_basename
        self.save_every = save_every
        self.keep_n_checkpoints = keep_n_checkpoints
        self.log_dir = log_dir
        self.log_every = log_every
        self.n_devices = choose_devices(n_devices)
        self.validate_fn = validate_fn
        self.validate_every = validate_every
        self.iteration = 0
        self.params: Any = None
        self.summary_writer: Any = None
        self._step: Callable[[Any, Any], Any] | None = None
        self._next: RunPosition | None = None

    # -- life -----------------------------------------------------------------------------------

    def setup(self) -> None:
        """Say what the model makes, and load the latest checkpoint."""
        names = self._checkpoint_name(self.checkpoint_basename, "")
        remedy = f"save {names}<iteration>; give one of them another checkpoint_basename"
        claim_place(self, os.path.realpath(names), remedy)
        path, _ = self._get_latest_checkpoint(self.checkpoint_basename)
        self._next = None if path is None else load_params(path)[1]
        super().setup()

    def start(self) -> None:
        """Load the latest checkpoint."""
        path, self.iteration = self._get_latest_checkpoint(self.checkpoint_basename)
        self.params = None
        if path is not None:
            self.params, self._next = load_params(path)
            logger.info("going on from iteration %d of %s", self.iteration, path)
        self._step = compiled_step(self.model, self.n_devices)
        self.summary_writer = _open_summary(self.log_dir)

    def resume_position(self) -> RunPosition | None:
        """The batch that follows the last one in the checkpoint."""
        return self._next

    def stop(self) -> None:
        """Close the log."""
        if self.summary_writer is not None:
            self.summary_writer.close()
            self.summary_writer = None

    def teardown(self) -> None:
        """Stop, and give up the names of the checkpoints."""
        release(self)
        super().teardown()

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code stays where it is.
        return {**self.__dict__, "_step": None, "summary_writer": None}

    # -- a step ---------------------------------------------------------------------------------

    def train_step(self, batch: Batch, request: BatchRequest) -> None:
        """Train one step."""
        inputs = values_of(self.inputs, batch)
        if self.n_devices > 1:
            check_divisible(inputs, self.n_devices)
        if self.params is None:
            self.params = self._first_params(inputs, request)
        assert self._step is not None
        params, outputs, loss = self._step(self.params, inputs)
        batch.loss, parts = _total(loss)
        if not math.isfinite(float(batch.loss)):
            raise FloatingPointError(
                f"{self.name()}: the loss is {loss} at iteration {self.iteration + 1}; the model "
                "was left as it was"
            )
        for name, key in [*self.outputs.items(), *self.gradients.items()]:
            if key in request:
                batch[key] = made_array(self, key, np.asarray(self._output(outputs, name)), request)
        batch.iteration = self.iteration + 1
        if not request.replayed:
            self._adopt(params, parts, request)

    def _first_params(self, inputs: dict[str, Any], request: BatchRequest) -> Any:
        key = jax.random.PRNGKey(request.random_seed)
        return self.model.initialize(key, part_of_one(inputs, self.n_devices))

    def _output(self, outputs: Mapping[Any, Any], name: Any) -> Any:
        if name not in outputs:
            known = ", ".join(map(repr, outputs)) or "none"
            raise KeyError(f"{self.name()}: the model has no output {name!r}; it has: {known}")
        return outputs[name]

    def _adopt(self, params: Any, losses: dict[str, float], request: BatchRequest) -> None:
        """Go on with the parameters that a step has led to."""
        self.params = params
        self.iteration += 1
        if request.position is not None:
            self._next = request.position.next()
        if self.iteration % self.log_every == 0:
            self._write(losses)
        if self.iteration % self.save_every == 0:
            self._save()
        if self.validate_fn is not None and self.iteration % (self.validate_every or 1) == 0:
            self._validate(self.validate_fn)

    def _validate(self, validate: Callable[[Any, Any], Any]) -> None:
        found = validate(self.model, self.params)
        values = found if isinstance(found, dict) else {"validate": found}
        logger.info("iteration=%d validation: %s", self.iteration, values)
        self._write({name: float(value) for name, value in values.items() if value is not None})

    def _write(self, values: Mapping[str, float]) -> None:
        if self.summary_writer is not None:
            for name, value in values.items():
                self.summary_writer.add_scalar(name, value, self.iteration)

    def _save(self) -> None:
        base = self._checkpoint_name(self.checkpoint_basename, "")
        save_params(f"{base}{self.iteration}", self.params, self._next)
        if self.keep_n_checkpoints is None:
            return
        oldest = self.iteration - (self.keep_n_checkpoints - 1) * self.save_every
        for path in Path(base).parent.glob(f"{glob.escape(Path(base).name)}*"):
            number = path.name.removeprefix(Path(base).name)
            if number.isdecimal() and int(number) < oldest:
                path.unlink()


def _total(loss: Any) -> tuple[Any, dict[str, float]]:
    """The sum of the losses, and each of them by name."""
    if not isinstance(loss, dict):
        return loss, {"loss": float(loss)}
    total = sum(loss.values())
    return total, {"loss": float(total), **{name: float(part) for name, part in loss.items()}}


def _open_summary(log_dir: str | Path | None) -> Any:
    if log_dir is None:
        return None
    try:
        from tensorboard.summary import Writer
    except ImportError as error:
        raise ImportError('log_dir= needs TensorBoard: pip install "voxflow[jax]"') from error
    return Writer(str(log_dir))
