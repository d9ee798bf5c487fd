"""The one reader and writer of where a dataset lies in the world.

Three conventions are known, and every reader of voxflow knows all of them:

============================  ===================================================================
CREMI, gunpowder's sources    attributes ``resolution`` and ``offset`` of the dataset
gunpowder's snapshots         attributes ``voxel_size`` and ``offset`` of the dataset
OME-Zarr 0.4, 0.5             ``multiscales`` of a group above it (see `voxflow.stores.ngff`)
============================  ===================================================================

``axis_names`` and ``units`` (as funlib.persistence writes them) are read from the dataset, too.
All values are in world units and exact: 9.8 is read as 49/5 and written back as 9.8. What two
conventions state twice has to agree.

The offset is the corner of the first voxel. OME-Zarr's specification does not settle whether
its translation means the corner or the centre of that voxel, and both are found in the wild. It is
taken as the offset as it stands: datasets written by one program fit each other either way, and
what is written here is read back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from voxflow.pipeline.geometry import Coordinate, format_exact
from voxflow.stores.base import Attrs, Dataset, parse_choice
from voxflow.stores.errors import MetadataConflict, MetadataMissing, StoreError
from voxflow.stores.ngff import NgffVersion, find_transform, make_multiscales

__all__ = ["Geometry", "read_geometry", "write_geometry"]

SIZE_ATTRS = ("resolution", "voxel_size")

NANOMETERS = {
    "nm": 1,
    "nanometer": 1,
    "um": 1000,
    "µm": 1000,
    "micrometer": 1000,
    "micron": 1000,
    "mm": 10**6,
    "millimeter": 10**6,
}
"""Units of length, in nm."""


@dataclass(frozen=True)
class Geometry:
    """Where a dataset lies in the world.

    Parameters
    ----------
    voxel_size
        World units of a voxel along each spatial axis.
    offset
        World position of the corner of the first voxel; not necessarily a multiple of
        ``voxel_size``: the voxel grid is anchored here.
    units
        Unit of each spatial axis (``"nanometer"``, ``"nm"`` ... as found), None if not known.
    axes
        Name of each axis of the dataset, channels included, None if not known.
    spatial
        Which axes of the dataset are spatial, None if not known; they are then the last
        ``len(voxel_size)`` ones, or the first for data with channels last.
    """

    voxel_size: Coordinate
    offset: Coordinate
    units: tuple[str, ...] | None = None
    axes: tuple[str, ...] | None = None
    spatial: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_size", Coordinate(self.voxel_size))
        object.__setattr__(self, "offset", Coordinate(self.offset))
        if len(self.voxel_size) != len(self.offset):
            raise ValueError(
                f"voxel size {self.voxel_size} and offset {self.offset} differ in their axes"
            )
        if any(size is None or size <= 0 for size in self.voxel_size) or None in self.offset:
            raise ValueError(
                f"a voxel size is positive and an offset bounded, got {self.voxel_size} and "
                f"{self.offset}"
            )


@dataclass(frozen=True)
class _Statement:
    """What one place says: the place, and the values or None."""

    place: str
    voxel_size: Coordinate | None = None
    offset: Coordinate | None = None
    units: tuple[str, ...] | None = None
    axes: tuple[str, ...] | None = None
    spatial: tuple[int, ...] | None = None


def read_geometry(
    dataset: Dataset,
    *,
    voxel_size: Sequence[Any] | None = None,
    offset: Sequence[Any] | None = None,
    default: Literal["error", "ones"] = "error",
    ndim: int | None = None,
) -> Geometry:
    """Find out where a dataset lies in the world.

    Parameters
    ----------
    dataset
        Any dataset; its attributes and those of the groups above it are read.
    voxel_size, offset
        Given values, in world units, win over what the file says.
    default
        What to do where the file states no voxel size: ``"error"``, or ``"ones"`` for one world
        unit a voxel.
    ndim
        Number of spatial axes for ``"ones"`` and for a ``resolution`` that is a single number;
        without it, all axes of the dataset count as spatial.

    Returns
    -------
    Geometry
        The offset is 0 where none is stated.

    Raises
    ------
    MetadataMissing
        If no voxel size is found or given.
    MetadataConflict
        If two conventions disagree, or a value does not fit the dataset's axes.

    Examples
    --------
    >>> from voxflow.stores.memory import ArrayDataset
    >>> raw = ArrayDataset(np.zeros((5, 20, 20)), attrs={"resolution": [50, 4.6, 4.6]})
    >>> read_geometry(raw).voxel_size
    (50, 4.6, 4.6)
    """
    parse_choice("default", default, ("error", "ones"))
    statements = list(_statements(dataset, ndim))
    size = _given(voxel_size) or _agreed(dataset, statements, "voxel_size")
    if size is None:
        if default == "error":
            raise MetadataMissing(_nothing_found(dataset))
        size = Coordinate((1,) * (ndim or len(dataset.shape)))
    dims = len(size)
    if dims > len(dataset.shape):
        raise MetadataConflict(
            f"{dataset.uri} has shape {dataset.shape}: {len(dataset.shape)} axes, but its voxel "
            f"size {size} has {dims}: pass voxel_size= with at most {len(dataset.shape)} values"
        )
    origin = _given(offset) or _agreed(dataset, statements, "offset") or Coordinate((0,) * dims)
    if len(origin) != dims:
        raise MetadataConflict(
            f"{dataset.uri}: offset {origin} has {len(origin)} axes, voxel size {size} has {dims}: "
            "pass voxel_size= and offset="
        )
    units = _first(statements, "units")
    spatial = _first(statements, "spatial")
    return Geometry(
        size,
        origin,
        units if units is None or len(units) == dims else None,
        _first(statements, "axes"),
        spatial if spatial is None or len(spatial) == dims else None,
    )


def _given(values: Sequence[Any] | None) -> Coordinate | None:
    return None if values is None else Coordinate(values)


def _statements(dataset: Dataset, ndim: int | None) -> Iterator[_Statement]:
    """Go through every place that may speak of the dataset's geometry."""
    attrs = dataset.attrs
    names = _texts(attrs.get("axis_names"))
    if names is not None and len(names) != len(dataset.shape):
        names = None
    spatial = None if names is None else tuple(i for i, n in enumerate(names) if _is_space(n))
    yield _Statement("attributes", units=_texts(attrs.get("units")), axes=names, spatial=spatial)
    offset = _numbers(dataset, attrs, "offset", None)
    if offset is not None:
        yield _Statement("attribute 'offset'", offset=offset)
    dims = ndim or (len(offset) if offset is not None else len(dataset.shape))
    for name in SIZE_ATTRS:
        size = _numbers(dataset, attrs, name, dims)
        if size is not None:
            yield _Statement(f"attribute {name!r}", voxel_size=size)
    for path, above in dataset.ancestors:
        statement = _from_ngff(dataset, path, above)
        if statement is not None:
            yield statement


