"""How far sections are shifted, and gunpowder's names for the steps of moving them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voxflow.pipeline.data import Graph


def draw_shifts(
    sections: int,
    sigmas: Sequence[Any],
    prob_slip: float,
    prob_shift: float,
    step: Sequence[Any],
    uniform: Callable[[], float],
    normal: Callable[[float], float],
) -> NDArray[Any]:
    """By how much each section is shifted.

    A section slips (alone), or is shifted together with all that follow, by N(0, sigma) along each
    axis, rounded to whole steps.

    Parameters
    ----------
    sections
        how many there are.
    sigmas
        the standard deviation along each axis (world); 0: no shift along it.
    prob_slip, prob_shift
        how likely either is, for each section.
    step
        a whole number of which each shift is, along each axis (world).
    uniform, normal
        where the dice come from: a number in [0, 1), and one of N(0, sigma).

    Returns
    -------
    NDArray
        shape (sections, axes), world units; int64 if all steps are whole, else float64.
    """
    whole = Coordinate(step).is_whole
    shifts = np.zeros((sections, len(sigmas)), np.int64 if whole else np.float64)
    units = np.array([float(s) for s in step])
    base = np.zeros(len(sigmas))
    for section in range(sections):
        dice = uniform()
        steps = [normal(float(s) / float(v)) for s, v in zip(sigmas, step, strict=True)]
        moved = base + np.rint(steps) * units
        if prob_slip < dice <= prob_slip + prob_shift:
            base = moved
        shifts[section] = moved if dice <= prob_slip else base
    return shifts


class SectionSteps:
    """The steps that a shift can be done in by hand, under the names that gunpowder has for them.

    `ShiftAugment` itself uses none of them: it draws a map.

    Attributes
    ----------
    ndim
        The number of spatial axes; set when the pipeline is built.
    shift_axis
        The axis across the sections.
    shift_sigmas
        The standard deviation of shifts along each axis, world units; set when the pipeline is
        built.
    """

    ndim: int
    shift_axis: int
    shift_sigmas: tuple[float, ...]

    @staticmethod
    def construct_global_shift_array(
        shift_axis_len: int,
        shift_sigmas: Sequence[Any],
        prob_slip: float,
        prob_shift: float,
        lcm_voxel_size: Sequence[Any],
    ) -> NDArray[Any]:
        """By how much each section is shifted, drawn from `random` and `numpy.random`."""
        return draw_shifts(
            shift_axis_len,
            shift_sigmas,
            prob_slip,
            prob_shift,
            lcm_voxel_size,
            random.random,
            lambda sigma: float(np.random.normal(scale=sigma)),
        )

    @staticmethod
    def get_sub_shift_array(
        total_roi: Roi,
        item_roi: Roi,
        shift_array: NDArray[Any],
        shift_axis: int,
        lcm_voxel_size: Sequence[Any],
    ) -> NDArray[Any]:
        """The rows of `shift_array`, which is that of `total_roi`, for the sections of a region."""
        step = lcm_voxel_size[shift_axis]
        first = int((item_roi.begin[shift_axis] - total_roi.begin[shift_axis]) // step)
        return shift_array[first : first + int(item_roi.shape[shift_axis] // step)]

    @staticmethod
    def compute_upstream_roi(request_roi: Roi, sub_shift_array: NDArray[Any]) -> Roi:
        """What is read for a region whose sections are shifted so."""
        low = Coordinate(sub_shift_array.min(axis=0).tolist())
        high = Coordinate(sub_shift_array.max(axis=0).tolist())
        return Roi(request_roi.begin - high, request_roi.shape + high - low)

    @staticmethod
    def shift_points(
        points: Graph,
        request_roi: Roi,
        sub_shift_array: NDArray[Any],
        shift_axis: int,
        lcm_voxel_size: Sequence[Any],
    ) -> Graph:
        """Move the nodes of a graph, in place, and drop those that end up outside."""
        begin = float(request_roi.begin[shift_axis])
        step = float(lcm_voxel_size[shift_axis])

        def moved(locations: NDArray[Any]) -> NDArray[Any]:
            section = np.floor((locations[:, shift_axis] - begin) / step).astype(np.int64)
            steps = sub_shift_array[np.clip(section, 0, len(sub_shift_array) - 1)]
            return np.asarray(locations + steps)

        points.map_locations(moved)
        points.spec.roi = request_roi
        points.remove_nodes(~points.inside(request_roi))
        return points

    def shift_and_crop(
        self,
        arr: NDArray[Any],
        roi_shape: Sequence[Any],
        sub_shift_array: NDArray[Any],
        voxel_size: Sequence[Any],
    ) -> NDArray[Any]:
        """Shift the sections of what `compute_upstream_roi` gave, and crop it.

        Raises
        ------
        ValueError
            If the number of sections is no multiple of the number of shifts.
        """
        lead, axis = arr.ndim - self.ndim, self.shift_axis
        sections = arr.shape[lead + axis]
        if sections % len(sub_shift_array):
            raise ValueError(
                f"{sections} sections cannot be shared by {len(sub_shift_array)} shifts: their "
                "number has to be a multiple of that"
            )
        size = np.array([float(v) for v in voxel_size])
        steps = np.rint(sub_shift_array / size).astype(np.int64)
        steps = (steps - steps.max(axis=0)).repeat(sections // len(steps), axis=0)
        others = [a for a in range(self.ndim) if a != axis]
        rolled = np.empty_like(arr)
        for section, step in enumerate(steps):
            at: Any = (..., section, *[slice(None)] * (self.ndim - 1 - axis))
            planes = tuple(lead + a - (a > axis) for a in others)
            rolled[at] = np.roll(arr[at], [int(step[a]) for a in others], planes)
        kept: Any = [slice(0, round(float(n) / v)) for n, v in zip(roi_shape, size, strict=True)]
        cropped: NDArray[Any] = rolled[(..., *kept)]
        return cropped
