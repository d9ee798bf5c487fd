"""Where the levels of N5's pyramids lie, in the words of those who write such.

======================  ==========================================================================
n5-viewer, BigStitcher  ``pixelResolution`` of a level, times its ``downsamplingFactors``
n5-viewer               the same of the group, with factors of all levels in ``scales``
BigDataViewer           ``resolution`` and ``downsamplingFactors`` (of all levels) of groups above
Paintera                ``resolution``, ``offset`` of the group, ``downsamplingFactors`` of levels
COSEM (OpenOrganelle)   ``transform`` of a level: axes, scale, translate and units, z first
======================  ==========================================================================

A coarser voxel begins where the finest one does, so that all levels have one offset. Only COSEM
states one for each level; as that of OME-Zarr it is taken as it stands.

Source: https://github.com/saalfeldlab/n5-viewer, "Container structure";
https://github.com/bigdataviewer/bigdataviewer-core/blob/master/BDV%20N5%20format.md;
https://github.com/janelia-cosem/schemas, "multiscale".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.metadata import plain_numbers

__all__ = ["SCALE", "placed"]

SCALE = re.compile(r"s(\d+)")
"""The name of a level."""


def placed(
    name: str, own: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The ``resolution``, ``offset`` and ``units`` of a dataset, x first, as far as they are told.

    Parameters
    ----------
    name
        The last part of its path.
    own
        Its attributes as they are stored.
    groups
        Those of the groups above, nearest first.

    Examples
    --------
    >>> placed("s1", {"downsamplingFactors": [2, 2, 1]}, [{"resolution": [4.6, 4.6, 50]}])
    {'resolution': [9.2, 9.2, 50]}
    """
    if "resolution" in own:
        return {}
    transform = own.get("transform")
    if isinstance(transform, Mapping) and "scale" in transform:
        words = {"resolution": "scale", "offset": "translate", "units": "units"}
        return {ours: transform[it][::-1] for ours, it in words.items() if it in transform}
    factors = _factors(name, own, groups)
    for index, attrs in enumerate((own, *groups)):
        size, units = _size(attrs)
        if size is None or (index and factors is None):
            continue
        told: dict[str, Any] = {"resolution": _times(size, factors)}
        if index and "offset" in attrs:
            told["offset"] = attrs["offset"]
        return told | ({"units": units} if units else {})
    return {}


def _size(attrs: Mapping[str, Any]) -> tuple[list[Any] | None, list[str]]:
    pixels = attrs.get("pixelResolution")
    if isinstance(pixels, Mapping) and "dimensions" in pixels:
        size = pixels["dimensions"]
        return size, [pixels["unit"]] * len(size) if "unit" in pixels else []
    size = pixels if isinstance(pixels, list) else attrs.get("resolution")
    units = attrs.get("units")
    return (size if isinstance(size, list) else None), (units if isinstance(units, list) else [])


def _factors(
    name: str, own: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]
) -> list[Any] | None:
    """How many of the finest voxels one of the level is, along each axis."""
    stated = own.get("downsamplingFactors")
    if isinstance(stated, list):
        return stated
    scale = SCALE.fullmatch(name)
    if scale is None:
        return None
    number = int(scale[1])
    for attrs in groups:
        every = attrs.get("downsamplingFactors") or attrs.get("scales")
        if isinstance(every, list) and number < len(every) and isinstance(every[number], list):
            return list(every[number])
    sizes = (_size(attrs)[0] for attrs in groups)
    size = next((size for size in sizes if size is not None), None)
    return [1] * len(size) if size is not None and number == 0 else None


def _times(size: Sequence[Any], factors: Sequence[Any] | None) -> list[int | float]:
    exact = Coordinate(size)
    if factors is not None and len(factors) == len(exact):
        exact = exact * Coordinate(factors)
    return plain_numbers(exact)
