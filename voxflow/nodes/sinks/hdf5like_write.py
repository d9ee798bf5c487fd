"""The base of writers for file formats that are used like h5py, written for gunpowder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.target import Target, claim_place
from voxflow.stores import DatasetNotFound, Geometry, read_geometry
from voxflow.stores.like_hdf5 import LikeHdf5Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from voxflow.pipeline.data import Array, ArrayKey
    from voxflow.pipeline.geometry import Coordinate
    from voxflow.stores import Compression

__all__ = ["Hdf5LikeWrite"]


class Hdf5LikeWrite(DatasetWrite):
    """Writes every batch that passes to its place in a file that a subclass knows how to open.

    Subclasses override ``_open_file``, and where voxel size and offset are not attributes called
    ``resolution`` and ``offset``, the four methods that get and set them. Formats that voxflow
    knows need none of this: see `Hdf5Write` and `ZarrWrite`.

    Parameters
    ----------
    dataset_names
        The name of the dataset in the file for each array.
    output_dir
        The folder; made if it is not there.
    output_filename
        The file in it.
    compression_type
        What ``create_dataset`` of the file takes as ``compression``.
    dataset_dtypes
        Another dtype for the output of an array: fractions are cut off. Values that it cannot hold
        are an error.

    Raises
    ------
    OutputMismatch
        If a dataset is there that differs.
    """

    def __init__(
        self,
        dataset_names: Mapping[ArrayKey, str],
        output_dir: str | Path = ".",
        output_filename: str = "output.hdf",
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
    ) -> None:
        self.output_dir = output_dir
        self.output_filename = output_filename
        path = os.path.join(output_dir, output_filename)
        super().__init__(dataset_names, path, compression_type, dataset_dtypes)

    def _open_file(self, filename: str) -> Any:
        """Open the file for reading and writing: a context manager, with datasets by name.

        It is made where it is not there, and has ``create_dataset``.
        """
        raise NotImplementedError(f"{self.name()} does not implement _open_file()")

    def _get_voxel_size(self, dataset: Any) -> Coordinate | None:
        """The voxel size of a dataset in world units; None: it is in its attributes."""
        return None

    def _get_offset(self, dataset: Any) -> Coordinate | None:
        """The offset of a dataset in world units; None: it is in its attributes."""
        return None

    def _set_voxel_size(self, dataset: Any, voxel_size: Coordinate) -> None:
        """Write down the voxel size (world units)."""
        dataset.attrs["resolution"] = _plain(voxel_size)

    def _set_offset(self, dataset: Any, offset: Coordinate) -> None:
        """Write down the offset (world units)."""
        dataset.attrs["offset"] = _plain(offset)

    @property
    def parallel(self) -> bool:
        """Nothing is known of such a file, so no two processes write to it at once."""
        return False

    def remove(self) -> None:
        """Delete the datasets that are written, where they are there."""
        for name in self.dataset_names.values():
            if self._existing(name) is not None:
                with self._open_file(os.fspath(self.store)) as file:
                    del file[name]

    def _claim(self, name: str) -> None:
        place = f"{os.path.realpath(self.store)}/{name.strip('/')}"
        claim_place(self, place, f"write {name!r} of {self.store}; give one of them another name")

    def _existing(self, name: str) -> Target | None:
        if not os.path.exists(self.store):
            return None
        try:
            dataset = LikeHdf5Dataset(self, self.store, name, "r+")
        except DatasetNotFound:
            return None
        return Target(dataset, read_geometry(dataset))

    def _make(self, key: ArrayKey, array: Array, block: tuple[int, ...]) -> Target:
        spec, name = self.spec[key], self.dataset_names[key]
        os.makedirs(self.output_dir, exist_ok=True)
        with self._open_file(self.store) as file:
            made = file.create_dataset(
                name=name,
                shape=(*self._lead(key, array), *map(int, spec.region.shape / spec.grid)),
                compression=self.compression_type,
                dtype=self._dtype(key, array),
            )
            self._set_offset(made, spec.region.offset)
            self._set_voxel_size(made, spec.grid)
        geometry = Geometry(spec.grid, spec.region.offset)
        return Target(LikeHdf5Dataset(self, self.store, name, "r+"), geometry)


def _plain(numbers: Coordinate) -> list[float]:
    """Numbers as any format stores them: whole ones as int."""
    return [int(number) if number == int(number) else float(number) for number in numbers]
