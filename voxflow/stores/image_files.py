"""Single images: what they are, and their pixels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.stores.errors import StoreNotFound, StoreUnusable
from voxflow.stores.tiff import TiffDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["describe_image", "is_tiff", "need_imageio", "read_image"]


def is_tiff(file: str) -> bool:
    """Say whether a file is TIFF, by its suffix."""
    return file.lower().endswith((".tif", ".tiff"))


def need_imageio() -> Any:
    """The package that reads and writes images.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import imageio.v3
    except ImportError as error:
        raise ImportError(
            'images are read by the package imageio, which is not installed: pip install "voxflow'
            '[images]"'
        ) from error
    return imageio.v3


def describe_image(file: str) -> tuple[tuple[int, ...], np.dtype[Any], Mapping[str, Any]]:
    """Shape, type and attributes of one image, from its header."""
    if is_tiff(file):
        page = TiffDataset(file)
        return page.shape, page.dtype, page.attrs
    try:
        found = need_imageio().improps(file, plugin="pillow")
    except (OSError, ValueError, SyntaxError) as error:
        raise StoreUnusable(f"{file} cannot be read; it may be damaged ({error})") from error
    return tuple(found.shape), np.dtype(found.dtype).newbyteorder("="), {}


def read_image(file: str, region: tuple[slice, ...] = ()) -> NDArray[Any]:
    """Read one image, or a region of it.

    Raises
    ------
    StoreNotFound
        If it is not there.
    StoreUnusable
        If it cannot be decoded.
    """
    if is_tiff(file):
        return TiffDataset(file).read(region)
    if not os.path.exists(file):
        raise StoreNotFound(f"there is no file {file}")
    try:
        image: NDArray[Any] = np.asarray(need_imageio().imread(file, plugin="pillow"))
    except (OSError, ValueError, SyntaxError) as error:
        raise StoreUnusable(f"{file} cannot be decoded; it may be damaged ({error})") from error
    return image[region]
