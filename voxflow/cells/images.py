"""Images of cells as a network takes them: channels first, and of one size if they are resized."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from voxflow.stores import ImagePlane, StoreUnusable, paired_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CellImage", "cell_images", "cell_pairs"]


class CellImage:
    """An image for a network of so many channels, or its labels: what `DatasetSource` takes.

    Parameters
    ----------
    plane
        The image.
    channels
        How many the network takes. 1: the largest value of all channels (without that of opacity).
        More: the channels of the image; of a stack in gray, the pages around it, of which the first
        and the last one stand for those that are not there. None: labels, which have none.
    size
        In how many world units the image lies, along both axes; None: as many as it has pixels.

    Raises
    ------
    StoreUnusable
        If the image has not that many channels.
    """

    def __init__(
        self, plane: ImagePlane, channels: int | None = 1, size: int | None = None
    ) -> None:
        self.plane = plane
        self._channels = channels
        has = plane.channels or 1
        fits = channels in (None, 1, has) or (has == 1 and plane.pages > 1)
        if not fits:
            raise StoreUnusable(
                f"{plane.name} has {has} channels and {plane.pages} pages; for {channels} "
                f"channels, images have {channels}, or they are pages of stacks in gray"
            )
        height, width = plane.shape[-2:]
        self.shape = (height, width) if channels is None else (channels, height, width)
        self.dtype = plane.dtype
        self.attrs: dict[str, Any] = {"axis_names": ["c^", "y", "x"][-len(self.shape) :]}
        scale = [Fraction(1 if size is None else size, n if size else 1) for n in (height, width)]
        self.attrs["resolution"] = scale

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "pixels"}

    def __getitem__(self, region: Any) -> NDArray[Any]:
        found: NDArray[Any] = self.pixels[region]
        return found

    @cached_property
    def pixels(self) -> NDArray[Any]:
        """All of it, read once in each process."""
        if self._channels is None:
            return _read(self.plane)
        if self._channels == 1:
            image = _read(self.plane)
            if image.ndim == 2:
                return image[None]
            colors = len(image) - self.plane.opacity
            largest: NDArray[Any] = image[:colors].max(axis=0, keepdims=True)
            return largest
        if self.plane.channels == self._channels:
            return _read(self.plane)
        return np.stack([_read(page) for page in self._around()])

    def _around(self) -> list[ImagePlane]:
        """The pages around this one."""
        plane, channels = self.plane, self._channels or 1
        here = plane.page or 0
        first = here - (channels - 1) // 2
        numbers = np.clip(range(first, first + channels), 0, plane.pages - 1)
        return [ImagePlane(plane.file, plane.path, int(number)) for number in numbers]


def _read(plane: ImagePlane) -> NDArray[Any]:
    return plane[(slice(None),) * len(plane.shape)]


def cell_images(
    planes: Sequence[ImagePlane], channels: int, size: int | None = None
) -> list[CellImage]:
    """Images for a network; what is wrong with them is told in one message.

    Raises
    ------
    StoreUnusable
        If images have not that many channels.
    """
    made, wrong = [], []
    for plane in planes:
        try:
            made.append(CellImage(plane, channels, size))
        except StoreUnusable as error:
            wrong.append(str(error))
    if wrong:
        raise StoreUnusable("\n".join(dict.fromkeys(wrong)))
    return made


class _Pairs(list[tuple[CellImage, CellImage]]):
    """Images and labels that several may hold."""


_HELD: WeakValueDictionary[Any, _Pairs] = WeakValueDictionary()


def cell_pairs(
    folders: Sequence[str], channels: int, size: int | None = None
) -> list[tuple[CellImage, CellImage]]:
    """Images of folders, and their labels.

    As long as somebody holds what was found, and no file is another one, it is the same again:
    all that need it read it once.

    Raises
    ------
    StoreNotFound, StoreUnusable
        As `paired_images`; or if images have not that many channels.
    """
    asked = (tuple(map(os.path.abspath, folders)), channels, size)
    known = (asked, tuple(map(_stamps, folders)))
    found = _HELD.get(known)
    if found is None:
        images, labels = paired_images(*folders)
        made = cell_images([plane for plane, _ in images], channels, size)
        targets = [CellImage(plane, None, size) for plane, _ in labels]
        found = _HELD[known] = _Pairs(zip(made, targets, strict=True))
    return found


def _stamps(folder: str) -> tuple[Any, ...]:
    """Which files there are, as far as that can be known without reading them."""
    stamps = []
    for place in (os.path.join(folder, part) for part in ("images", "labels")):
        files = sorted(os.scandir(place), key=lambda f: f.name) if os.path.isdir(place) else []
        facts = [(file.name, file.stat()) for file in files]
        stamps.append(tuple((name, f.st_ino, f.st_mtime_ns, f.st_size) for name, f in facts))
    return tuple(stamps)
