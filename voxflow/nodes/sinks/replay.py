"""The batch of a snapshot, made again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.engine import Pipeline, build
from voxflow.stores import open_attrs

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch

__all__ = ["replay"]


def replay(snapshot: str | Path, pipeline: Any) -> Batch:
    """Make the batch of a snapshot again, bit for bit, in this process.

    No node counts it, learns from it or records it, and no worker makes it: breakpoints stop.
    Nothing but the token of the snapshot is read, so what a network made of the batch is not
    in it, unless the pipeline holds the network.

    Parameters
    ----------
    snapshot
        A file of `Snapshot` or `voxflow.training.Snapshots`; or an ``.npz`` that a session kept of
        a batch whose loss was not finite.
    pipeline
        Nodes and parameters have to be those that made the batch. One that is not set up is set up
        meanwhile.

    Raises
    ------
    ValueError
        If the file has no token, or none that can be read.
    StoreError
        If there is no such file.
    PipelineRequestError
        If the pipeline cannot serve what was asked for.

    Examples
    --------
    >>> import tempfile
    >>> import voxflow as vf
    >>> raw = vf.ArrayKey("RAW")
    >>> image = np.random.default_rng(0).random((32, 32))
    >>> source = vf.ArraySource(raw, image, spec=vf.ArraySpec(voxel_size=(4, 4)))
    >>> folder = tempfile.mkdtemp()
    >>> pipeline = source + vf.RandomLocation() + vf.Snapshot({raw: "raw"}, folder)
    >>> request = vf.BatchRequest()
    >>> request.add(raw, (20, 20))
    >>> with vf.build(pipeline, seed=1):
    ...     first = pipeline.request_batch(request)
    >>> again = replay(f"{folder}/1.zarr", pipeline)
    >>> np.array_equal(again[raw].data, first[raw].data)
    True
    """
    token = _token(Path(snapshot))
    whole = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
    if whole.initialized:
        return whole.replay(token)
    with build(whole):
        return whole.replay(token)


def _token(path: Path) -> str:
    if path.suffix == ".npz":
        with np.load(path) as kept:
            found = str(kept["token"]) if "token" in kept else None
    else:
        found = open_attrs(path).get("replay_token")
    if not isinstance(found, str):
        raise ValueError(
            f"{path} has no replay_token, by which its batch could be made again; Snapshot and "
            "voxflow.training.Snapshots write one"
        )
    return found
