"""A training step is what torch would do by hand; what is not finite changes nothing."""

import copy
import math

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, convolution
from voxflow.torch import NonFiniteLoss, NonlinearCG, StepOptions
from voxflow.torch.forward import Forward
from voxflow.torch.ranks import Ranks, joined
from voxflow.torch.step import Step

CPU = torch.device("cpu")
MSE = torch.nn.MSELoss()


def batch(seed=0, raw=None):
    rng = np.random.default_rng(seed)
    made = gp.Batch()
    for key, size in ((RAW, 12), (TARGET, 8)):
        data = rng.random((size, size), np.float32)
        made[key] = gp.Array(data, gp.ArraySpec(gp.Roi((0, 0), (size, size)), (1, 1)))
    if raw is not None:
        made[RAW].data[:] = raw
    return made


def stepping(model, optimizer=None, loss=MSE, **options):
    forward = Forward({0: RAW}, {0: OUT}, {0: OUT, 1: TARGET}, CPU, lambda: "Step")
    if optimizer is None:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    step = Step(forward, model, loss, optimizer, StepOptions(**options))
    step.begin()
    return step


def loss_of(model, made):
    return MSE(model(torch.from_numpy(made[RAW].data)), torch.from_numpy(made[TARGET].data))


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


# -- gradients --------------------------------------------------------------------------------


def test_a_step_is_what_torch_does_by_hand():
    model = convolution()
    other = copy.deepcopy(model)
    step = stepping(model)
    adam = torch.optim.Adam(other.parameters(), lr=0.01)
    for number in range(1, 6):
        made = batch(number)
        done = step([made], number)
        adam.zero_grad()
        loss = loss_of(other, made)
        loss.backward()
        adam.step()
        assert done.loss == loss.item()
        assert (done.action, done.metrics) == (None, {})
    assert same(state(model), state(other))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_accumulated_batches_count_as_their_mean(count):
    model = convolution()
    other = copy.deepcopy(model)
    batches = [batch(i) for i in range(count)]
    done = stepping(model, torch.optim.SGD(model.parameters(), lr=0.1), accumulate=count)(
        batches, 1
    )
    loss = sum(loss_of(other, made) for made in batches) / count
    loss.backward()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs - 0.1 * theirs.grad)
    assert done.loss == pytest.approx(loss.item(), rel=1e-6)


def norm(parameters):
    return float(torch.cat([p.grad.ravel() for p in parameters]).norm())


def test_gradients_are_clipped_by_norm_and_value():
    model = convolution()
    done = stepping(model, clip_norm=1e-3)([batch()], 1)
    assert done.metrics["gradient_norm"] > 1e-3
    assert norm(model.parameters()) == pytest.approx(1e-3, rel=1e-3)
    stepping(model, clip_value=1e-4)([batch()], 1)
    assert max(float(p.grad.abs().max()) for p in model.parameters()) == pytest.approx(1e-4)


def test_mixed_precision_computes_in_it_and_keeps_the_weights():
    seen = []

    def loss(output, target):
        seen.append(output.dtype)
        return MSE(output.float(), target)

    model = convolution()
    step = stepping(model, loss=loss, precision="bfloat16")
    losses = [step([batch()], i).loss for i in range(1, 30)]
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses[-1] < 0.7 * losses[0]
    exact = convolution()
    assert losses[0] == pytest.approx(loss_of(exact, batch()).item(), rel=0.02)
    assert losses[0] != loss_of(exact, batch()).item()


def test_float16_scales_the_loss_and_an_overflow_leaves_the_update_out():
    model = convolution()
    step = stepping(model, precision="float16", loss=lambda o, t: MSE(o.float(), t))
    assert math.isfinite(step([batch()], 1).loss)
    scale = step.state_dict()["scaler"]["scale"]
    before = state(model)
    step.loss = lambda o, t: MSE(o.float(), t) * 1e35  # times the scale, this overflows
    step([batch()], 2)
    assert same(before, state(model))
    assert step.state_dict()["scaler"]["scale"] == scale / 2


@pytest.mark.slow
def test_a_compiled_model_learns_the_same():
    model = convolution()
    other = copy.deepcopy(model)
    compiled = stepping(model, compile={"backend": "aot_eager"})
    plain = stepping(other)
    for number in range(1, 4):
        mine, theirs = (step([batch(number)], number).loss for step in (compiled, plain))
        assert mine == pytest.approx(theirs, rel=1e-5)
    assert list(model.state_dict()) == list(other.state_dict())


