"""A validation sees the same batches each time, in evaluation mode, and changes nothing."""

import copy

import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, convolution, request
from tests.training.sessions import pipeline, same, weights
from voxflow.torch.averages import Averages
from voxflow.torch.forward import Forward
from voxflow.training import Every, Validation

CPU = torch.device("cpu")
FORWARD = Forward({0: RAW}, {0: OUT}, {0: OUT, "target": TARGET}, CPU, lambda: "Session")
MSE = torch.nn.MSELoss()


def evaluated(validation, model, times=1, averages=None):
    with gp.build(validation.pipeline, seed=5):
        return [validation.evaluate(FORWARD, model, MSE, averages) for _ in range(times)]


@pytest.mark.parametrize("workers", [0, 1])
def test_it_is_the_mean_over_the_same_batches_each_time(workers):
    model = convolution(dropout=0.5, norm=True)
    before = weights(model)
    nodes = [gp.NoiseAugment(RAW), gp.PreCache(2, workers)]
    validation = Validation(pipeline(*nodes), request(), batches=3, metrics={"distance": "mae"})
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second = evaluated(validation, model, 2)
    assert first == second
    assert set(first) == {"loss", "distance"}
    assert torch.equal(state, torch.get_rng_state())
    assert same(before, weights(model))
    assert model.training
    quiet, by_hand = copy.deepcopy(model).eval(), []
    made = pipeline(gp.NoiseAugment(RAW))
    with gp.build(made, seed=0):
        for _ in range(3):
            batch = made.request_batch(request())
            raw, target = (torch.from_numpy(batch[key].data) for key in (RAW, TARGET))
            by_hand.append(MSE(quiet(raw), target).item())
    assert first["loss"] == pytest.approx(sum(by_hand) / 3, rel=1e-6)


def test_another_seed_means_other_batches():
    model = convolution()
    found = [
        evaluated(Validation(pipeline(), request(), batches=2, seed=seed), model)[0]["loss"]
        for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


def test_averaged_weights_are_evaluated_if_that_is_asked():
    model = convolution()
    averages = Averages(model, 0.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    now = weights(model)
    plain, averaged = (
        Validation(pipeline(), request(), batches=1, averaged=which) for which in (False, True)
    )
    (changed,) = evaluated(plain, model, averages=averages)
    (original,) = evaluated(plain, convolution())
    (found,) = evaluated(averaged, model, averages=averages)
    assert found == original != changed
    assert same(now, weights(model))
    with pytest.raises(ValueError, match=r"there are none: give the session StepOptions\(average"):
        evaluated(averaged, model)


def test_it_is_due_by_steps_and_before_the_first():
    assert isinstance(Validation(pipeline(), request(), every=5).every, Every)
    given = Every(hours=1)
    assert Validation(pipeline(), request(), every=given).every is given


def test_mistakes_are_said():
    for options, text in (
        ({"batches": 0}, "at least 1, got 0"),
        ({"metrics": ["los"]}, "no metric 'los'"),
        ({"metrics": {"loss": "mae"}}, "cannot have the name 'loss'"),
        ({"every": 0}, "steps has to be at least 1"),
    ):
        with pytest.raises(ValueError, match=text):
            Validation(pipeline(), request(), **options)
