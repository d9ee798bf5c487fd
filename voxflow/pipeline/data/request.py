"""What is asked of a pipeline: regions by key, and the seed that all randomness follows from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.keys import ArrayKey, GraphKey
from voxflow.pipeline.data.provider_spec import Key, ProviderSpec
from voxflow.pipeline.data.seeds import (
    advance_legacy,
    derive_seed,
    fresh_seed,
    generator,
    whole_seed,
)
from voxflow.pipeline.data.spec import ArraySpec, GraphSpec, Spec
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from voxflow.pipeline.data.token import ReplayToken


@dataclass(frozen=True, slots=True)
class RunPosition:
    """Which batch of which run a request stands for, or which part of it.

    Attributes
    ----------
    seed
        The run's seed, as given to `build` or drawn there.
    index
        The number of the batch in the run, from 0.
    path
        How the request follows from the batch's own: what `reseed` was given, step by step.
    """

    seed: int
    index: int
    path: tuple[tuple[int | str, ...], ...] = ()

    @property
    def request_seed(self) -> int:
        """The seed of the request."""
        seed = derive_seed(self.seed, "batch", self.index)
        for parts in self.path:
            seed = derive_seed(seed, *parts)
        return seed

    def next(self, step: int = 1) -> RunPosition:
        """The same part of the batch `step` batches later."""
        return RunPosition(self.seed, self.index + step, self.path)

    def child(self, *parts: int | str) -> RunPosition:
        """A part of this batch."""
        return RunPosition(self.seed, self.index, (*self.path, parts))


class BatchRequest(ProviderSpec):
    """Which arrays and graphs are wanted, of which regions.

    Parameters
    ----------
    array_specs
        Specs, or regions (anything with `offset` and `shape`), by key.
    graph_specs
        The same.
    random_seed
        The seed of all randomness in the batch. Without one the pipeline gives every
        batch a seed of its own, derived from the seed of `build`.

    Examples
    --------
    >>> request = BatchRequest()
    >>> request.add(ArrayKey("RAW"), (84, 268))
    >>> request.add(ArrayKey("LABELS"), (56, 56))
    >>> request[ArrayKey("LABELS")].roi
    [14:70, 106:162] (56, 56)
    """

    __slots__ = (
        "_legacy_seed",
        "_legacy_steps",
        "_plans",
        "_position",
        "_seed",
        "following",
        "planning",
        "replayed",
        "shown",
        "token",
        "write_rois",
    )

    planning: bool
    """True while only the geometry is walked: no data are read, and no node may count it."""

    replayed: bool
    """True while a batch is made again, to look at it: no node may count it or learn from it."""

    shown: Mapping[ArrayKey, tuple[Any, Roi, Any]] | None
    """Arrays of which only what a map shows will be looked at: the map, of which region, and the
    order in which it resamples.

    Nodes hand this on that neither look at voxels nor move regions: see `looks_at_nothing`.
    """

    token: ReplayToken | None
    """What it takes to make the whole batch again, of which this may be a part."""

    write_rois: Mapping[ArrayKey, Roi] | None
    """Of arrays, the region that is to be left in files (world units), where blocks of a scan may
    overlap: each voxel belongs to one block. None: all that is asked for."""

    following: Coordinate | None
    """How far from here (world units) the same will be asked for next, where that is known: a
    source may begin to read there, once it has read what is asked for now."""

    _seed: int | None
    _legacy_seed: int | None
    _legacy_steps: int
    _position: RunPosition | None
    _plans: dict[str, Any] | None

    def __init__(
        self,
        array_specs: Mapping[Any, Any] | None = None,
        graph_specs: Mapping[Any, Any] | None = None,
        *,
        random_seed: int | None = None,
    ) -> None:
        super().__init__(array_specs, graph_specs)
        self._set_seed(random_seed)
        self._position = None
        self._plans = None
        self.planning = self.replayed = False
        self.shown = None
        self.token = None
        self.write_rois = self.following = None

    # -- asking ---------------------------------------------------------------------------------

    def add(
        self,
        key: Key,
        shape: Iterable[Any],
        voxel_size: Iterable[Any] | None = None,
        directed: bool | None = None,
        placeholder: bool = False,
    ) -> None:
        """Ask for a region of this size, centred on everything else that is asked for.

        Parameters
        ----------
        key
            What is asked for.
        shape
            The size, in world units.
        voxel_size
            The voxel size that the array must have, in world units.
        directed
            Whether the edges of the graph must have a direction.
        placeholder
            Only the region matters, no data is wanted.

        Raises
        ------
        RuntimeError
            If `key` is no key.
        ValueError
            If something is asked for already in another number of dimensions.
        """
        size = Coordinate(shape)
        roi = Roi((0,) * len(size), size)
        for other, spec in self.items():
            if spec.roi is not None and spec.roi.dims != roi.dims and other != key:
                raise ValueError(
                    f"{key} is asked for in {roi.dims} dimensions, {size}, but {other} in "
                    f"{spec.roi.dims}, {spec.roi.shape}; all have one entry for each spatial axis"
                )
        if isinstance(key, ArrayKey):
            self.array_specs[key] = ArraySpec(roi, voxel_size, placeholder=placeholder)
        elif isinstance(key, GraphKey):
            self.graph_specs[key] = GraphSpec(roi, directed, placeholder=placeholder)
        else:
            raise RuntimeError(
                f"only ArrayKey and GraphKey can be requested, got {key!r}; make a key of a name, "
                f"as in ArrayKey({str(key)!r})"
            )
        self._center_rois()

    def _center_rois(self) -> None:
        total = self.get_total_roi()
        if total is None:
            return
        placed = [spec for _, spec in self.items() if spec.roi is not None]
        whole = [_whole(placed, axis) for axis in range(total.dims)]
        center = _center(total, whole)
        for spec in placed:
            step = center - _center(spec.roi, whole)
            # What is unbounded stays where it is.
            spec.roi = spec.roi.shift(Coordinate(0 if s is None else s for s in step))

    # -- randomness -----------------------------------------------------------------------------

    @property
    def random_seed(self) -> int:
        """The seed in the form that `random.seed` and `numpy.random.seed` take, below 2**32.

        Without a seed, a fresh one at every access.
        """
        if self._legacy_seed is None:
            return fresh_seed() % 2**32
        while self._legacy_steps:  # counted until somebody looks, since hardly anybody does
            self._legacy_seed = advance_legacy(self._legacy_seed)
            self._legacy_steps -= 1
        return self._legacy_seed

    def is_deterministic(self) -> bool:
        """Whether the request has a seed."""
        return self._seed is not None

    @property
    def seed(self) -> int:
        """The seed that all generators of this request follow from, in [0, 2**63).

        Raises
        ------
        RuntimeError
            If there is none yet: a pipeline gives each request one.
        """
        if self._seed is None:
            raise RuntimeError(
                "this request has no seed; give it one (random_seed=...) or send it to a pipeline"
            )
        return self._seed

    @property
    def position(self) -> RunPosition | None:
        """Which batch of the run this is; None if the user gave the request a seed."""
        return self._position

    def rng(self, label: str) -> np.random.Generator:
        """A new generator for one label: the same label gets the same stream each time."""
        return generator(self.seed, label)

    def note_draw(self, drawn: Any) -> Any:
        """Keep for a trace what a node drew elsewhere than in `draw`, and give it back."""
        if self._plans is not None:
            self._plans["drawn"] = drawn
        return drawn

    def reseed(self, *parts: int | str) -> BatchRequest:
        """A copy whose seed follows from this one's: for a retry, a tile, the i-th repetition."""
        new = self.clone()
        new._set_seed(derive_seed(self.seed, *parts))
        new._position = None if self._position is None else self._position.child(*parts)
        new._plans = new.following = None
        return new

    def branch(self, index: int) -> BatchRequest:
        """A copy for one of several inputs, in which nodes from outside draw numbers of their own.

        The seed of voxflow's own nodes stays the same: they differ by their labels already.
        """
        new = self.clone()
        if new._legacy_seed is not None:
            new._legacy_seed = derive_seed(self.random_seed, "branch", index) % 2**32
            new._legacy_steps = 0
        return new

    def at(self, position: RunPosition) -> BatchRequest:
        """A copy that stands for this batch of a run."""
        new = self.clone()
        new._set_seed(position.request_seed)
        new._position = position
        new._plans = None
        return new

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            seed = whole_seed("random_seed", seed)
        self._seed = seed
        self._legacy_seed = None if seed is None else seed % 2**32
        self._legacy_steps = 0

    # -- copies ---------------------------------------------------------------------------------

    def clone(self) -> BatchRequest:
        """An exact copy, with the same seed."""
        new = object.__new__(type(self))
        new.array_specs = {key: spec.copy() for key, spec in self.array_specs.items()}
        graphs = self.graph_specs
        new.graph_specs = {key: spec.copy() for key, spec in graphs.items()} if graphs else {}
        new._seed = self._seed
        new._legacy_seed = self._legacy_seed
        new._legacy_steps = self._legacy_steps
        new._position = self._position
        new._plans = self._plans
        new.planning = self.planning
        new.replayed = self.replayed
        new.shown = self.shown
        new.token = self.token
        new.write_rois = self.write_rois
        new.following = self.following
        return new

    def copy(self) -> BatchRequest:
        """A copy, with `random_seed` moved on as nodes written for gunpowder expect.

        The seed of voxflow's own nodes stays the same.
        """
        new = self.clone()
        new._legacy_steps += 1
        return new

    def update_with(self, request: BatchRequest) -> BatchRequest:
        """A copy that also asks for what another request asks; regions of one key are united."""
        merged = self.copy()
        for key, spec in request.items():
            if key in merged:
                merged[key].update_with(spec)
            else:
                merged[key] = spec
        return merged

    def merge(self, request: BatchRequest) -> BatchRequest:
        """A copy that also asks for the regions of another request (old name: `update_with`)."""
        merged = self.copy()
        for key, spec in request.items():
            if key not in merged or getattr(spec, "nonspatial", False):
                merged[key] = spec
            elif spec.roi is not None:
                mine: Spec = merged[key]
                mine.roi = spec.roi if mine.roi is None else mine.roi.union(spec.roi)
        return merged

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BatchRequest):
            return False
        return self.array_specs == other.array_specs and self.graph_specs == other.graph_specs

    __hash__ = None


def _center(roi: Roi, whole: list[bool]) -> Coordinate:
    # Among whole world units a center stays whole: half of an odd size is rounded towards zero, so
    # that regions of 10 and of 5 units lie on the same grid of whole units.
    return Coordinate(
        int(c) if round_off and c is not None else c
        for c, round_off in zip(roi.center, whole, strict=True)
    )


def _whole(specs: list[Any], axis: int) -> bool:
    """Whether everything that is said of an axis is in whole world units."""
    numbers = [n for spec in specs for n in (spec.roi.offset[axis], spec.roi.shape[axis])]
    sizes = [getattr(spec, "voxel_size", None) for spec in specs]
    numbers += [size[axis] for size in sizes if size is not None]
    return all(n is None or type(n) is int for n in numbers)
