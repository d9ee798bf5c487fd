"""One training step."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from voxflow.torch.averages import Averages
from voxflow.torch.buffers import KeptBuffers
from voxflow.torch.draws import drawing_from
from voxflow.torch.nonfinite import KeptState, NonFiniteLoss, check_action, check_finite
from voxflow.torch.prepared import casting, needs_closure, prepared
from voxflow.torch.ranks import Ranks
from voxflow.torch.step_options import StepOptions, Stepped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from voxflow.pipeline.data import Batch
    from voxflow.torch.calls import Name
    from voxflow.torch.forward import Forward, Passed


class Step:
    """Makes steps: forward, loss, backward, update.

    A step whose loss is not finite leaves model and optimizer as they were. The model may be
    exchanged only before `begin`; loss and optimizer at any time between two steps.

    Parameters
    ----------
    forward
        How batches pass.
    model, loss, optimizer
        What is trained, by what, and how. An optimizer whose ``step`` needs a closure, such as
        ``torch.optim.LBFGS``, evaluates the loss of the same batches several times.
    options
        How.
    remedy
        What messages say of how to make a batch again.

    Attributes
    ----------
    number
        Which step was made last, since something was loaded; 0: none.
    whole
        Whether model and optimizer are as after a whole step, or before the first.
    """

    def __init__(
        self,
        forward: Forward,
        model: torch.nn.Module,
        loss: Any,
        optimizer: torch.optim.Optimizer,
        options: StepOptions | None = None,
        remedy: str = "What went in is error.batch; to make it again, replay(error.token).",
    ) -> None:
        self.forward = forward
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.options = options or StepOptions()
        self.remedy = remedy
        self.number = 0
        self.whole = True
        self.averages: Averages | None = None
        self._ranks = Ranks()
        self._run: Any = None
        self._scaler: torch.amp.GradScaler | None = None
        self._kept: KeptState | None = None
        self._buffers: KeptBuffers | None = None
        self._looked_at: Any = None
        self._has_parts = False

    def begin(self, ranks: Ranks | None = None) -> None:
        """Get ready, once model and optimizer are where they are to be, and loaded; or again.

        Parameters
        ----------
        ranks
            The processes that train together.

        Raises
        ------
        ValueError
            If options do not go together.
        """
        options, self._ranks = self.options, ranks or Ranks()
        self._check_closure()
        if self._run is None or self._ranks.count > 1:
            self._run = prepared(self.model, options, self._ranks, self.forward.outputs)
        if options.precision == "float16" and self._scaler is None:
            self._scaler = torch.amp.GradScaler(self.forward.device.type)
        if options.average is not None and self.averages is None:
            self.averages = Averages(self.model, options.average)
        if self._kept is None and options.nonfinite not in ("stop", "skip"):
            self._kept = self._keeping()

    def _kept_buffers(self) -> KeptBuffers:
        if self._buffers is None or self._buffers.model is not self.model:
            self._buffers = KeptBuffers(self.model)
        else:
            self._buffers.keep()
        return self._buffers

    def exchange(self, optimizer: torch.optim.Optimizer) -> None:
        """Go on with another optimizer, between two steps.

        Raises
        ------
        ValueError
            If it does not go together with the options.
        """
        before, self.optimizer = self.optimizer, optimizer
        try:
            self._check_closure()
        except ValueError:
            self.optimizer = before
            raise
        if self._kept is not None:
            # The state of the one before is nothing to go back to.
            self._kept = self._keeping()

    def _keeping(self) -> KeptState:
        averages = {} if self.averages is None else {"average": self.averages}
        kept = KeptState(self.model, optimizer=self.optimizer, **averages)
        kept.keep()
        return kept

    def _check_closure(self) -> None:
        options = self.options
        limits = options.clip_norm is not None or options.clip_value is not None
        if self.needs_closure and (limits or options.precision == "float16"):
            raise ValueError(
                f"{type(self.optimizer).__name__} searches along lines, for which the gradients "
                "have to be those of the loss: leave clip_norm, clip_value and "
                "precision='float16' out"
            )

    @property
    def needs_closure(self) -> bool:
        """Whether the optimizer evaluates the loss by itself."""
        return needs_closure(type(self.optimizer).step)

    # -- parts ----------------------------------------------------------------------------------

    def gradients(self, batch: Batch, number: int, seen: Iterable[Name] = ()) -> Passed:
        """Let the parameters have the gradients of one batch, and nothing else.

        Parameters
        ----------
        batch
            The batch.
        number
            Which step it is, for messages.
        seen
            Outputs whose gradient is to be kept.

        Raises
        ------
        NonFiniteLoss
            If the loss is not finite; the model is as it was.
        """
        buffers = self._kept_buffers()
        self.optimizer.zero_grad()
        passed = self._pass(batch, None, seen=seen)
        try:
            self._check_finite(float(passed.loss.detach()), batch, number)
        except NonFiniteLoss:
            buffers.put_back()
            self.optimizer.zero_grad()
            raise
        return passed

    def update(self) -> dict[str, float]:
        """Let the optimizer take the gradients; what is known of them.

        Raises
        ------
        NonFiniteLoss
            If they are clipped by their norm, and it is not finite; nothing was changed.
        """
        found: dict[str, float] = {}
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        self._clip(found)
        self.whole = False
        if self._scaler is None:
            self.optimizer.step()
        else:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        if self.averages is not None:
            self.averages.update()
        return found

    def _clip(self, found: dict[str, float]) -> None:
        options = self.options
        if options.clip_norm is None and options.clip_value is None:
            return
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        if options.clip_value is not None:
            torch.nn.utils.clip_grad_value_(parameters, options.clip_value)
        if options.clip_norm is not None:
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, options.clip_norm))
            found["gradient_norm"] = norm
            # A scaled loss may overflow: the scaler leaves the update out, and scales less.
            if not math.isfinite(norm) and self._scaler is None:
                raise NonFiniteLoss(
                    f"{self.forward.who()}: the norm of the gradients is {norm}; the model was "
                    f"left as it was. {self.remedy}"
                )

    def _pass(
        self, batch: Batch, seed: int | None, count: int = 1, seen: Iterable[Name] = ()
    ) -> Passed:
        """Forward, loss and backward, one right after the other: a device has all at once to do.

        What is not finite is seen afterwards, and its gradients are thrown away.
        """
        device = self.forward.device
        with nullcontext() if seed is None else drawing_from(seed, device):
            with casting(device, self.options.precision):
                passed = self.forward(self.model, self.loss, batch, run=self._run, seen=seen)
            part = passed.loss if count == 1 else passed.loss / count
            (part if self._scaler is None else self._scaler.scale(part)).backward()
        return passed

    def _check_finite(self, loss: float, batch: Batch, number: int) -> None:
        check_finite(loss, self.model, batch, number, self.forward.who(), self.remedy)

    # -- a step ---------------------------------------------------------------------------------

    def __call__(
        self, batches: Sequence[Batch], number: int, seeds: Sequence[int] | None = None
    ) -> Stepped:
        """Make a step.

        Parameters
        ----------
        batches
            As many as are accumulated.
        number
            Which step it is, from 1.
        seeds
            What torch draws from during the pass of each batch; None: as it happens to be.

        Returns
        -------
        Stepped
            What was done.

        Raises
        ------
        NonFiniteLoss
            If the loss is not finite, and the training is to stop.
        """
        drawn: Sequence[int | None] = [None] * len(batches) if seeds is None else seeds
        buffers = self._kept_buffers()
        make = self._searched if self.needs_closure else self._descended
        try:
            made = make(list(zip(batches, drawn, strict=True)), number)
        except BaseException as error:
            if self.whole:
                buffers.put_back()
                self.optimizer.zero_grad()
            if not isinstance(error, NonFiniteLoss):
                raise
            if error.batch is None:
                error.batch = batches[-1]
            return self._acted(error)
        self.number = number
        self.whole = True
        if self._kept is not None and number % self.options.keep_every == 0:
            self._kept.keep()
        return made

    def _descended(self, batches: list[tuple[Batch, int | None]], number: int) -> Stepped:
        self.optimizer.zero_grad()
        parts: dict[str, float] = {}
        loss, passed = self._accumulated(batches, number, parts)
        return Stepped(loss, passed, metrics={**parts, **self.update()})

    def _accumulated(
        self, batches: list[tuple[Batch, int | None]], number: int | None, parts: dict[str, float]
    ) -> tuple[float, Passed]:
        """Gradients of the mean over batches; the mean; the last pass. No number: all will do.

        The means of the parts of a loss (`Aggregate`) go into `parts`.
        """
        total = 0.0
        for i, (batch, seed) in enumerate(batches):
            with self._exchanging(i == len(batches) - 1):
                passed = self._pass(batch, seed, len(batches))
            loss = float(self._ranks.mean(passed.loss))
            if number is not None:
                self._check_finite(loss, batch, number)
            total += loss
            self._add_parts(parts, len(batches))
        return total / len(batches), passed

    def _add_parts(self, parts: dict[str, float], count: int) -> None:
        if self._looked_at is not self.loss:
            # Looked for once: a module that has none takes its time to say so.
            self._looked_at, self._has_parts = self.loss, hasattr(self.loss, "parts")
        for name, part in self.loss.parts.items() if self._has_parts else ():
            share = float(self._ranks.mean(part)) / count
            parts[f"loss.{name}"] = parts.get(f"loss.{name}", 0.0) + share

    def _exchanging(self, last: bool) -> AbstractContextManager[Any]:
        # Gradients of all processes meet once a step.
        wrapped = getattr(self._run, "no_sync", None)
        return nullcontext() if last or wrapped is None else wrapped()

    def _searched(self, batches: list[tuple[Batch, int | None]], number: int) -> Stepped:
        """A step of an optimizer that asks for the loss again and again."""
        self._check_closure()
        found: list[float] = []
        passes: list[Passed] = []
        parts: dict[str, float] = {}

        def closure() -> Any:
            self.optimizer.zero_grad()
            # A length of a line search may well be too long.
            to_tell = {} if found else parts
            loss, passed = self._accumulated(batches, None if found else number, to_tell)
            found.append(loss)
            passes[:] = [passed]
            self.whole = False
            return torch.tensor(loss, device=self.forward.device, dtype=torch.float64)

        before = [p.detach().clone() for p in self.model.parameters()]
        self.optimizer.step(closure)
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            self._undo(before)
            raise NonFiniteLoss(
                f"{self.forward.who()}: {type(self.optimizer).__name__} made weights that are not "
                f"finite at iteration {number}; the model was left as it was. {self.remedy}"
            )
        if self.averages is not None:
            self.averages.update()
        return Stepped(found[0], passes[0], metrics={**parts, "evaluations": float(len(found))})

    @torch.no_grad()
    def _undo(self, before: list[torch.Tensor]) -> None:
        for parameter, value in zip(self.model.parameters(), before, strict=True):
            parameter.copy_(value)
        # What it knew of the way led there.
        self.optimizer.state.clear()
        self.whole = True

    # -- a loss that is not finite --------------------------------------------------------------

    def _acted(self, error: NonFiniteLoss) -> Stepped:
        policy = self.options.nonfinite
        action = check_action(self._ranks.agreed(policy(error) if callable(policy) else policy))
        if action == "stop":
            raise error
        if action == "rollback" and self._kept is not None:
            self._kept.put_back()
        return Stepped(math.nan, action=action, error=error)

    # -- saved and loaded -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What a training needs, beside model and optimizer, to go on exactly."""
        return {
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "average": None if self.averages is None else self.averages.state_dict(),
            "kept": None if self._kept is None else self._kept.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what was saved, after `begin`; what is not there begins anew."""
        self.number, self.whole = 0, True
        if self._scaler is not None and state.get("scaler"):
            self._scaler.load_state_dict(state["scaler"])
        if self.averages is not None and state.get("average"):
            self.averages.load_state_dict(state["average"])
        if self._kept is not None and state.get("kept"):
            self._kept.load_state_dict(state["kept"])
