"""Sections that slip, or are shifted together with all that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from voxflow.nodes.augment.augment import probability
from voxflow.nodes.augment.fitting import OnFailure, still
from voxflow.nodes.augment.own_axes import arrays_along, sections
from voxflow.nodes.augment.section_shifts import SectionSteps, draw_shifts
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps import SectionShifts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.nodes.augment.moved_graph import Edges
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import BatchRequest


class ShiftAugment(SectionSteps, SpatialAugment):
    """Shifts sections against one another at random, as in series of sections that are misaligned.

    A section is as thick as the least common multiple of the voxel sizes of all arrays that are
    asked for, and shifts are multiples of it, so nothing is interpolated. Arrays may have channels.

    Parameters
    ----------
    prob_slip
        How likely a section is shifted by itself.
    prob_shift
        How likely a section is shifted together with all that follow.
    sigma
        The standard deviation of shifts, in world units: a number for all axes but `shift_axis`, or
        one for each axis, 0 for that one.
    shift_axis
        The spatial axis across the sections, from 0.
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
        If numbers do not fit together. At a request: if no array is asked for, what is asked of
        arrays is no whole number of sections, or there are other axes than `sigma` has entries.
    """

    def __init__(
        self,
        prob_slip: float = 0,
        prob_shift: float = 0,
        sigma: float | Sequence[float] = 0,
        shift_axis: int = 0,
        p: float = 1.0,
        *,
        labels: Literal["nearest", "majority"] = "nearest",
        edges: Edges = "keep",
        on_failure: OnFailure = "error",
    ) -> None:
        self.prob_slip = probability("prob_slip", prob_slip)
        self.prob_shift = probability("prob_shift", prob_shift)
        if prob_slip + prob_shift > 1:
            raise ValueError(
                f"prob_slip {prob_slip} and prob_shift {prob_shift} are more than 1 together"
            )
        self.sigma = sigma
        self.shift_axis = int(shift_axis)
        given = np.atleast_1d(np.asarray(sigma, np.float64))
        if not given.any() or (given < 0).any() or self.shift_axis < 0:
            raise ValueError(
                f"sigma {sigma} has to be above 0 along an axis, and shift_axis {shift_axis} not "
                "to be negative"
            )
        if np.ndim(sigma) > 0 and (len(given) <= self.shift_axis or given[self.shift_axis]):
            raise ValueError(
                f"sections cannot be shifted across themselves: give sigma {sigma} a 0 for "
                f"shift_axis {shift_axis}"
            )
        self.p = probability("p", p)
        self._options(edges, on_failure, labels)

    def setup(self) -> None:
        """Look up how many axes there are."""
        total = self.spec.get_total_roi()
        if total is not None:
            self.ndim = total.dims
            self.shift_sigmas = self._sigmas(total.dims)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """By how much each section is shifted."""
        total, step = request.get_total_roi(), self.spec.get_lcm_voxel_size(request.array_specs)
        if total is None or step is None:
            raise ValueError(
                f"{self.name()} shifts by whole voxels, and no array is asked for that says how "
                "large one is: ask for one as well (as a placeholder, if its data are not wanted)"
            )
        sigmas, dims = self._sigmas(total.dims), total.dims
        thickness = step[self.shift_axis]
        low, high = arrays_along(request, self.shift_axis) or (0, 0)
        if (high - low) % thickness:
            raise ValueError(
                f"{self.name()}: {low} to {high} is no whole number of sections of {thickness} "
                "(world units, the least common multiple of voxel sizes) along axis "
                f"{self.shift_axis}"
            )
        begin, count = sections(request, total, thickness, self.shift_axis - dims)
        shifts = draw_shifts(
            count,
            sigmas,
            self.prob_slip,
            self.prob_shift,
            step,
            rng.random,
            lambda sigma: rng.normal(scale=sigma),
        )
        extra = max(0, dims - 3)
        if not shifts.any():
            return still(dims - extra)
        # A shift moves what is shown: its source lies on the other side.
        return SectionShifts(
            -shifts[:, extra:], float(begin), float(thickness), self.shift_axis - extra
        )

    def possible(self, request: BatchRequest) -> Iterator[None]:
        """That sections are moved."""
        if self.prob_slip or self.prob_shift:
            yield None

    def _sigmas(self, dims: int) -> tuple[float, ...]:
        """One sigma for each axis."""
        if np.ndim(self.sigma) == 0:
            one = [float(self.sigma)] * dims  # type: ignore[arg-type]
            sigmas = tuple(0.0 if axis == self.shift_axis else s for axis, s in enumerate(one))
        else:
            sigmas = tuple(float(s) for s in self.sigma)  # type: ignore[union-attr]
        extra = max(0, dims - 3)
        if len(sigmas) != dims or not extra <= self.shift_axis < dims or any(sigmas[:extra]):
            raise ValueError(
                f"{self.name()} got sigma {self.sigma} and shift_axis {self.shift_axis} for {dims} "
                "axes; give a sigma for each of them, and 0 for all but the last three"
            )
        return sigmas
