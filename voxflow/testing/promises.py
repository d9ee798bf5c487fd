"""What a node promises: one function for each promise, which raises if it is broken."""

from __future__ import annotations

import random
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import ArrayKey, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.workers.packing import pack_by_value
from voxflow.testing.elsewhere import Failed, served_elsewhere
from voxflow.testing.seen import seen, unequal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxflow.pipeline.data import Batch
    from voxflow.testing.seen import Seen
    from voxflow.testing.trial import Trial

__all__ = ["ALWAYS"]


def leaves_global_state(trial: Trial) -> None:
    """`random`, `np.random` and torch are neither changed nor looked at."""
    saved = random.getstate(), np.random.get_state()
    found = []
    try:
        with trial.built() as pipeline:
            trial.treat_as_own(pipeline)  # or the engine would seed and restore the state
            for seed in (1, 2):
                random.seed(seed)
                np.random.seed(seed)
                before = _global_state()
                found.append(trial.served(pipeline))
                for name, state in _global_state().items():
                    if state != before[name]:
                        trial.broken(
                            "global random state",
                            f"it changed the state of {name}; draw from the generator that "
                            "draw(request, rng) is given, or from request.rng(self.label)",
                        )
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])
    trial.same(
        "same seed",
        found[0],
        found[1],
        "two batches of one seed differ; draw from the generator that "
        "draw(request, rng) is given, or from request.rng(self.label)",
    )


def delivers(trial: Trial) -> None:
    """Each key that was asked for, of the region asked for, as the spec says, and nothing else."""
    with trial.built() as pipeline:
        batch = trial.serve(pipeline)
        found, asked = {str(k) for k, _ in batch.items()}, {str(k) for k in trial.request}
        if found != asked:
            trial.broken("delivers", f"asked for {sorted(asked)}, got {sorted(found)}")
        for key, spec in trial.request.items():
            got, promised = batch[key], pipeline.spec[key]
            if got.spec.roi != spec.roi:
                trial.broken("delivers", f"{key}: asked for {spec.roi}, got {got.spec.roi}")
            if isinstance(key, ArrayKey):
                for problem in _unlike(got, promised):
                    trial.broken("delivers", f"{key}: {problem}")
            elif promised.directed is not None and got.directed != promised.directed:
                trial.broken("delivers", f"{key}: directed={promised.directed} was promised")
    _obeys_placeholders(trial)


def _unlike(array: Any, promised: Any) -> Iterator[str]:
    remedy = "say it in setup(), with self.provides() or self.updates()"
    if array.data.dtype != promised.dtype or array.spec.dtype not in (None, array.data.dtype):
        yield (
            f"the spec promised {promised.dtype}, the data are {array.data.dtype} and their own "
            f"spec says {array.spec.dtype}; {remedy}"
        )
    for name in ("voxel_size", "interpolatable", "nonspatial"):
        if getattr(array.spec, name) != getattr(promised, name):
            yield (
                f"the spec promised {name}={getattr(promised, name)}, it came with "
                f"{getattr(array.spec, name)}; {remedy}"
            )
    if array.spec.placeholder:
        yield "it came as a placeholder"


def _obeys_placeholders(trial: Trial) -> None:
    """What is asked for as a placeholder is not delivered, and changes nothing else."""
    if len(trial.request) < 2:
        return
    asked = trial.request.clone()
    key = list(asked)[-1]
    asked[key].placeholder = True
    expected = trial.expected()
    expected = {name: value for name, value in expected.items() if name != str(key)}
    with trial.built() as pipeline:
        found = trial.served(pipeline, asked)
    trial.same("placeholders", found, expected, f"with {key} as a placeholder")


def same_seed(trial: Trial) -> None:
    """A pipeline made anew gives the same, other nodes change nothing, a replay is the same."""
    expected = trial.expected()
    for around, what in (
        ({}, "made once more, of the same seed"),
        ({"before": True}, "with another node upstream"),
        ({"after": True}, "with another node downstream"),
    ):
        with trial.built(**around) as pipeline:
            batch = trial.serve(pipeline)
            trial.same("same seed", seen(batch), expected, f"{what}, it gives another batch")
            again = pipeline.replay(batch.token) if hasattr(pipeline, "replay") else batch
            trial.same(
                "replay", seen(again), expected, "pipeline.replay(token) gives another batch"
            )


def keeps_nothing(trial: Trial) -> None:
    """A node serves several requests at once: nothing is on `self` that belongs to one of them."""
    remedy = "keep nothing on self between prepare and process; draw() and self.plan(request) do"
    expected, other = trial.expected(), trial.other_request()
    with trial.built() as pipeline:
        before = _state(pipeline.output)
        trial.serve(pipeline, other)
        after = _state(pipeline.output)
        changed = [n for n in after if n not in before or before[n] != after[n]]
        hint = f" ({', '.join(f'self.{n}' for n in changed)} changed)" if changed else ""
        trial.same(
            "keeps nothing",
            trial.served(pipeline),
            expected,
            f"after a request of another seed{hint} it gives another batch; {remedy}",
        )
        for probe in trial.probes(pipeline):
            probe.interrupt = lambda: trial.serve(pipeline, other)
            trial.same(
                "keeps nothing",
                trial.served(pipeline),
                expected,
                f"with another request between its prepare and process{hint} it gives another "
                f"batch; {remedy}",
            )
            probe.interrupt = None
        trial.treat_as_own(pipeline)
        _threads(trial, pipeline, expected, other)