def test_submodules_of_a_compiled_model_cannot_be_seen():
    forward = Forward({0: RAW}, {"net.0": OUT}, {0: OUT}, CPU, lambda: "Step")
    model = convolution()
    optimizer = torch.optim.SGD(model.parameters())
    step = Step(forward, model, MSE, optimizer, StepOptions(compile=True))
    with pytest.raises(ValueError, match=r"\['net.0'\], cannot be had of a compiled"):
        step.begin()


# -- averages ---------------------------------------------------------------------------------


def test_averaged_weights_follow_their_formula_and_the_model_keeps_its_own():
    model = convolution(norm=True)
    step = stepping(model, average=0.9)
    expected = {n: p.detach().clone() for n, p in model.named_parameters()}
    for number in range(1, 6):
        step([batch(number)], number)
        for name, p in model.named_parameters():
            expected[name] = 0.9 * expected[name] + 0.1 * p.detach()
    before = state(model)
    with step.averages.used():
        for name, p in model.named_parameters():
            torch.testing.assert_close(p.detach(), expected[name])
        assert torch.equal(model.net[1].running_mean, before["net.1.running_mean"])
    assert same(before, state(model))


# -- draws ------------------------------------------------------------------------------------


def test_dropout_follows_from_the_seeds_and_nobody_elses_generator_is_touched():
    found = []
    for noise in (0, 5):
        model = convolution(dropout=0.5)
        step = stepping(model)
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        for number in range(1, 4):
            step([batch(number)], number, [number])
        assert torch.equal(before, torch.get_rng_state())
        found.append(state(model))
    assert same(*found)
    step([batch(4)], 4, [99])
    other = copy.deepcopy(model)
    model.load_state_dict(found[1])
    step([batch(4)], 4, [98])
    assert not same(state(model), state(other))


# -- closures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.LBFGS(p, max_iter=4, line_search_fn="strong_wolfe"),
        lambda p: NonlinearCG(p, max_step=0.5),
    ],
)
def test_an_optimizer_may_evaluate_the_loss_several_times(make):
    model = convolution(dropout=0.3)
    step = stepping(model, make(list(model.parameters())), accumulate=2)
    batches = [batch(1), batch(2)]
    done = [step(batches, number, [1, 2]) for number in range(1, 8)]
    # The first evaluation is before the step; with the same draws each step begins where it ended.
    losses = [one.loss for one in done]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]
    assert all(one.metrics["evaluations"] > 1 for one in done[:2])


def test_lines_are_searched_with_the_gradients_of_the_loss():
    model = convolution()
    for options in ({"clip_norm": 1.0}, {"clip_value": 1.0}, {"precision": "float16"}):
        with pytest.raises(ValueError, match="LBFGS searches along lines"):
            stepping(model, torch.optim.LBFGS(model.parameters()), **options)


class Lost(torch.optim.SGD):
    """Searches, and ends where nothing is finite."""

    def step(self, closure):
        closure()
        self.param_groups[0]["params"][0].data[0] = math.inf
        return closure()


def test_a_search_that_ends_in_weights_that_are_not_finite_is_undone():
    model = convolution()
    before = state(model)
    step = stepping(model, Lost(model.parameters()))
    with pytest.raises(NonFiniteLoss, match="Lost made weights that are not finite at iteration"):
        step([batch()], 1)
    assert same(before, state(model))
    assert step.whole


# -- not finite -------------------------------------------------------------------------------


def poisoned():
    return batch(raw=np.nan)


def test_stop_leaves_everything_and_keeps_the_batch():
    model = convolution(norm=True)
    step = stepping(model, average=0.5, accumulate=2)
    step([batch(1), batch(2)], 1)
    before, averages = state(model), copy.deepcopy(step.averages.state_dict())
    bad = poisoned()
    with pytest.raises(NonFiniteLoss, match="the loss is nan at iteration 2; the model") as info:
        step([batch(3), bad], 2)
    assert info.value.batch is bad
    assert same(before, state(model))
    assert all(p.grad is None for p in model.parameters())
    assert same(averages, step.averages.state_dict())


def test_skip_goes_on_as_if_the_batch_had_not_been():
    model = convolution(norm=True)
    other = copy.deepcopy(model)
    step, clean = stepping(model, nonfinite="skip"), stepping(other)
    step([batch(1)], 1)
    done = step([poisoned()], 2)
    assert math.isnan(done.loss)
    assert done.action == "skip"
    assert isinstance(done.error, NonFiniteLoss)
    step([batch(3)], 3)
    clean([batch(1)], 1)
    clean([batch(3)], 3)
    assert same(state(model), state(other))


