"""What the values of an array mean: how they change where the array is mirrored or turned."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

__all__ = [
    "Affinities",
    "Descriptors",
    "Kind",
    "Vectors",
    "attrs_of_kind",
    "kind_at_other_voxels",
    "kind_of_attrs",
    "attrs_without_kind",
]


class Kind:
    """What the values of an array speak of, besides the voxel that they lie in.

    An array without a kind (None) holds plain values: images, labels, classes, masks, distances.
    They go where their voxels go and stay as they are. All others have their channels in the axis
    right before the spatial ones; how they change is said once, in `voxflow.ops.actions`.
    """


@final
@dataclass(frozen=True)
class Affinities(Kind):
    """Each channel compares every voxel with the one that lies at an offset.

    This also holds for masks and weights of affinities.

    Parameters
    ----------
    neighborhood
        The offset of each channel in voxels, with an entry for each spatial axis.

    Raises
    ------
    TypeError
        If an entry is not a whole number.
    ValueError
        If there is no offset, or they differ in length.

    Examples
    --------
    >>> Affinities([[-1, 0], [0, -1]])
    Affinities(neighborhood=((-1, 0), (0, -1)))
    """

    neighborhood: Iterable[Iterable[int]]

    def __post_init__(self) -> None:
        offsets = tuple(tuple(map(operator.index, offset)) for offset in self.neighborhood)
        if len({len(offset) for offset in offsets}) != 1 or not offsets[0]:
            raise ValueError(
                "affinities have one or more offsets, each with an entry for each spatial axis "
                f"(voxels); got {offsets}"
            )
        object.__setattr__(self, "neighborhood", offsets)

    @property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """The offsets, as tuples."""
        return self.neighborhood  # type: ignore[return-value]


@final
@dataclass(frozen=True)
class Vectors(Kind):
    """Each voxel holds a vector: one channel for each spatial axis, in their order.

    A vector is a step from one place to another, such as to the centre of an object. Where things
    are shown larger it becomes longer.

    Parameters
    ----------
    units
        What it is measured in: "world" units, or each component in "voxels" along its axis.

    Raises
    ------
    ValueError
        If it is something else.
    """

    units: Literal["world", "voxels"] = "world"

    def __post_init__(self) -> None:
        units = str(self.units)
        if units not in ("world", "voxels"):
            raise ValueError(f"vectors are in 'world' units or 'voxels', got {self.units!r}")
        object.__setattr__(self, "units", units)


@final
@dataclass(frozen=True)
class Descriptors(Kind):
    """Local shape descriptors, with channels as in `voxflow.ops.descriptors`.

    Parameters
    ----------
    sigma
        Of the window (world units): a number, or one for each spatial axis.

    Raises
    ------
    ValueError
        If a number is not above 0.

    Examples
    --------
    >>> Descriptors([80, 80, 80]) == Descriptors((80.0, 80.0, 80.0))
    True
    """

    sigma: float | Sequence[float]

    def __post_init__(self) -> None:
        given = np.asarray(self.sigma, np.float64)
        if given.ndim > 1 or not (given > 0).all():
            raise ValueError(f"sigma is a length above 0, or one for each axis; got {self.sigma}")
        sigma = tuple(given.tolist()) if given.ndim else given.item()
        object.__setattr__(self, "sigma", sigma)

    def along(self, dims: int) -> tuple[float, ...]:
        """Sigma along each of so many axes."""
        sigma = self.sigma
        return tuple(sigma) if isinstance(sigma, Sequence) else (sigma,) * dims


_NEIGHBORHOOD, _UNITS, _SIGMA = "affinity_neighborhood", "vector_units", "descriptor_sigma"


def attrs_of_kind(kind: Kind | None) -> dict[str, Any]:
    """The attributes that state a kind in a file.

    >>> attrs_of_kind(Affinities([[-1, 0], [0, -1]]))
    {'affinity_neighborhood': [[-1, 0], [0, -1]]}
    """
    if isinstance(kind, Affinities):
        return {_NEIGHBORHOOD: [list(offset) for offset in kind.offsets]}
    if isinstance(kind, Vectors):
        return {_UNITS: kind.units}
    if isinstance(kind, Descriptors):
        sigma = kind.sigma
        return {_SIGMA: list(sigma) if isinstance(sigma, Sequence) else sigma}
    return {}


def kind_of_attrs(attrs: Mapping[str, Any]) -> Kind | None:
    """The kind that attributes of a file state, or None.

    Raises
    ------
    TypeError, ValueError
        If an attribute is there that does not say what it should.

    >>> kind_of_attrs({"vector_units": "voxels", "resolution": [4, 4]})
    Vectors(units='voxels')
    >>> kind_of_attrs({"affinity_neighborhood": "[[-1, 0]]"})
    Affinities(neighborhood=((-1, 0),))
    """
    if attrs.get(_NEIGHBORHOOD) is not None:
        offsets = attrs[_NEIGHBORHOOD]
        # HDF5 has no nested lists: written there as they are, they become text.
        return Affinities(json.loads(offsets) if isinstance(offsets, str) else offsets)
    if attrs.get(_UNITS) is not None:
        return Vectors(attrs[_UNITS])
    if attrs.get(_SIGMA) is not None:
        return Descriptors(attrs[_SIGMA])
    return None


def attrs_without_kind(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of an array, but for those that state its kind.

    >>> attrs_without_kind({"vector_units": "voxels", "resolution": [4, 4]})
    {'resolution': [4, 4]}
    """
    stated = (_NEIGHBORHOOD, _UNITS, _SIGMA)
    return {name: value for name, value in attrs.items() if name not in stated}


def kind_at_other_voxels(kind: Kind | None) -> Kind | None:
    """The kind that values still have when they are put on voxels of another size.

    What counts in voxels has lost its meaning: such values are plain ones from then on.

    >>> kind_at_other_voxels(Affinities([[-1, 0]])) is None
    True
    >>> kind_at_other_voxels(Vectors("world"))
    Vectors(units='world')
    """
    counts = isinstance(kind, Affinities) or (isinstance(kind, Vectors) and kind.units == "voxels")
    return None if counts else kind
