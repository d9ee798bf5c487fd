"""Same seed, same batches: for any workers, after any break, whatever else is in the pipeline."""

import random

import numpy as np
import pytest

import voxflow as gp
from tests.integration import training
from tests.integration.data import write_sample

SEED = 21
COUNT = 20


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    for seed, name in enumerate("AB"):
        write_sample(folder / f"sample_{name}.hdf", seed=seed)
    return folder


def digests(pipeline, count=COUNT, begin=0):
    with gp.build(pipeline, seed=SEED):
        pipeline.run.move_to(pipeline.run.next_position.next(begin))
        return [training.digest(pipeline.request_batch(training.request())) for _ in range(count)]


@pytest.fixture(scope="module")
def expected(samples):
    found = digests(training.pipeline(samples))
    assert len(set(found)) == COUNT
    return found


@pytest.mark.parametrize(
    ("num_workers", "method"),
    [
        (0, "forkserver"),
        pytest.param(1, "forkserver", marks=pytest.mark.slow),
        pytest.param(2, "forkserver", marks=pytest.mark.slow),
        (3, "forkserver"),
        (1, "spawn"),
        pytest.param(3, "spawn", marks=pytest.mark.slow),
        pytest.param(1, "thread", marks=pytest.mark.slow),
        (3, "thread"),
    ],
)
def test_batches_are_the_same_for_any_workers(samples, expected, num_workers, method):
    assert digests(training.pipeline(samples, num_workers, method)) == expected


class Nothing(gp.BatchFilter):
    def process(self, batch, request):
        pass


class Draws(gp.BatchFilter):
    """Draws from the global generators, and changes nothing."""

    def process(self, batch, request):
        np.random.rand(3)
        random.random()


@pytest.mark.parametrize("node", [Nothing, Draws])
def test_a_node_that_does_nothing_changes_nothing(samples, expected, node):
    assert digests(training.pipeline(samples, insert=[node()]), 10) == expected[:10]


@pytest.mark.parametrize("begin", [1, 7, 19])
def test_a_run_goes_on_at_any_batch(samples, expected, begin):
    pipeline = training.pipeline(samples, 2, "thread")
    assert digests(pipeline, min(5, COUNT - begin), begin) == expected[begin : begin + 5]


def test_a_batch_can_be_made_again_from_its_token(samples, expected):
    pipeline = training.pipeline(samples)
    with gp.build(pipeline, seed=SEED):
        tokens = [str(pipeline.request_batch(training.request()).token) for _ in range(3)]
    pipeline = training.pipeline(samples)
    with gp.build(pipeline, seed=SEED + 1):
        found = [training.digest(pipeline.replay(token)) for token in reversed(tokens)]
    assert found == expected[2::-1]


def test_the_random_state_of_the_caller_stays(samples):
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]
    digests(training.pipeline(samples, 2, "thread"), 3)
    digests(training.pipeline(samples, insert=[Draws()]), 3)
    after = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]
    assert after == before


def test_the_callers_seeds_change_nothing(samples, expected):
    random.seed(77)
    np.random.seed(77)
    assert digests(training.pipeline(samples), 5) == expected[:5]
