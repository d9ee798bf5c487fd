from .base import Attrs, Compression, Dataset, Exist, MissingChunks, Mode, StoredDataset
from .cache.arena import set_cache_size
from .create import create_dataset, delete_dataset
from .drivers import Level
from .errors import (
    DataMismatch,
    DatasetNotFound,
    DiskFull,
    MetadataConflict,
    MetadataMissing,
    MissingChunk,
    OutOfBounds,
    OutputMismatch,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnreachable,
    StoreUnusable,
)
from .grid import chunks_of, default_chunks
from .hdf5 import Hdf5Dataset
from .hdf5_files import close_all
from .image_pairs import image_planes, ImagePlane, paired_images
from .images import ImagesDataset
from .knossos import KnossosDataset
from .memory import ArrayDataset
from .metadata import Geometry, geometry_attrs, read_geometry, write_geometry
from .n5 import N5Dataset
from .open import list_datasets, list_levels, open_attrs, open_dataset
from .place import Format, store_format
from .precomputed import PrecomputedDataset
from .tiff import TiffDataset
from .zarr import ZarrDataset

__all__ = [
    "ArrayDataset",
    "Attrs",
    "Compression",
    "DataMismatch",
    "Dataset",
    "DatasetNotFound",
    "DiskFull",
    "Exist",
    "Format",
    "Geometry",
    "Hdf5Dataset",
    "ImagePlane",
    "ImagesDataset",
    "KnossosDataset",
    "Level",
    "MetadataConflict",
    "MetadataMissing",
    "MissingChunk",
    "MissingChunks",
    "Mode",
    "N5Dataset",
    "OutOfBounds",
    "OutputMismatch",
    "PrecomputedDataset",
    "ReadOnly",
    "StoreError",
    "StoreNotFound",
    "StoreUnreachable",
    "StoreUnusable",
    "StoredDataset",
    "TiffDataset",
    "ZarrDataset",
    "chunks_of",
    "close_all",
    "create_dataset",
    "default_chunks",
    "delete_dataset",
    "geometry_attrs",
    "image_planes",
    "list_datasets",
    "list_levels",
    "open_attrs",
    "open_dataset",
    "paired_images",
    "read_geometry",
    "set_cache_size",
    "store_format",
    "write_geometry",
]
