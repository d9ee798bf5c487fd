"""A location drawn anew for each request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.locations.located import Located, move
from voxflow.nodes.locations.mask_windows import Need, Places
from voxflow.nodes.locations.read_mask import Counting, read_mask
from voxflow.nodes.locations.remembered import Remembered
from voxflow.nodes.locations.room import Room, find_room
from voxflow.nodes.locations.tried_windows import EnoughWindows, SummedCounts
from voxflow.nodes.locations.weighted_points import Reach, WeightedPoints
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest, GraphKey
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

    from voxflow.pipeline.data import Key
    from voxflow.pipeline.geometry import Roi

logger = logging.getLogger(__name__)


class RandomLocation(Located):
    """Moves each request to a random place where all that it asks for is there.

    Every place on the voxel grid is equally likely, the first and the last included. All regions
    of a request move together, so only how they lie to each other matters. The grid has steps of
    the least common multiple of the voxel sizes of the requested arrays. Placeholders count.

    With a mask, every place where enough is masked is equally likely. Where these are rare they are
    counted, once for each size of request, and none is drawn in vain. With points, a place is found
    by way of a point that is drawn first. Where both are wanted, or `accepts` is overridden, places
    are tried until one will do; after `max_attempts` of them there is an error, never a request
    without end.

    Parameters
    ----------
    min_masked
        The least fraction, in [0, 1], of the requested region of `mask` that has to be masked.
    mask
        An array that is masked where it is greater than 0. It is read once, at setup, block by
        block; blocks that are neither empty nor full are kept compressed, up to 64 MiB, and others
        are read again when a place in them is drawn: it may be larger than memory. If
        `min_masked` is not 0 it has to be in the request: its region there is the one that is
        looked at. A placeholder will do.
    ensure_nonempty
        A graph of which the requested region has to hold a point. It is read once, at setup. If it
        is not in the request, the region is the smallest around all that is.
    p_nonempty
        The probability with which `ensure_nonempty` is heeded.
    ensure_centered
        Whether the point has to lie in the middle voxel of the region.
    point_balance_radius
        World units. A point is the likelier the fewer others are within this distance: its weight
        is 1 over their number, itself included.
    random_shift_key
        A nonspatial array that holds by how much the request was moved, in world units: the
        requested region plus this is the region that was read. int64 if the voxel sizes of all
        arrays are whole, else float64.
    max_attempts
        How many places are tried at most, where any have to be.
    min_labelled
        The least fraction, in [0, 1], of the requested region of `labels` that has to be labelled.
    labels
        An array that is labelled where it is not negative; otherwise like `mask`. Where there are
        both, a place has enough of both.

    Raises
    ------
    ValueError
        If a number is out of range, or an option lacks what it needs. At setup: if the mask is
        unbounded or has channels, or there are no points.
    TypeError
        If a key is of the wrong kind.

    Notes
    -----
    A request that fits nowhere is refused (`RequestRefused`), also by `pipeline.check`, with what
    was asked, what is there and how much is missing. If no place has enough of the mask or none
    of the points, there is a `SamplingError` with the numbers.
    """

    def __init__(
        self,
        min_masked: float = 0,
        mask: ArrayKey | None = None,
        ensure_nonempty: GraphKey | None = None,
        p_nonempty: float = 1.0,
        ensure_centered: bool | None = None,
        point_balance_radius: float = 1,
        random_shift_key: ArrayKey | None = None,
        *,
        max_attempts: int = 10_000,
        min_labelled: float = 0,
        labels: ArrayKey | None = None,
    ) -> None:
        _check_key("mask", mask, ArrayKey)
        _check_key("labels", labels, ArrayKey)
        _check_key("ensure_nonempty", ensure_nonempty, GraphKey)
        _check_key("random_shift_key", random_shift_key, ArrayKey)
        _check_fraction("p_nonempty", p_nonempty)
        _check_least("min_masked", min_masked, "mask", mask)
        _check_least("min_labelled", min_labelled, "labels", labels)
        if ensure_centered and ensure_nonempty is None:
            raise ValueError("ensure_centered needs the points of ensure_nonempty=, got none")
        if not point_balance_radius >= 0:
            raise ValueError(f"point_balance_radius has to be 0 or more: {point_balance_radius}")
        if max_attempts < 1:
            raise ValueError(f"max_attempts has to be at least 1, got {max_attempts}")
        self.min_masked = min_masked
        self.mask = mask
        self.ensure_nonempty = ensure_nonempty
        self.p_nonempty = p_nonempty
        self.ensure_centered = bool(ensure_centered)
        self.point_balance_radius = point_balance_radius
        self.random_shift_key = random_shift_key
        self.max_attempts = max_attempts
        self.min_labelled = min_labelled
        self.labels = labels
        self._known = Remembered()
        self._points: Any = None

    @property
    def mask_spec(self) -> ArraySpec | None:
        """The spec of the mask upstream; None without a mask."""
        return None if self.mask is None else self.upstream_spec[self.mask]

    @property
    def points(self) -> cKDTree | None:
        """A tree of the points of `ensure_nonempty`, world units; None before setup or without."""
        return None if self._points is None else self._points.tree

    @property
    def cumulative_weights(self) -> list[float] | None:
        """The weights of these points, summed up; None before setup or without."""
        return None if self._points is None else np.cumsum(self._points.weights).tolist()

    def setup(self) -> None:
        """Offer everything without bounds; read the mask and the points."""
        super().setup()
        self._known = Remembered()
        self._masks = {}
        for key, _, verb in self._wanted():
            mask = read_mask(Counting(self, key, verb == "labelled"), str(key))
            self._masks[key, verb] = SummedCounts(mask)
        if self.ensure_nonempty is not None:
            locations = self.read_whole(self.ensure_nonempty).locations
            if not len(locations):
                raise ValueError(
                    f"{self.name()} is to ensure points of {self.ensure_nonempty}, but there is "
                    f"none in {self.upstream_spec[self.ensure_nonempty].roi}"
                )
            self._points = WeightedPoints(locations, self.point_balance_radius)
        if self.random_shift_key is not None:
            sizes = [s.voxel_size for s in self.upstream_spec.array_specs.values() if s.voxel_size]
            dtype = np.int64 if all(size.is_whole for size in sizes) else np.float64
            self.provides(self.random_shift_key, ArraySpec(nonspatial=True, dtype=dtype))

    def teardown(self) -> None:
        """Let go of the masks and the points."""
        self.__dict__.pop("_masks", None)
        self._points = None
        self._known = Remembered()

    def accepts(self, request: BatchRequest) -> bool:
        """Whether a place will do; for subclasses.

        Parameters
        ----------
        request
            A copy of the request, with its regions at that place.
        """
        return True

    def shift_of(self, request: BatchRequest) -> Coordinate:
        """By how much a request moves, in world units."""
        shift: Coordinate = self.plan(request)
        return shift

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Say that everything lies where it was asked for, and by how much it was moved."""
        super().process(batch, request)
        key = self.random_shift_key
        if key is not None and key in request:
            shift = [float(part) for part in self.shift_of(request)]
            spec = self.spec[key]
            batch[key] = Array(np.array(shift).astype(spec.dtype), spec)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Coordinate:
        """By how much the request moves, in world units."""
        room = find_room(self._who(), request, self.upstream_spec)
        if not room.step:
            return room.step  # nothing in the request has a place
        places = self._places(request, room)
        reach = None
        if self.ensure_nonempty is not None and rng.random() < self.p_nonempty:
            reach = self._reach(request, room)
        elif room.open_axes:
            raise RequestRefused([self._unbounded(room)])
        return self._search(request, room, places, reach, rng)

    def _search(
        self,
        request: BatchRequest,
        room: Room,
        places: EnoughWindows | None,
        reach: Reach | None,
        rng: np.random.Generator,
    ) -> Coordinate:
        """The first place that will do. Without points and `accepts` that is the first one."""
        chosen = type(self).accepts is not RandomLocation.accepts
        off_mask = refused = 0
        for _ in range(self.max_attempts):
            index = _draw_index(room, places, reach, rng)
            if index is None:
                continue
            if reach is not None and places is not None and not _is_in(places, room, index):
                off_mask += 1
                continue
            shift = room.shift(index)
            if not chosen or self.accepts(move(request.clone(), shift)):
                return shift
            refused += 1
        raise SamplingError(self._failure(room, places, reach, off_mask, refused))

    # -- what is looked up once for each size of request ------------------------------------------

    def _wanted(self) -> list[tuple[ArrayKey, float, str]]:
        """Of which arrays places have to have enough: how much, and what it is called."""
        wanted = [
            (self.mask, self.min_masked, "masked"),
            (self.labels, self.min_labelled, "labelled"),
        ]
        return [(key, least, verb) for key, least, verb in wanted if key is not None and least > 0]

    def _places(self, request: BatchRequest, room: Room) -> EnoughWindows | None:
        """Where there is enough of the masks; None if it does not matter."""
        wanted = self._wanted()
        if not wanted:
            return None
        sums = [self._masks[key, verb] for key, _, verb in wanted]
        needs = [
            Need(summed.mask, self.windows(key, request, room), least)
            for summed, (key, least, _) in zip(sums, wanted, strict=True)
        ]
        places = EnoughWindows(sums, needs, lambda: self._counted(request, needs))
        if request.planning:
            places.counted()
        return places

    def _counted(self, request: BatchRequest, needs: list[Need]) -> Places:
        """All places where there is enough of the masks; an error if there is none."""
        places = self._known.get(tuple(need.windows for need in needs), lambda: Places(needs))
        if not places.total:
            wanted = self._wanted()
            keys = [key for key, *_ in wanted]
            sizes = " and ".join(str(request[key].region.shape) for key in keys)
            raise SamplingError(
                f"{self._who()}: 0 of {self._numbers(places)}, in a region of {sizes} (world "
                f"units). Ask for a lower {' or '.join(f'min_{verb}' for *_, verb in wanted)} or "
                "another size, or see whether "
                f"{' and '.join(map(str, keys))} is the right mask."
            )
        return places

    def _reach(self, request: BatchRequest, room: Room) -> Reach:
        """Which points can be in the request."""
        key: Any = self.ensure_nonempty
        roi: Roi | None = request[key].roi if key in request else request.get_total_roi()
        if key not in request and request.planning:
            logger.warning(
                "%s: %s is not in the request, so a point is only sure to be in all of %s",
                *(self._who(), key, roi),
            )
        if roi is None or roi.unbounded:
            raise RequestRefused([f"{self._who()}: points of {key} need a bounded region: {roi}"])
        reach = self._known.get(
            (roi, room), lambda: Reach(self._points, roi, room, self.ensure_centered)
        )
        if not reach.number:
            where = "in the middle of" if self.ensure_centered else "in"
            raise SamplingError(
                f"{self._who()}: 0 of {len(self._points)} points of {key} can lie {where} the "
                f"region {roi} (world units), which can move by {room}. Ask for a smaller "
                "region, let downstream nodes add less context, or put Pad after the sources."
            )
        return reach

    # -- texts ------------------------------------------------------------------------------------

    def _unbounded(self, room: Room) -> str:
        axes = ", ".join(map(str, room.open_axes))
        return (
            f"{self._who()}: nothing in the request is bounded along axis {axes}, so there is no "
            "random location. Pad by a number of world units instead of None, put Crop upstream, "
            "or also ask for an array that is bounded (a placeholder will do)."
        )

    def _failure(
        self,
        room: Room,
        places: EnoughWindows | None,
        reach: Reach | None,
        off_mask: int,
        refused: int,
    ) -> str:
        who = self._who()
        text = f"{who}: none of {self.max_attempts} locations would do, out of moves {room}."
        if reach is not None:
            text += f" {reach.number} points of {self.ensure_nonempty} are within reach."
        if places is not None:
            counted = places.counted()
            text += (
                f" {counted.total} of {self._numbers(counted)}; {off_mask} of those tried had less."
            )
        if refused:
            text += f" {refused} were refused by {self.name()}.accepts()."
        return text + " Ask for less, or raise max_attempts."

    def _numbers(self, places: Places) -> str:
        """What the masks leave of the places: each need alone, and the best that there is."""
        texts = [
            f"{least:g} or more of {key} {verb}"
            + (f" ({enough} places)" if len(places.enough) > 1 else "")
            + f", the best has {best:.4g}"
            for (key, least, verb), enough, best in zip(
                self._wanted(), places.enough, places.best, strict=True
            )
        ]
        return f"{places.possible} possible locations have {' and '.join(texts)}"


def _draw_index(
    room: Room, places: EnoughWindows | None, reach: Reach | None, rng: np.random.Generator
) -> tuple[int, ...] | None:
    """A move, in steps."""
    if reach is not None:
        return reach.draw(rng)
    if places is None:
        return tuple(
            int(rng.integers(low, high + 1))  # type: ignore[operator, arg-type]
            for low, high in zip(room.first, room.last, strict=True)
        )
    return tuple(a + b for a, b in zip(room.first, places.draw(rng), strict=True))  # type: ignore[operator]


def _is_in(places: EnoughWindows, room: Room, index: tuple[int, ...]) -> bool:
    return places.holds([i - low for i, low in zip(index, room.first, strict=True)])  # type: ignore[operator]


def _check_key(name: str, key: Key | None, kind: type[Any]) -> None:
    if key is not None and not isinstance(key, kind):
        raise TypeError(f"{name} has to be of {kind.__name__}, got {type(key).__name__} {key!r}")


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} has to lie in [0, 1], got {value}")


def _check_least(name: str, least: float, key_name: str, key: ArrayKey | None) -> None:
    _check_fraction(name, least)
    if least > 0 and key is None:
        raise ValueError(f"{name}={least} needs a {key_name}= array, got none")
