"""A location drawn by the weight of its middle voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxflow.nodes.locations.located import Located
from voxflow.nodes.locations.mask_windows import Windows
from voxflow.nodes.locations.read_mask import Upstream
from voxflow.nodes.locations.remembered import Remembered
from voxflow.nodes.locations.room import Room, find_room
from voxflow.nodes.locations.voxel_weights import VoxelWeights
from voxflow.pipeline.data import ArrayKey, BatchRequest
from voxflow.pipeline.engine.errors import SamplingError
from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import parse_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


class WeightedLocation(Located):
    """Moves each request to a random place, the likelier the more its middle voxel weighs.

    For sampling by a map of probabilities, on the foreground, or of classes that are rare. Only
    places where all that is requested is there count; among these, probabilities are exact. All
    regions of a request move together, in steps of the least common multiple of the voxel sizes of
    the requested arrays.

    Parameters
    ----------
    weights
        The array that is looked at. It has to be in the request (a placeholder will do): its region
        there is the one whose middle voxel counts, of an even number the second of the two in the
        middle. A floating point array holds weights, 0 or more, in any scale. Of one of integers or
        bools all voxels greater than 0 weigh the same. It is read once for each size of request,
        block by block, and may be larger than memory.
    classes
        "balanced": the array holds labels, of which each that is not negative is as likely as any
        other, whatever its size. A mapping from labels to how likely each is, in any scale: all of
        a label's voxels are alike.
    p
        The probability with which the weights are heeded. Otherwise every place is equally likely.

    Raises
    ------
    TypeError
        If `weights` is no `ArrayKey`.
    ValueError
        If `p` or a class's probability is out of range, or `classes` means nothing. At setup: if
        the array is unbounded. When it is read: if it has channels, or a weight is negative.

    Notes
    -----
    A request that fits nowhere is refused (`RequestRefused`). If nothing has a weight, or a class
    is not there, there is a `SamplingError` with the numbers. Both also by `pipeline.check`.

    Examples
    --------
    A third of the batches are centred on the foreground, and where objects differ in size, each of
    them is seen equally often:

    >>> mask, labels = ArrayKey("MASK"), ArrayKey("LABELS")
    >>> foreground = WeightedLocation(mask, p=1 / 3)
    >>> objects = WeightedLocation(labels, classes="balanced")
    """

    def __init__(
        self,
        weights: ArrayKey,
        *,
        classes: Mapping[int, float] | Literal["balanced"] | None = None,
        p: float = 1.0,
    ) -> None:
        if not isinstance(weights, ArrayKey):
            raise TypeError(f"weights has to be an ArrayKey, got {weights!r}")
        if not 0 <= p <= 1:
            raise ValueError(f"p has to lie in [0, 1], got {p}")
        if isinstance(classes, str):
            parse_choice("classes, if no mapping,", classes, ("balanced",))
        elif classes is not None:
            chances = list(classes.values())
            if min(chances, default=0) < 0 or not sum(chances) > 0:
                raise ValueError(f"classes have to be 0 or more, and not all 0; got {classes}")
        self.weights = weights
        self.classes = classes if classes is None or isinstance(classes, str) else dict(classes)
        self.p = p
        self._known = Remembered()

    def setup(self) -> None:
        """Offer everything without bounds."""
        super().setup()
        self._known = Remembered()
        self._upstream_weights = Upstream(self, self.weights)

    def teardown(self) -> None:
        """Let go of the weights."""
        self._known = Remembered()

    def shift_of(self, request: BatchRequest) -> Coordinate:
        """By how much a request moves, in world units."""
        shift: Coordinate = self.plan(request)
        return shift

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Coordinate:
        """By how much the request moves, in world units."""
        room = find_room(self._who(), request, self.upstream_spec)
        voxels = self._voxels(request, room)
        if rng.random() < self.p:
            index = voxels.draw(rng)
        else:
            index = tuple(int(i) for i in rng.integers(self._count(room)))
        return room.shift(a + b for a, b in zip(room.first, index, strict=True))  # type: ignore[operator]

    def _count(self, room: Room) -> list[int]:
        return [b - a + 1 for a, b in zip(room.first, room.last, strict=True)]  # type: ignore[operator]

    def _voxels(self, request: BatchRequest, room: Room) -> VoxelWeights:
        """What can be drawn."""
        windows = self.windows(self.weights, request, room)
        middle = tuple(f + s // 2 for f, s in zip(windows.first, windows.shape, strict=True))
        lattice = Windows(middle, (1,) * len(middle), windows.stride, windows.count)
        try:
            return self._known.get(
                lattice, lambda: VoxelWeights(self._upstream_weights, lattice, self.classes)
            )
        except (SamplingError, ValueError) as error:
            raise type(error)(
                f"{self._who()}, {self.weights}: {error}. These are the middle voxels of the "
                f"places where a region of {request[self.weights].region.shape} (world units) fits."
            ) from error
