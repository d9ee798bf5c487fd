"""Stacks of PNG images, one a section, with a file beside them that says what the stack is.

``stack.json`` holds shape, dtype and attributes, so that a stack is known before its first section
is there, and a section that is not there is known to be missing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from voxflow.stores.base import (
    Attrs,
    MissingChunks,
    Mode,
    StoredDataset,
    missing_chunk,
    parse_choice,
)
from voxflow.stores.errors import DataMismatch, StoreError, StoreNotFound, StoreUnusable
from voxflow.stores.grid import format_bounds
from voxflow.stores.image_files import need_imageio, read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["STACK", "SectionsDataset", "create_sections"]

STACK = "stack.json"
"""The file that says what a stack is."""

_DTYPES = ("uint8", "uint16")


class SectionsDataset(StoredDataset):
    """A stack of PNG images, written by whole sections.

    Parameters
    ----------
    folder
        Of the stack.
    mode
        ``"r"`` or ``"r+"``.
    missing_chunks
        What reading a section that is not there means.

    Raises
    ------
    StoreUnusable
        If the stack is not described as it should be.
    """

    def __init__(
        self, folder: str, mode: Mode = "r", missing_chunks: MissingChunks = "error"
    ) -> None:
        super().__init__(mode)
        self._folder = folder
        self._missing = parse_choice("missing_chunks", missing_chunks, ("error", "fill"))
        file = os.path.join(folder, STACK)
        try:
            with open(file, encoding="utf-8") as stream:
                told = json.load(stream)
            self._shape = cast("tuple[int, ...]", tuple(told["shape"]))
            self._dtype = np.dtype(told["dtype"])
            self._attrs: dict[str, Any] = told["attributes"]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreUnusable(f"{file} is damaged, or of something else ({error})") from error

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """A section."""
        return (1, *self._shape[1:])

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """A section."""
        return (1, *self._shape[1:])

    @property
    def attrs(self) -> Attrs:
        """What was said when the stack was made, which cannot be changed."""
        return cast("Attrs", MappingProxyType(self._attrs))

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None."""
        return ()

    @property
    def uri(self) -> str:
        """The folder, for messages."""
        return self._folder

    @property
    def concurrent(self) -> bool:
        """Several threads read at the same time."""
        return True

    def _file(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:05d}.png")

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        out = np.zeros([end - begin for begin, end in bounds], self._dtype)
        missing = []
        for place, number in enumerate(range(*bounds[0]) if out.size else ()):
            try:
                section = read_image(self._file(number))
            except StoreNotFound:
                missing.append((number, 0, 0))
                continue
            if (section.shape, section.dtype) != (self._shape[1:], self._dtype):
                raise StoreUnusable(
                    f"{self._file(number)} is of shape {section.shape}, {section.dtype}, and not "
                    f"of {self._shape[1:]}, {self._dtype}, as {STACK} says: write it again"
                )
            out[place] = section[region[1:]]
        if missing and self._missing == "error":
            raise missing_chunk(
                self,
                bounds,
                missing,
                len(out),
                grid=(1, *self._shape[1:]),
                fill=0,
                key=self._file(missing[0][0]),
                kind="section",
            )
        return out

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        whole = tuple((0, extent) for extent in self._shape[1:])
        if bounds[1:] != whole:
            raise DataMismatch(
                f"{self.uri} is written by whole sections of {self._shape[1:]} voxels, and voxels "
                f"{format_bounds(bounds)} are a part of them: let each block span its sections, or "
                "write sections of TIFF, without compression"
            )
        for number, section in zip(range(*bounds[0]), data, strict=True):
            self._store(self._file(number), section)

    def _store(self, file: str, section: NDArray[Any]) -> None:
        partial = f"{file}.part"
        png = need_imageio().imwrite("<bytes>", section, plugin="pillow", extension=".png")
        try:
            with open(partial, "wb") as stream:
                stream.write(png)
            os.replace(partial, file)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.remove(partial)
            raise


def create_sections(
    folder: str, shape: tuple[int, ...], dtype: np.dtype[Any], attrs: Mapping[str, Any]
) -> None:
    """Make a stack that has no sections yet.

    Raises
    ------
    StoreError
        If PNG cannot hold it.
    """
    from voxflow.stores.zarr import jsonable

    if dtype.name not in _DTYPES or 0 in shape:
        raise StoreError(
            f"{folder}: PNG holds {' and '.join(_DTYPES)}, not {dtype} of shape {shape}: cast it, "
            "or write sections of TIFF, without compression"
        )
    need_imageio()
    os.makedirs(folder, exist_ok=True)
    told = {"shape": list(shape), "dtype": dtype.name, "attributes": jsonable(dict(attrs))}
    file = os.path.join(folder, STACK)
    with open(f"{file}.part", "w", encoding="utf-8") as stream:
        json.dump(told, stream)
    os.replace(f"{file}.part", file)
