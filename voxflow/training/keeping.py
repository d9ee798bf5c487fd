"""Which checkpoints of a training are written, and which are kept."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.torch.checkpoint import (
    Checkpoint,
    iteration_of,
    link_checkpoint,
    load_checkpoint,
    remove_unfinished_in,
    save_checkpoint,
)
from voxflow.training.improvement import Improvement, Mode
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import torch

    from voxflow.training.when import Moment

__all__ = ["Keeper", "load_newest_checkpoint"]

logger = logging.getLogger(__name__)

_SUFFIX = ".pt"
_PERIODIC = re.compile(r"(step-\d+|hours-[\d.e+]+|epoch-\d+)\.pt")
_ANY = re.compile(rf"[^.].*\{_SUFFIX}")


class Keeper:
    """Writes checkpoints into a folder, and deletes those that are not to be kept.

    ``last.pt`` is replaced again and again; ``step-2000.pt``, ``hours-1.5.pt`` or ``epoch-3.pt``
    are written now and then, and the oldest of them are deleted if only some are to be kept;
    ``best-<metric>.pt`` is replaced when the metric gets better; ``final.pt`` is written by `save`
    at the end. What is due at one step is written once, and shared by the names. A file under one
    of these names is complete, whenever the process is killed.

    A checkpoint that cannot be written, as on a full disk, is told; the one before stays, training
    goes on, and the next one is written when it is due.

    Parameters
    ----------
    folder
        Where they go.
    last
        When ``last.pt`` is replaced; None: never.
    every
        When one is written that stays; None: never.
    best
        Metrics with "min" or "max": what is better.
    keep
        How many of those that `every` writes are kept; None: all.

    Raises
    ------
    ValueError
        If `keep` is below 0, a mode is unknown, or two metrics would have one file.

    Examples
    --------
    >>> import tempfile
    >>> from voxflow.training.when import Moment
    >>> folder = tempfile.mkdtemp()
    >>> keeper = Keeper(folder, last=Every(steps=2), every=None, best={"loss": "min"})
    >>> for step, loss in enumerate([0.5, 0.4, 0.6], 1):
    ...     made = keeper.after_step(
    ...         Moment(step), {"loss": loss}, lambda: Checkpoint({}, iteration=step)
    ...     )
    ...     print([path.name for path in made])
    ['best-loss.pt']
    ['last.pt', 'best-loss.pt']
    []
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        last: Every | None = None,
        every: Every | None = None,
        best: Mapping[str, Mode] | None = None,
        keep: int | None = None,
    ) -> None:
        if keep is not None and keep < 0:
            raise ValueError(f"keep has to be 0 or more, got {keep}")
        self.folder = Path(folder).absolute()
        self.last = last
        self.every = every
        self.keep = keep
        self.saved_step: int | None = None
        """After which step something was written last, or the run went on; None: nothing was."""
        self._best = {metric: Improvement(mode) for metric, mode in (best or {}).items()}
        files = {_best_name(metric): metric for metric in self._best}
        if len(files) < len(self._best):
            twins = sorted(set(self._best) - set(files.values()))
            raise ValueError(f"{', '.join(twins)} would share a file; rename the metrics")

    def begin(self) -> None:
        """Make the folder, and remove what a process left that was killed while it wrote."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished_in(self.folder)

    def has_any(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(_matching(self.folder, _ANY))

    def path(self, name: str) -> Path:
        """The file of a name such as ``"last"``."""
        return self.folder / f"{name}{_SUFFIX}"

    def after_step(
        self, moment: Moment, metrics: Mapping[str, float], make: Callable[[], Checkpoint]
    ) -> list[Path]:
        """Write what is due. To be called when all else of a step is done.

        Parameters
        ----------
        moment
            Where the training is.
        metrics
            What was measured at this step, by name.
        make
            Makes the checkpoint; called once, and only if one is due. It is to hold `state_dict`.

        Returns
        -------
        list[Path]
            The files that were written.
        """
        before = self._best_states()
        names: list[str | None] = []
        if self.last is not None and self.last.due(moment):
            names.append("last")
        if self.every is not None:
            names.append(self.every.due(moment))
        # Before the checkpoint is made, as it holds what is the best so far.
        improved = [m for m, best in self._best.items() if m in metrics and best.update(metrics[m])]
        names += map(_best_name, improved)
        due = [name for name in names if name is not None]
        if not due:
            return []
        try:
            written = self._write(due, make())
        except (OSError, RuntimeError) as error:
            # torch raises the latter where a file takes no more.
            self._load_best(before)
            logger.warning(
                "the checkpoints %s of step %d could not be written to %s (%s: %s); training goes "
                "on, and older ones are as they were. Make room on the disk",
                ", ".join(due),
                moment.step,
                self.folder,
                type(error).__name__,
                error,
            )
            return []
        self._delete_old()
        return written

    def save(self, name: str, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint under a name now: ``"final"`` at the end, or any.

        Parameters
        ----------
        name
            The name of the file, without its suffix.
        checkpoint
            What to write.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the name has folders in it, or begins with a dot.
        OSError, RuntimeError
            If it cannot be written.
        """
        if not name or name.startswith(".") or Path(name).name != name:
            raise ValueError(f"a checkpoint's name has no folders and no leading dot, got {name!r}")
        return self._write([name], checkpoint)[0]

    def _write(self, names: list[str], checkpoint: Checkpoint) -> list[Path]:
        first, *others = map(self.path, names)
        save_checkpoint(first, checkpoint)
        self.saved_step = checkpoint.iteration
        for other in others:
            link_checkpoint(first, other)
        return [first, *others]

    def _delete_old(self) -> None:
        if self.keep is None:
            return
        for path in _newest_first(self.folder, _PERIODIC)[0][self.keep :]:
            path.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {
            "last": None if self.last is None else self.last.state_dict(),
            "every": None if self.every is None else self.every.state_dict(),
            "best": self._best_states(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run, as far as it had the same rules."""
        if self.last is not None and state["last"] is not None:
            self.last.load_state_dict(state["last"])
        if self.every is not None and state["every"] is not None:
            self.every.load_state_dict(state["every"])
        self._load_best(state["best"])

    def _best_states(self) -> dict[str, dict[str, Any]]:
        return {metric: best.state_dict() for metric, best in self._best.items()}

    def _load_best(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        for metric in self._best.keys() & states.keys():
            self._best[metric].load_state_dict(states[metric])


def load_newest_checkpoint(
    folder: str | Path, device: torch.device | str = "cpu"
) -> tuple[Path, Checkpoint] | None:
    """The checkpoint of a folder after the most steps, whatever its name; of several, the last.

    The times of files do not count for more: copies have others, and clocks are set.

    Parameters
    ----------
    folder
        The folder of a `Keeper`.
    device
        Where its tensors go.

    Returns
    -------
    tuple[Path, Checkpoint] | None
        The file and what is in it; None if there is none. A file that cannot be read is told and
        passed over.

    Raises
    ------
    ValueError
        If there are some, and none can be read.
    """
    paths, broken = _newest_first(Path(folder), _ANY)
    for error in broken.values():
        logger.warning("passed over: %s", error)
    for path in paths:
        try:
            return path, load_checkpoint(path, device)
        except ValueError as error:
            logger.warning("passed over: %s", error)
    if paths or broken:
        names = ", ".join(path.name for path in (*paths, *broken))
        raise ValueError(
            f"no checkpoint in {folder} can be read, of {names}. Remove them to start anew"
        )
    return None


def _matching(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    found: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if pattern.fullmatch(path.name))


def _newest_first(
    folder: Path, pattern: re.Pattern[str]
) -> tuple[list[Path], dict[Path, ValueError]]:
    """Checkpoints by what is in them, and those that cannot be read, with the reason."""
    places: dict[Path, tuple[int, int, bool]] = {}
    broken: dict[Path, ValueError] = {}
    for path in _matching(folder, pattern):
        try:
            # "last" before others of the same file: it is what is looked for.
            places[path] = iteration_of(path), path.stat().st_mtime_ns, path.stem == "last"
        except FileNotFoundError:  # deleted meanwhile
            continue
        except ValueError as error:
            broken[path] = error
    return sorted(places, key=places.__getitem__, reverse=True), broken


def _best_name(metric: str) -> str:
    return "best-" + re.sub(r"[^\w.+-]", "_", metric)
