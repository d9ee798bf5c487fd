"""The metadata of an image in OME-Zarr, and the datasets that they list."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, Literal, get_args

from voxflow.nodes.sources.kinds import stated_kind
from voxflow.pipeline.data.kinds import attrs_of_kind, kind_at_other_voxels
from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    MetadataConflict,
    StoreError,
    StoreNotFound,
    delete_dataset,
    geometry_attrs,
    open_attrs,
    open_dataset,
    read_geometry,
    write_geometry,
)
from voxflow.stores.metadata import plain_numbers
from voxflow.stores.names import clean_path
from voxflow.stores.ngff import first_image, with_image
from voxflow.stores.place import locate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxflow.stores import StoredDataset
    from voxflow.stores.ngff import NgffVersion

__all__ = ["DownSampling", "OmeImage", "delete_image", "level_name", "set_image_attrs"]

DownSampling = Literal["mean", "mode", "median", "min", "max", "stride"]
"""What a coarser voxel becomes of those it covers; "stride": the first of them."""

_OURS = ("ome", "multiscales", "omero")


class OmeImage:
    """An image that is there: its group, and the levels that are listed as complete.

    Parameters
    ----------
    store
        A Zarr store.
    path
        Of the group, or of the dataset that is its finest level; if the group is no image yet, it
        becomes one.

    Raises
    ------
    StoreError
        If it is no Zarr, or the dataset is in no group, or not the finest level there, or its
        spatial axes are not the last.
    """

    def __init__(self, store: Any, path: str) -> None:
        place = locate(store, path)
        if place.kind != "zarr":
            raise StoreError(f"{place.store}: a pyramid is made in Zarr, and this is {place.kind}")
        self.store, self.group = place.store, place.path
        self._image = self._found() or self._of_dataset(place.path)
        finest = open_dataset(self.store, self.path_of(0))
        self.geometry = read_geometry(finest)
        ndim, dims = len(finest.shape), len(self.geometry.voxel_size)
        if self.geometry.spatial not in (None, tuple(range(ndim - dims, ndim))):
            raise StoreError(
                f"{finest.uri}: its spatial axes are {self.geometry.spatial}, not the last ones"
            )

    def _found(self) -> dict[str, Any] | None:
        try:
            return first_image(open_attrs(self.store, self.group))
        except DatasetNotFound:
            return None

    def _of_dataset(self, path: str) -> dict[str, Any]:
        dataset = open_dataset(self.store, path, "r+")
        self.group, _, name = path.rpartition("/")
        if not dataset.ancestors:
            raise StoreError(f"{dataset.uri} is in no group, which would list its levels")
        if self._found() is None:
            from voxflow.stores.zarr_place import open_store, root_format

            old = root_format(open_store(self.store, "r")) == 2
            write_geometry(dataset, read_geometry(dataset), ngff="0.4" if old else "0.5")
        image = self._found()
        if image is None or image["datasets"][0]["path"].strip("/") != name:
            raise StoreError(
                f"the group of {dataset.uri} is an image of other datasets already; give each "
                "image a group of its own"
            )
        return image

    @property
    def entries(self) -> list[Any]:
        """What is listed of each level, finest first."""
        found: list[Any] = self._image["datasets"]
        return found

    @property
    def method(self) -> Any:
        """How the image says that its levels are made, if that is known here."""
        said = self._image.get("type")
        return said if said in get_args(DownSampling) else None

    def path_of(self, number: int) -> str:
        """The path of a listed level in the store."""
        return clean_path(f"{self.group}/{self.entries[number]['path']}")

    def _next(self) -> str:
        return level_name(self.entries[0]["path"], len(self.entries))

    def check(self, number: int, place: Geometry) -> None:
        """Raise if a listed level lies elsewhere than it would."""
        dataset = open_dataset(self.store, self.path_of(number))
        there = read_geometry(dataset)
        for what, found, wanted in (
            ("voxels of", there.voxel_size, place.voxel_size),
            ("its begin at", there.offset, place.offset),
        ):
            if found != wanted:
                raise MetadataConflict(
                    f"{dataset.uri} is there, with {what} {found} and not {wanted}; make all "
                    "levels anew (overwrite=True)"
                )

    def make_next(self, shape: Sequence[int], place: Geometry) -> StoredDataset:
        """Make the dataset of the next level, anew if one is there that is not complete."""
        from voxflow.stores.zarr_create import create_zarr_like

        finest = open_dataset(self.store, self.path_of(0))
        path = clean_path(f"{self.group}/{self._next()}")
        delete_dataset(self.store, path, format="zarr")
        lead = finest.shape[: len(finest.shape) - len(shape)]
        kind = kind_at_other_voxels(stated_kind(finest))
        attrs = {**geometry_attrs(place), **attrs_of_kind(kind)}
        whole = (*lead, *(int(n) for n in shape))
        create_zarr_like(self.store, self.path_of(0), path, whole, attrs)
        return open_dataset(self.store, path, "r+")

    def list_next(self, place: Geometry) -> None:
        """List the next level, which is complete."""
        mine = self.geometry
        larger = place.voxel_size / mine.voxel_size
        moved = (place.offset - mine.offset) / mine.voxel_size
        transforms = self.entries[0]["coordinateTransformations"]
        scale = Coordinate(next(t["scale"] for t in transforms if t["type"] == "scale"))
        lead = len(scale) - len(larger)
        begin = [t["translation"] for t in transforms if t["type"] == "translation"]
        offset = Coordinate(begin[0] if begin else (0,) * len(scale))
        every = Coordinate((*(1,) * lead, *larger))
        offset += scale * Coordinate((*(0,) * lead, *moved))
        level = {
            "path": self._next(),
            "coordinateTransformations": [
                {"type": "scale", "scale": plain_numbers(scale * every)},
                {"type": "translation", "translation": plain_numbers(offset)},
            ],
        }
        self._list([*self.entries, level])

    def forget(self) -> None:
        """List no level but the finest, because the others are to be made anew."""
        if len(self.entries) > 1:
            self._list(self.entries[:1])

    def _list(self, entries: Sequence[Any]) -> None:
        attrs = open_attrs(self.store, self.group, "r+")
        image = {**self._image, "datasets": list(entries)}
        attrs.update(with_image(attrs, image))
        self._image = image


def level_name(finest: str, number: int) -> str:
    """The name of a coarser level.

    >>> level_name("s0", 2), level_name("0", 2), level_name("raw", 2)
    ('s2', '2', 'raw_s2')
    """
    if re.search(r"(?<!\d)0$", finest):
        return f"{finest[:-1]}{number}"
    return f"{finest}_s{number}"


def set_image_attrs(store: Any, group: str, attrs: Mapping[str, Any], version: NgffVersion) -> None:
    """Make a group that is an image, in the format that the version asks for.

    Raises
    ------
    StoreError
        If the store is of the other format.
    """
    from voxflow.stores.zarr_create import zarr_attrs

    place = locate(store, group, "zarr")
    kind = 2 if version == "0.4" else 3
    zarr_attrs(place.store, place.path, "r+", kind).update(attrs)


def delete_image(store: Any, group: str) -> None:
    """Delete the datasets ``s0``, ``s1`` and so on of an image, and what its group says of them."""
    paths = [clean_path(f"{group}/s0")]
    for number in itertools.count(1):
        path = clean_path(f"{group}/s{number}")
        try:
            open_dataset(store, path)
        except (DatasetNotFound, StoreNotFound):
            break
        paths.append(path)
    for path in reversed(paths):  # so that one that is stopped is gone on with
        delete_dataset(store, path, format="zarr")
    try:
        attrs = open_attrs(store, group)
    except (DatasetNotFound, StoreNotFound):
        return
    for name in set(_OURS) & set(attrs):
        del open_attrs(store, group, "r+")[name]
