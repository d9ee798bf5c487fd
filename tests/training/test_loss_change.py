"""How much a step changes the loss of its batch."""

import io
import re

import numpy as np
import pytest
import torch

from tests.torch.nets import convolution
from tests.training.sessions import Losses, Poison, same, session, weights
from voxflow.torch import StepOptions
from voxflow.training import Status, history


def run(rate, tmp_path=None, *, change=True, nodes=(), **options):
    model = convolution(dropout=0.5, norm=True)
    told, losses = io.StringIO(), Losses()
    made = session(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=rate),
        hooks=[Status(2, stream=told, change=change), losses],
        nodes=nodes,
        stop_after=6,
        run_dir=tmp_path,
        **options,
    )
    made.run()
    return made, told.getvalue(), losses.values


def test_a_step_that_changes_nothing_changes_no_loss(tmp_path):
    """The same dropout is drawn, and the same means and deviations are taken."""
    run(0.0, tmp_path)
    assert history(tmp_path)["loss_change"].values.tolist() == [0.0, 0.0, 0.0]


def test_small_steps_lower_it_and_it_is_told(tmp_path):
    _, told, losses = run(0.001, tmp_path)
    found = history(tmp_path)["loss_change"]
    assert found.steps.tolist() == [2, 4, 6]
    assert (found.values < 0).all()
    assert np.abs(found.values).max() < 0.1 * min(losses)
    said = [float(text) for text in re.findall(r"loss \S+  change (-\S+)  lr", told)]
    np.testing.assert_allclose(said, found.values, rtol=0.06)


def test_nothing_of_the_training_changes():
    one, plain, left = run(0.01, change=False)
    other, told, right = run(0.01)
    assert "change" in told
    assert "change" not in plain
    assert left == right
    assert same(weights(one.model), weights(other.model))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_where_it_is_not_known_it_is_left_out(accumulate):
    options = StepOptions(accumulate=accumulate, nonfinite="skip")
    nodes = [] if accumulate == 2 else [Poison(1, 3, 5)]
    _, told, _ = run(0.01, options=options, nodes=nodes)
    assert told.startswith("step 2/6")
    assert "change" not in told
