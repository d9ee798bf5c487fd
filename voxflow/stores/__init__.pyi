from .base import Attrs, Compression, Dataset, Exist, MissingChunks, Mode, StoredDataset
from .cache.arena import set_cache_size
from .create import create_dataset
from .errors import (
    DataMismatch,
    DatasetNotFound,
    MetadataConflict,
    MetadataMissing,
    MissingChunk,
    OutOfBounds,
    OutputMismatch,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnusable,
)
from .grid import chunks_of, default_chunks
from .hdf5 import Hdf5Dataset
from .hdf5_files import close_all
from .memory import ArrayDataset
from .metadata import Geometry, geometry_attrs, read_geometry, write_geometry
from .open import list_datasets, open_attrs, open_dataset
from .place import store_format
from .zarr import ZarrDataset

__all__ = [
    "ArrayDataset",
    "Attrs",
    "Compression",
    "DataMismatch",
    "Dataset",
    "DatasetNotFound",
    "Exist",
    "Geometry",
    "Hdf5Dataset",
    "MetadataConflict",
    "MetadataMissing",
    "MissingChunk",
    "MissingChunks",
    "Mode",
    "OutOfBounds",
    "OutputMismatch",
    "ReadOnly",
    "StoreError",
    "StoreNotFound",
    "StoreUnusable",
    "StoredDataset",
    "ZarrDataset",
    "chunks_of",
    "close_all",
    "create_dataset",
    "default_chunks",
    "geometry_attrs",
    "list_datasets",
    "open_attrs",
    "open_dataset",
    "read_geometry",
    "set_cache_size",
    "store_format",
    "write_geometry",
]
