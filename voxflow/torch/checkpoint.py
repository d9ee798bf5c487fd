"""Everything that it takes to go on with a training: written whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxflow.pipeline.data import RunPosition

_FORMAT = 1
_PLAIN = (bool, int, float, complex, str, bytes)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after a number of iterations.

    Attributes
    ----------
    model
        The state dict of the model.
    optimizer
        The state dict of the optimizer; None if the file has none.
    iteration
        How many iterations were done.
    rng
        The states of torch's random generators by device; None if the file has none.
    position
        The next batch of the run; None if it is not known.
    statistics
        What `Normalize` knew of the arrays, by the name of the array: for prediction.
    extra
        States of whatever else takes part in the training: numbers, texts, tensors, None, and
        lists, tuples and dicts of these.
    """

    model: dict[str, Any]
    optimizer: dict[str, Any] | None = None
    iteration: int = 0
    rng: dict[str, torch.Tensor] | None = None
    position: RunPosition | None = None
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, in such a way that the file is either complete or not there.

    Parameters
    ----------
    path
        The file. An older one is replaced in one step.
    checkpoint
        What to write.

    Raises
    ------
    TypeError
        If `extra` holds what could not be loaded without running code. Nothing is written then.
    """
    path = Path(path)
    extra = loadable(checkpoint.extra, "extra")
    path.parent.mkdir(parents=True, exist_ok=True)
    position = checkpoint.position
    fields = {
        "format": _FORMAT,
        "model_state_dict": checkpoint.model,
        "optimizer_state_dict": checkpoint.optimizer,
        "iteration": checkpoint.iteration,
        "rng": checkpoint.rng,
        "position": None if position is None else [position.seed, position.index],
        "statistics": checkpoint.statistics,
        "extra": extra,
    }
    # The leading dot keeps an unfinished file out of the search for checkpoints.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            torch.save(fields, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def loadable(value: Any, where: str) -> Any:
    """The same of types that ``weights_only=True`` knows; numbers of numpy become Python's.

    Raises
    ------
    TypeError
        If it holds anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, torch.Tensor) or type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        made = {
            loadable(key, f"a key of {where}"): loadable(of, f"{where}[{key!r}]")
            for key, of in value.items()
        }
        # Schedulers count in these.
        return type(value)(made) if type(value) in (Counter, OrderedDict) else made
    if isinstance(value, list | tuple):
        items = [loadable(of, f"{where}[{i}]") for i, of in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(
        f"{where} is a {type(value).__name__}, and a checkpoint holds numbers, texts, tensors, and "
        "lists, tuples and dicts of these. Give what it can be made of"
    )


def _sync_folder(folder: Path) -> None:
    # So that the new name outlives a power cut; not every file system can do it.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def link_checkpoint(path: Path, other: Path) -> None:
    """Give a checkpoint a second name, in one step. The file is copied where there are no links."""
    partial = other.with_name(f".{other.name}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    try:
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        partial.replace(other)
        _sync_folder(other.parent)
    finally:
        partial.unlink(missing_ok=True)


def remove_unfinished(basename: str | Path) -> None:
    """Remove what processes left that were killed while they saved a checkpoint.

    Parameters
    ----------
    basename
        What the names of the files begin with, folders included.
    """
    base = checkpoint_path(basename, "")
    remove_unfinished_in(base.parent, base.name)


def remove_unfinished_in(folder: Path, start: str = "") -> None:
    """Remove unfinished files of processes that are no more, of names that begin with `start`."""
    for path in folder.glob(f".{glob.escape(start)}*.part"):
        writer = path.name.split(".")[-2]
        if not (writer.isdecimal() and _alive(int(writer))):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint, or a file with nothing but the state dict of a model.

    No code in the file is run (``weights_only=True``).

    Parameters
    ----------
    path
        The file.
    device
        Where the tensors of model and optimizer go.

    Returns
    -------
    Checkpoint
        What is in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no checkpoint.
    """
    path = Path(path)
    fields = _fields(path, device)
    if "model_state_dict" not in fields:
        return Checkpoint(fields, iteration=_iteration(path) or 0)
    position = fields.get("position")
    return Checkpoint(
        model=fields["model_state_dict"],
        optimizer=fields.get("optimizer_state_dict"),
        iteration=fields.get("iteration") or _iteration(path) or 0,
        rng=fields.get("rng"),
        position=None if position is None else RunPosition(*position),
        statistics=fields.get("statistics") or {},
        extra=fields.get("extra") or {},
    )


def iteration_of(path: Path) -> int:
    """After how many iterations a checkpoint was written; its tensors are not read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no checkpoint.
    """
    try:
        fields = _fields(path, "cpu", mmap=True)
    except ValueError:  # not every file can be mapped; or this says what is wrong with it
        fields = _fields(path, "cpu")
    return int(fields.get("iteration") or _iteration(path) or 0)


def _fields(path: Path, device: torch.device | str, **how: Any) -> dict[str, Any]:
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*checkpoint*"))[:10]
        there = f"; there is: {', '.join(beside)}" if beside else ""
        raise FileNotFoundError(f"there is no checkpoint {path}{there}")
    try:
        fields = torch.load(path, map_location=device, weights_only=True, **how)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}: {error}). Remove it "
            "to go on from an older one, or give the name of another file."
        ) from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path} holds a {type(fields).__name__}, not a checkpoint")
    if "model_state_dict" in fields and fields.get("format", 0) > _FORMAT:
        raise ValueError(
            f"{path} has the format {fields['format']}, this version reads formats up to "
            f"{_FORMAT}; use the version that wrote it, or a newer one"
        )
    return fields


def checkpoint_path(basename: str | Path, iteration: int | str) -> Path:
    """The file of an iteration: ``<basename>_checkpoint_<iteration>``."""
    return Path(f"{basename}_checkpoint_{iteration}")


def latest_checkpoint(basename: str | Path) -> Path | None:
    """The file with the highest iteration, or None.

    Parameters
    ----------
    basename
        What the names of the files begin with, folders included.

    Returns
    -------
    Path | None
        The file.
    """
    base = checkpoint_path(basename, "")
    found = base.parent.glob(f"{glob.escape(base.name)}*")
    numbered = [(int(n), p) for p in found if (n := p.name.removeprefix(base.name)).isdecimal()]
    return max(numbered)[1] if numbered else None


def _iteration(path: Path) -> int | None:
    match = re.search(r"_(\d+)$", path.name)
    return None if match is None else int(match.group(1))


def rng_states() -> dict[str, torch.Tensor]:
    """The states of torch's random generators, by device."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        for i, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"cuda:{i}"] = state
    return states


def restore_rng(states: dict[str, torch.Tensor]) -> None:
    """Put torch's random generators into these states, as far as the devices are there."""
    for device, state in states.items():
        if device == "cpu":
            torch.set_rng_state(state.cpu())
        elif int(device.split(":")[1]) < torch.cuda.device_count():
            torch.cuda.set_rng_state(state.cpu(), device)
