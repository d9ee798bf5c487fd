"""Arrays from KLB files."""

from __future__ import annotations

import glob
import importlib
import os
from typing import Any, ClassVar

import numpy as np

from voxflow.nodes.sources.kinds import guess_interpolatable
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi

Header = dict[str, Any]


class KlbSource(BatchProvider):
    """Offers an image in the Keller Lab Block format, read by the package pyklb.

    Leading axes of a single entry are left out.

    Parameters
    ----------
    filename
        A file, or a pattern such as ``"stack.*.klb"``: all files that match, in the order of their
        names, along a new first axis with voxels of 1.
    array
        The name under which the image is offered.
    array_spec
        What wins over the file: whatever of `voxel_size`, `roi` and `interpolatable` is given. The
        offset of a `roi` is where the first voxel lies. A `dtype` has to be that of the file.
    num_threads
        How many threads decode blocks.

    Raises
    ------
    TypeError
        If `array` is no `ArrayKey`.
    ImportError
        At setup, if pyklb is not installed.
    FileNotFoundError
        At setup, if no file matches.
    ValueError
        At setup, if files differ from each other, or from the spec.
    """

    takes_no_input: ClassVar[bool] = True

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset({"num_threads"})

    def __init__(
        self,
        filename: str | os.PathLike[str],
        array: ArrayKey,
        array_spec: ArraySpec | None = None,
        num_threads: int = 1,
    ) -> None:
        if not isinstance(array, ArrayKey):
            raise TypeError(f"KlbSource offers an array under an ArrayKey, got {array!r}")
        self.filename = filename
        self.array = array
        self.array_spec = array_spec
        self.num_threads = num_threads

    def name(self) -> str:
        """The class and the file."""
        return f"{type(self).__name__}[{os.fspath(self.filename)}]"

    def setup(self) -> None:
        """Read the headers and say where the image lies."""
        klb = _pyklb()
        pattern = os.fspath(self.filename)
        # A file whose name is also a pattern is meant as it stands.
        self._files = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
        if not self._files:
            raise FileNotFoundError(f"{self.name()}: there is no file {pattern!r}")
        headers = [klb.readheader(file) for file in self._files]
        self._check_alike(headers)
        self.provides(self.array, self._spec_of(headers[0]))

    def _check_alike(self, headers: list[Header]) -> None:
        for name in ("imagesize_tczyx", "pixelspacing_tczyx", "datatype"):
            for file, header in zip(self._files, headers, strict=True):
                if not np.array_equal(header[name], headers[0][name]):
                    raise ValueError(
                        f"{self.name()}: files are alike, but {name} of {file} is {header[name]}, "
                        f"that of {self._files[0]} is {headers[0][name]}"
                    )

    def _spec_of(self, header: Header) -> ArraySpec:
        size = [int(n) for n in header["imagesize_tczyx"]]
        spacing = list(header["pixelspacing_tczyx"])
        while len(size) > 1 and size[0] == 1:
            size, spacing = size[1:], spacing[1:]
        if len(self._files) > 1:
            size, spacing = [len(self._files), *size], [1, *spacing]
        spec = ArraySpec() if self.array_spec is None else self.array_spec.copy()
        dtype = np.dtype(header["datatype"])
        if spec.dtype is not None and spec.dtype != dtype:
            raise ValueError(
                f"{self.name()}: the spec says {spec.dtype}, the file is {dtype}; cast it "
                "downstream with AsType"
            )
        spec.dtype = dtype
        if spec.voxel_size is None:
            spec.voxel_size = Coordinate(spacing)
        shape = Coordinate(size) * spec.voxel_size
        if spec.roi is None:
            spec.roi = Roi((0,) * len(size), shape)
        elif spec.roi.shape != shape:
            raise ValueError(
                f"{self.name()}: {size} voxels of {spec.voxel_size} cover {shape} (world units), "
                f"the spec says {spec.roi}"
            )
        if spec.interpolatable is None:
            spec.interpolatable = guess_interpolatable(dtype)
        return spec

    def provide(self, request: BatchRequest) -> Batch:
        """Read the region that is asked for."""
        batch = Batch()
        if self.array not in request:
            return batch
        spec = self.spec[self.array].copy()
        own = (request[self.array].region - spec.region.offset) / spec.grid
        spec.roi = request[self.array].roi
        begin = [int(b) for b in own.begin]
        end = [int(e) for e in own.end]
        if len(self._files) == 1:
            data = self._voxels(self._files[0], begin, end)
        else:
            chosen = self._files[begin[0] : end[0]]
            data = np.stack([self._voxels(file, begin[1:], end[1:]) for file in chosen])
        batch[self.array] = Array(data, spec)
        return batch

    def _voxels(self, file: str, begin: list[int], end: list[int]) -> np.ndarray[Any, Any]:
        last = [e - 1 for e in end]
        missing = [0] * (5 - len(begin))
        read = _pyklb().readroi(
            file,
            np.array([*missing, *begin], np.uint32),
            np.array([*missing, *last], np.uint32),
            numthreads=self.num_threads,
        )
        # pyklb drops leading axes of one entry.
        voxels: np.ndarray[Any, Any] = np.reshape(
            read, [e - b for b, e in zip(begin, end, strict=True)]
        )
        return voxels


def _pyklb() -> Any:
    try:
        return importlib.import_module("pyklb")
    except ImportError as error:
        raise ImportError(
            "KlbSource reads files with the package pyklb, which is not installed: build it as "
            "https://github.com/bhoeckendorf/pyklb says, or convert the files to Zarr and use "
            "ZarrSource"
        ) from error
