"""Arrays from HDF5 files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxflow.nodes.sources.dataset_source import DatasetSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxflow.pipeline.data import ArrayKey, ArraySpec
    from voxflow.stores import MissingChunks
    from voxflow.stores.cache import Cache


class Hdf5Source(DatasetSource):
    """Offers datasets of an HDF5 file as arrays.

    Voxel size and offset are read from the file (see `voxflow.stores.read_geometry`). Nothing in it
    is changed.

    Parameters
    ----------
    filename
        The file. It is opened for reading, once in each process.
    datasets
        The name of the dataset in the file for each array.
    array_specs
        What wins over the file: whatever of `voxel_size`, `roi` and `interpolatable` is given. The
        offset of a `roi` is where the first voxel of the dataset lies. A `dtype` has to be that of
        the file.
    channels_first
        Whether channel axes come before the spatial ones in the file. Arrays always have them
        first. Axes that the file names win over this.
    missing_chunks
        What a chunk means that is not in the file: "error", or "fill" with the fill value.
    default_voxel_size
        What to do where the file states no voxel size: "error", or "ones" for one world unit along
        each axis of the dataset (of the `roi`, if one is given).
    cache
        How much is kept in memory, which all workers share. None: decoded chunks, within a budget
        for all sources together (see `voxflow.stores.set_cache_size`). A number: decoded chunks
        of up to so many bytes; 0: nothing. "ram": everything, read at setup.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    StoreError
        At setup, if a file or dataset is not there, or does not say where it lies; at a request, if
        a chunk is missing.
    ValueError
        At setup, if specs do not fit the file.
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
        cache: Cache = None,
    ) -> None:
        super().__init__(
            filename,
            datasets,
            array_specs,
            channels_first,
            missing_chunks=missing_chunks,
            default_voxel_size=default_voxel_size,
            cache=cache,
        )
        self.filename = filename
