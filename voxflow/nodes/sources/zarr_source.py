"""Arrays from Zarr stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.sources.dataset_source import DatasetSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxflow.pipeline.data import ArrayKey, ArraySpec
    from voxflow.stores import MissingChunks


class ZarrSource(DatasetSource):
    """Offers arrays of a Zarr store (format 2 or 3, OME-Zarr) as arrays.

    Parameters
    ----------
    store
        A directory, a zip file, or a zarr store or group.
    datasets
        The path in the store for each array.
    array_specs, channels_first, missing_chunks, default_voxel_size
        As for `DatasetSource`.
    filename
        Old name for `store`.

    Raises
    ------
    TypeError
        If both `store` and `filename` are given or neither, or no datasets.
    """

    def __init__(
        self,
        store: Any = None,
        datasets: Mapping[ArrayKey, str] | None = None,
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        channels_first: bool = True,
        filename: str | Path | None = None,
        *,
        missing_chunks: MissingChunks = "error",
        default_voxel_size: Literal["error", "ones"] = "error",
    ) -> None:
        if (store is None) == (filename is None):
            raise TypeError("ZarrSource takes either store= or filename= (its old name)")
        if datasets is None:
            raise TypeError("ZarrSource needs datasets={ArrayKey: path in the store}")
        where = filename if store is None else store
        super().__init__(
            where,
            datasets,
            array_specs,
            channels_first,
            missing_chunks=missing_chunks,
            default_voxel_size=default_voxel_size,
        )
