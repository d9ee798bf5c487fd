"""Arrays from DVID servers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from voxflow.nodes.sources.kinds import guess_interpolatable
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Mapping


class DvidSource(BatchProvider):
    """Offers data instances of a DVID server as arrays, asked for through the package dvision.

    Parameters
    ----------
    hostname, port
        Where the server answers.
    uuid
        The node of its repository.
    datasets
        The data instance for each array.
    masks
        The region of interest of the server for each array: uint8, 1 inside. Voxels and region
        are those of the datasets.
    array_specs
        What wins over the server: whatever of `voxel_size`, `roi` and `interpolatable` is given.
        The offset of a `roi` is where voxel 0 of the server lies plus the offset of its data. A
        `dtype` has to be that of the server.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    ImportError
        At setup, if dvision is not installed.
    ValueError
        At setup, if the server does not say where an instance lies, or it does not fit the spec;
        or if there are masks, and datasets whose voxels differ, or none.
    """

    takes_no_input: ClassVar[bool] = True

    def __init__(
        self,
        hostname: str,
        port: int,
        uuid: str,
        datasets: Mapping[ArrayKey, str],
        masks: Mapping[ArrayKey, str] | None = None,
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
    ) -> None:
        self.hostname = hostname
        self.port = port
        self.uuid = uuid
        self.datasets = dict(datasets)
        self.masks = dict(masks or {})
        self.array_specs = dict(array_specs or {})
        for key in (*self.datasets, *self.masks):
            if not isinstance(key, ArrayKey):
                raise TypeError(f"DvidSource offers arrays under ArrayKeys, got {key!r}")

    def name(self) -> str:
        """The class and the server."""
        return f"{type(self).__name__}[{self.hostname}:{self.port}/{self.uuid}]"

    def setup(self) -> None:
        """Ask the server where the data lie."""
        self._first: dict[ArrayKey, Coordinate] = {}
        specs = {key: self._spec_of(key) for key in self.datasets}
        for key, spec in specs.items():
            self.provides(key, spec)
        if self.masks:
            common = self._common(specs)
            for key in self.masks:
                spec = self.array_specs[key].copy() if key in self.array_specs else ArraySpec()
                spec.voxel_size = spec.voxel_size or common.grid
                spec.roi = spec.roi or common.region
                spec.dtype, spec.interpolatable = np.dtype(np.uint8), False
                self._first[key] = spec.region.begin / spec.grid
                self.provides(key, spec)

    def _spec_of(self, key: ArrayKey) -> ArraySpec:
        extended = self._instance(key).info["Extended"]
        if extended.get("MinPoint") is None or extended.get("MaxPoint") is None:
            raise ValueError(
                f"{self.name()}: the server does not say where {self.datasets[key]!r} lies; is "
                "there anything in it?"
            )
        # The server counts x first, and its last voxel is inside.
        first, last = (Coordinate(extended[end][::-1]) for end in ("MinPoint", "MaxPoint"))
        dtype = np.dtype(extended["Values"][0]["DataType"])
        spec = self.array_specs[key].copy() if key in self.array_specs else ArraySpec()
        if spec.dtype is not None and spec.dtype != dtype:
            raise ValueError(
                f"{self.name()}: the spec of {key} says {spec.dtype}, the server {dtype}; cast it "
                "downstream with AsType"
            )
        spec.dtype = dtype
        spec.voxel_size = spec.voxel_size or Coordinate(extended["VoxelSize"][::-1])
        shape = (last - first + 1) * spec.voxel_size
        if spec.roi is None:
            spec.roi = Roi(first * spec.voxel_size, shape)
        elif spec.roi.shape != shape:
            raise ValueError(
                f"{self.name()}: {self.datasets[key]!r} covers {shape} (world units), the spec of "
                f"{key} says {spec.roi}"
            )
        if spec.interpolatable is None:
            spec.interpolatable = guess_interpolatable(dtype)
        self._first[key] = first
        return spec

    def _common(self, specs: Mapping[ArrayKey, ArraySpec]) -> ArraySpec:
        """The voxels and the region that masks share with the datasets."""
        sizes = {spec.grid for spec in specs.values()}
        if len(sizes) != 1:
            raise ValueError(
                f"{self.name()}: masks have the voxels of the datasets, and those are of "
                f"{', '.join(map(str, sizes)) or 'nothing: there are none'}"
            )
        roi, *others = (spec.region for spec in specs.values())
        for other in others:
            roi = roi.union(other)
        return ArraySpec(roi, sizes.pop())

    def provide(self, request: BatchRequest) -> Batch:
        """Ask the server for what is asked for."""
        batch = Batch()
        for key, asked in request.array_specs.items():
            spec = self.spec[key].copy()
            own = (asked.region - spec.region.offset) / spec.grid + self._first[key]
            spec.roi = asked.roi
            read = np.asarray(self._instance(key)[own.to_slices()])
            batch[key] = Array(read.astype(spec.dtype, copy=False), spec)
        return batch

    def _instance(self, key: ArrayKey) -> Any:
        dvision = _dvision()
        if key in self.datasets:
            kind, name = dvision.DVIDDataInstance, self.datasets[key]
        else:
            kind, name = dvision.DVIDRegionOfInterest, self.masks[key]
        return kind(self.hostname, self.port, self.uuid, name)


def _dvision() -> Any:
    try:
        return importlib.import_module("dvision")
    except ImportError as error:
        raise ImportError(
            "DvidSource asks the server through the package dvision, which is not installed: "
            "pip install git+https://github.com/TuragaLab/dvision"
        ) from error
