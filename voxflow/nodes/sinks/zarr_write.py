"""Arrays into Zarr stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxflow.nodes.sinks.dataset_write import DatasetWrite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from voxflow.nodes.sinks.layout import Factors, Sizes
    from voxflow.pipeline.data import ArrayKey
    from voxflow.stores import Compression
    from voxflow.stores.place import Format


class ZarrWrite(DatasetWrite):
    """Writes every batch that passes to its place in a Zarr store.

    Parameters
    ----------
    dataset_names
        The path in the store for each array.
    output_dir, output_filename
        Folder and name of the store, where `store` is not given.
    compression_type
        None, "gzip", a level of gzip, "zstd", or "blosc"; with what they take as in "zstd:3",
        "blosc:lz4", "blosc:zstd:5".
    store
        A directory, or a zarr store or group.
    dataset_dtypes, chunks, shards, zarr_format, scale
        As for `DatasetWrite`.
    """

    format: ClassVar[Format | None] = "zarr"
    codecs: ClassVar[tuple[str, ...] | None] = ("gzip", "zstd", "blosc")

    def __init__(
        self,
        dataset_names: Mapping[ArrayKey, str],
        output_dir: str | Path = ".",
        output_filename: str = "output.zarr",
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
        store: Any = None,
        *,
        chunks: Sizes = None,
        shards: Sizes = None,
        zarr_format: Literal[2, 3] | None = None,
        scale: Factors = None,
    ) -> None:
        super().__init__(
            dataset_names,
            Path(output_dir) / output_filename if store is None else store,
            compression_type,
            dataset_dtypes,
            chunks=chunks,
            shards=shards,
            zarr_format=zarr_format,
            scale=scale,
        )
