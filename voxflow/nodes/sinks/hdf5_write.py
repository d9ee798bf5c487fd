"""Arrays into HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxflow.nodes.sinks.dataset_write import DatasetWrite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from voxflow.nodes.sinks.layout import Factors, Sizes
    from voxflow.pipeline.data import ArrayKey
    from voxflow.stores import Compression
    from voxflow.stores.place import Format


class Hdf5Write(DatasetWrite):
    """Writes every batch that passes to its place in an HDF5 file.

    Parameters
    ----------
    dataset_names
        The name of the dataset in the file for each array.
    output_dir
        The folder; made if it is not there.
    output_filename
        The file in it.
    compression_type
        None, "gzip", "szip", "lzf", or a level of gzip.
    dataset_dtypes, chunks, scale
        As for `DatasetWrite`.

    Notes
    -----
    The file is complete when the pipeline is torn down. In between this process can read it; to
    other processes it is locked. After each batch all of it is handed to the operating system: if
    the process is killed between two batches, nothing is lost. HDF5 has no journal: killed while
    a batch is written, the file may be damaged as a whole. Write Zarr where that matters.
    """

    format: ClassVar[Format | None] = "hdf5"
    codecs: ClassVar[tuple[str, ...] | None] = ("gzip", "lzf", "szip")

    def __init__(
        self,
        dataset_names: Mapping[ArrayKey, str],
        output_dir: str | Path = ".",
        output_filename: str = "output.hdf",
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
        *,
        chunks: Sizes = None,
        scale: Factors = None,
    ) -> None:
        super().__init__(
            dataset_names,
            Path(output_dir) / output_filename,
            compression_type,
            dataset_dtypes,
            chunks=chunks,
            scale=scale,
        )