def _threads(trial: Trial, pipeline: Any, expected: dict[str, Seen], other: BatchRequest) -> None:
    found: list[Any] = [None, None]

    def ask(index: int, request: BatchRequest) -> None:
        try:
            found[index] = seen(pipeline.request_batch(request))
        except Exception as error:
            found[index] = error

    asked = enumerate((trial.request, other))
    threads = [threading.Thread(target=ask, args=pair) for pair in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = trial.served(pipeline, other)
    for mine, its in zip(found, (expected, alone), strict=True):
        if isinstance(mine, Exception):
            trial.broken("keeps nothing", f"two threads at once: {mine!r}")
        trial.same("keeps nothing", mine, its, "two threads at once give other batches")


def leaves_the_sources(trial: Trial) -> None:
    """What sources hold is not written into; what comes from them belongs to the batch."""
    with trial.built() as pipeline:
        trial.serve(pipeline)
    for key, array in trial.world.arrays.items():
        changed = unequal(array.data, trial.original[key])
        if changed is not None:
            trial.broken(
                "leaves the sources",
                f"{key} was changed upstream: {changed}; `array.view` is for reading only, write "
                "into `array.data`, or make new arrays",
            )


def asks_the_same(trial: Trial) -> None:
    """The same request asks upstream for the same, each time."""
    with trial.built() as pipeline:
        trial.serve(pipeline)  # a node may read something once, such as all points
        for probe in trial.probes(pipeline):
            probe.asked.clear()
        trial.serve(pipeline)
        first = {probe: list(probe.asked) for probe in trial.probes(pipeline)}
        trial.serve(pipeline)
        for probe, asked in first.items():
            again = probe.asked[len(asked) :]
            if asked != again:
                trial.broken(
                    "asks the same",
                    f"one seed asked upstream for {asked} and then for {again}; prepare() has "
                    "to follow from the request and self.plan(request) alone",
                )


def travels(trial: Trial) -> None:
    """It is pickled for a worker process, and gives the same there."""
    expected = trial.expected()
    with trial.built() as pipeline:
        try:
            [found] = served_elsewhere(pipeline, [trial.request])
        except Failed as error:
            trial.broken("travels", f"it does not work in another process: {error}", error)
        except Exception as error:
            text = (
                f"it cannot be sent to another process: {error!r}; open files, locks and the like "
                "in setup() or at the first request, and leave them out in __getstate__"
            )
            trial.broken("travels", text, error)
    trial.same("travels", found, expected, "in another process it gives another batch")


def stays_out_of_the_way(trial: Trial) -> None:
    """Where nothing is asked that it makes or changes, it does nothing and is not run."""
    with trial.built() as pipeline:
        node = pipeline.output
        if not isinstance(node, BatchFilter):
            return
        own = {*node.provided_items, *node.updated_items}
        others = [key for key in trial.world.keys if key in pipeline.spec and key not in own]
        if not own or not others:
            return
        request = trial.request_for(pipeline, others)
        plain = trial.upstream_alone(request)
        if plain is None:
            return
        ran: list[str] = []
        _listen(node, ran.append)
        found = trial.served(pipeline, request)
    trial.same("not asked", found, plain, f"asked only for {others}, it changed them")
    if ran:
        trial.broken(
            "not asked",
            f"asked only for {others}, its {ran[0]}() still ran; call self.enable_autoskip() in "
            "setup()",
        )


def _listen(node: Any, tell: Callable[[str], None]) -> None:
    process = node.process

    def told(batch: Batch, request: BatchRequest) -> Batch | None:
        tell("process")
        made: Batch | None = process(batch, request)
        return made

    node.process = told


def _global_state() -> dict[str, Any]:
    numbers = np.random.get_state(legacy=False)
    state: dict[str, Any] = {"random": random.getstate(), "np.random": repr(numbers)}
    state["np.random"] = numbers["state"]["key"].tobytes(), numbers["state"]["pos"]
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_rng_state"):
        state["torch"] = torch.get_rng_state().numpy().tobytes()
    return state


def _state(node: Any) -> dict[str, object]:
    """What a node's author keeps on it."""
    kept: dict[str, object] = {}
    for name, value in vars(node).items():
        if name not in ENGINES_OWN:
            try:
                kept[name] = pack_by_value(value).stream
            except Exception:
                kept[name] = id(value)
    return kept


ENGINES_OWN = frozenset(vars(BatchFilter()))
ALWAYS = (
    leaves_global_state,
    delivers,
    same_seed,
    keeps_nothing,
    leaves_the_sources,
    asks_the_same,
    travels,
    stays_out_of_the_way,
)
"""What every node is held to, in the order in which a failure says most."""
