"""Nodes from outside draw from global generators, seeded as gunpowder does it."""

import random

import numpy as np
import pytest

import voxflow as gp
from tests.pipeline.engine.nodes import LABELS, RAW, Idle, Source, asking, chain
from voxflow.pipeline.data.seeds import advance_legacy
from voxflow.pipeline.engine.legacy_random import is_foreign


class Coin(Idle):
    """Runs for one seed and not for another."""

    def __init__(self):
        self.runs = 0

    def skip_node(self, request):
        return random.random() > 0.5

    def process(self, batch, request):
        self.runs += 1


@pytest.mark.parametrize(("seed", "runs"), [(1, 1), (2, 0)])
def test_the_last_node_sees_the_seed_itself(seed, runs):
    node = Coin()
    with gp.build(Source() + node) as pipeline:
        pipeline.request_batch(asking(seed=seed))
    assert node.runs == runs


class Draws(Idle):
    """Keeps what it draws in each half."""

    def __init__(self):
        self.drawn = {}

    def prepare(self, request):
        self.drawn["seed"] = request.random_seed
        self.drawn["prepare"] = random.random(), np.random.random()

    def process(self, batch, request):
        self.drawn["process seed"] = request.random_seed
        self.drawn["process"] = random.random()


def fresh(seed):
    return random.Random(seed).random(), np.random.RandomState(seed).random()


def test_each_node_upstream_sees_a_seed_two_steps_on():
    last, first = Draws(), Draws()
    with gp.build(chain(Source(), first, Idle(), last)) as pipeline:
        pipeline.request_batch(asking(seed=5))
    seeds = [5]
    for _ in range(6):
        seeds.append(advance_legacy(seeds[-1]))
    assert seeds[:3] == [5, 36, 1369]
    # the generators are seeded with what the node gets, the request is one copy further on
    assert last.drawn["prepare"] == fresh(seeds[0])
    assert last.drawn["seed"] == seeds[1]
    assert last.drawn["process seed"] == seeds[2]
    assert first.drawn["prepare"] == fresh(seeds[4])
    assert first.drawn["seed"] == seeds[5]


class ForeignSource(Source):
    """From outside: seeded as well."""


def test_process_goes_on_from_where_upstream_left():
    node = Draws()
    with gp.build(ForeignSource() + node) as pipeline:
        pipeline.request_batch(asking(seed=5))
    # the source was seeded last, and did not draw
    assert node.drawn["process"] == fresh(1369)[0]


def test_nodes_that_cannot_draw_from_the_global_state_are_not_seeded():
    node = Draws()
    with gp.build(Source() + node) as pipeline:
        pipeline.request_batch(asking(seed=5))
    generator = random.Random(5)
    assert node.drawn["prepare"][0] == generator.random()
    assert node.drawn["process"] == generator.random()


def test_inputs_of_a_merge_draw_apart():
    one, other = Draws(), Draws()
    pipeline = (Source(RAW) + one, Source(LABELS) + other) + gp.MergeProvider()
    with gp.build(pipeline):
        pipeline.request_batch(asking(RAW, LABELS, seed=5))
    assert one.drawn["prepare"] != other.drawn["prepare"]


def test_seeding_globally_has_no_effect_on_batches():
    drawn = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        node = Draws()
        with gp.build(Source() + node, seed=7) as pipeline:
            pipeline.request_batch(asking())
        drawn.append(node.drawn)
    assert drawn[0] == drawn[1]


def test_the_state_comes_back_after_an_error_too():
    class Breaks(Idle):
        def process(self, batch, request):
            random.random()
            raise ValueError

    before = random.getstate(), np.random.get_state()[1].tolist()
    with gp.build(Source() + Breaks()) as pipeline, pytest.raises(ValueError):  # noqa: PT011
        pipeline.request_batch(asking())
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


class Widens(Coin):
    """What upstream is asked for depends on the coin."""

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[RAW] = request[RAW].roi.grow(2, 2)
        return needed


def test_plans_of_nodes_from_outside_are_reproducible():
    with gp.build(Source() + Widens()) as pipeline:
        plans = [[str(pipeline.plan(asking(seed=s))) for _ in range(5)] for s in (1, 2)]
    assert [len(set(texts)) for texts in plans] == [1, 1]
    assert plans[0] != plans[1]


def test_whose_nodes():
    assert is_foreign(Coin())
    assert not is_foreign(gp.MergeProvider())
    assert not is_foreign(Idle())  # made to look as if


class Mine(gp.MergeProvider):
    pass


def test_subclasses_are_from_outside():
    assert is_foreign(Mine())
