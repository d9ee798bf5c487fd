"""What is tried, how often, and for how long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.tuning.objectives import loads
from voxflow.training.tuning import Choice, NotTunable, Range, Stage, batch_stages, lr_stages

LR = {"optimizer.lr": Range(1e-6, 1e-1, log=True)}


def test_rates_are_looked_for_coarsely_and_then_ever_more_finely(tmp_path):
    config = loads(tmp_path, "stop.steps=500")(()).config
    stages = lr_stages(config)
    assert [stage.trials for stage in stages] == [20, 10, 5]
    assert [stage.steps for stage in stages] == [50, 250, 500]
    assert stages[0].after({}) == LR
    found = [stage.after({"optimizer.lr": 1e-3})["optimizer.lr"] for stage in stages[1:]]
    assert found[0].low == pytest.approx(1e-4)
    assert found[0].high == pytest.approx(1e-2)
    assert found[1].high == pytest.approx(10**-2.9)
    assert lr_stages(config, stages=[(3, 7)])[0].steps == 7


@given(
    st.floats(1e-6, 1e-1), st.floats(1.01, 1e4), st.floats(0, 1), st.sampled_from([0.01, 0.1, 1])
)
@settings(max_examples=30)
def test_what_is_tried_around_the_best_is_within_the_range(low, times, part, powers):
    whole = Range(low, low * times, log=True)
    best = min(max(low, low * times**part), whole.high)
    found = whole.around(best, powers)
    assert whole.low <= found.low <= best <= found.high <= whole.high
    assert found.low == whole.low or found.low == pytest.approx(best / 10**powers)
    assert found.high == whole.high or found.high == pytest.approx(best * 10**powers)


def test_a_part_of_steps_that_are_not_said_is_refused(tmp_path):
    config = loads(tmp_path, "stop={hours: 1}", "stop.steps=null")(()).config
    with pytest.raises(ValueError, match=r"10% of the steps .* has no stop.steps"):
        lr_stages(config)
    assert batch_stages(config)[0].assignments({"data.batch_size": 4}, config) == [
        "data.batch_size=4"
    ]


def test_a_short_trial_is_validated_at_its_end(tmp_path):
    load = loads(tmp_path)
    config = load(()).config
    shorter = Stage(LR, 1, steps=5).assignments({"optimizer.lr": 0.5}, config)
    assert shorter == ["optimizer.lr=0.5", "stop.steps=5", "validation.every.steps=5"]
    longer = Stage(LR, 1, steps=50).assignments({"optimizer.lr": 0.5}, config)
    assert longer[1:] == ["stop.steps=50", "validation.every.steps=10"]
    assert Stage(LR, 1).assignments({"optimizer.lr": 0.5}, config) == ["optimizer.lr=0.5"]


def test_all_sizes_of_batches_see_as_many_samples(tmp_path):
    config = loads(tmp_path, "data.batch_size=4", "step.accumulate=3")(()).config
    (stage,) = batch_stages(config, [1, 8, 480])
    assert stage.samples == 40 * 12
    lengths = []
    for size in (1, 8, 480):
        own = stage.assignments({"data.batch_size": size}, config)
        lengths.append([int(text.partition("=")[2]) for text in own])
    # Size, steps, and steps between validations.
    assert lengths == [[1, 160, 40], [8, 20, 5], [480, 1, 1]]


def test_the_size_of_batches_may_be_an_option_of_a_pipeline_of_ones_own(tmp_path):
    own = ["data.pairs=[]", "data.input_shape=null", "data.pipeline=module:name"]
    config = loads(tmp_path, *own, "data.options.batch=2")(()).config
    (stage,) = batch_stages(config, [8], "data.options.batch")
    found = stage.assignments({"data.options.batch": 8}, config)
    assert found == ["data.options.batch=8", "stop.steps=10", "validation.every.steps=2"]
    with pytest.raises(NotTunable, match="data.batch_size is not for a pipeline of your own"):
        batch_stages(config)
    with pytest.raises(NotTunable, match="data.options.size is no size .* has None there"):
        batch_stages(config, key="data.options.size")


def test_what_is_no_stage_is_refused():
    with pytest.raises(ValueError, match="nothing is tuned"):
        Stage({}, 1)
    with pytest.raises(ValueError, match="at least 1 trial"):
        Stage({"seed": Choice((1,))}, 0)
