"""A training session: model, loss, optimizer and pipeline, step after step."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from voxflow.pipeline.engine import Pipeline
from voxflow.torch.checkpoint import load_checkpoint, save_checkpoint
from voxflow.torch.devices import choose_device
from voxflow.torch.forward import Forward
from voxflow.torch.of_step import OfStep
from voxflow.torch.ranks import Ranks, own_device
from voxflow.torch.step import Step
from voxflow.torch.warm_start import freeze, load_weights, unfreeze
from voxflow.training.arguments import by_position, needed_request, stop_rules
from voxflow.training.calling import Hooks
from voxflow.training.changes import Changes
from voxflow.training.clock import Clock
from voxflow.training.commands import standard_commands
from voxflow.training.keeping import Keeper
from voxflow.training.nowhere import Nowhere
from voxflow.training.outside import Outside
from voxflow.training.result import RunReport
from voxflow.training.running import Run
from voxflow.training.session_state import checkpoint_of
from voxflow.training.targets import Targets
from voxflow.training.when import Every, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voxflow.pipeline.data import Batch, BatchRequest, RunPosition
    from voxflow.torch.calls import Name
    from voxflow.torch.step_options import StepOptions
    from voxflow.torch.warm_start import LoadReport, Mode
    from voxflow.training.arguments import Names
    from voxflow.training.outside import Listens
    from voxflow.training.stopping import StopRule
    from voxflow.training.switching import Switched
    from voxflow.training.validation import Validation

logger = logging.getLogger(__name__)


class Session:
    """Trains a torch model on the batches of a pipeline.

    Each step draws the next batches of the run, and torch's own draws (dropout) follow from the
    seed of each batch: the same seed gives the same training, bit for bit, with any number of
    workers, whatever hooks draw, and after it was broken off and goes on.

    In processes that `torchrun` started, each draws its own batches of the one sequence, gradients
    are means over all, and the first one alone runs hooks, validation and stop rules, and writes.

    Parameters
    ----------
    model
        The model. Its ``forward`` returns a tensor or a tuple of tensors.
    loss
        Called with `loss_inputs`; returns a scalar.
    optimizer
        Holds the parameters of the model.
    pipeline
        Makes the batches; not set up.
    request
        What is asked for each batch.
    inputs, outputs, loss_inputs
        Arrays that go into the model, come out of it, and go into the loss: a key, the keys of the
        positions from 0 on, or keys by position or name. See `voxflow.torch.Train`.
    validation
        What is evaluated now and then; its metrics are known as ``"validation.<name>"``.
    hooks
        What is to be done around steps: objects with some of the methods ``check(session)``,
        ``begin(session)``, ``after_step(session, step)`` (with a `StepResult`), ``end(session)``,
        ``state_dict()``, ``load_state_dict(state)``; ``recorded(session, values)``, which is told,
        from any thread, what is recorded in the log; ``after_loss(session, given, kind)``, which is
        told what the loss was given, tensors by position or name: for the last batch of a step, of
        the kind "training", and for each batch of the "validation". One that fails is logged, and
        the training goes on; but what ``check`` raises is raised, before anything begins.
    run_dir
        Where the log and the checkpoints go; None: nowhere. A training that has checkpoints there
        goes on from the newest.
    seed
        The seed of the run. None: that of the run that goes on, or one is drawn.
    stop_after
        The number of steps; or rules that say when to stop. None: `request_stop` ends it.
    keeper
        Which checkpoints are written. None: the last one every 1000 steps, and a final one.
    options
        How a step is made: `voxflow.torch.StepOptions`.
    steps_per_epoch
        How many steps are an epoch, for what is due by epochs.
    device
        "auto" takes a GPU if there is one; any other device has to be there.
    clock
        Counts active time.
    console
        Whether the run listens to what is asked from outside, between two steps. "auto": Ctrl-C
        opens a prompt in a terminal, elsewhere it ends the run with a checkpoint; and
        ``voxflow attach`` reaches a run that has a `run_dir`. True: the same, and it is an error
        where there is no terminal. False: none of it; Ctrl-C breaks off.

    Raises
    ------
    TypeError, ValueError, KeyError, RuntimeError
        If names, keys, numbers or the device are wrong.

    Examples
    --------
    >>> import numpy as np, torch
    >>> import voxflow as gp
    >>> raw, made = gp.ArrayKey("RAW"), gp.ArrayKey("MADE")
    >>> image = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    >>> source = gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(1, 1)))
    >>> pipeline = source + gp.RandomLocation() + gp.Unsqueeze([raw])
    >>> request = gp.BatchRequest()
    >>> request.add(raw, (8, 8))
    >>> model = torch.nn.Conv2d(1, 1, 3, padding=1)
    >>> session = Session(
    ...     model,
    ...     torch.nn.MSELoss(),
    ...     torch.optim.Adam(model.parameters()),
    ...     pipeline,
    ...     request,
    ...     inputs=raw,
    ...     outputs=made,
    ...     loss_inputs=[made, raw],
    ...     stop_after=5,
    ...     seed=1,
    ...     device="cpu",
    ... )
    >>> session.run().reason
    '5 steps are done, of 5'
    """

    model = OfStep()
    loss = OfStep()

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Any,
        optimizer: torch.optim.Optimizer,
        pipeline: Any,
        request: BatchRequest,
        *,
        inputs: Names,
        outputs: Names,
        loss_inputs: Names,
        validation: Validation | None = None,
        hooks: Sequence[Any] = (),
        run_dir: str | Path | None = None,
        seed: int | None = None,
        stop_after: int | StopRule | Sequence[StopRule] | None = None,
        keeper: Keeper | None = None,
        options: StepOptions | None = None,
        steps_per_epoch: int | None = None,
        device: str | torch.device = "auto",
        clock: Clock | None = None,
        console: Listens = "auto",
    ) -> None:
        self.device = own_device(choose_device(device))
        self._forward = Forward(
            by_position(inputs),
            by_position(outputs),
            by_position(loss_inputs),
            self.device,
            lambda: "Session",
        )
        self.outside = Outside(self, console)
        if options is not None and options.nonfinite == "console":
            options = replace(options, nonfinite=self.outside.look_at)
        self._step = Step(self._forward, model, loss, optimizer, options)
        self.pipeline = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
        self.request = needed_request(self._forward, request)
        self.validation = validation
        # Absolute, as something may change the current folder while it trains.
        self.run_dir = None if run_dir is None else Path(run_dir).absolute()
        self.seed = seed
        self.stop_rules = stop_rules(stop_after)
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch has to be at least 1, got {steps_per_epoch}")
        if keeper is None and self.run_dir is not None:
            keeper = Keeper(self.run_dir / "checkpoints", last=Every(steps=1000))
        self.keeper = keeper
        self.steps_per_epoch = steps_per_epoch
        self.clock = Clock() if clock is None else clock
        self.log: Any = Nowhere()
        self.hooks = Hooks(hooks, self.record)
        self.step = 0
        self.metrics: dict[str, float] = {}
        """What was measured last, by name."""
        self.batch: Batch | None = None
        """The batch of the last step, while a run goes on."""
        # The next batch of the run, of all processes.
        self.position: RunPosition | None = None
        self.ranks = Ranks()
        things = {"model": model, "loss": loss, "optimizer": optimizer, "augment": self.pipeline}
        if validation is not None:
            things["validation"] = validation.every
        self.targets = Targets(things)
        self._changes = Changes(self.targets, self.record)
        self.commands = standard_commands()
        """What can be said to the run, at its console and from outside."""
        self.scope: dict[str, Any] = {}
        """What else has a name at the console."""
        # The optimizer that somebody chose meanwhile.
        self.switched: Switched | None = None
        self.stop_reason: str | None = None
        self.saves_at_end = True
        self._log_failed = False
        self._active = 0.0

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What changes the weights. Another one begins with what it knows, and the same weights."""
        return self._step.optimizer

    @optimizer.setter
    def optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        self._step.exchange(optimizer)
        self.targets.put("optimizer", optimizer)

    # -- from outside ---------------------------------------------------------------------------

    @property
    def moment(self) -> Moment:
        """Where the training is."""
        epoch = 0 if self.steps_per_epoch is None else self.step // self.steps_per_epoch
        return Moment(self.step, self.clock.active_seconds, epoch, self.clock.wall_seconds)

    def request_stop(self, reason: str, *, save: bool = True) -> None:
        """Let the run end after the step that it is at. From any thread.

        Parameters
        ----------
        reason
            Why, for the report and the log.
        save
            Whether the final checkpoint is written.
        """
        self.stop_reason = reason
        self.saves_at_end = save

    def get(self, target: str) -> Any:
        """The present value of something that can be `set`.

        Raises
        ------
        UnknownTarget
            If there is no such target.
        """
        return self.targets.get(target)

    def set(self, target: str, value: Any) -> None:
        """Change something before the next step. From any thread.

        Parameters
        ----------
        target
            What, such as ``"optimizer.lr"``, ``"model.dropout"``, ``"loss.weight"``, or a parameter
            of a node, ``"augment.ElasticAugment.p"``: see `Targets`.
        value
            What it becomes.

        Raises
        ------
        UnknownTarget, TypeError, ValueError
            If there is no such target, or the value is not possible.
        """
        self._changes.set(target, value)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do something for the time of a block that is no time of the training."""
        with self.clock.paused():
            yield

    def record(self, values: Mapping[str, Any]) -> None:
        """Log values of the step that was done last. A full disk does not end the training."""
        try:
            self.log.record(self.step, values)
        except OSError as error:
            if not self._log_failed:
                logger.warning("the log cannot be written, what is logged is kept: %s", error)
            self._log_failed = True
        else:
            self._log_failed = False
        self.hooks.call("recorded", self, values)

    def load(self, path: str | Path, mode: Mode = "strict") -> LoadReport:
        """Take the weights of a checkpoint, and nothing else: a warm start.

        A run that goes on from checkpoints of its own has those weights instead.

        Parameters
        ----------
        path
            A checkpoint, or a file with a state dict.
        mode
            "strict", "matching" or "adapt": see `voxflow.torch.load_weights`.

        Returns
        -------
        LoadReport
            What became of each weight.

        Raises
        ------
        ValueError, FileNotFoundError
            If there is no such checkpoint, or it does not fit.
        RuntimeError
            In a run of several processes, of which the others would not have the weights.
        """
        if self._changes.going_on and self.ranks.count > 1:
            raise RuntimeError(
                f"{self.ranks.count} processes train, and only this one would have other weights. "
                "Stop the run, and start all of them with these"
            )
        found = load_checkpoint(path, "cpu")
        report = load_weights(self.model, found.model, mode)
        logger.info("weights of %s: %s", path, report)
        self.record({"load": {"path": str(path), "mode": mode, "report": str(report)}})
        return report

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint of the training as it is, between two steps."""
        save_checkpoint(path, checkpoint_of(self))
        return Path(path)

    def evaluate(self, validation: Validation) -> dict[str, float]:
        """Evaluate the model as it is, between two steps; nothing of the training changes.

        Parameters
        ----------
        validation
            Has to be `opened`.

        Returns
        -------
        dict[str, float]
            By name: ``"loss"``, and the metrics.
        """
        seen = partial(self._tell_of_loss, "validation") if validation is self.validation else None
        averages = self._step.averages
        return validation.evaluate(self._forward, self.model, self.loss, averages, seen)

    def _tell_of_loss(self, kind: str, given: Mapping[Name, torch.Tensor]) -> None:
        self.hooks.call("after_loss", self, given, kind)

    def validate(self) -> dict[str, float]:
        """Evaluate the validation now, between two steps of a run. Stop rules do not see it.

        Returns
        -------
        dict[str, float]
            By name, such as ``"validation.loss"``.

        Raises
        ------
        ValueError
            If there is no validation.
        """
        if self.validation is None:
            raise ValueError("this session has no validation")
        values = self.evaluate(self.validation)
        found = {f"validation.{name}": value for name, value in values.items()}
        self.record(found)
        self.metrics = {**self.metrics, **found}
        return found

    def freeze(self, *patterns: str) -> list[str]:
        """Let parameters stay whose names match, such as ``"encoder.*"``; before `run`.

        Returns
        -------
        list[str]
            Their names.
        """
        return freeze(self.model, patterns)

    def unfreeze(self, *patterns: str) -> list[str]:
        """Let parameters be trained again whose names match, or all; before `run`, or between two.

        Returns
        -------
        list[str]
            The names of those that were frozen.

        Raises
        ------
        ValueError
            If the optimizer has not all of them; nothing was changed.
        """
        found = unfreeze(self.model, patterns or "*")
        parameters, groups = dict(self.model.named_parameters()), self.optimizer.param_groups
        known = {id(p) for group in groups for p in group["params"]}
        strange = [name for name in found if id(parameters[name]) not in known]
        if strange:
            freeze(self.model, found)
            raise ValueError(
                f"the optimizer does not have {', '.join(strange)}; give it all parameters when it "
                "is made: it leaves those alone that are frozen"
            )
        return found

    # -- a run ----------------------------------------------------------------------------------

    def check(self) -> None:
        """Say what could not work, before anything begins. `run` does it, too.

        Raises
        ------
        UnknownTarget
            If a schedule is to set something that is not there.
        """
        self.hooks.check(self)

    def run(self) -> RunReport:
        """Train until it is to stop. May be called again, as with another stop rule.

        Returns
        -------
        RunReport
            How far it got, and why it ended.

        Raises
        ------
        NonFiniteLoss
            If the loss is not finite, and the training is to stop.
        ValueError, PipelineSetupError
            If checkpoints are of something else, or the run has another seed.
        """
        self.stop_reason, self.saves_at_end = None, True
        self.clock.load_state_dict({"active_seconds": self._active})
        with ExitStack() as stack:
            stack.callback(self._changes.end)
            self._changes.begin()
            try:
                reason = Run(self)(stack)
            finally:
                self._active = self.clock.active_seconds
        return RunReport(self.step, reason, self._active)
