"""Locations from a list."""

from __future__ import annotations

import logging
import operator
import threading
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from voxflow.nodes.locations.located import Located
from voxflow.nodes.locations.remembered import Remembered
from voxflow.nodes.locations.room import Room, find_room
from voxflow.pipeline.data import Array
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from voxflow.pipeline.data import Batch, BatchRequest, RunPosition
    from voxflow.pipeline.geometry.exact import Exact

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    shift: Coordinate
    number: int
    """Which location of the list it is."""


class SpecifiedLocation(Located):
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
        self.coordinates = [Coordinate(location) for location in locations]
        if not self.coordinates:
            raise ValueError("locations is empty, at least one is needed")
        dims = {len(location) for location in self.coordinates}
        if len(dims) > 1:
            raise ValueError(f"locations have different numbers of axes: {sorted(dims)}")
        self.choose_randomly = choose_randomly
        self.extra_data = None if extra_data is None else list(extra_data)
        if self.extra_data is not None and len(self.extra_data) != len(self.coordinates):
            raise ValueError(
                f"extra_data needs one entry for each of the {len(self.coordinates)} locations, "
                f"got {len(self.extra_data)}"
            )
        self.jitter = (0,) * dims.pop() if jitter is None else tuple(map(operator.index, jitter))
        if len(self.jitter) != len(self.coordinates[0]) or min(self.jitter, default=0) < 0:
            raise ValueError(
                f"jitter needs {len(self.coordinates[0])} numbers, 0 or more, got {self.jitter}"
            )
        if per_batch < 1:
            raise ValueError(f"per_batch has to be at least 1, got {per_batch}")
        self.attempt_factor = attempt_factor
        self.per_batch = per_batch
        self._known = Remembered()
        self._counter = _Counter()

    def setup(self) -> None:
        """Offer everything without bounds."""
        super().setup()
        self._known = Remembered()
        self._counter = _Counter()

    def shift_of(self, request: BatchRequest) -> Coordinate:
        """By how much a request moves, in world units."""
        shift: Coordinate = self.plan(request).shift
        return shift

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

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> _Place:
        """The location, by its number, and how far the request moves to be there."""
        room = find_room(self._who(), request, self.upstream_spec)
        total = request.get_total_roi()
        middle = self._middle(total)
        if not room.step:
            room = Room(Coordinate((1,) * len(middle)), *((None,) * len(middle),) * 2)
        fitting = self._known.get((middle, room), lambda: self._fitting(middle, room))
        if not fitting:
            raise SamplingError(
                f"{self._who()}: 0 of {len(self.coordinates)} locations fit. Around each of them "
                f"{total} (world units) was asked, which can move by {room}; the first location, "
                f"{self.coordinates[0]}, needs {self.coordinates[0] - middle}. Ask for less, let "
                "downstream nodes add less context, or put Pad after the sources."
            )
        if self.choose_randomly:
            number = fitting[int(rng.integers(len(fitting)))]
        else:
            number = fitting[self._turn(request, len(fitting)) % len(fitting)]
        moved = []
        for axis, reach in enumerate(self.jitter):
            low, high = self._jitters(self.coordinates[number], middle, room, axis)
            by = int(rng.integers(low, high + 1)) if reach else 0
            moved.append(_steps(self.coordinates[number][axis] + by, middle, room, axis))
        return _Place(room.shift(moved), number)

    def _middle(self, total: Roi | None) -> Coordinate:
        dims = len(self.coordinates[0])
        if total is None:
            return Coordinate((0,) * dims)  # nothing in the request has a place
        if total.unbounded or total.dims != dims:
            raise RequestRefused(
                [
                    f"{self._who()}: locations of {dims} dimensions need a bounded request of as "
                    f"many, got {total}"
                ]
            )
        return Coordinate(
            int(c) if type(total.offset[d]) is int and type(total.shape[d]) is int else c
            for d, c in enumerate(total.center)
        )

    def _fitting(self, middle: Coordinate, room: Room) -> list[int]:
        """The numbers of the locations at which the request is inside, with some jitter."""
        fitting: list[int] = []
        left_out: list[int] = []
        for number, location in enumerate(self.coordinates):
            ranges = (self._jitters(location, middle, room, d) for d in range(len(middle)))
            fits = all(low <= high for low, high in ranges)
            (fitting if fits else left_out).append(number)
        if left_out and fitting:
            logger.warning(
                "%s: %d of %d locations are left out, since not all of the request would be "
                "inside; the first is number %d, at %s",
                *(self._who(), len(left_out), len(self.coordinates)),
                *(left_out[0], self.coordinates[left_out[0]]),
            )
        return fitting

    def _jitters(
        self, location: Coordinate, middle: Coordinate, room: Room, axis: int
    ) -> tuple[int, int]:
        """The least and the largest jitter along an axis with which the request is inside."""
        reach, first, last = self.jitter[axis], room.first[axis], room.last[axis]
        jitters = range(-reach, reach + 1)

        def steps(by: int) -> int:
            return _steps(location[axis] + by, middle, room, axis)

        # The further the jitter, the further the request: the fitting ones are neighbours.
        low = 0 if first is None else bisect_left(jitters, first, key=steps)
        high = len(jitters) if last is None else bisect_right(jitters, last, key=steps)
        return low - reach, high - 1 - reach

    def _turn(self, request: BatchRequest, count: int) -> int:
        """The how manieth location it is."""
        position = request.position
        if position is None:
            turn = self._counter.next(request.planning)
        else:
            turn = position.index * self.per_batch + _part_of_batch(position)
        if turn and turn % count == 0 and not request.planning:
            logger.warning(
                "%s: all %d locations were used, from the start again", self._who(), count
            )
        return turn


def _steps(place: Exact, middle: Coordinate, room: Room, axis: int) -> int:
    """By how many steps the request moves along an axis, halves to even."""
    steps: Fraction = Fraction(place - middle[axis]) / room.step[axis]
    return round(steps)


def _part_of_batch(position: RunPosition) -> int:
    """Which part of its batch a request is: the numbers that it was reseeded with, added up."""
    return sum(part for parts in position.path for part in parts if isinstance(part, int))


class _Counter:
    """Counts requests that belong to no run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0

    def next(self, peek: bool) -> int:
        with self._lock:
            number = self._next
            self._next += not peek
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()
