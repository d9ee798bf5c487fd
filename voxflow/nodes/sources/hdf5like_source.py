"""The base of sources for file formats that are used like h5py, written for gunpowder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.stores.like_hdf5 import LikeHdf5Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.pipeline.data import ArrayKey, ArraySpec
    from voxflow.pipeline.geometry import Coordinate
    from voxflow.stores import StoredDataset

__all__ = ["Hdf5LikeSource"]


class Hdf5LikeSource(DatasetSource):
    """Offers datasets of a file that a subclass knows how to open.

    Subclasses override ``_open_file``, and where voxel size and offset are not where
    `voxflow.stores.read_geometry` looks for them, ``_get_voxel_size`` and ``_get_offset``. Formats
    that voxflow knows need none of this: see `voxflow.stores.open_dataset`.

    Parameters
    ----------
    filename
        The file, as ``_open_file`` takes it.
    datasets
        The name of the dataset in the file for each array.
    array_specs
        What wins over the file: whatever of `voxel_size`, `roi` and `interpolatable` is given.
    channels_first
        Whether channel axes come before the spatial ones in the file.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    StoreError
        At setup, if a dataset is not there, or does not say where it lies.
    """

    def __init__(
        self,
        filename: Any,
        datasets: Mapping[ArrayKey, str],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        channels_first: bool = True,
    ) -> None:
        super().__init__(filename, datasets, array_specs, channels_first)
        self.filename = filename

    def _open_file(self, filename: Any) -> Any:
        """Open the file for reading: a context manager, whose datasets are looked up by name."""
        raise NotImplementedError(f"{self.name()} does not implement _open_file()")

    def _get_voxel_size(self, dataset: Any) -> Coordinate | None:
        """The voxel size of a dataset in world units; None: it is in its attributes."""
        return None

    def _get_offset(self, dataset: Any) -> Coordinate | None:
        """The offset of a dataset in world units; None: it is in its attributes."""
        return None

    def _dataset(self, path: str) -> StoredDataset:
        return LikeHdf5Dataset(self, self.filename, path)
