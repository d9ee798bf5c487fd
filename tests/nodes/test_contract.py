"""What every node that changes arrays or graphs keeps to, whatever it does."""

import ast
import random
from importlib import import_module
from pathlib import Path

import dill
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, Nothing, ids, source
from tests.nodes.cases.world import FLOAT, INNER, LABELS, MASK, POINTS, RAW, SIZES, WORLD
from voxflow.pipeline.engine.provider import BatchProvider

CASES = {
    name: case
    for path in sorted(Path(__file__).parent.glob("cases/*.py"))
    for name, case in getattr(import_module(f"tests.nodes.cases.{path.stem}"), "CASES", {}).items()
}
ALL = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def volumes():
    rng = np.random.default_rng(0)
    labels = ids(WORLD, SIZES[LABELS]) // 500
    return {
        RAW: rng.integers(0, 256, (20, 40, 40), np.uint8),
        FLOAT: rng.uniform(0.3, 0.7, (1, 20, 40, 40)).astype(np.float32),
        LABELS: labels + np.uint64(2**63),
        MASK: rng.integers(0, 2, labels.shape, np.uint8),
    }


def inputs(data):
    rng = np.random.default_rng(1)
    points = {n: rng.uniform((0, 0, 0), (160, 80, 80)) for n in range(200)}
    sources = [source(key, data[key], SIZES[key]) for key in data]
    return (*sources, GraphSource(POINTS, points, WORLD)) + gp.MergeProvider()


class Shared(gp.BatchFilter):
    """Hands on what nobody may write into."""

    def process(self, batch, request):
        for array in batch.arrays.values():
            array.data.flags.writeable = False


def digest(batch):
    """All that a consumer sees."""
    seen = {str(k): (a.data.tobytes(), a.data.shape, repr(a.spec)) for k, a in batch.arrays.items()}
    for key, graph in batch.graphs.items():
        seen[str(key)] = (graph.ids.tolist(), graph.locations.tolist(), repr(graph.spec))
    return seen


@ALL
def test_delivers_what_was_promised(case):
    data = volumes()
    before = {key: array.copy() for key, array in data.items()}
    pipeline = inputs(data) + Shared() + case.make()
    request = case.request()
    with gp.build(pipeline, seed=1):
        for _ in range(2):
            batch = pipeline.request_batch(request)
            assert {str(key) for key, _ in batch.items()} == {str(key) for key in request}
            for key, asked in request.items():
                assert batch[key].spec.roi == asked.roi
            for key, array in batch.arrays.items():
                promised = pipeline.spec[key]
                assert array.spec.dtype == array.data.dtype == promised.dtype
                assert array.spec.voxel_size == promised.voxel_size
                assert array.spec.interpolatable == promised.interpolatable
                assert not array.spec.placeholder
                # what a consumer does with its batch changes nothing upstream
                if array.data.flags.writeable:
                    array.data[:] = 0
    for key, array in data.items():
        np.testing.assert_array_equal(array, before[key])


@ALL
def test_the_same_seed_gives_the_same_batches(case):
    runs = []
    for extra in (False, True, False):
        pipeline = inputs(volumes()) + Nothing() if extra else inputs(volumes())
        pipeline = pipeline + case.make()
        if extra:
            pipeline = pipeline + Nothing()
        with gp.build(pipeline, seed=3):
            batches = [pipeline.request_batch(case.request()) for _ in range(3)]
            again = pipeline.replay(batches[1].token)
        assert digest(again) == digest(batches[1])
        runs.append([digest(batch) for batch in batches])
    assert runs[0] == runs[1] == runs[2]


@ALL
def test_asks_for_the_same_each_time(case):
    node = case.make()
    pipeline = inputs(volumes()) + node
    with gp.build(pipeline, seed=1):
        asked = []
        for planning in (True, False, False):
            request = case.request()
            request._set_seed(7)
            request.planning = planning and node.skip_node(request) is False
            state = {k: v for k, v in vars(node).items() if not k.startswith("_")}
            [(_, upstream)] = node.upstream_requests(request)
            assert {k: v for k, v in vars(node).items() if not k.startswith("_")} == state
            asked.append(upstream)
        assert asked[0] == asked[1] == asked[2]


@ALL
def test_is_planned_and_checked_before_the_run(case):
    pipeline = inputs(volumes()) + case.make()
    with gp.build(pipeline, seed=1):
        pipeline.check(case.request())
        text = str(pipeline.plan(case.request()))
        assert all(str(key) in text for key in case.keys)
        too_much = case.request()
        too_much[case.keys[-1]] = gp.Roi((-8000,) * 3, (16000,) * 3)
        with pytest.raises(gp.PipelineRequestError, match=str(case.keys[-1])):
            pipeline.request_batch(too_much)


@ALL
def test_travels_to_another_process(case):
    node = case.make()
    pipeline = inputs(volumes()) + node
    with gp.build(pipeline, seed=1):
        copy = dill.loads(dill.dumps(pipeline))
        request = case.request()
        request._set_seed(11)
        assert digest(copy.request_batch(request)) == digest(pipeline.request_batch(request))
    dill.loads(dill.dumps(case.make()))


@ALL
def test_serves_nothing_of_its_own_where_nothing_is_asked(case):
    asked = gp.BatchRequest({MASK: INNER})
    pipeline = inputs(volumes()) + case.make()
    with gp.build(pipeline, seed=1):
        assert [str(key) for key, _ in pipeline.request_batch(asked).items()] == ["MASK"]


@ALL
def test_leaves_global_random_state_alone(case, monkeypatch):
    pipeline = inputs(volumes()) + case.make()
    # the graph source is a foreign node, for which the engine itself seeds and restores
    monkeypatch.setattr(
        "voxflow.pipeline.engine.provider.seed_globals", lambda *_, **__: None, raising=False
    )
    with gp.build(pipeline, seed=1):
        seen = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            state = random.getstate(), np.random.get_state()[1].tolist()
            request = case.request()
            request._set_seed(5)
            seen.append(digest(pipeline.request_batch(request)))
            assert state == (random.getstate(), np.random.get_state()[1].tolist())
        assert seen[0] == seen[1]


def test_all_nodes_of_these_rooms_are_here():
    names = {name.split()[0] for name in CASES}
    for room in ("values", "shape", "labels", "augment"):
        for path in Path(gp.__file__).parent.glob(f"nodes/{room}/*.py"):
            name = path.stem.title().replace("_", "")
            if isinstance(getattr(gp, name, None), type):
                assert issubclass(getattr(gp, name), BatchProvider)
                assert name in names


def test_no_node_relies_on_assert():
    # which `python -O` leaves out
    for path in Path(gp.__file__).parent.glob("nodes/**/*.py"):
        found = [
            n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Assert)
        ]
        assert not found, path
