"""Folders of images, each a section, and single images.

Sections are in the natural order of their names: ``s9.png`` comes before ``s10.png``.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from voxflow.stores.base import (
    Attrs,
    Compression,
    MissingChunks,
    Mode,
    StoredDataset,
    missing_chunk,
    wrong_compression,
)
from voxflow.stores.drivers import Driver
from voxflow.stores.errors import (
    DatasetNotFound,
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreNotFound,
    StoreUnusable,
)
from voxflow.stores.image_files import describe_image, is_tiff, read_image
from voxflow.stores.metadata import Geometry, geometry_attrs
from voxflow.stores.names import not_found
from voxflow.stores.place import IMAGE_SUFFIXES
from voxflow.stores.sections import STACK, SectionsDataset, create_sections
from voxflow.stores.tiff import TiffDataset, create_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["ImagesDataset", "natural_order"]

_OF_STACK = "stack"  # what the first section says of the whole


class ImagesDataset(StoredDataset):
    """Images of one size as the sections of a stack.

    Parameters
    ----------
    where
        The folder or pattern, for messages.
    files
        One for each section; None for one that is missing.
    mode
        ``"r"`` or ``"r+"``: only sections that are uncompressed TIFF can be written.

    Raises
    ------
    StoreUnusable
        If an image is of another size or type than the first, or cannot be read.
    """

    def __init__(self, where: str, files: Sequence[str | None], mode: Mode = "r") -> None:
        super().__init__(mode)
        self._where, self._files = where, tuple(files)
        there = [file for file in self._files if file is not None]
        self._page, self._dtype, first = describe_image(there[0])
        for file in there[1:]:
            page, dtype, _ = describe_image(file)
            if (page, dtype) != (self._page, self._dtype):
                raise StoreUnusable(
                    f"{file} is of shape {page}, {dtype}, but {there[0]} is of shape "
                    f"{self._page}, {self._dtype}: images of a stack are alike. Take this one out, "
                    "or name those that belong together by a pattern such as 'folder/raw_*.png'"
                )
        self._shape = (len(self._files), *self._page)
        names = ["z", "y", "x", "c^"][: len(self._shape)]
        self._attrs: dict[str, Any] = first.get(_OF_STACK) or {"axis_names": names}

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """A section."""
        return (1, *self._page)

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """A section."""
        return (1, *self._page)

    @property
    def attrs(self) -> Attrs:
        """What the sections say of the stack, which cannot be changed."""
        return cast("Attrs", MappingProxyType(self._attrs))

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None."""
        return ()

    @property
    def uri(self) -> str:
        """Folder or pattern, for messages."""
        return self._where

    @property
    def concurrent(self) -> bool:
        """Several threads read at the same time."""
        return True

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        out = np.zeros([end - begin for begin, end in bounds], self._dtype)
        if out.size:
            for place, number in enumerate(range(*bounds[0])):
                file = self._files[number]
                if file is not None:
                    out[place] = self._section(file, number, bounds, region[1:])
        return out

    def _section(
        self, file: str, number: int, bounds: Bounds, region: tuple[slice, ...]
    ) -> NDArray[Any]:
        try:
            return read_image(file, region)
        except FileNotFoundError:
            index = (number, *(0,) * len(self._page))
            total = bounds[0][1] - bounds[0][0]
            raise missing_chunk(
                self,
                bounds,
                [index],
                total,
                grid=(1, *self._page),
                fill=0,
                key=file,
                kind="section",
            ) from None

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        if data.size == 0:
            return
        for section, file in zip(data, self._files[region[0]], strict=True):
            if file is None or not is_tiff(file):
                raise ReadOnly(f"{file or self.uri} is not written to: only TIFF sections are")
            target = TiffDataset(file, "", "r+")
            target.write(region[1:], section)
            target.flush()


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """A key to sort names by, in which numbers count as such.

    >>> sorted(["s10.png", "s9.png"], key=natural_order)
    ['s9.png', 's10.png']
    """
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def list_images(folder: str) -> list[str]:
    """The images of a folder, or those that a pattern matches, in natural order."""
    if os.path.isdir(folder):
        found = [os.path.join(folder, name) for name in os.listdir(folder)]
        found = [f for f in found if f.lower().endswith(IMAGE_SUFFIXES) and _is_shown(f)]
    else:
        found = [name for name in glob.glob(folder) if os.path.isfile(name)]
    return sorted(found, key=natural_order)


def _is_stack(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, STACK)) or bool(list_images(folder))


