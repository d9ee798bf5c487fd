"""KNOSSOS data sets: cubes of 128³ voxels, each a file of raw bytes.

Source: https://github.com/knossos-project/knossos, "Dataset format". ``knossos.conf`` states
``boundary`` (voxels) and ``scale`` (nm) along x, y, z, the cubes lie in
``mag1/x0000/y0000/z0000/NAME_mag1_x0000_y0000_z0000.raw`` with x changing fastest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import Attrs, MissingChunks, Mode, StoredDataset, missing_chunk
from voxflow.stores.drivers import Driver, Level
from voxflow.stores.errors import DatasetNotFound, ReadOnly, StoreNotFound, StoreUnusable
from voxflow.stores.grid import Index, chunks_of, copy_chunk
from voxflow.stores.metadata import Geometry, geometry_attrs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["KnossosDataset"]

_EDGE = 128
_CONF = "knossos.conf"


@dataclass(frozen=True)
class _Conf:
    """What ``knossos.conf`` says, in our order of axes."""

    name: str
    shape: tuple[int, ...]
    voxel_size: Coordinate


class KnossosDataset(StoredDataset):
    """One magnification of a KNOSSOS data set, for reading: uint8, axes z, y, x.

    Parameters
    ----------
    folder
        With ``knossos.conf`` and ``mag1``, or the path of the file itself.
    path
        ``"mag2"`` for the second magnification, ``""`` for the first.
    missing_chunks
        What a cube means that is not there: ``"error"``, or ``"fill"`` for 0.
    """

    def __init__(
        self, folder: str, path: str = "", missing_chunks: MissingChunks = "error"
    ) -> None:
        super().__init__("r")
        self._folder = os.path.dirname(folder) if folder.endswith(".conf") else folder
        self._mag, self._missing = path or "mag1", missing_chunks
        self._conf = _conf_of(self._folder, self._mag)
        self._shape, self._dtype = self._conf.shape, np.dtype(np.uint8)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """A cube."""
        return (_EDGE,) * 3

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """A cube."""
        return (_EDGE,) * 3

    @property
    def attrs(self) -> Attrs:
        """Where the data lie: at the origin."""
        size = self._conf.voxel_size
        units = ("nm",) * 3
        geometry = Geometry(size, Coordinate((0,) * 3), units, ("z", "y", "x"))
        return cast("Attrs", MappingProxyType(geometry_attrs(geometry)))

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None."""
        return ()

    @property
    def uri(self) -> str:
        """Folder and magnification, for messages."""
        return f"{self._folder}:{self._mag}"

    @property
    def concurrent(self) -> bool:
        """Several threads read at the same time."""
        return True

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        out = np.zeros([end - begin for begin, end in bounds], np.uint8)
        touched, missing = list(chunks_of(bounds, (_EDGE,) * 3)), []
        for index in touched:
            cube = self._cube(index)
            if cube is None:
                missing.append(index)
            else:
                copy_chunk(cube, index, (_EDGE,) * 3, bounds, out)
        if missing and self._missing == "error":
            key = self._file(missing[0])
            raise missing_chunk(
                self,
                bounds,
                missing,
                len(touched),
                grid=(_EDGE,) * 3,
                fill=0,
                key=key,
                kind="cube",
            )
        return out

    def _file(self, index: Index) -> str:
        z, y, x = index
        folders = f"x{x:04d}/y{y:04d}/z{z:04d}"
        file = f"{self._conf.name}_{self._mag}_x{x:04d}_y{y:04d}_z{z:04d}.raw"
        return os.path.join(self._folder, self._mag, folders, file)

    def _cube(self, index: Index) -> NDArray[Any] | None:
        file = self._file(index)
        try:
            size = os.path.getsize(file)
        except FileNotFoundError:
            return None
        if size != _EDGE**3:
            raise StoreUnusable(
                f"{file} has {size} bytes, a cube of {_EDGE}³ voxels of uint8 has {_EDGE**3}: it "
                "is cut off, or of another kind. Copy it again"
            )
        return np.memmap(file, np.uint8, "r", shape=(_EDGE,) * 3)

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        raise NotImplementedError("KNOSSOS data sets are for reading only")


def _conf_of(folder: str, mag: str) -> _Conf:
    """What is said of a magnification: by a file of its own, else by that of the whole."""
    if not os.path.isdir(folder):
        raise StoreNotFound(f"there is no folder {folder}")
    own = os.path.join(folder, mag, _CONF)
    if not os.path.isdir(os.path.join(folder, mag)):
        raise DatasetNotFound(
            f"there is no magnification {mag!r} in {folder}, which has: {', '.join(_mags(folder))}"
        )
    if os.path.exists(own):
        found = _parse(own)
        suffix = f"_{mag}"
        name = found.name[: -len(suffix)] if found.name.endswith(suffix) else found.name
        return _Conf(name, found.shape, found.voxel_size)
    found = _parse(os.path.join(folder, _CONF))
    factor = int(mag[3:])
    return _Conf(
        re.sub(r"_mag\d+$", "", found.name),
        tuple(-(-n // factor) for n in found.shape),
        found.voxel_size * factor,
    )


def _parse(file: str) -> _Conf:
    """Read ``knossos.conf``.

    Raises
    ------
    StoreNotFound
        If it is not there.
    StoreUnusable
        If it lacks something.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        raise StoreNotFound(f"there is no file {file}") from None
    name = re.search(r'experiment\s+name\s+"(.*?)"', text)
    numbers = dict(re.findall(r"((?:boundary|scale)\s+[xyz])\s+([-+.\deE]+)\s*;", text))
    numbers = {" ".join(key.split()): value for key, value in numbers.items()}
    try:
        shape = tuple(int(numbers[f"boundary {axis}"]) for axis in "zyx")
        size = Coordinate(float(numbers[f"scale {axis}"]) for axis in "zyx")
    except (KeyError, ValueError) as error:
        raise StoreUnusable(
            f"{file} does not say {error}, in the form 'boundary x 512;'"
        ) from error
    if name is None:
        raise StoreUnusable(f"{file} does not say the experiment name")
    return _Conf(name[1], shape, size)


def _mags(folder: str) -> list[str]:
    """The magnifications that are there, finest first."""
    found = [name for name in os.listdir(folder) if re.fullmatch(r"mag\d+", name)]
    return sorted(found, key=lambda name: int(name[3:]))


class _Knossos(Driver):
    def open(
        self, store: str, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> KnossosDataset:
        if mode == "r+":
            raise ReadOnly(f"{store}: KNOSSOS data sets are only read; write to another format")
        return KnossosDataset(store, path, missing)

    def names(self, store: str) -> list[str]:
        return _mags(os.path.dirname(store) if store.endswith(".conf") else store)

    def levels(self, store: str, path: str) -> Sequence[Level]:
        folder = os.path.dirname(store) if store.endswith(".conf") else store
        return [Level(mag, _conf_of(folder, mag).voxel_size) for mag in _mags(folder)]


driver = _Knossos()
