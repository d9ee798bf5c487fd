import copy
from types import SimpleNamespace

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR

from voxflow.training import TorchSchedule

KINDS = {
    "step": lambda optimizer: TorchSchedule(StepLR(optimizer, 3, 0.5)),
    "cosine": lambda optimizer: TorchSchedule(CosineAnnealingLR(optimizer, 12)),
    "cycle": lambda optimizer: TorchSchedule(OneCycleLR(optimizer, 1.0, total_steps=12)),
    "plateau": lambda optimizer: TorchSchedule(
        ReduceLROnPlateau(optimizer, factor=0.5, patience=1), metric="valid"
    ),
}


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8, momentum=0.9)


def run(hook, sgd, first, last):
    rates = []
    for number in range(first, last + 1):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        metrics = {"valid": 1.0} if number % 2 == 0 else {"loss": 0.0}
        hook.after_step(None, SimpleNamespace(number=number, metrics=metrics))
    return rates


def test_rates_are_those_of_torch():
    sgd = optimizer()
    assert run(KINDS["step"](sgd), sgd, 1, 9) == pytest.approx([0.8] * 3 + [0.4] * 3 + [0.2] * 3)


def test_a_plateau_looks_only_where_something_was_measured():
    sgd = optimizer()
    # Measured at 2, 4, 6: the second without an improvement is that of step 6.
    assert run(KINDS["plateau"](sgd), sgd, 1, 7) == pytest.approx([0.8] * 6 + [0.4])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [0, 1, 5, 7])
def test_a_resumed_run_is_the_same(kind, cut):
    sgd = optimizer()
    whole = run(KINDS[kind](sgd), sgd, 1, 11)

    sgd = optimizer()
    hook = KINDS[kind](sgd)
    begun = run(hook, sgd, 1, cut)
    state = copy.deepcopy([sgd.state_dict(), hook.state_dict()])
    sgd = optimizer()
    hook = KINDS[kind](sgd)
    sgd.load_state_dict(state[0])
    hook.load_state_dict(state[1])
    assert begun + run(hook, sgd, cut + 1, 11) == whole


def test_goes_on_from_what_was_set():
    sgd = optimizer()
    hook = KINDS["step"](sgd)
    run(hook, sgd, 1, 2)
    sgd.param_groups[0]["lr"] = 0.1
    assert run(hook, sgd, 3, 4) == pytest.approx([0.1, 0.05])


def test_a_plateau_needs_a_metric():
    with pytest.raises(ValueError, match="needs metric="):
        TorchSchedule(ReduceLROnPlateau(optimizer()))
    with pytest.raises(ValueError, match="StepLR does not look at a metric"):
        TorchSchedule(StepLR(optimizer(), 3), metric="valid")
