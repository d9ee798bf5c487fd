"""Same seed, same batches."""

import logging
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import voxflow as gp
from tests.pipeline.engine.nodes import (
    LABELS,
    RAW,
    Dice,
    Grow,
    Idle,
    Source,
    asking,
    chain,
    hash_of,
)
from voxflow.pipeline.data import RunPosition
from voxflow.pipeline.engine import Run


def rich():
    return chain(
        (Source(RAW) + Dice(RAW), Source(LABELS) + Dice(LABELS)) + gp.MergeProvider(),
        Grow(),
        Dice(RAW),
        gp.Stack(2),
        Dice(LABELS),
    )


def batches(pipeline, count=5, seed=1, request=None):
    request = asking(RAW, LABELS) if request is None else request
    with gp.build(pipeline, seed=seed):
        return [hash_of(pipeline.request_batch(request)) for _ in range(count)]


def test_the_same_seed_gives_the_same_batches():
    first = batches(rich())
    assert batches(rich()) == first
    assert batches(rich(), seed=2) != first
    assert len({batch["RAW"] for batch in first}) == 5


def test_a_pipeline_that_is_built_again_starts_again():
    pipeline = rich()
    assert batches(pipeline) == batches(pipeline)


def test_nodes_that_do_nothing_change_nothing():
    first = batches(rich())
    idle = chain(
        (Source(RAW) + Idle() + Dice(RAW), Source(LABELS) + Dice(LABELS) + Idle())
        + gp.MergeProvider()
        + Idle(),
        Grow(),
        Idle(),
        Dice(RAW),
        gp.Stack(2),
        Idle(),
        Dice(LABELS),
        Idle(),
    )
    assert batches(idle) == first


def test_a_label_of_its_own_makes_a_node_draw_its_own():
    one = batches(Source() + Dice(), request=asking())
    assert batches(Source() + Dice().named("Dice"), request=asking()) == one
    assert batches(Source() + Dice().named("other"), request=asking()) != one


def test_a_request_with_a_seed_stands_alone():
    pipeline = rich()
    with gp.build(pipeline, seed=1):
        request = asking(RAW, LABELS, seed=9)
        one, two = pipeline.request_batch(request), pipeline.request_batch(request)
        assert pipeline.run.next_position.index == 0
    assert hash_of(one) == hash_of(two)


def test_placeholders_change_nothing():
    with_placeholder = asking(RAW)
    with_placeholder[LABELS] = gp.ArraySpec(gp.Roi((10, 10), (8, 8)), placeholder=True)
    assert batches(rich(), request=with_placeholder) == batches(rich(), request=asking(RAW))


def test_the_global_state_of_the_caller_is_left_alone():
    class Outside(Idle):
        def process(self, batch, request):
            batch[RAW].data += np.random.random() + random.random()

    for pipeline in (Source() + Dice(), Source() + Outside()):
        random.seed(5)
        np.random.seed(5)
        wanted = random.random(), np.random.random()
        random.seed(5)
        np.random.seed(5)
        with gp.build(pipeline, seed=1):
            pipeline.check(asking())
            pipeline.plan(asking())
            for _ in range(3):
                pipeline.request_batch(asking())
        assert (random.random(), np.random.random()) == wanted


def test_a_seed_is_drawn_logged_and_kept(caplog):
    pipeline = rich()
    with caplog.at_level(logging.INFO, "voxflow"), gp.build(pipeline):
        seed = pipeline.run.seed
        batch = pipeline.request_batch(asking(RAW, LABELS))
    assert f"this run uses seed={seed}" in caplog.text
    assert batch.token.request().position == RunPosition(seed, 0)
    assert batches(rich(), count=1, seed=seed) == [hash_of(batch)]


def test_seeds_are_whole():
    with pytest.raises(TypeError, match="seed has to be a whole number, got '1'"):
        batches(rich(), seed="1")


