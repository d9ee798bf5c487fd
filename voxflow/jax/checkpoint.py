"""Parameters in files: written whole or not at all."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import jax

from voxflow.pipeline.data import RunPosition


def save_params(path: str | Path, params: Any, position: RunPosition | None = None) -> None:
    """Pickle parameters into a file, in such a way that it is either complete or not there.

    Parameters
    ----------
    path
        The file. An older one is replaced in one step.
    params
        Any tree of arrays; they are stored as numpy arrays.
    position
        The next batch of the run. It stands behind the parameters, where gunpowder does not look.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The leading dot keeps an unfinished file out of the search for checkpoints.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            pickle.dump(jax.device_get(params), file)
            pickle.dump(None if position is None else (position.seed, position.index), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_params(path: str | Path) -> tuple[Any, RunPosition | None]:
    """Read what `save_params` wrote, or gunpowder. Only read files that you trust: it is a pickle.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    with path.open("rb") as file:
        try:
            params = pickle.load(file)
        except Exception as error:
            raise ValueError(
                f"{path} cannot be read as a checkpoint ({type(error).__name__}: {error}). Remove "
                "it to go on from an older one, or give the name of another file."
            ) from error
        try:
            position = pickle.load(file)
        except EOFError:  # gunpowder wrote it
            position = None
    return params, None if position is None else RunPosition(*position)
