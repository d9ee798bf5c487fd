"""Stacks in TIFF files.

What tells the voxel size, in this order: the JSON text that voxflow writes into the description of
the first page (``resolution``, ``offset``, ``units``), OME's ``PhysicalSizeX``, ImageJ's
``spacing`` and the resolution tags. Pages that lie uncompressed one after the other are mapped; of
others, only the tiles or strips under a region are decoded.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from voxflow.stores.base import (
    Attrs,
    Compression,
    MissingChunks,
    Mode,
    StoredDataset,
    parse_region,
)
from voxflow.stores.drivers import Driver, Level
from voxflow.stores.errors import (
    DatasetNotFound,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnusable,
)
from voxflow.stores.metadata import axis_names, read_geometry
from voxflow.stores.names import not_found
from voxflow.stores.tiff_attrs import described

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds
    from voxflow.stores.metadata import Geometry

__all__ = ["TiffDataset", "create_tiff", "need_tifffile"]


class TiffDataset(StoredDataset):
    """A series of pages of a TIFF file, held by name: opened when needed.

    Parameters
    ----------
    filename
        Of the file.
    path
        ``""`` for the only series, or the number of one; ``"0/1"`` for a level of its pyramid.
    mode
        ``"r"`` or ``"r+"``; only pages that lie uncompressed one after the other can be written.

    Raises
    ------
    ImportError
        If tifffile is not installed, or imagecodecs is not and is needed.
    """

    def __init__(self, filename: str, path: str = "", mode: Mode = "r") -> None:
        super().__init__(mode)
        self._filename, self._path = filename, path
        self._lock = threading.Lock()
        self._opened: tuple[int, Any] = (-1, None)
        with opened(filename) as file:
            series = _series(file, filename, path)
            self._shape = tuple(int(n) for n in series.shape)
            self._dtype = np.dtype(series.dtype).newbyteorder("=")
            self._stored = np.dtype(series.dtype).newbyteorder(file.byteorder)
            self._start = series.dataoffset
            self._attrs = described(file, series)
            pages = series.pages
            if self._start is None:
                _need_codecs(pages[0].keyframe, filename)
            grid = pages[0].chunks if self._start is None else pages[0].shape
        self._grid = (1,) * (len(self._shape) - len(grid)) + tuple(int(n) for n in grid)
        if self._start is None and mode == "r+":
            raise StoreUnusable(
                f"{filename} is compressed or its pages are scattered, so that it cannot be "
                "written to: write to a new file"
            )
        if self._start is not None:
            self._check_complete()

    def _check_complete(self) -> None:
        needed = (self._start or 0) + int(np.prod(self._shape, dtype=int)) * self._dtype.itemsize
        there = os.path.getsize(self._filename)
        if there < needed:
            raise StoreUnusable(
                f"{self._filename} is cut off: it needs {needed} bytes and has {there}. Copy it "
                "again"
            )

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """None: voxels are written one by one."""
        return None

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """Tiles or strips of a page; None if it is mapped."""
        return self._grid if self._start is None else None

    @property
    def attrs(self) -> Attrs:
        """What the file says of itself, which cannot be changed."""
        return cast("Attrs", MappingProxyType(self._attrs))

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None."""
        return ()

    @property
    def uri(self) -> str:
        """The file, for messages."""
        return f"{self._filename}:{self._path}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._filename, self._path, self.mode)

    def look(self, region: Sequence[slice] = ()) -> NDArray[Any] | None:
        """A region that is mapped, where it lies."""
        if self._start is None or self._stored != self._dtype or 0 in self._shape:
            return None
        bounds = parse_region(region, self.shape, self.uri)
        seen = self._mapped()[tuple(slice(begin, end) for begin, end in bounds)]
        return cast("NDArray[Any]", seen.view(np.ndarray))

    def _mapped(self) -> Any:
        if self._opened[1] is None:
            mode = cast("Any", self.mode)
            mapped = np.memmap(self._filename, self._stored, mode, self._start or 0, self._shape)
            self._opened = (-1, mapped)
        return self._opened[1]

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        if 0 in self._shape:
            return np.empty([end - begin for begin, end in bounds], self._dtype)
        if self._start is not None:
            return np.array(self._mapped()[region], self._dtype, order="C")
        try:
            with self._lock, complaints(self._filename):
                return np.array(self._decoder()[region], self._dtype, order="C")
        except StoreError:
            raise
        except ImportError as error:
            raise _no_codec(self._filename, error) from error
        except Exception as error:  # each codec has errors of its own
            raise StoreUnusable(
                f"{self.uri} cannot be decoded; it may be damaged ({error})"
            ) from error

    def _decoder(self) -> Any:
        """The series as zarr's array, of this process."""
        import zarr

        if self._opened[0] != os.getpid():
            file = need_tifffile().TiffFile(self._filename)
            weakref.finalize(self, file.close)
            store = _series(file, self._filename, self._path).aszarr()
            self._opened = (os.getpid(), zarr.open_array(store=store, mode="r"))
        return self._opened[1]

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        if data.size:
            self._mapped()[region] = data

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        if self.mode == "r+" and self._opened[1] is not None:
            self._opened[1].flush()


