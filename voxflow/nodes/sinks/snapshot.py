"""Batches into files, to be looked at."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxflow.nodes.sinks.sink import Sink
from voxflow.nodes.sinks.snapshot_file import write_snapshot
from voxflow.pipeline.data import ArrayKey, Batch, BatchRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import DTypeLike

    from voxflow.pipeline.data import Key
    from voxflow.stores import Compression

logger = logging.getLogger(__name__)


class Recording(NamedTuple):
    """The number of a batch, and whether it is written."""

    number: int
    wanted: bool


class Snapshot(Sink):
    """Writes a batch to a file of its own, every so many batches.

    A file holds each array with its attributes, its `offset` and its voxel size (as `resolution`
    and `voxel_size`), each graph as ``<name>-ids``, ``<name>-locations`` and ``<name>-edges``, and
    in the attributes of its root the `loss`, the `iteration`, and the `replay_token` of the batch.
    It appears under its name when it is complete.

    Parameters
    ----------
    dataset_names
        The path in the file for each array and graph.
    output_dir
        The folder; made if it is not there.
    output_filename
        The file, with ``{id}`` for the number of the batch (8 digits, from 1) and ``{iteration}``
        for the iteration of the training, or the number where there is none. Its suffix tells the
        format: ``.zarr``, else HDF5.
    every
        After how many batches one is written; the first one is.
    additional_request
        What is asked for in addition, only for batches that are written.
    compression_type
        None, "gzip", a level of gzip, or what else the format knows.
    dataset_dtypes
        Another dtype for an array in the file: fractions are cut off.
    store_value_range
        Whether each dataset gets the attribute `value_range`.

    Raises
    ------
    ValueError
        If the additional request has a key without a name.
    KeyError
        At a batch that is written: if something with a name is not asked for.
    """

    def __init__(
        self,
        dataset_names: Mapping[Key, str],
        output_dir: str | Path = "snapshots",
        output_filename: str = "{iteration}.zarr",
        every: int = 1,
        additional_request: BatchRequest | None = None,
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
        store_value_range: bool = False,
    ) -> None:
        self.dataset_names = dict(dataset_names)
        self.output_dir = Path(output_dir)
        self.output_filename = output_filename
        self.every = max(1, every)
        self.additional_request = (additional_request or BatchRequest()).clone()
        self.compression_type = compression_type
        self.dataset_dtypes = dict(dataset_dtypes or {})
        self.store_value_range = store_value_range
        for key in self.additional_request:
            if key not in self.dataset_names:
                raise ValueError(
                    f"additional_request asks for {key}, which has no name in dataset_names"
                )

    def write_if(self, batch: Batch) -> bool:
        """Whether a batch whose turn it is is written; override to choose."""
        return True

    def setup(self) -> None:
        """Check what is asked for in addition, and start to count."""
        for key in self.additional_request:
            self.spec[key]  # says so if it is not provided
        self._lock = threading.Lock()
        self._count = 0

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Recording:
        """Count the batch."""
        with self._lock:
            number = self._count
            if not request.planning:
                self._count += 1
        return Recording(number + 1, number % self.every == 0)

    def prepare(self, request: BatchRequest) -> BatchRequest | None:
        """Ask for more, where the batch is written."""
        if not self.plan(request).wanted:
            return None
        needed = request.clone()
        for key, spec in self.additional_request.items():
            if key not in needed:
                needed[key] = spec
        for key in self.dataset_names:
            if key not in needed:
                raise KeyError(
                    f"{self.name()} is to write {key}, which is neither in the request nor in "
                    "additional_request"
                )
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Write."""
        recording: Recording = self.plan(request)
        if not recording.wanted or not self.write_if(batch):
            return
        iteration = recording.number if batch.iteration is None else batch.iteration
        name = self.output_filename.format(id=f"{recording.number:08d}", iteration=iteration)
        path = self.output_dir / name
        logger.info("%s writes %s", self.name(), path)
        write_snapshot(
            path,
            batch,
            self.dataset_names,
            token=request.token,
            compression=self.compression_type,
            dtypes=self.dataset_dtypes,
            value_range=self.store_value_range,
        )

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())
