import logging

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, source
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError

RAW, MASK, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("MASK"), gp.GraphKey("POINTS")


class Asked(gp.BatchFilter):
    """Notes the seed of each request that comes by."""

    def __init__(self):
        self.seeds = []

    def process(self, batch, request):
        self.seeds.append(request.seed)


def masked(data, *, before=(), **more):
    mask = source(MASK, np.asarray(data), (1,))
    pipeline = mask + gp.RandomLocation()
    for node in before:
        pipeline += node
    return pipeline + gp.Reject(MASK, **more)


def half(n=100):
    return (np.arange(n) >= n // 2).astype(np.uint8)


REQUEST = gp.BatchRequest({MASK: gp.Roi((0,), (10,))})


def test_only_good_batches_pass():
    with gp.build(masked(half()), seed=3) as built:
        means = [built.request_batch(REQUEST)[MASK].data.mean() for _ in range(50)]
    assert min(means) > 0.5
    assert min(means) < 1


def test_a_seeded_request_comes_to_an_end_and_gives_the_same_batch_again():
    with gp.build(masked(half(), min_masked=0.95)) as built:
        for seed in range(8):
            request = gp.BatchRequest(REQUEST.array_specs, random_seed=seed)
            first, second = (built.request_batch(request)[MASK].data for _ in range(2))
            np.testing.assert_array_equal(first, second)
            assert first.mean() == 1


def test_a_batch_that_is_good_at_once_is_the_same_as_without():
    ramp = np.arange(1, 101, dtype=np.uint8)
    request = gp.BatchRequest(REQUEST.array_specs, random_seed=5)
    with gp.build(masked(ramp)) as built:
        batch = built.request_batch(request)
    with gp.build(source(MASK, ramp, (1,)) + gp.RandomLocation()) as built:
        np.testing.assert_array_equal(built.request_batch(request)[MASK].data, batch[MASK].data)


def test_exactly_enough_is_not_enough():
    data = np.tile([0, 1], 50).astype(np.uint8)
    with gp.build(masked(data, max_attempts=5)) as built, pytest.raises(SamplingError):
        built.request_batch(REQUEST)


def test_gives_up_with_the_numbers_after_as_many_tries():
    asked = Asked()
    data = np.zeros(100, np.uint8)
    data[::4] = 255  # what is greater than 0 counts, not the mean
    with (
        gp.build(masked(data, before=[asked], max_attempts=20)) as built,
        pytest.raises(SamplingError) as error,
    ):
        built.request_batch(REQUEST)
    assert len(set(asked.seeds)) == 20
    assert str(error.value).startswith(
        "Reject: 0 of 20 batches were good. More than 0.5 of MASK has to be masked, the best had "
        "0.3. Ask for a lower min_masked or a larger region"
    )


def test_two_such_nodes_do_not_try_the_same_seeds():
    asked = Asked()
    nodes = [asked, gp.Reject(MASK, 0.0)]
    with gp.build(masked(half(), before=nodes, min_masked=0.95)) as built:
        for seed in range(20):
            built.request_batch(gp.BatchRequest(REQUEST.array_specs, random_seed=seed))
    assert len(set(asked.seeds)) == len(asked.seeds) > 40


def test_bad_batches_pass_with_a_probability():
    data = np.zeros(100, np.uint8)
    asked, tries = Asked(), []
    with gp.build(masked(data, before=[asked], reject_probability=0.75), seed=1) as built:
        for _ in range(200):
            before = len(asked.seeds)
            built.request_batch(REQUEST)
            tries.append(len(asked.seeds) - before)
    assert 3 < np.mean(tries) < 5  # 4 on average
    with gp.build(masked(data, reject_probability=0.0)) as built:
        built.request_batch(REQUEST)


def test_the_mean_of_floats_counts():
    data = np.full(100, 0.4, np.float32)
    with gp.build(masked(data, min_masked=0.3)) as built:
        built.request_batch(REQUEST)
    with (
        gp.build(masked(data, max_attempts=3)) as built,
        pytest.raises(SamplingError, match=r"the best had 0\.4\b"),
    ):
        built.request_batch(REQUEST)


def test_batches_without_points_are_rejected():
    graph = GraphSource(POINTS, {1: (20.5,), 2: (70.0,)}, gp.Roi((0,), (100,)))
    request = gp.BatchRequest({POINTS: gp.Roi((0,), (10,))})
    with gp.build(graph + gp.RandomLocation() + gp.Reject(ensure_nonempty=POINTS)) as built:
        for _ in range(20):
            assert built.request_batch(request)[POINTS].num_vertices() == 1
    graph = GraphSource(POINTS, {}, gp.Roi((0,), (100,)))
    node = gp.Reject(ensure_nonempty=POINTS, max_attempts=7)
    with (
        gp.build(graph + gp.RandomLocation() + node) as built,
        pytest.raises(SamplingError, match="In 7 of them POINTS had no points"),
    ):
        built.request_batch(request)


def test_warns_long_before_it_gives_up(caplog):
    with (
        caplog.at_level(logging.WARNING),
        gp.build(masked(np.zeros(100, np.uint8))) as built,
        pytest.raises(SamplingError),
    ):
        built.request_batch(REQUEST)
    assert [r.getMessage().split(" batches")[0] for r in caplog.records] == [
        f"Reject: 0 of {n}" for n in (64, 128, 256, 512)
    ]


def test_what_it_looks_at_has_to_be_in_the_request():
    inputs = (source(RAW, np.zeros(9), (1,)), source(MASK, np.zeros(9), (1,)))
    request = gp.BatchRequest({RAW: gp.Roi((0,), (3,))})
    with gp.build(inputs + gp.MergeProvider() + gp.Reject(MASK)) as built:
        with pytest.raises(RequestRefused, match="Reject looks at MASK, which is not in the requ"):
            built.check(request)
        request.add(MASK, (3,), placeholder=True)
        with pytest.raises(RequestRefused, match="MASK, which is only a placeholder in the requ"):
            built.request_batch(request)


def test_what_it_looks_at_has_to_be_provided():
    with pytest.raises(gp.PipelineSetupError, match="no spec for MASK here; there is: RAW"):
        gp.build(source(RAW, np.zeros(9), (1,)) + gp.Reject(MASK)).__enter__()


def test_mistakes_upstream_are_known_before_the_run():
    with gp.build(masked(half())) as built, pytest.raises(RequestRefused, match="misses 50"):
        built.check(gp.BatchRequest({MASK: gp.Roi((0,), (150,))}))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ValueError, "needs mask= or ensure_nonempty="),
        ({"mask": MASK, "min_masked": 1}, ValueError, r"has to lie in \[0, 1\), got 1"),
        ({"mask": MASK, "reject_probability": 2}, ValueError, "reject_probability"),
        ({"mask": MASK, "max_attempts": 0}, ValueError, "max_attempts"),
        ({"mask": POINTS}, TypeError, "mask has to be an ArrayKey"),
        ({"ensure_nonempty": MASK}, TypeError, "ensure_nonempty has to be a GraphKey"),
    ],
)
def test_refuses_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        gp.Reject(**arguments)
