"""Random maps, drawn once for a whole request from the generator that is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..resampling.stages import Floats
from .affine import Affine, rotation
from .base import Map, Region
from .compose import Compose
from .displacement import ControlPointDisplacement
from .sections import SectionShifts


@dataclass(frozen=True)
class Elastic:
    """What an elastic augmentation is drawn from; lengths in world units.

    Attributes
    ----------
    spacing
        distance between control points, per axis.
    sigma
        standard deviation of the control points' displacement, per axis.
    rotation
        least and greatest angle in the last two axes (radians, uniform).
    scale
        least and greatest magnification (uniform); above 1 things look larger.
    prob_slip
        probability of a section to be misaligned alone.
    prob_shift
        probability of a section to be misaligned with all that follow.
    max_misalign
        greatest misalignment in voxels, along each of the last two axes.
    """

    spacing: Sequence[Any]
    sigma: Sequence[Any]
    rotation: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    prob_slip: float = 0.0
    prob_shift: float = 0.0
    max_misalign: int = 0

    def __post_init__(self) -> None:
        if len(self.spacing) != len(self.sigma) or not 1 <= len(self.spacing) <= 3:
            raise ValueError(
                f"spacing {tuple(self.spacing)} and sigma {tuple(self.sigma)} must have one entry "
                "for each of the 1 to 3 axes"
            )
        if min(self.spacing) <= 0 or min(self.sigma) < 0 or min(self.scale) <= 0:
            raise ValueError(
                f"spacing {tuple(self.spacing)} and scale {self.scale} must be above 0, sigma "
                f"{tuple(self.sigma)} not below"
            )
        probable = self.prob_slip, self.prob_shift
        if min(probable) < 0 or sum(probable) > 1 or self.max_misalign < 0:
            raise ValueError(
                f"prob_slip {self.prob_slip} and prob_shift {self.prob_shift} must lie in 0 to 1 "
                f"together, and max_misalign {self.max_misalign} not be negative"
            )
        if self.max_misalign and len(self.spacing) != 3 and any(probable):
            raise ValueError(f"sections slip in 3 axes only, not in {len(self.spacing)}")

    @property
    def varies(self) -> bool:
        """Whether maps differ from draw to draw."""
        slips = self.max_misalign and (self.prob_slip or self.prob_shift)
        ends = self.rotation, self.scale
        return bool(slips or any(self.sigma) or any(low != high for low, high in ends))


def draw_elastic(
    rng: np.random.Generator,
    roi: Region,
    voxel_size: Sequence[Any],
    params: Elastic,
    sections: tuple[Any, int] | None = None,
) -> Map:
    """Draw one elastic map for a whole request: scale, control points, rotation, misalignment.

    The source of an output position is: misaligned by its section, displaced by the control
    points, then scaled and rotated about the centre of `roi`. Displacement and misalignment are
    drawn in the frame of the source, as is the case where the four are added up. What is not
    asked for is left out, so that no angle, no sigma and no misalignment give the exact identity.

    Control points: ``max(1, round(shape / spacing))`` along each axis, evenly from the begin to the
    end of `roi`, each displaced by N(0, sigma).

    Parameters
    ----------
    rng
        where all dice come from.
    roi
        everything that is requested, of all keys; its last axes are those of `params`.
    voxel_size
        of a section and of a step of misalignment (world).
    params
        what to draw from.
    sections
        where the first section begins (world), and how many there are; None: they fill `roi`.
    """
    ndim = len(params.spacing)
    begin = np.array([float(v) for v in roi.offset])[-ndim:]
    shape = np.array([float(v) for v in roi.shape])[-ndim:]
    voxels = np.array([float(v) for v in voxel_size])[-ndim:]
    if not (shape > 0).all():
        raise ValueError(f"a map cannot be drawn for the empty region {roi}")
    magnify = rng.uniform(*params.scale)
    points = _draw_points(rng, shape, params)
    angle = rng.uniform(*params.rotation)
    first, count = sections or (begin[0], max(1, round(shape[0] / voxels[0])))
    steps = _draw_misalignment(rng, count, params)

    center = begin + 0.5 * shape
    turned = np.eye(ndim) / magnify
    if ndim > 1 and angle != 0.0:
        turned = turned @ np.asarray(rotation(angle, center.tolist()).matrix)
    maps = _local(points, steps, float(first), begin, shape, voxels, turned)
    if not maps or not np.array_equal(turned, np.eye(ndim)):
        maps.append(Affine(turned, center))
    return maps[0] if len(maps) == 1 else Compose(maps)


def draw_local(
    rng: np.random.Generator,
    roi: Region,
    voxel_size: Sequence[Any],
    params: Elastic,
    turned: Floats,
    sections: tuple[Any, int] | None = None,
) -> list[Map]:
    """Draw only displacement and misalignment, for a map that is turned afterwards.

    Parameters
    ----------
    rng, roi, voxel_size, params, sections
        as of `draw_elastic`.
    turned
        the matrix that follows: what is drawn adds to positions after it.
    """
    ndim = len(params.spacing)
    begin = np.array([float(v) for v in roi.offset])[-ndim:]
    shape = np.array([float(v) for v in roi.shape])[-ndim:]
    voxels = np.array([float(v) for v in voxel_size])[-ndim:]
    points = _draw_points(rng, shape, params)
    first, count = sections or (begin[0], max(1, round(shape[0] / voxels[0])))
    steps = _draw_misalignment(rng, count, params)
    return _local(points, steps, float(first), begin, shape, voxels, turned)


def _local(
    points: Floats,
    steps: Floats | None,
    first: float,
    begin: Floats,
    shape: Floats,
    voxels: Floats,
    turned: Floats,
) -> list[Map]:
    """The maps of misalignment and displacement, from output to input."""
    back = np.linalg.inv(turned)
    maps: list[Map] = []
    if steps is not None and steps.any():
        maps.append(SectionShifts((steps * voxels) @ back.T, first, float(voxels[0])))
    if points.any():
        moved = np.tensordot(back, points, axes=1)
        maps.append(ControlPointDisplacement(moved, begin.tolist(), (begin + shape).tolist()))
    return maps


def _draw_points(rng: np.random.Generator, shape: Floats, params: Elastic) -> Floats:
    counts = [max(1, round(n / float(s))) for n, s in zip(shape, params.spacing, strict=True)]
    points = np.zeros((len(counts), *counts))
    for axis, sigma in enumerate(params.sigma):
        if sigma > 0:
            points[axis] = rng.normal(0.0, float(sigma), counts)
    return points


def _draw_misalignment(rng: np.random.Generator, sections: int, params: Elastic) -> Floats | None:
    """Steps of misalignment in voxels, shape (sections, 3), or None where there can be none."""
    if params.max_misalign == 0 or params.prob_slip + params.prob_shift == 0:
        return None
    dice = rng.random(sections)
    steps = np.zeros((sections, 3))
    steps[:, 1:] = rng.integers(
        -params.max_misalign, params.max_misalign, size=(sections, 2), endpoint=True
    )
    slips = dice < params.prob_slip
    shifts = ~slips & (dice < params.prob_slip + params.prob_shift)
    return np.asarray(
        np.cumsum(np.where(shifts[:, None], steps, 0.0), axis=0)
        + np.where(slips[:, None], steps, 0.0)
    )
