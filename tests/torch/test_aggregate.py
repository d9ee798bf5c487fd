"""Several losses at once: combined, weighed, logged by their names."""

import pytest
import torch

from tests.torch.nets import OUT, TARGET
from tests.training.sessions import Losses, session
from voxflow.torch import Aggregate, StepOptions
from voxflow.training import Scheduled, Updates


def constant(value):
    return lambda prediction, target: prediction.sum() * 0 + value


def test_parts_are_weighed():
    both = Aggregate({"a": (constant(2.0), 1.0), "b": (constant(4.0), 0.5)})
    x = torch.zeros(1)
    assert float(both(x, x)) == 2.0
    assert {name: float(v) for name, v in both.parts.items()} == {"a": 2.0, "b": 4.0}
    both.weights = [0.0, 1.0]
    assert float(both(x, x)) == 2.0
    whole = Aggregate({"a": (constant(2.0), 1.0), "b": (constant(4.0), 0.5)}, combine="sum")
    assert float(whole(x, x)) == 4.0


def test_each_gets_what_it_wants_and_moves_with_the_others():
    weighted = torch.nn.CrossEntropyLoss(torch.ones(2))
    both = Aggregate({"a": (weighted, 1.0, [0, "labels"]), "b": (torch.nn.L1Loss(), 1.0, [1, 1])})
    assert [name for name, _ in both.named_buffers()]
    labels = torch.zeros(3, dtype=torch.long)
    value = both(torch.zeros(3, 2), torch.ones(3), labels=labels)
    assert float(value) == pytest.approx(0.5 * torch.log(torch.tensor(2.0)).item())


@pytest.mark.parametrize("count", [1, 2])
def test_a_session_logs_the_parts_and_schedules_their_weights(count):
    loss = Aggregate(
        {"square": (torch.nn.MSELoss(), 1.0), "size": (torch.nn.L1Loss(), 1.0)}, combine="sum"
    )
    losses = Losses()
    session(
        loss=loss,
        loss_inputs=[OUT, TARGET],
        hooks=[Scheduled({"loss.weights": Updates([(1, [1.0, 0.0])])}), losses],
        options=StepOptions(accumulate=count),
        stop_after=2,
    ).run()
    first, second = (step.metrics for step in losses.steps)
    assert first["loss"] == pytest.approx(first["loss.square"] + first["loss.size"])
    assert second["loss"] == pytest.approx(second["loss.square"])
    assert second["loss.size"] > 0


def test_mistakes():
    with pytest.raises(ValueError, match="no parts"):
        Aggregate({})
    with pytest.raises(ValueError, match="'mean' or 'sum'"):
        Aggregate({"a": (constant(1.0), 1.0)}, combine="max")
