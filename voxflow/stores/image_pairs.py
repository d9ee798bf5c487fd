"""Folders of images and their labels: pairs of files of one name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.stores.errors import StoreError, StoreNotFound, StoreUnusable
from voxflow.stores.image_files import is_tiff
from voxflow.stores.images import list_images
from voxflow.stores.open import list_datasets, open_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.base import StoredDataset

__all__ = ["ImagePlane", "image_planes", "paired_images"]

_POINTER = b"version https://git-lfs"
_SHOWN = 20

Named = tuple["ImagePlane", str]


class ImagePlane:
    """A 2D image of a file, channels first: what `voxflow.stores.open_dataset` takes.

    Pixels are of size 1, whatever the file says. The file is opened when needed, anew in each
    worker.

    Parameters
    ----------
    file
        Any image; of a TIFF file, all pages are planes.
    path
        Of the dataset in the file.
    page
        Which one; None if the file has but one.

    Attributes
    ----------
    shape
        (channel, y, x), or (y, x) where the file has no channels.
    pages
        How many the dataset in the file has.
    opacity
        Whether that is what the last channel is.
    """

    def __init__(self, file: str, path: str = "", page: int | None = None) -> None:
        self.file, self.path, self.page = file, path, page
        dataset = open_dataset(file, path)
        pages, channels, *plane = _axes(dataset)
        self._page_axis = pages
        self.pages = 1 if pages is None else dataset.shape[pages]
        self._order = [*([] if channels is None else [channels]), *plane]
        self.shape = tuple(dataset.shape[axis] for axis in self._order)
        self.dtype = dataset.dtype
        # Others than TIFF have at most three colors.
        self.opacity = bool(
            dataset.attrs.get("opacity") if is_tiff(file) else self.channels in (2, 4)
        )
        names = ["y", "x"] if channels is None else ["c^", "y", "x"]
        self.attrs: dict[str, Any] = {"axis_names": names, "resolution": [1, 1]}

    @property
    def channels(self) -> int | None:
        """How many there are; None without an axis of them."""
        return self.shape[0] if len(self.shape) > 2 else None

    @property
    def name(self) -> str:
        """The file, and which of its images, for messages."""
        page = "" if self.page is None else f", page {self.page}"
        return f"{self.file}{self.path and f', image {self.path}'}{page}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_opened"}

    @cached_property
    def _opened(self) -> StoredDataset:
        return open_dataset(self.file, self.path)

    def __getitem__(self, region: tuple[slice, ...]) -> NDArray[Any]:
        """A region: a slice for each axis of `shape`."""
        where = [slice(None)] * len(self._opened.shape)
        if self._page_axis is not None:
            page = self.page or 0
            where[self._page_axis] = slice(page, page + 1)
        for axis, cut in zip(self._order, region, strict=True):
            where[axis] = cut
        order = [*([] if self._page_axis is None else [self._page_axis]), *self._order]
        read = self._opened.read(where).transpose(order)
        return read if self._page_axis is None else read[0]


def image_planes(folder: str | os.PathLike[str]) -> list[ImagePlane]:
    """The images of a folder, which may differ in size; each page of a TIFF file is one.

    Every file is read once, so that what is wrong is told here, and all of it.

    Raises
    ------
    StoreNotFound
        If there is no such folder, or no image in it.
    StoreUnusable
        If files cannot be read, or images differ in channels or type.
    """
    where, wrong = os.fspath(folder), list[str]()
    if not os.path.isdir(where):
        raise StoreNotFound(f"there is no folder {where}")
    planes: list[ImagePlane] = []
    for file in _by_stem(where, wrong).values():
        try:
            planes += _read_all(file)
        except (StoreError, ImportError) as error:
            wrong.append(str(error))
    _refuse(wrong + _unlike(planes), f"images in {where} cannot be used")
    return planes


def paired_images(
    *folders: str | os.PathLike[str], images: str = "images", labels: str = "labels"
) -> tuple[list[Named], list[Named]]:
    """Images and their labels, of folders, for `voxflow.paired_sources`.

    A folder holds two others, of images and of labels, in TIFF, PNG or what else imageio reads. A
    label has the name of its image; the suffix may be another one. Each page of a TIFF file is an
    image. Images may be of any size, gray or with channels, but all alike in channels and type.
    Labels are whole numbers.

    Every file is read once, so that what is wrong is told here, and all of it.

    Parameters
    ----------
    folders
        One or more.
    images, labels
        The names of the two folders in each.

    Returns
    -------
    images, labels
        The planes, each with its name, in the natural order of the files.

    Raises
    ------
    StoreNotFound
        If there is no such folder, or no image in it.
    StoreUnusable
        If files have no partner, cannot be read, or do not fit together.
    """
    pairs: list[tuple[ImagePlane, ImagePlane]] = []
    wrong: list[str] = []
    if not folders:
        raise StoreNotFound("paired_images needs at least one folder")
    for folder in folders:
        there = [_by_name(os.fspath(folder), part, wrong) for part in (images, labels)]
        for name in dict.fromkeys([*there[0], *there[1]]):
            files = [files.get(name) for files in there]
            if None in files:
                has, lacks = (images, labels) if files[1] is None else (labels, images)
                wrong.append(f"{files[0] or files[1]} of {has} has no partner in {lacks}")
            else:
                pairs += _planes(str(files[0]), str(files[1]), wrong)
    wrong += _unlike([image for image, _ in pairs])
    if pairs and not wrong:
        wrong += _without_objects([label for _, label in pairs])
    where = ", ".join(os.fspath(folder) for folder in folders)
    _refuse(wrong, f"images and labels in {where} cannot be trained on")
    return [(one, one.name) for one, _ in pairs], [(one, one.name) for _, one in pairs]


def _refuse(wrong: Sequence[str], what: str) -> None:
    """Say all that is wrong, if anything is."""
    if wrong:
        more = [f"... and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        told = "\n".join(f"- {line}" for line in [*wrong[:_SHOWN], *more])
        raise StoreUnusable(f"{what}:\n{told}")


def _by_name(folder: str, part: str, wrong: list[str]) -> dict[str, str]:
    """The files of a folder by their names without suffix."""
    where = os.path.join(folder, part)
    if not os.path.isdir(where):
        raise StoreNotFound(
            f"there is no folder {where}: images and their labels lie in two folders of "
            f"{folder}, under the same names"
        )
    return _by_stem(where, wrong)


def _by_stem(where: str, wrong: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in list_images(where):
        name = os.path.splitext(os.path.basename(file))[0]
        if name in found:
            wrong.append(f"{found[name]} and {file} have one name; take one of them out")
        found.setdefault(name, file)
    if not found:
        raise StoreNotFound(f"there are no images in {where}: TIFF, PNG, JPEG or BMP")
    return found


def _planes(image: str, label: str, wrong: list[str]) -> list[tuple[ImagePlane, ImagePlane]]:
    """The pairs of two files; what is wrong with them is added."""
    try:
        whole = _read_all(image), _read_all(label)
    except (StoreError, ImportError) as error:
        wrong.append(str(error))
        return []
    said = next(filter(None, map(_labels_fault, whole[1])), None)
    shapes = [[plane.shape[-2:] for plane in planes] for planes in whole]
    if said is None and shapes[0] != shapes[1]:
        said = f"{label} has {_sizes(shapes[1])}, and its image {image} has {_sizes(shapes[0])}"
    if said is not None:
        wrong.append(said)
        return []
    return list(zip(*whole, strict=True))


def _read_all(file: str) -> list[ImagePlane]:
    """The planes of a file, each of which can be decoded."""
    with open(file, "rb") as opened:
        begin = opened.read(len(_POINTER))
    if begin == _POINTER:
        raise StoreUnusable(f"{file} is a pointer of git-lfs and no image: run git lfs pull")
    if not begin:
        raise StoreUnusable(f"{file} is empty, of 0 bytes: copy it again")
    planes = []
    tiff = is_tiff(file)
    for path in list_datasets(file) if tiff else [""]:
        first = ImagePlane(file, path)  # others than TIFF are decoded by that
        if tiff:
            open_dataset(file, path).read()
        many = first.pages > 1
        planes += [ImagePlane(file, path, n) for n in range(first.pages)] if many else [first]
    return planes


def _axes(dataset: StoredDataset) -> tuple[int | None, int | None, int, int]:
    """The axes of pages, of channels, of y and of x."""
    names = list(dataset.attrs.get("axis_names") or ())
    if len(names) != len(dataset.shape) or not {"y", "x"} <= set(names):
        names = ["z", "y", "x"][-len(dataset.shape) :]
    channels = [axis for axis, name in enumerate(names) if name in ("c^", "c")]
    pages = [a for a, name in enumerate(names) if name not in ("c^", "c", "y", "x")]
    if len(names) != len(dataset.shape) or len(pages) > 1 or len(channels) > 1:
        raise StoreUnusable(
            f"{dataset.uri} has the shape {dataset.shape}, axes {names}: it should be an image, "
            "with channels or without, or pages of such"
        )
    y, x = names.index("y"), names.index("x")
    return next(iter(pages), None), next(iter(channels), None), y, x


def _labels_fault(label: ImagePlane) -> str | None:
    if label.channels is not None:
        return (
            f"{label.file} has {label.channels} channels: labels have one whole number for each "
            "pixel, 0 for background; colors are no labels"
        )
    if label.dtype.kind not in "iub":
        return f"{label.file} is of type {label.dtype}: labels are whole numbers; cast them"
    return None


def _sizes(shapes: Sequence[tuple[int, ...]]) -> str:
    pages = f"{len(shapes)} pages of " if len(shapes) > 1 else ""
    return pages + " and ".join(f"{y} x {x} pixels" for y, x in dict.fromkeys(shapes))


def _unlike(images: Sequence[ImagePlane]) -> list[str]:
    """Images that are of other channels or another type than the first."""
    said = []
    for image in images[1:]:
        kinds = [(one.channels or 1, one.dtype) for one in (image, images[0])]
        if kinds[0] != kinds[1]:
            (channels, dtype), (wanted, first) = kinds
            said.append(
                f"{image.name} has {channels} channels of {dtype}, but {images[0].name} has "
                f"{wanted} of {first}: images are alike in that"
            )
    return said


def _without_objects(labels: Sequence[ImagePlane]) -> list[str]:
    if any(np.any(label[(slice(None), slice(None))]) for label in labels):
        return []
    return ["there is no object in any of the labels: all of them are 0"]