def _is_space(name: str) -> bool:
    """Say whether an axis is spatial; funlib.persistence marks the others by a ``^``."""
    return not name.endswith("^") and name.lower() not in ("c", "channel", "t", "time", "b", "s")


def _from_ngff(dataset: Dataset, path: str, attrs: Attrs) -> _Statement | None:
    found = find_transform(attrs, path, len(dataset.shape), dataset.uri)
    if found is None:
        return None
    spatial = tuple(i for i, kind in enumerate(found.kinds) if kind == "space")
    units = tuple(found.units[i] or "" for i in spatial)
    moved = found.translation
    return _Statement(
        f"multiscales of the group above (path {path!r})",
        voxel_size=Coordinate(found.scale[i] for i in spatial),
        offset=None if moved is None else Coordinate(moved[i] for i in spatial),
        units=units if any(units) else None,
        axes=found.axes,
        spatial=spatial,
    )


def _numbers(
    dataset: Dataset, attrs: Mapping[str, Any], name: str, broadcast: int | None
) -> Coordinate | None:
    """Read an attribute as a coordinate; a single number stands for every axis."""
    value = attrs.get(name)
    if value is None:
        return None
    try:
        entries = _entries(value)
        numbers = Coordinate(entries if isinstance(entries, (list, tuple)) else (entries,))
    except (TypeError, ValueError) as error:
        raise MetadataConflict(
            f"{dataset.uri}: attribute {name!r} is {value!r}, which is no list of numbers: "
            "pass voxel_size= and offset="
        ) from error
    if not isinstance(entries, (list, tuple)) and broadcast is not None:
        return Coordinate(tuple(numbers) * broadcast)
    return numbers


def _entries(value: Any) -> Any:
    """Take apart what an attribute may hold: list, array, number, or text of these."""
    if isinstance(value, np.ndarray):
        # Not tolist(): float32 4.6 has to stay float32 to be read as 4.6.
        return value[()] if value.ndim == 0 else list(value)
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return json.loads(value)
    return value


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    entries = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(entries, (str, bytes)):
        return None
    try:
        return tuple(e.decode() if isinstance(e, bytes) else str(e) for e in entries)
    except TypeError:
        return None


def _agreed(dataset: Dataset, statements: Sequence[_Statement], field: str) -> Coordinate | None:
    """Return what all that speak of it say."""
    found = [(s.place, getattr(s, field)) for s in statements if getattr(s, field) is not None]
    if len({value for _, value in found}) > 1:
        said = "; ".join(f"{place} says {value}" for place, value in found)
        raise MetadataConflict(
            f"{dataset.uri} states its {field} twice, and differently: {said}. Correct the file, "
            f"or pass {field}= to decide"
        )
    return found[0][1] if found else None


