"""OME-Zarr's way to state a geometry: the ``multiscales`` of a group (NGFF 0.1 to 0.5).

Source: https://ngff.openmicroscopy.org/0.4 and /0.5, sections "multiscales" and
"coordinateTransformations".
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from voxflow.pipeline.geometry import Coordinate, Exact, exact
from voxflow.stores.errors import MetadataConflict, StoreError

__all__ = [
    "NgffVersion",
    "Transform",
    "find_transform",
    "first_image",
    "list_levels",
    "make_channels",
    "make_multiscales",
    "with_image",
]

NgffVersion = Literal["0.4", "0.5"]

_DEFAULT_AXES = ("t", "c", "z", "y", "x")
_NOT_SPACE = {"t": "time", "time": "time", "c": "channel", "channel": "channel"}


@dataclass(frozen=True)
class Transform:
    """How one level of an image lies in the world, for all of its axes.

    Parameters
    ----------
    axes
        Names of the axes.
    kinds
        ``"space"``, ``"time"`` or ``"channel"`` for each.
    units
        Unit of each axis, None where not stated.
    scale
        World units a step along each axis.
    translation
        World position of each axis' origin, None where not stated at all.
    """

    axes: tuple[str, ...]
    kinds: tuple[str, ...]
    units: tuple[str | None, ...]
    scale: Coordinate
    translation: Coordinate | None


def find_transform(attrs: Mapping[str, Any], path: str, ndim: int, uri: str) -> Transform | None:
    """Look for a level in a group's ``multiscales``.

    Parameters
    ----------
    attrs
        The group's attributes.
    path
        Of the level's dataset inside the group.
    ndim
        Axes of the dataset.
    uri
        Of the dataset, for messages.

    Returns
    -------
    Transform or None
        None if the group does not mention the dataset.

    Raises
    ------
    StoreError
        If the transformation is other than scale and translation, or fits the axes badly.
    """
    for image in _multiscales(attrs):
        for level in image.get("datasets", ()):
            if str(level.get("path", "")).strip("/") == path:
                return _transform(image, level, ndim, uri)
    return None


def list_levels(attrs: Mapping[str, Any], uri: str) -> list[tuple[str, list[Exact]]]:
    """List the levels of a group's first image: the path of each, and its spatial voxel size.

    >>> levels = [("s0", (1, 4), (0, 0)), ("s1", (1, 8), (0, 2))]
    >>> list_levels(
    ...     make_multiscales(levels, [("c", "channel", None), ("x", "space", "nm")], "0.5"), "a"
    ... )
    [('s0', [4]), ('s1', [8])]
    """
    for image in _multiscales(attrs)[:1]:
        found = []
        for level in image.get("datasets", ()):
            ndim = len(image.get("axes") or ()) or _rank(level)
            place = _transform(image, level, ndim, uri)
            sizes = zip(place.scale, place.kinds, strict=True)
            path = str(level.get("path", "")).strip("/")
            found.append((path, [size for size, kind in sizes if kind == "space"]))
        return found
    return []


def _rank(level: Mapping[str, Any]) -> int:
    steps = level.get("coordinateTransformations", ())
    return next((len(step["scale"]) for step in steps if "scale" in step), len(_DEFAULT_AXES))


def _multiscales(attrs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for holder in (_parsed(attrs.get("ome")), attrs):  # 0.5 keeps everything under "ome"
        images = _parsed(holder.get("multiscales")) if isinstance(holder, Mapping) else None
        if isinstance(images, Sequence) and not isinstance(images, str):
            found.extend(image for image in images if isinstance(image, Mapping))
    return found


def _parsed(value: Any) -> Any:
    """Read JSON text, the form that such a structure takes in an HDF5 attribute."""
    if isinstance(value, (str, bytes)):
        try:
            return json.loads(value)
        except ValueError:
            return None
    return value


def _transform(
    image: Mapping[str, Any], level: Mapping[str, Any], ndim: int, uri: str
) -> Transform:
    axes, kinds, units = _axes(image, ndim, uri)
    scale = [exact(1)] * ndim
    translation: list[Exact] | None = None
    steps = [
        *level.get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),  # applied after the level's own
    ]
    for step in steps:
        kind = step.get("type")
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or kind not in step:
            raise StoreError(
                f"{uri}: the OME-Zarr metadata place it by a transformation that is not read here "
                f"({dict(step)}): pass voxel_size= and offset="
            )
        values = [exact(value) for value in step[kind]]
        if len(values) != ndim:
            raise MetadataConflict(
                f"{uri} has {ndim} axes, its OME-Zarr {kind} {step[kind]} has {len(values)}"
            )
        if kind == "scale":
            scale = [a * b for a, b in zip(scale, values, strict=True)]
            if translation is not None:
                translation = [a * b for a, b in zip(translation, values, strict=True)]
        else:
            before = translation or [exact(0)] * ndim
            translation = [a + b for a, b in zip(before, values, strict=True)]
    moved = None if translation is None else Coordinate(translation)
    return Transform(axes, kinds, units, Coordinate(scale), moved)


def _axes(
    image: Mapping[str, Any], ndim: int, uri: str
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str | None, ...]]:
    stated = image.get("axes") or _DEFAULT_AXES[-ndim:]  # 0.1 and 0.2 do not name them
    entries = [axis if isinstance(axis, Mapping) else {"name": str(axis)} for axis in stated]
    if len(entries) != ndim:
        raise MetadataConflict(f"{uri} has {ndim} axes, its OME-Zarr metadata name {len(entries)}")
    names = tuple(str(axis.get("name", "")) for axis in entries)
    kinds = tuple(
        str(axis.get("type") or _NOT_SPACE.get(name.lower(), "space"))
        for axis, name in zip(entries, names, strict=True)
    )
    return names, kinds, tuple(axis.get("unit") for axis in entries)


def make_multiscales(
    levels: Sequence[tuple[str, Sequence[int | float], Sequence[int | float]]],
    axes: Sequence[tuple[str, str, str | None]],
    version: NgffVersion,
    name: str = "",
    *,
    method: str | None = None,
    channels: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the attributes that state the geometry of a group's datasets.

    Parameters
    ----------
    levels
        Path, scale and translation of each dataset, finest first, for all axes.
    axes
        Name, kind (``"space"``, ``"channel"``, ``"time"``) and unit of each axis.
    version
        ``"0.4"`` for zarr format 2, ``"0.5"`` for zarr format 3.
    name
        Of the image.
    method
        How coarser levels are made of finer ones.
    channels
        As of `make_channels`.

    Examples
    --------
    >>> attrs = make_multiscales(
    ...     [("s0", (4, 4), (0, 8))],
    ...     [("y", "space", "nanometer"), ("x", "space", "nanometer")],
    ...     "0.5",
    ... )
    >>> attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][1]
    {'type': 'translation', 'translation': [0, 8]}
    """
    image: dict[str, Any] = {
        "name": name,
        "axes": [
            {"name": axis, "type": kind} | ({"unit": unit} if unit else {})
            for axis, kind, unit in axes
        ],
        "datasets": [
            {
                "path": path,
                "coordinateTransformations": [
                    {"type": "scale", "scale": list(scale)},
                    {"type": "translation", "translation": list(translation)},
                ],
            }
            for path, scale, translation in levels
        ],
    }
    if method is not None:
        image["type"] = method
    omero = {} if channels is None else {"omero": dict(channels)}
    if version == "0.5":
        return {"ome": {"version": version, "multiscales": [image], **omero}}
    return {"multiscales": [{"version": version, **image}], **omero}