def _is_shown(file: str) -> bool:
    return not os.path.basename(file).startswith(".")


def with_gaps(files: Sequence[str]) -> list[str | None]:
    """Put None where the numbers in the names leave one out.

    Only where names differ in their last number alone, which goes up by 1 nearly everywhere.

    >>> with_gaps(["s1.png", "s2.png", "s4.png"])
    ['s1.png', 's2.png', None, 's4.png']
    """
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", file) for file in files]
    frames = {(part[1], part[3]) for part in parts if part}
    numbers = [int(part[2]) for part in parts if part]
    if len(frames) != 1 or len(numbers) != len(files) or len(set(numbers)) != len(numbers):
        return list(files)
    if numbers[-1] - numbers[0] >= 2 * len(numbers):
        return list(files)
    by_number = dict(zip(numbers, files, strict=True))
    return [by_number.get(number) for number in range(numbers[0], numbers[-1] + 1)]


class _Images(Driver):
    def open(
        self, store: str, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> StoredDataset:
        where = os.path.join(store, path) if path else store
        if os.path.isfile(where):
            return _single(where, mode)
        if os.path.isfile(os.path.join(where, STACK)):
            return SectionsDataset(where, mode, missing)
        files = list_images(where)
        if not files:
            self._not_there(store, path)
        sections = with_gaps(files)
        if missing == "error" and None in sections:
            gap = sections.index(None)
            raise MissingChunk(
                f"{where}: {sections.count(None)} sections are missing, the first of them behind "
                f"{sections[gap - 1]}. Restore them, read them as 0 with missing_chunks='fill', or "
                "name the images that belong together by a pattern"
            )
        return ImagesDataset(where, sections, mode)

    def _not_there(self, store: str, path: str) -> None:
        if not glob.has_magic(store) and not os.path.isdir(store):
            raise StoreNotFound(f"there is no folder {store}")
        if path:
            raise DatasetNotFound(not_found(store, path, self.names(store)))
        raise StoreNotFound(f"there are no images in {store}, or none that match")

    def names(self, store: str) -> list[str]:
        files = [os.path.basename(file) for file in list_images(store)]
        found = ["", *files] if _is_stack(store) else []
        if os.path.isdir(store):
            below = [entry.path for entry in os.scandir(store) if entry.is_dir()]
            found += [os.path.basename(folder) for folder in below if _is_stack(folder)]
        return found

    def create(self, store: str, path: str, **options: Any) -> None:
        _create(os.path.join(store, path), **options)

    def delete(self, store: str, path: str) -> None:
        folder = os.path.join(store, path)
        for file in list_images(folder):
            os.remove(file)
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, STACK))


def _single(file: str, mode: Mode) -> StoredDataset:
    """One image as a dataset of its own: the only section of a stack, without that axis."""
    from voxflow.stores.memory import ArrayDataset

    if is_tiff(file):
        return TiffDataset(file, "", mode)
    if mode == "r+":
        raise ReadOnly(f"{file} is not written to: only TIFF images are")
    image = read_image(file)
    names = ["y", "x", "c^"][: image.ndim]
    return ArrayDataset(image, "r", attrs={"axis_names": names}, name=file)


def _create(
    folder: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    compression: Compression,
    geometry: Geometry | None,
    attrs: Mapping[str, Any],
    fill_value: Any = 0,
    **_: Any,
) -> None:
    dims = len(geometry.voxel_size) if geometry else len(shape)
    if len(shape) != 3 or dims != 3:
        raise StoreError(
            f"{folder}: a folder of images holds sections along the first of three spatial axes, "
            f"not shape {shape}"
        )
    flat = geometry and Geometry(
        _tail(geometry.voxel_size), _tail(geometry.offset), _tail(geometry.units)
    )
    described = {"axis_names": ["z", "y", "x"], **attrs}
    if compression == "png":
        create_sections(folder, shape, dtype, described)
        return
    if compression is not None:
        raise wrong_compression(compression, ["png"], f"the sections in {folder}", "")
    partial = f"{folder.rstrip(os.sep)}.part"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for number in range(shape[0]):
            create_tiff(
                os.path.join(partial, f"{number:05d}.tif"),
                shape=shape[1:],
                dtype=dtype,
                compression=compression,
                geometry=flat,
                attrs={**(geometry_attrs(flat) if flat else {}), _OF_STACK: described},
                fill_value=fill_value,
            )
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _tail(values: Any) -> Any:
    return None if values is None else type(values)(values[1:])


driver = _Images()
