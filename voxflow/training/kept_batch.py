"""A batch in a file, to be looked at later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from voxflow.pipeline.data import Batch

__all__ = ["keep_batch"]


def keep_batch(batch: Batch, path: Path) -> Path:
    """Write the arrays of a batch as one ``.npz``, whole or not at all.

    It holds each array under the name of its key, its place as ``<key>.offset`` and
    ``<key>.voxel_size`` (world units, as text, which is exact), and the batch's ``token``, by which
    it can be made again: ``pipeline.replay(str(file["token"]))``.

    Parameters
    ----------
    batch
        The batch.
    path
        The file. Its folder is made.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    values: dict[str, Any] = {"token": str(getattr(batch, "token", None))}
    for key, array in batch.arrays.items():
        values[str(key)] = array.data
        roi, voxel_size = array.spec.roi, array.spec.voxel_size
        if roi is not None and voxel_size is not None:
            values[f"{key}.offset"] = [str(n) for n in roi.offset]
            values[f"{key}.voxel_size"] = [str(n) for n in voxel_size]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **values)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
