"""Commands that let a training go on, wait, end, keep what it has, or take what was kept."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from voxflow.nodes.sinks.snapshot_file import write_snapshot
from voxflow.training.commands.registry import CommandError, NeedsYes
from voxflow.training.session_state import checkpoint_of

if TYPE_CHECKING:
    from voxflow.torch.warm_start import Mode
    from voxflow.training.keeping import Keeper
    from voxflow.training.session import Session

SAVED = "saved"
"""The checkpoint of those who give no name."""


def resume(session: Session) -> str:
    """Let the training go on."""
    session.outside.held = False
    return f"the training goes on after step {session.step}"


def pause(session: Session) -> str:
    """Let the training wait until somebody says resume."""
    session.outside.held = True
    return f"the training waits after step {session.step}, until somebody says resume"


def stop(session: Session) -> str:
    """End the run, with a final checkpoint."""
    session.request_stop("somebody said stop")
    kept = "" if session.keeper is None else "; the final checkpoint is written"
    return f"the run ends after step {session.step}{kept}"


def kill(session: Session, yes: str = "") -> str:
    """End the run without saving. Where steps would be lost, say ``kill yes``."""
    saved = None if session.keeper is None else session.keeper.saved_step
    lost = session.step - (saved or 0)
    if lost > 0 and yes != "yes":
        since = "nothing is saved" if saved is None else f"saved is step {saved}"
        steps = "step" if lost == 1 else "steps"
        raise NeedsYes(f"{lost} {steps} would be lost ({since}): kill yes does it, stop saves")
    session.request_stop("somebody said kill", save=False)
    return f"the run ends after step {session.step}; nothing is saved"


def save(session: Session, name: str = SAVED) -> str:
    """Write a checkpoint under a name, beside the others of the run."""
    session.log.sync()
    return f"saved: {_keeper(session).save(name, checkpoint_of(session))}"


def load(session: Session, source: str = SAVED, mode: Mode = "strict") -> str:
    """Take the weights of a checkpoint of the run, or of a file, and nothing else.

    The mode says what becomes of weights that do not fit: strict, matching or adapt.
    """
    path = _found(session, source)
    return f"weights of {path}: {session.load(path, mode)}"


def snapshot(session: Session) -> str:
    """Write a checkpoint, and the last batch to look at."""
    if session.batch is None:
        raise CommandError("there is no batch yet: no step was made")
    name = f"snapshot-{session.step}"
    folder = _keeper(session).folder.parent if session.run_dir is None else session.run_dir
    names = {key: str(key).lower() for key, _ in session.batch.items()}
    path = folder / "snapshots" / f"{name}.zarr"
    token = getattr(session.batch, "token", None)
    write_snapshot(path, session.batch, names, token=token, compression=None)
    return f"{save(session, name)}\nbatch: {path}"


def status(session: Session) -> str:
    """Tell how far the training is."""
    minutes, seconds = divmod(session.clock.active_seconds, 60)
    lines = {
        "step": str(session.step),
        "active": f"{int(minutes) // 60} h {int(minutes) % 60:02} min {seconds:04.1f} s",
        **{name: f"{value:.6g}" for name, value in session.metrics.items()},
        "optimizer": f"{type(session.optimizer).__name__}, lr {_rate(session)}",
        "state": session.outside.state,
    }
    if session.keeper is not None:
        saved = session.keeper.saved_step
        lines["saved"] = "nothing yet" if saved is None else f"step {saved}"
    if session.run_dir is not None:
        lines["run"] = str(session.run_dir)
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _rate(session: Session) -> str:
    rates = [
        f"{float(group['lr']):.6g}" for group in session.optimizer.param_groups if "lr" in group
    ]
    return ", ".join(dict.fromkeys(rates)) or "none"


def _keeper(session: Session) -> Keeper:
    if session.keeper is None:
        raise CommandError(
            "this training keeps no checkpoints: it has neither run_dir= nor keeper=. At the "
            "console, session.save(path) writes one"
        )
    return session.keeper


def _found(session: Session, source: str) -> Path:
    """The file of a checkpoint of the run, or any other."""
    if session.keeper is not None and Path(source).name == source:
        path = session.keeper.path(source)
        if path.is_file():
            return path
    if Path(source).is_file():
        return Path(source)
    there = [] if session.keeper is None else sorted(session.keeper.folder.glob("[!.]*.pt"))
    names = [path.stem for path in there]
    close = difflib.get_close_matches(source, names, n=3)
    guess = f"did you mean {' or '.join(close)}? " if close else ""
    raise CommandError(
        f"there is no checkpoint and no file {source!r}; {guess}There are: "
        f"{', '.join(names) or 'none'}"
    )
