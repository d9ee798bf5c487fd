"""Locations that are known before: one after the other, or at random."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.locations.located import Located
from voxflow.nodes.locations.remembered import Remembered
from voxflow.nodes.locations.room import Room, find_room
from voxflow.nodes.locations.turns import Turns
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.geometry.exact import Exact

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    shift: Coordinate
    number: int
    """Which location of the list it is."""
    last: bool
    """Whether it is the last one, and the next is the first again."""


class ListedLocation(Located):
    """Moves each request to a location of a list; subclasses call `list_locations`.

    The middle of everything that is requested comes to lie on the location, rounded to the grid
    of the least common multiple of the voxel sizes of the requested arrays, halves to even.
    Locations at which not all that is requested is there are left out, with a warning.
    """

    coordinates: list[Coordinate]

    def list_locations(
        self,
        coordinates: list[Coordinate],
        choose_randomly: bool,
        per_batch: int,
        jitter: tuple[int, ...] | None = None,
    ) -> None:
        """Say which locations there are.

        Parameters
        ----------
        coordinates
            World units, at least one.
        choose_randomly
            Draw each location from all that fit, instead of one after the other.
        per_batch
            By how many locations one batch is ahead of the one before.
        jitter
            The largest move of a location along each axis, in world units; None: none.
        """
        self.coordinates = coordinates
        self.choose_randomly = choose_randomly
        self.per_batch = per_batch
        self.jitter = (0,) * len(coordinates[0]) if jitter is None else jitter
        self._places = np.array([[float(c) for c in place] for place in coordinates])
        self._turns = Turns(per_batch)
        self._known = Remembered()
        self._warned = False

    def shift_of(self, request: BatchRequest) -> Coordinate:
        """By how much a request moves, in world units."""
        shift: Coordinate = self.plan(request).shift
        return shift

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Place:
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
        last = False
        if self.choose_randomly:
            number = fitting[int(rng.integers(len(fitting)))]
        else:
            turn = self._turn(request, len(fitting)) % len(fitting)
            number, last = fitting[turn], turn == len(fitting) - 1
        moved = []
        for axis, reach in enumerate(self.jitter):
            low, high = self._jitters(self.coordinates[number], middle, room, axis)
            by = int(rng.integers(low, high + 1)) if reach else 0
            moved.append(_steps(self.coordinates[number][axis] + by, middle, room, axis))
        return Place(room.shift(moved), number, last)

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
        sure, maybe = self._told(middle, room)
        for number in np.flatnonzero(maybe & ~sure).tolist():
            location = self.coordinates[number]
            ranges = (self._jitters(location, middle, room, d) for d in range(len(middle)))
            sure[number] = all(low <= high for low, high in ranges)
        fitting: list[int] = np.flatnonzero(sure).tolist()
        if 0 < len(fitting) < len(self.coordinates) and not self._warned:
            self._warned = True  # nodes downstream may ask for another region each time
            first = int(np.argmin(sure))
            logger.warning(
                "%s: %d of %d locations are left out, since not all of the request would be "
                "inside; the first is number %d, at %s",
                *(self._who(), len(sure) - len(fitting), len(sure)),
                *(first, self.coordinates[first]),
            )
        return fitting

    def _told(self, middle: Coordinate, room: Room) -> tuple[Any, Any]:
        """At which locations the request is surely inside, and at which it may be.

        In floating point, all at once. What lies within rounding of a limit, or is inside with the
        right jitter only, is left open.
        """
        sure, maybe = np.ones((2, len(self.coordinates)), np.bool_)
        for axis, step in enumerate(room.step):
            steps = (self._places[:, axis] - float(middle[axis])) / float(step)
            slack = 1e-6 + 1e-12 * np.abs(steps)
            more = self.jitter[axis] / float(step) + slack
            for sign, limit in ((-1, room.first[axis]), (1, room.last[axis])):
                if limit is not None:
                    beyond = sign * (steps - limit) - 0.5
                    sure &= beyond < -slack
                    maybe &= beyond <= more
        return sure, maybe

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
        turn = self._turns.of(request)
        if turn and turn % count == 0 and not request.planning:
            logger.warning(
                "%s: all %d locations were used, from the start again", self._who(), count
            )
        return turn


def _steps(place: Exact, middle: Coordinate, room: Room, axis: int) -> int:
    """By how many steps the request moves along an axis, halves to even."""
    steps: Fraction = Fraction(place - middle[axis]) / room.step[axis]
    return round(steps)
