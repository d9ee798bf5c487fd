"""One node, in one world, asked for one thing: what all promises are tried on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from voxflow.pipeline.data import ArraySpec, BatchRequest, GraphKey, RunPosition
from voxflow.pipeline.data.array import is_off_grid
from voxflow.pipeline.data.seeds import generator
from voxflow.pipeline.engine import BatchFilter, Pipeline, build
from voxflow.pipeline.engine.errors import BatchMismatch, RequestRefused
from voxflow.pipeline.engine.pipeline import Chainable
from voxflow.pipeline.geometry import describe
from voxflow.testing.probe import Nothing, Probe
from voxflow.testing.seen import difference, seen
from voxflow.testing.world import middle, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voxflow.pipeline.data import Batch
    from voxflow.pipeline.geometry import Coordinate, Roi
    from voxflow.testing.seen import Seen
    from voxflow.testing.world import World

__all__ = ["BrokenPromise", "Trial"]


class BrokenPromise(AssertionError):
    """A node does not keep what it promises.

    Attributes
    ----------
    promise
        The name of the promise, such as "same seed".
    """

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(text)
        self.promise = promise


@dataclass
class Trial:
    """A node in a world.

    Attributes
    ----------
    make
        Makes the node for a world.
    world
        The world.
    seed
        Of the request, and of what is drawn here.
    again
        How to see the same once more, as text.
    keys
        What is asked for; None: all at first, then some.
    everything
        Whether to ask for all keys.
    request
        What is asked for; drawn by `settle` where it is not given.
    name
        How the node is called.
    original
        The voxels of the world before the node had a chance to write into them.
    """

    make: Callable[[World], Any]
    world: World
    seed: int
    again: str
    keys: Sequence[Any] | None = None
    everything: bool = True
    request: BatchRequest = field(default_factory=BatchRequest)
    name: str = "the node"
    original: dict[Any, Any] = field(default_factory=dict, repr=False)
    _expected: dict[str, Seen] | None = None

    # -- pipelines ------------------------------------------------------------------------------

    @contextmanager
    def built(self, before: bool = False, after: bool = False) -> Iterator[Any]:
        """The node with the world upstream, set up; with another node before or after it."""
        with self.explained():
            pipeline = self._pipeline(before, after)
        with self.explained(), build(pipeline, seed=1):
            yield pipeline

    def _pipeline(self, before: bool, after: bool) -> Pipeline:
        made = self.make(self.world)
        if not isinstance(made, Chainable):
            raise TypeError(f"the function has to return a node or a pipeline, got {made!r}")
        pipeline = made if isinstance(made, Pipeline) else Pipeline(made)
        self.name = pipeline.output.name()
        if self._needs_input(pipeline):
            upstream = self.world.upstream
            pipeline = (upstream + Nothing() if before else upstream) + pipeline
        return pipeline + Nothing() if after else pipeline

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say of whatever is raised how to see it again."""
        try:
            yield
        except BrokenPromise:
            raise
        except Exception as error:
            note = f"raised while {self.name} was checked, {self._where()}"
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
            raise

    @property
    def single(self) -> bool:
        """Whether the function makes one node, which stands right after the world."""
        made = self.make(self.world)
        return isinstance(made, BatchFilter)

    def probes(self, pipeline: Any) -> Iterator[Probe]:
        """What stands between the world and the node."""
        return (node for node in pipeline.nodes() if isinstance(node, Probe))

    def treat_as_own(self, pipeline: Any) -> None:
        """Leave out what the engine does for nodes that draw from global random state."""
        pipeline.run.foreign = False
        for node in pipeline.nodes():
            node._engine_foreign = False

    @staticmethod
    def _needs_input(pipeline: Pipeline) -> bool:
        if pipeline.children:
            return any(Trial._needs_input(child) for child in pipeline.children)
        return isinstance(pipeline.output, BatchFilter)

    # -- requests -------------------------------------------------------------------------------

    def settle(self) -> None:
        """Choose what is asked for, in the middle of what the node provides; see that it is."""
        self.original = {key: array.data.copy() for key, array in self.world.arrays.items()}
        with self.built() as pipeline:
            if len(self.request):
                self.request = self.request.at(self._position)
                self._check_served(pipeline, self.request)
                return
            node = pipeline.output
            offered = [key for key in self.keys or pipeline.spec if key in pipeline.spec]
            own = {*node.provided_items, *getattr(node, "updated_items", ())}
            rng = generator(self.seed, "keys")
            chosen = [k for k in offered if self.everything or self.keys or rng.random() < 0.5]
            if own and not own & set(chosen):
                chosen += [key for key in offered if key in own][:1]
            self.request = self.request_for(pipeline, chosen or offered)

    def request_for(self, pipeline: Any, keys: Sequence[Any]) -> BatchRequest:
        """A request for some keys that lies well inside, which has to be served."""
        rng = generator(self.seed, "regions")
        request = BatchRequest().at(self._position)
        together = rng.random() < 0.5
        region = part_of(self.world.inner, self.world.arrays[self.world.labels].spec.grid, rng)
        for key in keys:
            spec = pipeline.spec[key]
            if getattr(spec, "nonspatial", False):
                request[key] = ArraySpec(nonspatial=True)
                continue
            whole, grid = self._place(key, spec)
            fits = whole.contains(region) and not is_off_grid(region, grid)
            request[key] = region if together and fits else part_of(middle(whole, grid), grid, rng)
        self._check_served(pipeline, request)
        return request

    def other_request(self) -> BatchRequest:
        """The same for another batch of the run."""
        return self.request.at(self._position.next())

    @property
    def _position(self) -> RunPosition:
        """Which batch of a run is asked for: some nodes count them."""
        return RunPosition(self.seed, 5)

    def _place(self, key: Any, spec: Any) -> tuple[Roi, Coordinate]:
        """Where a key is, as far as the world reaches, and its voxels."""
        world = self.world
        fallback = world.arrays[world.labels].spec
        grid = fallback.grid if isinstance(key, GraphKey) else spec.grid
        if spec.roi is None or spec.roi.unbounded:
            return fallback.region.snap_to_grid(grid, "shrink"), grid
        return spec.roi.snap_to_grid(grid, "shrink"), grid

    def _check_served(self, pipeline: Any, request: BatchRequest) -> None:
        with self.explained():
            try:
                pipeline.check(request)
            except RequestRefused as error:
                self.request = request
                self._refused(error)

    # -- batches --------------------------------------------------------------------------------

    def serve(self, pipeline: Any, request: BatchRequest | None = None) -> Batch:
        """A batch."""
        try:
            batch: Batch = pipeline.request_batch(self.request if request is None else request)
        except BatchMismatch as error:
            self.broken("delivers", str(error), error)
        except RequestRefused as error:
            self._refused(error)
        return batch

    def served(self, pipeline: Any, request: BatchRequest | None = None) -> dict[str, Seen]:
        """What a consumer sees of a batch."""
        return seen(self.serve(pipeline, request))

    def expected(self) -> dict[str, Seen]:
        """What the node alone gives for the request."""
        if self._expected is None:
            with self.built() as pipeline:
                self._expected = self.served(pipeline)
        return self._expected

    def upstream_alone(self, request: BatchRequest) -> dict[str, Seen] | None:
        """What there is without the node; None if that cannot be told."""
        if not self.single:
            return None
        pipeline = self.world.upstream
        with build(pipeline, seed=1):
            try:
                return seen(pipeline.request_batch(request))
            except RequestRefused:
                return None

    # -- failures -------------------------------------------------------------------------------

    def same(
        self, promise: str, found: dict[str, Seen], expected: dict[str, Seen], what: str
    ) -> None:
        """Raise if a batch is not the one that was expected."""
        text = difference(found, expected)
        if text is not None:
            self.broken(promise, f"{what}: {text}")

    def broken(self, promise: str, text: str, cause: Exception | None = None) -> NoReturn:
        """Say which promise is broken, how, and how to see it again."""
        message = f'{self.name} breaks the promise "{promise}": {text}\n  {self._where()}'
        raise BrokenPromise(promise, message) from cause

    def _refused(self, error: Exception) -> NoReturn:
        text = (
            "a request from the middle of what it provides is refused; let it ask for less "
            f"context, or say in setup() that it provides less: {error}"
        )
        self.broken("asks for what is there", text, error)

    def _where(self) -> str:
        asked = [f"{k} {_described(k, spec, self.world)}" for k, spec in self.request.items()]
        seed = f"random_seed={self.request.seed}" if asked else "nothing yet"
        return "\n    ".join([f"once more: {self.again}\n  asked for:", *asked, seed])


def _described(key: Any, spec: Any, world: World) -> str:
    if spec.roi is None:
        return "(nonspatial)"
    array = world.arrays.get(key)
    return describe(spec.roi, None if array is None else array.spec.voxel_size)
