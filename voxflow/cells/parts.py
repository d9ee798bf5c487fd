"""Parts of whole images, in epochs: as they are, and augmented."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import voxflow
from voxflow.nodes.augment.fitting import still
from voxflow.ops.recipe import Recipe
from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.stores.cache.arena import default_arena

if TYPE_CHECKING:
    import numpy as np

    from voxflow.ops.maps import Map

__all__ = ["Copies", "Parts"]

_MOST_BYTES = 1 << 30
"""Of images that a process keeps."""


class Parts(voxflow.EpochProvider):
    """Of each of its inputs, which are whole images, a part at a random place, in epochs.

    Each input is read once, and kept as long as there is room (1 GiB in each process, or what
    `voxflow.stores.set_cache_size` says if that is less). What is asked for beyond the border of an
    image is the image mirrored there.

    Parameters
    ----------
    size
        The size of a part (world), which begins at 0. No image is smaller.
    copies
        How many turns an image has in an epoch besides the one as it is.
    shuffle, per_batch
        See `EpochProvider`.

    Raises
    ------
    ValueError
        At setup: if an image is smaller.
    """

    copies: int

    def __init__(
        self, size: Any, copies: int = 0, *, shuffle: bool = True, per_batch: int = 1
    ) -> None:
        super().__init__(1 + copies, shuffle=shuffle, per_batch=per_batch)
        self.size = Coordinate(size)
        self.copies = copies
        self._kept = _Kept()

    def setup(self) -> None:
        """Offer everything without bounds; see how far parts can be moved."""
        super().setup()
        self._kept = _Kept()
        self._rooms = [self._room(provider) for provider in self.get_upstream_providers()]
        for _, spec in self.spec.items():
            spec.roi = Roi((None,) * self.size.dims, (None,) * self.size.dims)

    def teardown(self) -> None:
        """Let the images go."""
        self._kept = _Kept()

    def _room(self, provider: Any) -> tuple[Coordinate, Coordinate, Coordinate]:
        """Where the image begins, in which steps a part moves (world), and how many there are."""
        specs = provider.spec.array_specs
        step = provider.spec.get_lcm_voxel_size(specs)
        there = [spec.region for spec in specs.values()]
        steps = (there[0].shape - self.size) / step
        if any(roi != there[0] for roi in there) or min(steps) < 0:
            raise ValueError(
                f"{self.name()} needs images of at least {self.size} (world units) and labels of "
                f"the same region, got {', '.join(map(str, there))}; put FitToSize upstream"
            )
        return there[0].begin, step, Coordinate(int(n) for n in steps)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Any:
        """The number of the image, and where in it the part begins (world)."""
        number = super().draw(request, rng)
        begin, step, steps = self._rooms[number]
        at = [int(rng.integers(n + 1)) if n else 0 for n in steps]
        return number, begin + step * Coordinate(at)

    def is_copy(self, request: BatchRequest) -> bool:
        """Whether it is the turn of a copy; it is where a request belongs to no run."""
        return request.position is None or bool(self.turn(request) % (1 + self.copies))

    def upstream_requests(self, request: BatchRequest) -> list[tuple[Any, BatchRequest]]:
        """The whole image, with its labels; before the run all of them."""
        providers = self.get_upstream_providers()
        if not request.planning:
            providers = [providers[self.plan(request)[0]]]
        return [(provider, _whole(provider, request)) for provider in providers]

    def provide(self, request: BatchRequest) -> Batch:
        """The part of an image."""
        number, begin = self.plan(request)
        batch = Batch()
        image = self._kept.get(number)
        if image is None:
            ((provider, whole),) = self.upstream_requests(request)
            image = provider.request_batch(whole)
            self._kept.put(number, image)
            batch.profiling_stats.merge_with(image.profiling_stats)
        for key, spec in request.array_specs.items():
            if not spec.placeholder:
                batch[key] = _part(image[key], spec.region, begin)
        return batch


class _Kept:
    """Images that were read, as many as there is room for; they do not travel to processes."""

    def __init__(self) -> None:
        self._images: dict[int, Batch] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self.get = self._images.get

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def put(self, number: int, image: Batch) -> None:
        """Keep an image; those go that came first, if there are too many."""
        room = min(_MOST_BYTES, default_arena().room)
        with self._lock:
            if number not in self._images:  # another thread has read it, too
                self._images[number] = image
                self._bytes += _bytes(image)
            while self._bytes > room and self._images:
                self._bytes -= _bytes(self._images.pop(next(iter(self._images))))


def _bytes(image: Batch) -> int:
    return sum(array.data.nbytes for array in image.arrays.values())


def _whole(provider: Any, request: BatchRequest) -> BatchRequest:
    """A request for all that there is of an image."""
    whole = request.clone()
    whole.shown, whole.array_specs = None, {}
    for key, spec in provider.spec.array_specs.items():
        whole[key] = spec.copy()
    return whole


def _part(array: Array, roi: Roi, moved: Coordinate) -> Array:
    """What is seen in a region if an array is looked at from elsewhere."""
    spec = array.spec.copy()
    # Quicker than with coordinates; all of it lies on the grid.
    places = zip(roi.begin, moved, spec.region.begin, spec.grid, strict=True)
    begin = [(here + by - first) // size for here, by, first, size in places]
    extent = [n // size for n, size in zip(roi.shape, spec.grid, strict=True)]
    recipe = Recipe.of(array).part(begin, extent, roi.begin)
    spec.roi = roi
    return Array(recipe, spec)


class Copies(voxflow.Warp):
    """Warps copies, and lets images as they are pass by.

    Parameters
    ----------
    parts
        What says which are which, upstream.
    options
        As `Warp` has them.
    """

    def __init__(self, parts: Parts, **options: Any) -> None:
        super().__init__(**options)
        self.parts = parts

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """The map."""
        if not self.parts.is_copy(request):
            return still(self.spatial_dims)
        return super().draw(request, rng)
