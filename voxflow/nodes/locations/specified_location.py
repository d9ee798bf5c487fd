"""Locations from a list."""

from __future__ import annotations

import logging
import operator
from typing import TYPE_CHECKING, Any

from voxflow.nodes.locations.listed_location import ListedLocation
from voxflow.pipeline.data import Array
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voxflow.pipeline.data import Batch, BatchRequest

logger = logging.getLogger(__name__)


class SpecifiedLocation(ListedLocation):
    """Moves each request to a location from a list: one after the other, or at random.

    The middle of everything that is requested comes to lie on the location, rounded to the grid
    of the least common multiple of the voxel sizes of the requested arrays, halves to even.
    (As ever in a request, half of an odd size is rounded towards zero.) Locations at which not
    all that is requested is there are left out, with a warning.

    One after the other: batch i of a run is at the i-th of those that fit, from the start again
    when they are used up. This follows from the number of the batch alone, so it is the same for
    any number of workers and after a resume. The parts of a batch (those of a `Stack`, the
    retries of `Reject`) have the location of the batch and those after. Requests that belong to
    no run (they came with a seed of their own) are counted one by one.

    Parameters
    ----------
    locations
        World units, one entry for each axis.
    choose_randomly
        Draw each location from all that fit, instead of one after the other.
    extra_data
        One value for each location, whatever it is. Every requested array gets that of its
        location, as ``attrs["specified_location_extra_data"]``.
    jitter
        By how much a location is moved at random: a whole number from -jitter to jitter for each
        axis, in world units, of those with which the request fits.
    attempt_factor
        Not used: those that fit are known, so none is tried in vain.
    per_batch
        By how many locations one batch is ahead of the one before. Give n upstream of ``Stack(n)``,
        or its parts repeat most locations of the batch before.

    Raises
    ------
    ValueError
        If there is no location, if they or `jitter` differ in their number of axes, if a jitter
        is negative, if `per_batch` is less than 1, or if there are
        more or fewer `extra_data` than locations.
    TypeError
        If a jitter is not whole.

    Notes
    -----
    A request for which none of the locations fits raises a `SamplingError`, and is refused by
    `pipeline.check`.
    """

    def __init__(
        self,
        locations: Iterable[Iterable[Any]],
        choose_randomly: bool = False,
        extra_data: Sequence[Any] | None = None,
        jitter: Iterable[int] | None = None,
        attempt_factor: int = 5,
        *,
        per_batch: int = 1,
    ) -> None:
        coordinates = [Coordinate(location) for location in locations]
        if not coordinates:
            raise ValueError("locations is empty, at least one is needed")
        dims = {len(location) for location in coordinates}
        if len(dims) > 1:
            raise ValueError(f"locations have different numbers of axes: {sorted(dims)}")
        self.extra_data = None if extra_data is None else list(extra_data)
        if self.extra_data is not None and len(self.extra_data) != len(coordinates):
            raise ValueError(
                f"extra_data needs one entry for each of the {len(coordinates)} locations, "
                f"got {len(self.extra_data)}"
            )
        reach = (0,) * dims.pop() if jitter is None else tuple(map(operator.index, jitter))
        if len(reach) != len(coordinates[0]) or min(reach, default=0) < 0:
            raise ValueError(f"jitter needs {len(coordinates[0])} numbers, 0 or more, got {reach}")
        self.attempt_factor = attempt_factor
        self.list_locations(coordinates, choose_randomly, per_batch, reach)

    def setup(self) -> None:
        """Offer everything without bounds."""
        super().setup()
        self.list_locations(self.coordinates, self.choose_randomly, self.per_batch, self.jitter)

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Say that everything lies where it was asked for, and add the extra data."""
        super().process(batch, request)
        if self.extra_data is None:
            return
        extra = self.extra_data[self.plan(request).number]
        for key in request.array_specs:
            array = batch[key]
            attrs = {**array.attrs, "specified_location_extra_data": extra}
            batch[key] = Array(array.data, array.spec, attrs)
