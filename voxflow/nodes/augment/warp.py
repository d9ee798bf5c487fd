"""Every way of moving voxels in one node, with the ranges of other tools at hand."""

from __future__ import annotations

from itertools import permutations, product
from math import radians
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from voxflow.nodes.augment.augment import probability
from voxflow.nodes.augment.fitting import OnFailure, still
from voxflow.nodes.augment.own_axes import one_voxel_size, own_total, sections
from voxflow.nodes.augment.simple_augment import about_center
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps import Affine, Compose, Elastic, mirror_transpose
from voxflow.ops.maps.draw import draw_local
from voxflow.ops.maps.warp import WarpRanges
from voxflow.ops.resampling.stages import eye
from voxflow.ops.symmetries import Symmetry
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.nodes.augment.moved_graph import Edges
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.geometry import Roi

Interval = tuple[float, float]


class Warp(SpatialAugment):
    """Rotates, shears, scales, stretches, twists, tilts, mirrors, deforms and misaligns at random.

    One map is drawn for all that is asked for, and every array is resampled once. Angles and
    magnifications are true in world units, whatever the voxel size. Without arguments nothing is
    moved; `elektronn1`, `elektronn2`, `gunpowder` and `imgaug` make nodes with the ranges of these.

    From what is shown to what is read, the parts follow one another in this order: misalignment of
    sections, displacement of control points, stretch and twist, perspective, matrix (scale, shear,
    `linear`, rotation) and shift, transposition and mirror.

    Parameters
    ----------
    rotation
        The least and greatest angle of a rotation about the centre in the last two axes (radians),
        or "any": all rotations are equally likely, in three axes unless `lock_z`.
    shear
        The least and greatest angle by which the last but one axis leans towards the last
        (radians).
    scale
        The least and greatest magnification, the same along all axes that are not locked; or such a
        pair for each axis.
    linear
        By how much each entry of the matrix is changed at most: shear and scale at once.
    shift
        By how much things are moved at least and at most, in parts of the extent of the region; or
        such a pair for each axis.
    stretch
        By how much the magnification along one of the last two axes changes at most, from the
        centre to where the other one ends.
    twist
        The greatest angle by which the last section is turned against the middle one, and the
        first one the other way (radians). With a rotation, no section is turned further than the
        interval of `rotation` says.
    perspective
        By how much the magnification changes at most, per edge of a voxel (the shortest one). It is
        kept so small that the corners are shown between 4/7 and 4 times as large as the centre.
    mirror
        The axes that are mirrored, each with probability 0.5.
    transpose
        The axes that change places; all permutations are equally likely. Voxels have to be equally
        long along them.
    control_point_spacing
        The distance between control points of a deformation, in voxels, for each axis.
    jitter_sigma
        The standard deviation of their displacement, in voxels, for each axis.
    prob_slip
        How likely a section is misaligned by itself.
    prob_shift
        How likely a section is misaligned together with all that follow.
    max_misalign
        By how many voxels a section is misaligned at most, along each of the last two axes.
    lock_z
        Whether the first of three axes is left alone by all that is not given for each axis.
    chance
        How likely each of rotation, shear, scale, and the others up to `perspective`, is drawn.
    elastic_chance
        How likely control points are displaced and sections misaligned.
    spatial_dims
        How many of the last axes are moved; axes are counted from 0 among these.
    voxel_size
        What a voxel is, in world units; None: the voxel size of the arrays that are asked for.
    p
        The probability with which the node does anything.
    labels
        How labels and masks are resampled, see `SpatialAugment`.
    edges
        What becomes of edges of graphs that leave the region: "keep", "clip" or "drop"; see
        `SpatialAugment`.
    on_failure
        What is done where more would be read than there is, see `SpatialAugment`.

    Raises
    ------
    ValueError
        If numbers do not fit together. At a request: if there are too few axes, axes could change
        places along which voxels differ in length, or arrays differ in voxel size where lengths are
        in voxels.
    RuntimeError
        At a request: if lengths are in voxels, and nothing says what a voxel is.
    """

    def __init__(
        self,
        *,
        rotation: Interval | Literal["any"] = (0.0, 0.0),
        shear: Interval = (0.0, 0.0),
        scale: Interval | Sequence[Interval] = (1.0, 1.0),
        linear: float = 0.0,
        shift: Interval | Sequence[Interval] = (0.0, 0.0),
        stretch: float = 0.0,
        twist: float = 0.0,
        perspective: float = 0.0,
        mirror: Sequence[int] = (),
        transpose: Sequence[int] = (),
        control_point_spacing: Sequence[Any] | None = None,
        jitter_sigma: Sequence[Any] | None = None,
        prob_slip: float = 0.0,
        prob_shift: float = 0.0,
        max_misalign: int = 0,
        lock_z: bool = True,
        chance: float = 1.0,
        elastic_chance: float = 1.0,
        spatial_dims: int = 3,
        voxel_size: Sequence[Any] | None = None,
        p: float = 1.0,
        labels: Literal["nearest", "majority"] = "nearest",
        edges: Edges = "keep",
        on_failure: OnFailure = "error",
    ) -> None:
        if not 1 <= spatial_dims <= 3:
            raise ValueError(f"1 to 3 axes can be moved, not spatial_dims={spatial_dims}")
        self.spatial_dims = spatial_dims
        self.ranges = WarpRanges(
            rotation if isinstance(rotation, str) else _interval("rotation", rotation),
            _interval("shear", shear),
            self._intervals("scale", scale),
            float(linear),
            self._intervals("shift", shift),
            float(stretch),
            float(twist),
            float(perspective),
            lock_z,
            probability("chance", chance),
        )
        self.mirror = self._axes("mirror", mirror)
        self.transpose = self._axes("transpose", transpose)
        self.spacing = self._lengths("control_point_spacing", control_point_spacing)
        self.sigma = self._lengths("jitter_sigma", jitter_sigma)
        self.misalign = (prob_slip, prob_shift, max_misalign)
        self.elastic_chance = probability("elastic_chance", elastic_chance)
        self.voxel_size = None if voxel_size is None else Coordinate(voxel_size)
        self.p = probability("p", p)
        self._options(edges, on_failure, labels)
        self._check()

    def _check(self) -> None:
        ranges = self.ranges
        if isinstance(ranges.rotation, str) and ranges.rotation != "any":
            raise ValueError(f"rotation is an interval, or 'any', got {ranges.rotation!r}")
        for name in ("linear", "stretch", "twist", "perspective"):
            if not getattr(ranges, name) >= 0:
                raise ValueError(f"{name} is a size and cannot be {getattr(ranges, name)}")
        if not np.min(ranges.scale) > 0 or ranges.linear >= 0.5 or ranges.stretch >= 1:
            raise ValueError(
                f"scale {ranges.scale} has to be above 0, linear {ranges.linear} below 0.5 and "
                f"stretch {ranges.stretch} below 1"
            )
        if (self.spacing is None) != (self.sigma is None):
            raise ValueError("control_point_spacing and jitter_sigma belong together: give both")
        if self.voxel_size is not None and len(self.voxel_size) < self.spatial_dims:
            raise ValueError(
                f"voxel_size {self.voxel_size} needs an entry for each of "
                f"spatial_dims={self.spatial_dims} axes"
            )
        if self.spatial_dims < 3 and (ranges.twist or self.misalign[2]):
            raise ValueError("twist and max_misalign need three axes, see spatial_dims")
        self._elastic((1,) * self.spatial_dims, (1,) * self.spatial_dims)  # mistakes are found now

    # -- ranges of other tools --------------------------------------------------------------------

    @classmethod
    def elektronn1(cls, *, spatial_dims: int = 3, **options: Any) -> Self:
        """The ranges of ELEKTRONN 1: rotation and twist of at most 15 degrees together, and more.

        Shear of 3 degrees, magnification of 1 to 1.1 along each axis, stretch of 0.1. Other
        `options` are those of `Warp`, and may replace these.
        """
        ranges: dict[str, Any] = {
            "rotation": (-radians(15), radians(15)),
            "shear": (-radians(3), radians(3)),
            "scale": ((1.0, 1.1),) * spatial_dims,
            "stretch": 0.1,
            "twist": radians(15) if spatial_dims == 3 else 0.0,
        }
        return cls(**{**ranges, "spatial_dims": spatial_dims, **options})

    @classmethod
    def elektronn2(
        cls,
        amount: float = 1.0,
        *,
        perspective: bool = False,
        lock_z: bool = True,
        spatial_dims: int = 3,
        **options: Any,
    ) -> Self:
        """The ranges of ELEKTRONN 2, in parts of `amount`.

        Rotation by any angle, 0.1 for each entry of the matrix, 0.005 for perspective, but no more
        than 0.003; mirrors, and transpositions of axes that are not locked. Other `options` are
        those of `Warp`, and may replace these.
        """
        first = 1 if lock_z and spatial_dims == 3 else 0
        free = range(first, spatial_dims)
        whole = not lock_z and amount >= 1
        ranges: dict[str, Any] = {
            "rotation": "any" if whole else (0.0, radians(360) * amount),
            "linear": 0.1 * amount,
            "perspective": min(0.005 * amount, 0.003) if perspective else 0.0,
            "mirror": tuple(range(spatial_dims)),
            "transpose": tuple(free),
        }
        return cls(**{**ranges, "lock_z": lock_z, "spatial_dims": spatial_dims, **options})

    @classmethod
    def gunpowder(cls, **options: Any) -> Self:
        """What gunpowder's tutorials draw for serial-section EM.

        Control points every 4, 40 and 40 voxels, displaced by 0, 2 and 2, rotation up to 90
        degrees, and sections that slip or shift by up to 25 voxels. Other `options` are those of
        `Warp`, and may replace these.
        """
        ranges: dict[str, Any] = {
            "control_point_spacing": (4, 40, 40),
            "jitter_sigma": (0, 2, 2),
            "rotation": (0.0, radians(90)),
            "prob_slip": 0.05,
            "prob_shift": 0.05,
            "max_misalign": 25,
        }
        return cls(**{**ranges, **options})

    @classmethod
    def imgaug(cls, *, elastic: bool = False, spatial_dims: int = 2, **options: Any) -> Self:
        """What is common with imgaug, each part with a probability of 0.5.

        Mirrors, magnification of 0.8 to 1.2, shift of a fifth of the region, rotation by any angle,
        shear of 10 degrees. With `elastic`, control points every 32 voxels are displaced by 4, with
        a probability of 0.8. Other `options` are those of `Warp`, and may replace these.
        """
        free = (spatial_dims - 2, spatial_dims - 1)
        ranges: dict[str, Any] = {
            "rotation": (0.0, radians(359)),
            "shear": (-radians(10), radians(10)),
            "scale": (0.8, 1.2),
            "shift": (-0.2, 0.2),
            "mirror": free,
            "chance": 0.5,
        }
        if elastic:
            ranges["control_point_spacing"] = (32,) * spatial_dims
            ranges["jitter_sigma"] = (0,) * (spatial_dims - 2) + (4, 4)
            ranges["elastic_chance"] = 0.8
        return cls(**{**ranges, "spatial_dims": spatial_dims, **options})

    # -- what is drawn ----------------------------------------------------------------------------

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """The map."""
        ndim = self.spatial_dims
        total = own_total(self, request, ndim)
        if total is None or total.empty:
            return still(ndim)
        voxel = self._voxel(request)
        maps, matrix, moved = self.ranges.draw(rng, total, float(min(voxel)))
        elastic = self._elastic(voxel, total.shape)
        if elastic is not None and rng.random() < self.elastic_chance:
            mixed = ndim == 3 and (matrix[0, 1:].any() or matrix[1:, 0].any())
            after = eye(ndim) if mixed else matrix
            slabs = sections(request, total, voxel[0], -ndim)
            maps = draw_local(rng, total, voxel, elastic, after, slabs) + maps
        center = [float(b + s / 2) for b, s in zip(total.begin, total.shape, strict=True)]
        linear = Affine(matrix, center, moved)
        if self.mirror or self.transpose:
            turned = self._oriented(request, total, rng)
            linear = turned if linear.is_identity else linear.then(turned)
        maps.append(linear)
        parts = [part for part in maps if not part.is_identity]
        if len(parts) == 1:
            return parts[0]
        return Compose(parts) if parts else still(ndim)

    def possible(self, request: BatchRequest) -> Iterator[Symmetry | None]:
        """The mirrors and transpositions that may be drawn, and whether anything else may."""
        unit = (1,) * self.spatial_dims
        elastic = self._elastic(unit, unit)
        if self.ranges.varies or (elastic is not None and elastic.varies):
            yield None
        may = [
            [False, True] if axis in self.mirror else [False] for axis in range(self.spatial_dims)
        ]
        for sources in permutations(self.transpose):
            order = list(range(self.spatial_dims))
            for axis, source in zip(self.transpose, sources, strict=True):
                order[axis] = source
            for mirror in product(*may):
                yield Symmetry(mirror, order)

    def _oriented(self, request: BatchRequest, total: Roi, rng: np.random.Generator) -> Affine:
        ndim = self.spatial_dims
        mirror = [axis in self.mirror and bool(rng.random() < 0.5) for axis in range(ndim)]
        order = list(range(ndim))
        if self.transpose:
            for axis, source in zip(self.transpose, rng.permutation(self.transpose), strict=True):
                order[axis] = int(source)
        for key in request.array_specs if self.transpose else ():
            size = self.spec[key].voxel_size
            if size is not None and len({size[-ndim:][axis] for axis in self.transpose}) > 1:
                raise ValueError(
                    f"{self.name()} is to let the axes {self.transpose} of {key} change places, "
                    f"but its voxels of {size} are not equally long along them; give transpose= "
                    "axes of equal voxel size, or () for none"
                )
        step = self.spec.get_lcm_voxel_size(request.array_specs)
        if step is not None and len(step) != ndim:  # else it stays the same object
            step = Coordinate(step[-ndim:])
        center, flips, takes, pivot = about_center(total, step, mirror, order)
        return mirror_transpose(center, flips, takes, pivot)

    def _voxel(self, request: BatchRequest) -> Coordinate:
        ndim = self.spatial_dims
        if not (self.ranges.perspective or self.sigma is not None or self.misalign[2]):
            return Coordinate((1,) * ndim)
        size = one_voxel_size(self, request) if self.voxel_size is None else self.voxel_size
        return Coordinate(size[-ndim:])

    def _elastic(self, voxel: Sequence[Any], extent: Sequence[Any]) -> Elastic | None:
        """What control points and misalignment are drawn from; None if there are none."""
        if self.sigma is None and not self.misalign[2]:
            return None
        spacing, sigma = list(extent), [0] * self.spatial_dims
        if self.spacing is not None and self.sigma is not None:
            spacing = [s * v for s, v in zip(self.spacing, voxel, strict=True)]
            sigma = [s * v for s, v in zip(self.sigma, voxel, strict=True)]
        slip, shift, most = self.misalign
        return Elastic(spacing, sigma, prob_slip=slip, prob_shift=shift, max_misalign=most)

    # -- parameters -------------------------------------------------------------------------------

    def _intervals(self, name: str, given: Any) -> Any:
        if np.ndim(given) == 1:
            return _interval(name, given)
        if len(given) != self.spatial_dims:
            raise ValueError(
                f"{name} is an interval, or one for each of spatial_dims={self.spatial_dims} axes, "
                f"got {given}"
            )
        return tuple(_interval(name, interval) for interval in given)

    def _axes(self, name: str, given: Sequence[int]) -> tuple[int, ...]:
        axes = tuple(int(axis) for axis in given)
        if len(set(axes)) != len(axes) or not set(axes) <= set(range(self.spatial_dims)):
            raise ValueError(
                f"{name} has to name different axes, 0 to {self.spatial_dims - 1}, got {axes}"
            )
        return axes

    def _lengths(self, name: str, given: Sequence[Any] | None) -> tuple[Any, ...] | None:
        if given is not None and len(given) != self.spatial_dims:
            raise ValueError(
                f"{name} {tuple(given)} needs one entry for each of "
                f"spatial_dims={self.spatial_dims} axes"
            )
        return None if given is None else tuple(given)


def _interval(name: str, given: Sequence[float]) -> Interval:
    if len(given) != 2 or not given[0] <= given[1]:
        raise ValueError(f"{name} goes from low to high, got {tuple(given)}")
    return float(given[0]), float(given[1])
