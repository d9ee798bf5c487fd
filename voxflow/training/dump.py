"""A batch as files: its arrays, and pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.sinks.snapshot_file import write_snapshot
from voxflow.pictures import batch_picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.pictures import Style
    from voxflow.pipeline.data import Batch

__all__ = ["dump_batch"]


def dump_batch(
    batch: Batch,
    folder: str | Path,
    number: int = 0,
    *,
    format: Literal["hdf", "zarr"] = "hdf",
    styles: Mapping[Any, Style] | None = None,
    samples: int = 4,
    sections: int = 5,
) -> list[Path]:
    """Write all of a batch into a file, and draw it.

    Parameters
    ----------
    batch
        Any batch; nothing of it changes.
    folder
        Where the files go; it is made. Those of the same number are replaced.
    number
        Of the batch, for the names: ``batch-<number>.hdf`` has each array and graph by its key, as
        a `Snapshot` has, and ``batch-<number>.png`` shows all arrays with voxels side by side.
    format
        "hdf" or "zarr".
    styles
        How arrays are shown, by their keys: see `batch_picture`.
    samples, sections
        At most how many are drawn.

    Returns
    -------
    list[Path]
        The file and the picture.

    Raises
    ------
    ValueError
        If there is no such format, there is nothing to draw, or what is to be an arrow is none.
    ModuleNotFoundError
        If Pillow or h5py is not installed.
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> spec = gp.ArraySpec(gp.Roi((0, 0), (32, 32)), (4, 4))
    >>> batch = gp.Batch()
    >>> batch[raw] = gp.Array(np.zeros((8, 8), np.float32), spec)
    >>> [file.name for file in dump_batch(batch, tempfile.mkdtemp(), 3)]
    ['batch-3.hdf', 'batch-3.png']
    """
    if format not in ("hdf", "zarr"):
        raise ValueError(f"a batch is written as 'hdf' or 'zarr', not as {format!r}")
    file = Path(folder) / f"batch-{number}.{format}"
    names = {key: str(key) for key, _ in batch.items()}
    write_snapshot(file, batch, names, token=batch.token)
    picture = file.with_suffix(".png")
    batch_picture(batch, picture, styles=styles, samples=samples, sections=sections)
    return [file, picture]