def _first(statements: Sequence[_Statement], field: str) -> Any:
    values = (getattr(statement, field) for statement in reversed(statements))
    return next((value for value in values if value is not None), None)


def _nothing_found(dataset: Dataset) -> str:
    there = ", ".join(sorted(dataset.attrs)) or "none"
    return (
        f"{dataset.uri} does not say its voxel size: looked for the attributes "
        f"{' and '.join(map(repr, SIZE_ATTRS))} (there are: {there}) and for OME-Zarr's "
        "multiscales in the groups above. Pass voxel_size= (world units, one for each spatial "
        "axis), write the attribute 'resolution', or opt into one world unit a voxel"
    )


def write_geometry(
    dataset: Dataset, geometry: Geometry, *, ngff: NgffVersion | None = None
) -> None:
    """Write where a dataset lies, so that every known reader finds it.

    Written are ``resolution``, ``voxel_size`` and ``offset``, and where known ``axis_names`` and
    ``units``. Whole values are written as integers.

    Parameters
    ----------
    dataset
        Open for writing.
    geometry
        What to write.
    ngff
        Write ``multiscales`` of this version into the group right above, as the only level.

    Raises
    ------
    StoreError
        If a value is not exactly a decimal that a float holds (1/3), or if ``ngff`` is asked for
        a dataset in no group.
    """
    written = geometry_attrs(geometry)
    if ngff is not None:
        _write_ngff(dataset, geometry, ngff)
    dataset.attrs.update(written)


def geometry_attrs(geometry: Geometry) -> dict[str, Any]:
    """Give the attributes that state a geometry.

    >>> geometry_attrs(Geometry(Coordinate(40, 9.8), Coordinate(0, 4.9)))
    {'resolution': [40, 9.8], 'voxel_size': [40, 9.8], 'offset': [0, 4.9]}
    """
    size = plain_numbers(geometry.voxel_size)
    attrs: dict[str, Any] = {
        "resolution": size,
        "voxel_size": list(size),
        "offset": plain_numbers(geometry.offset),
    }
    if geometry.axes is not None:
        attrs["axis_names"] = list(geometry.axes)
    if geometry.units is not None:
        attrs["units"] = list(geometry.units)
    return attrs


def plain_numbers(values: Coordinate) -> list[int | float]:
    """Write exact values as ints and floats that are read back as the same values.

    Raises
    ------
    StoreError
        If there is no such float.
    """
    plain = [value if isinstance(value, int) else float(value) for value in values]
    if Coordinate(plain) != values:
        wrong = ", ".join(format_exact(v) for v, p in zip(values, Coordinate(plain)) if v != p)  # noqa: B905
        raise StoreError(
            f"{wrong} in {values} cannot be written exactly as a decimal number: choose a voxel "
            "size and an offset with finite decimals, or another unit"
        )
    return plain


def _write_ngff(dataset: Dataset, geometry: Geometry, version: NgffVersion) -> None:
    if not dataset.ancestors:
        raise StoreError(f"{dataset.uri} is in no group, which OME-Zarr metadata are written to")
    path, attrs = dataset.ancestors[0]
    ndim, dims = len(dataset.shape), len(geometry.voxel_size)
    spatial = geometry.spatial or tuple(range(ndim - dims, ndim))
    names = geometry.axes or axis_names(ndim, dims)
    units = dict(zip(spatial, geometry.units or (None,) * dims, strict=True))
    axes = [
        (name.rstrip("^"), "space" if i in units else _kind(name), units.get(i))
        for i, name in enumerate(names)
    ]
    scale: list[int | float] = [1] * ndim
    translation: list[int | float] = [0] * ndim
    for i, size, begin in zip(
        spatial, plain_numbers(geometry.voxel_size), plain_numbers(geometry.offset), strict=True
    ):
        scale[i], translation[i] = size, begin
    attrs.update(make_multiscales([(path, scale, translation)], axes, version))


def axis_names(ndim: int, dims: int) -> tuple[str, ...]:
    """Name the axes of a dataset whose last ones are spatial.

    >>> axis_names(4, 3)
    ('c', 'z', 'y', 'x')
    """
    leading = ("c",) if ndim - dims == 1 else tuple(f"c{i}" for i in range(ndim - dims))
    return leading + (("z", "y", "x")[-dims:] if dims <= 3 else tuple(f"d{i}" for i in range(dims)))


def _kind(name: str) -> str:
    return "time" if name.lower().rstrip("^") in ("t", "time") else "channel"