_COLORS = ("FF0000", "00FF00", "0000FF", "FFFF00", "FF00FF", "00FFFF")


def make_channels(names: Sequence[str], dtype: Any) -> dict[str, Any]:
    """Make what viewers are told of the channels (``omero``): names, colors, range of values.

    Parameters
    ----------
    names
        Of the channels.
    dtype
        Of the voxels: integers are shown over their whole range, others from 0 to 1.

    Examples
    --------
    >>> make_channels(["membrane"], "uint8")["channels"][0]["window"]
    {'min': 0, 'max': 255, 'start': 0, 'end': 255}
    """
    kind = np.dtype(dtype)
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (0, 1)
    colors = ("FFFFFF",) if len(names) == 1 else _COLORS
    return {
        "channels": [
            {
                "label": str(name),
                "color": colors[number % len(colors)],
                "active": True,
                "window": {"min": int(low), "max": int(high), "start": int(low), "end": int(high)},
            }
            for number, name in enumerate(names)
        ]
    }


def first_image(attrs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first of a group's ``multiscales``, a copy; None if it has none."""
    found = _multiscales(attrs)[:1]
    return copy.deepcopy(dict(found[0])) if found else None


def with_image(attrs: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes to set for another first image, all that belongs to others as it is."""
    ome = attrs.get("ome")
    holder = ome if isinstance(ome, Mapping) and "multiscales" in ome else attrs
    images = {"multiscales": [dict(image), *holder["multiscales"][1:]]}
    return images if holder is attrs else {"ome": {**holder, **images}}