def test_roll_back_goes_to_the_last_sound_state():
    model = convolution(norm=True)
    step = stepping(model, nonfinite="rollback", keep_every=2, average=0.5)
    kept = {}
    for number in (1, 2, 3):
        step([batch(number)], number)
        kept[number] = state(model), copy.deepcopy(step.optimizer.state_dict())
    with torch.no_grad():
        model.net[0].weight[0] = math.inf  # as after a gradient that was not finite
    assert step([batch(4)], 4).action == "rollback"
    assert same(state(model), kept[2][0])
    assert str(step.optimizer.state_dict()) == str(kept[2][1])
    # The state that was kept is not the one that is trained on.
    step([batch(5)], 5)
    step([poisoned()], 7)
    assert same(state(model), kept[2][0])


def test_a_state_that_is_broken_is_not_kept():
    model = convolution()
    step = stepping(model, nonfinite="rollback", keep_every=1)
    step([batch(1)], 1)
    sound = state(model)

    def loss(output, target):  # finite, with a gradient that is not
        return (output - output.detach()).abs().sqrt().mean()

    step.loss = loss
    step([batch(2)], 2)
    assert not all(p.isfinite().all() for p in model.parameters())
    step.loss = MSE
    step([batch(3)], 3)
    assert same(state(model), sound)


def test_a_function_may_decide():
    asked = []

    def decide(error):
        asked.append(error.batch)
        return "skip" if len(asked) == 1 else "stop"

    model = convolution()
    step = stepping(model, nonfinite=decide)
    bad = poisoned()
    assert step([bad], 1).action == "skip"
    with pytest.raises(NonFiniteLoss):
        step([bad], 2)
    assert asked == [bad, bad]
    step.options = StepOptions(nonfinite=lambda error: "panic")
    with pytest.raises(ValueError, match="nonfinite is 'stop', 'skip', 'rollback'.*'panic'"):
        step([bad], 3)


def test_gradients_whose_norm_is_not_finite_are_not_taken():
    model = convolution()
    before = state(model)
    step = stepping(
        model,
        clip_norm=1.0,
        nonfinite="skip",
        loss=lambda o, t: (o - o.detach()).abs().sqrt().mean(),
    )
    bad = batch()
    done = step([bad], 1)
    assert done.error.batch is bad
    assert "the norm of the gradients is nan" in str(done.error)
    assert same(before, state(model))


def test_an_error_before_the_update_leaves_everything():
    model = convolution(norm=True)
    before = state(model)
    step = stepping(model, loss=lambda o, t: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        step([batch()], 1)
    assert step.whole
    assert same(before, state(model))


# -- saved and loaded -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"average": 0.9}, {"nonfinite": "rollback", "keep_every": 3}, {"precision": "float16"}],
)
def test_a_step_goes_on_from_what_was_saved(options):
    def loss(o, t):
        return MSE(o.float(), t)

    def run(step, numbers):
        for number in numbers:
            step([poisoned() if number == 5 and "nonfinite" in options else batch(number)], number)

    straight = stepping(convolution(), loss=loss, **options)
    run(straight, range(1, 8))
    first = stepping(convolution(), loss=loss, **options)
    run(first, range(1, 5))
    saved = copy.deepcopy(
        (first.model.state_dict(), first.optimizer.state_dict(), first.state_dict())
    )
    second = stepping(convolution(seed=9), loss=loss, **options)
    second.model.load_state_dict(saved[0])
    second.optimizer.load_state_dict(saved[1])
    second.load_state_dict(saved[2])
    run(second, range(5, 8))
    assert same(state(second.model), state(straight.model))
    if second.averages is not None:
        assert same(second.averages.state_dict(), straight.averages.state_dict())


def test_mistakes_in_options_are_said():
    for options, text in (
        ({"accumulate": 0}, "accumulate and keep_every"),
        ({"clip_norm": 0.0}, "clip_norm has to be above 0"),
        ({"precision": "float8"}, "precision is 'bfloat16'"),
        ({"nonfinite": "ignore"}, "nonfinite is 'stop'"),
    ):
        with pytest.raises(ValueError, match=text):
            StepOptions(**options)
    with pytest.raises(ValueError, match=r"in \[0, 1\), got 1"):
        stepping(convolution(), average=1.0)


def test_one_process_needs_no_others(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with joined(CPU) as ranks:
        assert (ranks.rank, ranks.count, ranks.first) == (0, 1, True)
    model = torch.nn.Linear(1, 1)
    assert Ranks().wrapped(model) is model
    assert Ranks().agreed("x") == "x"
