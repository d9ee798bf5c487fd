"""What the stores raise.

::

    StoreError (VoxflowError)
    ├── StoreNotFound       there is no such file                        (also FileNotFoundError)
    ├── DatasetNotFound     no such dataset in the file         (also KeyError and RuntimeError)
    ├── StoreUnusable       not a file of that format, locked, not ours to write (also OSError)
    │   └── DiskFull        no room for what is to be written
    ├── StoreUnreachable    a server that does not answer, or no longer  (also ConnectionError)
    ├── ReadOnly            a write to what was opened for reading      (also PermissionError)
    ├── MissingChunk        a chunk that should be read is not stored            (also OSError)
    ├── OutOfBounds         a region that is not inside the dataset           (also IndexError)
    ├── DataMismatch        data of another shape or dtype than the region's  (also ValueError)
    ├── OutputMismatch      an existing output differs from what is wanted    (also ValueError)
    ├── MetadataMissing     no voxel size found                               (also ValueError)
    └── MetadataConflict    two statements of the geometry contradict         (also ValueError)
"""

from __future__ import annotations

from voxflow.pipeline.engine.errors import VoxflowError

__all__ = [
    "DataMismatch",
    "DatasetNotFound",
    "DiskFull",
    "MetadataConflict",
    "MetadataMissing",
    "MissingChunk",
    "OutOfBounds",
    "OutputMismatch",
    "ReadOnly",
    "StoreError",
    "StoreNotFound",
    "StoreUnreachable",
    "StoreUnusable",
]


class StoreError(VoxflowError):
    """The base of what goes wrong with files and datasets."""


class StoreNotFound(StoreError, FileNotFoundError):
    """There is no file or directory of that name."""


class DatasetNotFound(StoreError, KeyError, RuntimeError):
    """The file has no dataset of that name."""

    def __str__(self) -> str:
        # A KeyError prints the repr of its argument, which spoils a message of several lines.
        return str(self.args[0]) if self.args else ""


class StoreUnusable(StoreError, OSError):
    """The file is there but cannot be used so: another format, locked, or not writable."""


class DiskFull(StoreUnusable):
    """There is no room for what is to be written."""


class StoreUnreachable(StoreError, ConnectionError):
    """A server does not answer, also when it is asked again."""


class ReadOnly(StoreError, PermissionError):
    """Something was to be written that is open for reading only."""


class MissingChunk(StoreError, OSError):
    """A chunk that a region touches is not stored."""


class OutOfBounds(StoreError, IndexError):
    """A region is not inside the dataset."""


class DataMismatch(StoreError, ValueError):
    """Data have another shape or dtype than the region that they are written to."""


class OutputMismatch(StoreError, ValueError):
    """An existing dataset differs from the one that was to be made."""


class MetadataMissing(StoreError, ValueError):
    """The geometry of a dataset is not stated anywhere."""


class MetadataConflict(StoreError, ValueError):
    """Two statements of a dataset's geometry contradict each other."""
