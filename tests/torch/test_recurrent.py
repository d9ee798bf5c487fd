"""A state lasts as long as its episode, and nobody but the training changes it."""

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.training.sessions import same, weights
from voxflow.torch import Recurrent, StepOptions
from voxflow.training import Keeper, Session, Validation

SEEN, BEGINS, WANTED, MADE = (gp.ArrayKey(n) for n in ("SEEN", "BEGINS", "WANTED", "MADE"))
STARTS = {0: (0, 3, 4, 9), 1: (0, 5, 6)}  # steps at which an episode of each sample begins


class Episodes(gp.BatchProvider):
    """Numbers in an order; the sum of each episode so far is wanted."""

    def __init__(self, poison=None):
        self.poison = poison

    def setup(self):
        for key, dtype in ((SEEN, np.float32), (BEGINS, bool), (WANTED, np.float32)):
            self.provides(key, gp.ArraySpec(nonspatial=True, dtype=dtype))

    def provide(self, request):
        now = request.position.index
        seen = np.random.default_rng(0).random((100, 2, 1), dtype=np.float32)
        batch, first = gp.Batch(), [max(s for s in STARTS[i] if s <= now) for i in STARTS]
        wanted = np.array([seen[begin : now + 1, i].sum(0) for i, begin in enumerate(first)])
        values = {
            SEEN: seen[now] * (np.float32(np.nan) if now == self.poison else 1),
            BEGINS: np.array([begin == now for begin in first]),
            WANTED: wanted,
        }
        for key in request.array_specs:
            batch[key] = gp.Array(values[key], gp.ArraySpec(nonspatial=True))
        return batch


def asked():
    return gp.BatchRequest({key: gp.ArraySpec(nonspatial=True) for key in (SEEN, BEGINS, WANTED)})


class Sum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, seen, state):
        after = state + seen + 0 * self.weight
        return after, after


class Cell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.out = torch.nn.LSTMCell(1, 5), torch.nn.Linear(5, 1)

    def forward(self, seen, state):
        after = self.cell(seen, state)
        return self.out(after[0]), after


class Given:
    def __init__(self):
        self.made = []

    def after_loss(self, session, given, kind):
        if kind == "training":
            self.made.append([given[n].detach().clone() for n in (0, 1)])


def summed():
    return Recurrent(Sum(), torch.zeros(1), samples=2)


def remembering():
    return Recurrent(Cell(), (torch.zeros(5), torch.zeros(5)), samples=2)


def session(model, poison=None, lr=0.05, **options):
    return Session(
        model,
        torch.nn.MSELoss(),
        torch.optim.Adam(model.parameters(), lr=lr),
        Episodes(poison),
        asked(),
        inputs=[SEEN, BEGINS],
        outputs=MADE,
        loss_inputs=[MADE, WANTED],
        seed=1,
        device="cpu",
        **options,
    )


def test_the_state_goes_on_within_an_episode_and_begins_anew_with_the_next():
    given = Given()
    session(summed(), hooks=[given], stop_after=11).run()
    assert len(given.made) == 11
    for made, wanted in given.made:
        assert torch.allclose(made, wanted)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_samples_may_be_any_axis_of_the_state(axis):
    class Counts(torch.nn.Module):
        def forward(self, state):
            return state + 0, state + 1

    model = Recurrent(Counts(), torch.full((3, 4), 7.0), samples=2, axis=axis)
    for begins in ([True, True], [False, False], [False, True]):
        made = model(torch.tensor(begins)).movedim(axis, 0)
    assert made.shape == (2, 3, 4)
    assert (made == torch.tensor([9.0, 7.0])[:, None, None]).all()


def test_a_training_that_goes_on_has_the_state_that_it_had(tmp_path):
    straight = session(remembering(), stop_after=8)
    straight.run()
    keeper = Keeper(tmp_path / "checkpoints")
    session(remembering(), stop_after=5, run_dir=tmp_path, keeper=keeper).run()
    resumed = session(remembering(), stop_after=8, run_dir=tmp_path)
    assert resumed.run().step == 8
    assert same(weights(straight.model), weights(resumed.model))
    assert "state_1" in weights(resumed.model)


def test_who_evaluates_changes_nothing_and_begins_with_the_initial_state():
    class Evaluated:
        found: list[float] = []

        def after_step(self, session, step):
            self.found.append(step.metrics["validation.loss"])

    plain = session(remembering(), stop_after=7)
    plain.run()
    held = Validation(Episodes(), asked(), batches=3, every=1)
    seen = session(remembering(), stop_after=7, validation=held)
    seen.run()
    assert same(weights(plain.model), weights(seen.model))
    hook = Evaluated()
    session(remembering(), stop_after=3, validation=held, lr=0.0, hooks=[hook]).run()
    assert len(set(hook.found)) == 1
    # Of another number of samples, too.
    model, shown = summed().eval(), (torch.ones(1), torch.tensor(False))
    assert [model(*shown).tolist() for _ in range(2)] == [[[1.0]], [[2.0]]]
    assert model.eval()(*shown).tolist() == [[1.0]]


def test_a_step_that_is_left_out_leaves_the_state():
    model = summed()
    options = {"poison": 2, "options": StepOptions(nonfinite="skip")}
    session(model, stop_after=2, **options).run()
    before = model.state_0.clone()
    again = summed()
    session(again, stop_after=3, **options).run()
    assert torch.equal(again.state_0, before)


def test_half_precision_computes_with_a_whole_state():
    model = Recurrent(Cell(), (torch.zeros(5), torch.zeros(5)), samples=2)
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.ones(2, 1), torch.tensor([True, False]))
    assert model.state_0.dtype == torch.float32
    assert model.state_0.abs().min() > 0
    assert not model.state_0.requires_grad


def test_mistakes_are_told(monkeypatch):
    class Grows(torch.nn.Module):
        def forward(self, state):
            return state, torch.cat([state, state])

    with pytest.raises(ValueError, match="3 samples, and the state is that of 2"):
        summed()(torch.ones(3, 1), torch.ones(3))
    with pytest.raises(ValueError, match=r"state of the shape \[\(2, 1\)\], and was given"):
        Recurrent(Grows(), torch.zeros(1))(torch.ones(1))
    with pytest.raises(ValueError, match="samples=0"):
        Recurrent(Sum(), torch.zeros(1), samples=0)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(RuntimeError, match="train it in one process"):
        summed()(torch.ones(2, 1), torch.ones(2))