def need_tifffile() -> Any:
    """The package that reads TIFF.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(
            "TIFF files are read by the package tifffile, which is not installed: pip install "
            '"voxflow[images]"'
        ) from error
    return tifffile


def _need_codecs(page: Any, filename: str) -> None:
    """Raise before anything is read, if a page cannot be decoded here."""
    known = need_tifffile().TIFF
    try:
        _ = known.DECOMPRESSORS[page.compression], known.UNPREDICTORS[page.predictor]
    except KeyError as error:
        raise _no_codec(filename, error) from error


def _no_codec(filename: str, error: Exception) -> ImportError:
    return ImportError(
        f"{filename} is compressed in a way that the package imagecodecs decodes, which is not "
        f'installed: pip install "voxflow[codecs]" ({error.args[0] if error.args else error})'
    )


@contextlib.contextmanager
def opened(filename: str) -> Iterator[Any]:
    """Open a file for reading its structure.

    Raises
    ------
    StoreError
        If it is not there, cannot be read, or is cut off.
    """
    tifffile = need_tifffile()
    if not os.path.isfile(filename):
        raise StoreNotFound(f"there is no file {filename}")
    try:
        with complaints(filename), tifffile.TiffFile(filename) as file:
            yield file
    except PermissionError as error:
        raise ReadOnly(f"{filename} cannot be read: check its permissions") from error
    except tifffile.TiffFileError as error:
        raise StoreUnusable(f"{filename} is not a TIFF file, or is damaged ({error})") from error


_LOSS = re.compile("missing|failed|expected|incomplete|corrupt|out of range|cannot handle")


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self.thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        serious = record.levelno >= logging.ERROR or _LOSS.search(said)
        if serious and threading.get_ident() == self.thread:
            self.said.append(said)


@contextlib.contextmanager
def complaints(filename: str) -> Iterator[None]:
    """Raise what tifffile only logs: pages that are not there, metadata that do not fit.

    Raises
    ------
    StoreUnusable
        If it complained.
    """
    logger, handler = logging.getLogger("tifffile"), _Complaints()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if handler.said:
        raise StoreUnusable(
            f"{filename} is cut off or damaged: {handler.said[0]}. Copy it again, or write it anew"
        )


def _series(file: Any, filename: str, path: str) -> Any:
    number, _, level = path.partition("/")
    every = file.series
    if path == "" and len(every) == 1:
        return every[0]
    try:
        chosen = every[int(number or 0)]
        return chosen.levels[int(level or 0)] if path else _only(every)
    except (ValueError, IndexError):
        raise DatasetNotFound(not_found(filename, path, _names(file))) from None


def _only(every: Sequence[Any]) -> Any:
    if len(every) > 1:
        raise IndexError
    return every[0]


def _names(file: Any) -> list[str]:
    return [""] if len(file.series) == 1 else [str(i) for i in range(len(file.series))]


class _Tiff(Driver):
    def open(
        self, store: str, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> TiffDataset:
        if mode == "r+" and os.path.isfile(store) and not os.access(store, os.W_OK):
            raise ReadOnly(f"{store} cannot be written to: check its permissions")
        return TiffDataset(store, path, mode)

    def names(self, store: str) -> list[str]:
        with opened(store) as file:
            return _names(file)

    def levels(self, store: str, path: str) -> Sequence[Level]:
        with opened(store) as file:
            count = len(_series(file, store, path).levels)
        if count < 2:
            return ()
        paths = [f"{path or 0}/{i}" for i in range(count)]
        return [Level(p, read_geometry(TiffDataset(store, p)).voxel_size) for p in paths]

    def create(self, store: str, path: str, **options: Any) -> None:
        if path:
            raise StoreError(
                f"{store}: a TIFF file holds one array, which has no name; it cannot be called "
                f"{path!r}. Write every array to a file of its own, with the name ''"
            )
        create_tiff(store, **options)

    def delete(self, store: str, path: str) -> None:
        os.remove(store)


def create_tiff(
    filename: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    compression: Compression,
    geometry: Geometry | None,
    attrs: Mapping[str, Any],
    fill_value: Any = 0,
    **_: Any,
) -> None:
    """Make a file with place for all voxels, so that a disk that is full is told at once."""
    from voxflow.stores.zarr import jsonable

    tifffile = need_tifffile()
    if dtype.kind not in "iuf" or len(shape) < 2 or 0 in shape:
        raise StoreError(
            f"{filename}: TIFF holds numbers along two axes or more, not {dtype} of shape {shape}; "
            "cast it, or write Zarr"
        )
    if compression is not None:
        raise StoreError(f"{filename}: TIFF is written without compression, not {compression!r}")
    dims = len(geometry.voxel_size) if geometry else len(shape)
    names = (geometry and geometry.axes) or axis_names(len(shape), dims)
    text = json.dumps({"shape": list(shape), "axis_names": list(names), **jsonable(dict(attrs))})
    os.makedirs(os.path.dirname(os.path.abspath(filename)), exist_ok=True)
    partial = f"{filename}.part"
    try:
        tifffile.imwrite(
            partial,
            shape=shape,
            dtype=dtype.newbyteorder("="),
            description=text,
            metadata=None,
            photometric="minisblack",
            bigtiff=True,
        )
        _reserve(partial, dtype.type(fill_value), shape)
        os.replace(partial, filename)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
        raise


def _reserve(filename: str, fill: Any, shape: tuple[int, ...]) -> None:
    """Take the space on the disk now: what is mapped and not there later ends the process."""
    if hasattr(os, "posix_fallocate"):
        with open(filename, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(filename))
    if fill != 0 or not hasattr(os, "posix_fallocate"):
        TiffDataset(filename, "", "r+").write((), np.full(shape, fill))


driver = _Tiff()
