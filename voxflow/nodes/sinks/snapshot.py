"""Batches into files, to be looked at."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from voxflow.nodes.sinks.layout import parse_names
from voxflow.nodes.sinks.sink import Sink
from voxflow.nodes.sinks.snapshot_file import write_snapshot
from voxflow.pipeline.data import ArrayKey, Batch, BatchRequest, GraphKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from voxflow.pipeline.data import Key
    from voxflow.stores import Compression

logger = logging.getLogger(__name__)


class Recording(NamedTuple):
    """The number of a batch, from 1, and whether its turn to be written has come."""

    number: int
    wanted: bool


class Snapshot(Sink):
    """Writes a batch to a file of its own, every so many batches.

    A file holds each array with its attributes, its `offset` and its voxel size (as `resolution`
    and `voxel_size`), each graph as ``<name>-ids``, ``<name>-locations`` and ``<name>-edges``, and
    in the attributes of its root the `loss`, the `iteration`, and the `replay_token` of the batch.
    It appears under its name when it is complete.

    The number of a batch is its number in the run, so that a resumed run goes on as it would have
    without a break. Where one batch of the run passes in several parts (in a `Scan`), and for
    requests with a seed of their own, the node counts. A replayed batch is made as it was, and
    neither counted nor written.

    Parameters
    ----------
    dataset_names
        The path in the file for each array and graph.
    output_dir
        The folder; made if it is not there.
    output_filename
        The file, with ``{id}`` for the number of the batch (8 digits, from 1) and ``{iteration}``
        for the iteration of the training, or the number where there is none. Its suffix tells the
        format: ``.zarr``, else HDF5. A file that is there is replaced.
    every
        After how many batches one is written; the first one is.
    additional_request
        What is asked for in addition, only for batches that are written.
    compression_type
        None, "gzip", a level of gzip, or what else the format knows.
    dataset_dtypes
        Another dtype for an array in the file: fractions are cut off.
    store_value_range
        Whether each dataset gets the attribute `value_range`: its least and its greatest value.

    Raises
    ------
    TypeError
        If something other than an array or a graph has a name.
    ValueError
        If the additional request has a key without a name, two keys have one name, or
        `output_filename` has fields other than these two.
    KeyError
        At setup, if something with a name is not provided; at a batch that is written, if it is not
        asked for.
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
        self.dataset_names = parse_names(dataset_names, ArrayKey, GraphKey)
        self.output_dir = Path(output_dir)
        self.output_filename = output_filename
        self.every = max(1, every)
        self.additional_request = (additional_request or BatchRequest()).clone()
        self.compression_type = compression_type
        self.dataset_dtypes = {key: np.dtype(t) for key, t in (dataset_dtypes or {}).items()}
        self.store_value_range = store_value_range
        self._path(Recording(1, True), 1)
        for key in self.additional_request:
            if key not in self.dataset_names:
                raise ValueError(
                    f"additional_request asks for {key}, which has no name in dataset_names"
                )

    def write_if(self, batch: Batch) -> bool:
        """Whether a batch whose turn it is is written; override to choose."""
        return True

    def setup(self) -> None:
        """Check that everything is provided, and start to count."""
        for key in self.dataset_names:
            self.spec[key]  # says so if it is not
        self._counter = _Counter()

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Recording:
        """Number the batch."""
        number = self._counter.number(request)
        return Recording(number, (number - 1) % self.every == 0)

    def prepare(self, request: BatchRequest) -> BatchRequest | None:
        """Ask for more, where the batch is written."""
        wanted = self.plan(request).wanted
        # When planning, nobody knows yet whose turn it will be: it has to work for all.
        if not wanted and not request.planning:
            return None
        needed = request.clone()
        for key, spec in self.additional_request.items():
            if key not in needed:
                needed[key] = spec
        missing = [str(k) for k in self.dataset_names if k not in needed or needed[k].placeholder]
        if missing and wanted and not request.replayed:
            raise KeyError(
                f"{self.name()} is to write {', '.join(missing)}, which is neither in the request "
                "nor in additional_request; ask for it, or leave it out of dataset_names"
            )
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Write."""
        recording: Recording = self.plan(request)
        if not recording.wanted or request.replayed or not self.write_if(batch):
            return
        path = self._path(recording, batch.iteration)
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

    def _path(self, recording: Recording, iteration: int | None) -> Path:
        number = recording.number
        fields = {"id": f"{number:08d}", "iteration": number if iteration is None else iteration}
        try:
            return self.output_dir / self.output_filename.format(**fields)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"output_filename={self.output_filename!r} may have the fields {{id}} and "
                f"{{iteration}}, and no others ({type(error).__name__}: {error})"
            ) from None


class _Counter:
    """Numbers batches; copies of the node share it."""

    def __init__(self, last: int = 0) -> None:
        self._lock = threading.Lock()
        self._last = last

    def number(self, request: BatchRequest) -> int:
        """The number of a batch; while planning, that of the next one."""
        position = request.position
        with self._lock:
            number = self._last + 1
            if position is not None and not position.path:
                number = position.index + 1
            if not request.planning and not request.replayed:
                self._last = number
            return number

    def __reduce__(self) -> tuple[Any, ...]:
        return _Counter, (self._last,)
