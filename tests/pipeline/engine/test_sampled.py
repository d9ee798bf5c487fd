"""Which batches of a profile are measured node by node, and what they stand for."""

import random

import numpy as np
import pytest

from voxflow.pipeline.data import ProfilingStats
from voxflow.pipeline.engine.sampled import Sample, seconds_to_keep


def sampled(seconds, keeping):
    """A sample of batches that take so long, and which of them were kept."""
    sample = Sample(keeping)
    for number, took in enumerate(seconds):
        stats = ProfilingStats()
        stats.count("batch", "number", number)
        sample.add(stats, took)
    return sample, [stats.get_counts()["batch", "number"] for stats, *_ in sample.weighted()]


@pytest.mark.parametrize("keeping", [0.0, 0.001])
def test_batches_that_take_long_are_all_kept(keeping):
    sample, kept = sampled([0.1, 0.5, 0.2], keeping)
    assert kept == [0, 1, 2]
    assert [weights for _, *weights in sample.weighted()] == [[1.0, 1.0]] * 3


def test_keeping_some_of_the_short_ones_takes_a_hundredth_of_the_time():
    keeping = 0.001
    seconds = np.random.default_rng(0).uniform(0.001, 0.05, 1000)
    sample, _ = sampled(seconds, keeping)
    assert len(sample) * keeping == pytest.approx(0.01 * seconds.sum(), rel=0.1)


def test_what_is_kept_sums_up_to_all():
    seconds = np.random.default_rng(1).uniform(0.001, 0.2, 1000)
    sample, kept = sampled(seconds, 0.001)
    assert kept == sorted(kept)
    assert set(np.flatnonzero(seconds >= 0.1)) < set(kept)
    weights = [weights for _, *weights in sample.weighted()]
    assert sum(w * seconds[i] for (w, _), i in zip(weights, kept, strict=True)) == pytest.approx(
        seconds.sum()
    )
    assert sum(w for _, w in weights) == pytest.approx(len(seconds))


def test_rare_batches_are_kept_as_often_as_their_share_of_the_time():
    """Each tenth batch takes ten times as long, and is not missed by keeping each tenth."""
    seconds = np.where(np.arange(4000) % 10 == 3, 0.01, 0.001)
    _, kept = sampled(seconds, 0.0002)
    share = np.isin(kept, np.flatnonzero(seconds == 0.01)).mean()
    assert share == pytest.approx(10 / 19, abs=0.05)


@pytest.mark.parametrize(
    ("seconds", "kept"), [([0.01], [0]), ([0.0, 0.0, 0.0], [0]), ([200.0, 0.01, 0.01], [0, 1])]
)
def test_one_of_the_short_ones_at_least_is_kept(seconds, kept):
    sample, found = sampled(seconds, 1.0)
    assert found == kept
    assert sum(calls_for for *_, calls_for in sample.weighted()) == pytest.approx(len(seconds))


def test_dice_of_others_are_left_alone():
    random.seed(3)
    sampled([0.01] * 100, 0.001)
    after = random.random()
    random.seed(3)
    assert after == random.random()


def test_more_timings_take_longer_to_keep():
    few, many = ProfilingStats(), ProfilingStats()
    few.record("Node", None, 0.0, 1.0)
    for i in range(10_000):
        many.record("Node", None, i, i + 0.5)
    assert 0 < seconds_to_keep(few) < seconds_to_keep(many) < 1
