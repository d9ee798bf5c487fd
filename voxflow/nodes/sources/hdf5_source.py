"""Arrays from HDF5 files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxflow.nodes.sources.dataset_source import DatasetSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxflow.pipeline.data import ArrayKey, ArraySpec
    from voxflow.stores import MissingChunks


class Hdf5Source(DatasetSource):
    """Offers datasets of an HDF5 file as arrays.

    Parameters
    ----------
    filename
        The file. It is opened for reading, once in each process.
    datasets
        The name of the dataset in the file for each array.
    array_specs, channels_first, missing_chunks, default_voxel_size
        As for `DatasetSource`.
    """

    def __init__(
        self,
        filename: str | Path,
        datasets: Mapping[ArrayKey, str],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        channels_first: bool = True,
        *,
        missing_chunks: MissingChunks = "error",
        default_voxel_size: Literal["error", "ones"] = "error",
    ) -> None:
        super().__init__(
            filename,
            datasets,
            array_specs,
            channels_first,
            missing_chunks=missing_chunks,
            default_voxel_size=default_voxel_size,
        )
        self.filename = filename
