"""A run of a session: begin or go on, step after step, and end well."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from voxflow.nodes.flow.precache import PreCache
from voxflow.pipeline.data import RunPosition
from voxflow.pipeline.data.seeds import derive_seed, fresh_seed
from voxflow.pipeline.engine import build
from voxflow.pipeline.engine.notes import add_note
from voxflow.torch.checkpoint import load_checkpoint
from voxflow.torch.nonfinite import NonFiniteLoss
from voxflow.torch.ranks import joined
from voxflow.training.arguments import dims_of, voxels_of
from voxflow.training.events import EventLog
from voxflow.training.keeping import load_newest_checkpoint
from voxflow.training.kept_batch import keep_batch
from voxflow.training.nowhere import Nowhere
from voxflow.training.result import StepResult
from voxflow.training.session_state import checkpoint_of, restore
from voxflow.training.stopping import first_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from voxflow.pipeline.data import Batch
    from voxflow.torch.checkpoint import Checkpoint
    from voxflow.training.session import Session
    from voxflow.training.when import Moment

logger = logging.getLogger(__name__)

_MOST_FILES = 10  # of batches that broke the loss


class Run:
    """Does what `Session.run` promises.

    Parameters
    ----------
    session
        What is trained, and how.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ranks = session.ranks
        self._dims = dims_of(session.request)
        self._files_left = _MOST_FILES

    def __call__(self, stack: ExitStack) -> str:
        """Train until it is to stop; why it did.

        Parameters
        ----------
        stack
            Takes what is to be closed.
        """
        session = self._session
        self._ranks = session.ranks = stack.enter_context(joined(session.device))
        self._begin(stack)
        try:
            reason = self._loop(self._look_first())
            self._look_last()
        except BaseException as error:
            self._rescue(error)
            session.hooks.call("end", session)
            raise
        session.record({"stopped": reason})
        try:
            if self._ranks.first and session.keeper is not None and session.saves_at_end:
                session.keeper.save("final", self._checkpoint())
        finally:
            session.hooks.call("end", session)
        return reason

    # -- the beginning --------------------------------------------------------------------------

    def _begin(self, stack: ExitStack) -> None:
        session = self._session
        session.hooks.of_rank(self._ranks.rank)
        session.check()
        session.model.to(session.device)
        if isinstance(session.loss, torch.nn.Module):
            session.loss.to(session.device)
        if not session.model.training:
            logger.warning("the model is in evaluation mode; call model.train()")
        if self._ranks.first:
            self._begin_to_write(stack)
        self._go_on()
        for node in session.pipeline.nodes():
            if isinstance(node, PreCache):
                node.stride = self._ranks.count
        stack.enter_context(build(session.pipeline, seed=self._position.seed))
        validation = session.validation
        if validation is not None and self._ranks.first:
            stack.enter_context(validation.opened())
        # What was made in memory of the workers is not to outlast them.
        stack.callback(setattr, session, "batch", None)
        stack.enter_context(session.outside.listening())
        session.hooks.call("begin", session)

    def _look_first(self) -> dict[str, float]:
        """Validate before the first step; or what the last one was broken off before."""
        session = self._session
        found = self._measured()
        if session.step == 0:
            session.metrics = found
        elif found:
            self._keep(found)
        return found

    def _look_last(self) -> None:
        """Validate after the last step, if that is due."""
        session, validation = self._session, self._session.validation
        if validation is not None and validation.every.at_end and session.saves_at_end:
            found = self._measured(last=True)
            if found:
                self._keep(found)

    def _begin_to_write(self, stack: ExitStack) -> None:
        session = self._session
        if session.keeper is not None:
            session.keeper.begin()
        if session.run_dir is not None:
            session.run_dir.mkdir(parents=True, exist_ok=True)
            session.log = stack.enter_context(EventLog(session.run_dir, session.clock))
            # Before it is closed: threads of hooks may still have something to say.
            stack.callback(setattr, session, "log", Nowhere())

    def _go_on(self) -> None:
        """Begin, or go on: from the newest checkpoint, or in this very process."""
        session = self._session
        torn = self._is_torn()
        found = self._newest() if session.position is None or torn else None
        if torn and found is None:
            raise RuntimeError(
                f"the training broke off within step {session.step + 1}, so that its weights are "
                "neither of this step nor of the one before, and there is no checkpoint to go back "
                "to. Make a new session"
            )
        if found is not None:
            restore(session, *found)
            session.log.resumed(session.step)
            if session.keeper is not None:
                session.keeper.saved_step = session.step
            logger.info("going on from step %d of %s", session.step, found[0])
            return
        session._step.begin(self._ranks)
        if session.position is None:
            session.log.begun()
            seed = self._ranks.agreed(fresh_seed() if session.seed is None else session.seed)
            logger.info("this run uses seed=%d", seed)
            session.position = RunPosition(seed, 0)
            session.record({"seed": seed})

    def _is_torn(self) -> bool:
        """Whether a run in this process ended in the middle of an update."""
        step = self._session._step
        return not step.whole or step.number > self._session.step

    def _newest(self) -> tuple[Path, Checkpoint] | None:
        """The checkpoint to go on from. The first process finds it, and all take the same."""
        session, found = self._session, None
        if self._ranks.first and session.keeper is not None:
            # Not to the device: there it would be beside what it is copied to.
            found = load_newest_checkpoint(session.keeper.folder)
        path = self._ranks.agreed(None if found is None else str(found[0]))
        if found is None and path is not None:
            found = Path(path), load_checkpoint(path)
        return found

    @property
    def _position(self) -> RunPosition:
        position = self._session.position
        if position is None:
            raise RuntimeError("the run has not begun")
        return position

    # -- steps ----------------------------------------------------------------------------------

    def _loop(self, metrics: Mapping[str, float]) -> str:
        session = self._session
        self._attend()
        reason = self._told_to_stop(session.moment, metrics)
        while reason is None:
            result = self._made_step()
            session.batch = result.batch
            session.hooks.call("after_step", session, result)
            self._attend()
            reason = self._told_to_stop(session.moment, result.metrics)
            self._keep(result.metrics)
        return reason

    def _keep(self, metrics: Mapping[str, float]) -> None:
        session = self._session
        if self._ranks.first and session.keeper is not None and session.saves_at_end:
            session.keeper.after_step(session.moment, metrics, self._checkpoint)

    def _attend(self) -> None:
        """Do what is asked from outside. While that holds the run, all processes wait."""
        outside = self._session.outside
        while self._ranks.agreed(outside.attend() if self._ranks.first else None):
            pass

    def _checkpoint(self) -> Checkpoint:
        # What belongs to a step is not done again.
        self._session.log.sync()
        return checkpoint_of(self._session)

    def _told_to_stop(self, moment: Moment, metrics: Mapping[str, float]) -> str | None:
        """Why the run ends now. The first process decides; what it has changed, all change."""
        session = self._session
        session._changes.make_waiting()
        reason: str | None = None
        if self._ranks.first:
            reason = first_reason(session.stop_rules, moment, metrics)
            reason = reason or session.stop_reason
        if self._ranks.count == 1:
            session._changes.forget()
            return reason
        changed = session._changes.to_follow(session.optimizer)
        reason, changed = self._ranks.agreed((reason, changed))
        if not self._ranks.first:
            session._changes.follow(changed, session.optimizer)
        return reason

    def _made_step(self) -> StepResult:
        session, start = self._session, time.perf_counter()
        batches, seeds = self._batches()
        try:
            stepped = session._step(batches, session.step + 1, seeds)
        except NonFiniteLoss as error:
            self._tell_of(error, "stop", session.step + 1)
            raise
        session.position = self._position.next(len(batches) * self._ranks.count)
        session.step += 1
        seconds = time.perf_counter() - start
        if stepped.error is not None:
            self._tell_of(stepped.error, str(stepped.action), session.step)
        values = {"loss": stepped.loss, **stepped.metrics}
        if stepped.last is not None:
            session._tell_of_loss("training", stepped.last.loss_inputs)
        # Before the validation, which takes a while: the step is done.
        session.record(values)
        session.metrics = {**session.metrics, **values}
        metrics = {**values, **self._measured()}
        voxels = voxels_of(session._forward, stepped.last, self._dims) * len(batches)
        reads = tuple(read for b in batches for read in b.profiling_stats.get_reads())
        return StepResult(session.step, stepped.loss, metrics, seconds, voxels, batches[-1], reads)

    def _batches(self) -> tuple[list[Batch], list[int]]:
        """The next batches of this process, every so manieth of the run; seeds for torch."""
        session, ranks = self._session, self._ranks
        count = session._step.options.accumulate
        positions = [self._position.next(i * ranks.count + ranks.rank) for i in range(count)]
        requests = [session.request.at(position) for position in positions]
        made = [session.pipeline.request_batch(request) for request in requests]
        return made, [derive_seed(request.seed, "torch") for request in requests]

    def _measured(self, *, last: bool = False) -> dict[str, float]:
        """What a validation finds, if one is due; logged."""
        found = self._validated(last)
        if found:
            self._session.record(found)
            self._session.metrics = {**self._session.metrics, **found}
        return found

    def _validated(self, last: bool) -> dict[str, float]:
        session, validation = self._session, self._session.validation
        if validation is None or not self._ranks.first:
            return {}
        before = validation.every.state_dict()
        if not validation.every.due(session.moment, last=last):
            return {}
        try:
            found = session.hooks.guarded(validation, "evaluate", session.evaluate, validation)
        except BaseException:
            validation.every.load_state_dict(before)  # it is due where the run goes on
            raise
        return {f"validation.{name}": value for name, value in (found or {}).items()}

    def _tell_of(self, error: NonFiniteLoss, action: str, number: int) -> None:
        error.token = getattr(error.batch, "token", None)
        said = {"step": number, "action": action, "error": str(error), "token": str(error.token)}
        logger.warning("%s (%s)", error, action)
        file = self._kept(error, number)
        self._session.record({"nonfinite": said if file is None else {**said, "batch": file}})

    def _kept(self, error: NonFiniteLoss, number: int) -> str | None:
        """The file in the run directory in which the batch is that broke the loss."""
        folder = self._session.run_dir
        if folder is None or error.batch is None or self._files_left == 0:
            return None
        self._files_left -= 1
        rank = f"-rank-{self._ranks.rank}" if self._ranks.count > 1 else ""
        name = f"nonfinite/step-{number}{rank}.npz"
        try:
            keep_batch(error.batch, folder / name)
        except (OSError, ValueError) as failed:
            logger.warning("the batch could not be kept in %s: %s", folder / name, failed)
            return None
        add_note(error, f"the batch is in {folder / name}")
        return name

    # -- an end that nobody wanted --------------------------------------------------------------

    def _rescue(self, error: BaseException) -> None:
        """Save what there is, and say so."""
        session = self._session
        if session.keeper is None or not self._ranks.first or session.step == 0:
            return
        if self._is_torn():
            add_note(error, f"the training broke off within step {session.step + 1}, unsaved")
            return
        try:
            path: Any = session.keeper.save("last", self._checkpoint())
        except Exception as failed:
            add_note(error, f"the training could not be saved ({type(failed).__name__}: {failed})")
        else:
            add_note(error, f"the training was saved as after step {session.step}: {path}")