@pytest.mark.parametrize("as_text", [True, False])
def test_replay(as_text):
    pipeline = rich()
    with gp.build(pipeline, seed=1):
        made = [pipeline.request_batch(asking(RAW, LABELS)) for _ in range(3)]
        seeded = pipeline.request_batch(asking(RAW, seed=4))
    other = rich()
    with gp.build(other, seed=99):
        for batch in [*reversed(made), seeded]:
            again = other.replay(str(batch.token) if as_text else batch.token)
            assert hash_of(again) == hash_of(batch)
            assert again.token == batch.token
        assert other.run.next_position.index == 0


def test_replay_of_other_text():
    with (
        gp.build(Source() + Idle()) as pipeline,
        pytest.raises(ValueError, match="no replay token"),
    ):
        pipeline.replay("text")


@pytest.mark.parametrize("foreign", [False, True])
def test_threads_give_the_same_batches(foreign):
    class Outside(Idle):
        """Draws from the global state, as nodes from outside do."""

        def process(self, batch, request):
            array = batch[RAW]
            batch[RAW] = gp.Array(array.data + np.random.random() + random.random(), array.spec)

    def make():
        return rich() + Outside() if foreign else rich()

    request = asking(RAW, LABELS)
    pipeline = make()
    with gp.build(pipeline, seed=1):
        serial = {
            str(b.token): hash_of(b) for b in (pipeline.request_batch(request) for _ in range(40))
        }
    pipeline = make()
    with gp.build(pipeline, seed=1), ThreadPoolExecutor(4) as threads:
        made = list(threads.map(pipeline.request_batch, [request] * 40))
    assert {str(batch.token): hash_of(batch) for batch in made} == serial
    assert len(serial) == 40


def test_a_run_goes_on_elsewhere():
    run = Run(5, 3)
    run.foreign = True
    again = pickle.loads(pickle.dumps(run))
    assert again.next_position == RunPosition(5, 3)
    assert again.foreign
    assert again.seeded(asking()).position == RunPosition(5, 3)
    assert again.seeded(asking()).position == RunPosition(5, 4)
    again.move_to(RunPosition(1, 9))
    assert again.seed == 1
    assert again.seeded(asking()).position == RunPosition(1, 9)


class Resumes(Idle):
    def resume_position(self):
        return RunPosition(7, 20)


def test_resuming():
    pipeline = Source() + Dice() + Resumes()
    with gp.build(pipeline):
        resumed = pipeline.request_batch(asking())
    assert resumed.token.request().position == RunPosition(7, 20)
    with gp.build(pipeline, seed=7):
        assert pipeline.run.next_position == RunPosition(7, 20)
    with (
        pytest.raises(gp.PipelineSetupError, match="Resumes resumes a run .* with seed=7, but"),
        gp.build(pipeline, seed=8),
    ):
        pass
    assert not any(node._engine_in_use for node in pipeline.nodes())


SCRIPT = """
import sys
from tests.pipeline.engine.test_run import *
class Outside(Idle):
    def process(self, batch, request):
        array = batch[RAW]
        batch[RAW] = gp.Array(array.data + np.random.random() + random.random(), array.spec)
import hashlib
made = batches(rich() + Outside())
print(hashlib.sha256(repr(made).encode()).hexdigest())
try:
    batches(rich(), request=asking(RAW, roi=((0, 0), (9, 80))))
except gp.PipelineRequestError as error:
    print(error, error.__notes__ if hasattr(error, "__notes__") else None)
"""


def test_nothing_rests_on_assertions_and_the_hashes_of_a_process(repository):
    made = {
        subprocess.run(
            [sys.executable, *flags, "-c", SCRIPT],
            cwd=repository,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flags, seed in (([], "0"), (["-O"], "1"))
    }
    assert len(made) == 1
    assert "[0:9, 0:80] (9, 80) is not on the voxel grid" in made.pop()
