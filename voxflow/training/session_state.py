"""What a session needs to go on: into a checkpoint, and back."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import torch

from voxflow.nodes.values.normalize import statistics_upstream
from voxflow.torch.checkpoint import Checkpoint
from voxflow.torch.warm_start import freeze
from voxflow.training.switching import Switched, switch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from voxflow.training.session import Session


def checkpoint_of(session: Session) -> Checkpoint:
    """A checkpoint of a session between two steps."""
    model, loss = session.model, session.loss
    kept = {
        "clock": session.clock.state_dict(),
        "step": session._step.state_dict(),
        "loss": loss.state_dict() if isinstance(loss, torch.nn.Module) else None,
        "hooks": session.hooks.state_dict(),
        "rules": [_state(rule) for rule in session.stop_rules],
        "keeper": _state(session.keeper),
        "validation": None if session.validation is None else _state(session.validation.every),
        "targets": session.targets.state_dict(),
        "optimizer": type(session.optimizer).__name__,
        "switched": None if session.switched is None else list(astuple(session.switched)),
        "frozen": [n for n, p in model.named_parameters() if not p.requires_grad],
    }
    return Checkpoint(
        model=model.state_dict(),
        optimizer=session.optimizer.state_dict(),
        iteration=session.step,
        position=session.position,
        statistics=statistics_upstream(session.pipeline.output),
        extra=kept,
    )


def restore(session: Session, path: Path, found: Checkpoint) -> None:
    """Let a session go on from a checkpoint.

    Raises
    ------
    ValueError
        If the checkpoint is of another model, optimizer or seed, or of no session.
    """
    if found.position is None or found.optimizer is None:
        raise ValueError(
            f"{path} is not from a session, so a run cannot go on from it. To start from its "
            "weights, give another run_dir and call session.load(path)"
        )
    if session.seed is not None and session.seed != found.position.seed:
        raise ValueError(
            f"{path} is from a run with seed={found.position.seed}, but the session has "
            f"seed={session.seed}. Leave seed= out to go on with that run, or give another run_dir "
            "to start a new one."
        )
    _load(path, "model", session.model, found.model)
    kept = found.extra
    if kept.get("switched"):
        switch(session, Switched(*kept["switched"]))
    _check_optimizer(path, kept.get("optimizer"), type(session.optimizer).__name__)
    _load(path, "optimizer", session.optimizer, found.optimizer)
    if isinstance(session.loss, torch.nn.Module) and kept.get("loss"):
        _load(path, "loss", session.loss, kept["loss"])
    if kept.get("frozen"):
        freeze(session.model, kept["frozen"])
    session.step = found.iteration
    session.position = found.position
    session._step.begin(session.ranks)
    session._step.load_state_dict(kept.get("step") or {})
    session.clock.load_state_dict(kept.get("clock") or {"active_seconds": 0.0})
    session.hooks.load_state_dict(kept.get("hooks") or {})
    _load_rules(session, kept)
    session.targets.load_state_dict(kept.get("targets") or {})


def _check_optimizer(path: Path, was: str | None, now: str) -> None:
    # Torch would take the options of one for those of another, and fail at a step, or not at all.
    if was not in (None, now):
        raise ValueError(
            f"{path} is from a run with the optimizer {was}, but the session has {now}. Give "
            f"{was}, and say `optimizer {now}` while it runs; or give another run_dir to start "
            "anew with its weights, session.load(path)"
        )


def _load_rules(session: Session, kept: Mapping[str, Any]) -> None:
    states: Sequence[Any] = kept.get("rules") or []
    for rule, state in zip(session.stop_rules, states, strict=False):
        if state is not None and state[0] == type(rule).__name__:
            rule.load_state_dict(state[1])  # type: ignore[attr-defined]
    trigger = None if session.validation is None else session.validation.every
    for part, state in ((session.keeper, kept.get("keeper")), (trigger, kept.get("validation"))):
        if part is not None and state is not None and state[0] == type(part).__name__:
            part.load_state_dict(state[1])


def _state(part: Any) -> list[Any] | None:
    """The state of something, and what it is of."""
    return [type(part).__name__, part.state_dict()] if hasattr(part, "state_dict") else None


def _load(path: Path, what: str, part: Any, state: Mapping[str, Any]) -> None:
    try:
        part.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} is not from this {what}. Give another run_dir to start anew, or the {what} "
            f"that it was saved from. {error}"
        ) from error
