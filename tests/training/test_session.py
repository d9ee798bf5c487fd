"""A session trains, goes on exactly, is changed and stopped, and survives what fails around it."""

import copy
import logging
import os
import threading

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, convolution, request
from tests.training.sessions import Losses, Poison, pipeline, same, session, weights
from voxflow.torch import NonFiniteLoss, StepOptions, Train, load_checkpoint, save_checkpoint
from voxflow.torch.checkpoint import Checkpoint
from voxflow.torch.ranks import Ranks
from voxflow.training import (
    Clock,
    Decay,
    EarlyStopping,
    Every,
    Keeper,
    MaxActiveHours,
    Scheduled,
    UnknownTarget,
    Updates,
    Validation,
    read_events,
)


def events(folder, name):
    return [(event.step, event.value) for event in read_events(folder, [name])]


# -- steps ------------------------------------------------------------------------------------


def test_it_trains_as_the_node_train_does(tmp_path):
    found = []
    model = convolution(norm=True)
    other = copy.deepcopy(model)
    losses = Losses()
    report = session(model, hooks=[losses], stop_after=6).run()
    assert (report.step, report.reason) == (6, "6 steps are done, of 6")
    train = Train(
        other,
        torch.nn.MSELoss(),
        torch.optim.Adam(other.parameters(), lr=0.01),
        {0: RAW},
        {0: OUT},
        {0: OUT, 1: TARGET},
        checkpoint_basename=str(tmp_path / "m"),
        device="cpu",
    )
    whole = pipeline() + train
    with gp.build(whole, seed=7):
        found = [float(whole.request_batch(request()).loss) for _ in range(6)]
    assert losses.values == found
    assert same(weights(model), weights(other))


def test_hooks_are_told_of_each_step():
    losses = Losses()
    one = session(hooks=[losses], stop_after=3, options=StepOptions(accumulate=2, clip_norm=1.0))
    one.run()
    assert [step.number for step in losses.steps] == [1, 2, 3]
    last = losses.steps[-1]
    assert last.voxels == 2 * 8 * 8
    assert last.seconds > 0
    assert set(last.metrics) == {"loss", "gradient_norm"}
    assert last.batch.token.request().position.index == 5
    assert one.position.index == 6


@pytest.mark.parametrize(
    ("nodes", "samples"),
    [([], 1), ([gp.Unsqueeze([RAW, TARGET])], 1), ([gp.Unsqueeze([RAW, TARGET]), gp.Stack(3)], 3)],
)
def test_voxels_are_counted_without_channels(nodes, samples):
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return x[..., 2:-2, 2:-2] * self.scale

    losses = Losses()
    session(Plain(), hooks=[losses], stop_after=1, nodes=nodes).run()
    assert losses.steps[0].voxels == samples * 64


def test_the_seed_decides_and_nobody_elses_draws_do():
    found = []
    for noise, seed in ((0, 7), (1, 7), (1, 8)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()

        class Draws:
            def after_step(self, session, step):
                torch.rand(noise)  # noqa: B023 - of this turn

        one = session(seed=seed, stop_after=4, hooks=[Draws()], model=convolution(3, 0.5, True))
        state = torch.get_rng_state()
        one.run()
        if noise == 0:
            assert torch.equal(torch.get_rng_state(), state)
        del before
        found.append(weights(one.model))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_what_is_needed_has_to_be_asked_for():
    asked = request()
    del asked[TARGET]
    with pytest.raises(KeyError, match="the session needs TARGET, which is not in the request"):
        session(request=asked)
    asked = request(OUT=1)
    session(request=asked, stop_after=1).run()
    assert OUT in asked


# -- going on ---------------------------------------------------------------------------------


class Counter:
    """A hook with a state."""

    def __init__(self):
        self.count = 0

    def after_step(self, session, step):
        self.count += 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def long_session(folder, stop_after, workers=0, every=4, seed=7, **options):
    keeper = Keeper(folder / "checkpoints", last=Every(steps=every))
    return session(
        convolution(5, dropout=0.5, norm=True),
        nodes=[gp.NoiseAugment(RAW), gp.PreCache(4, workers)],
        run_dir=folder,
        keeper=keeper,
        stop_after=stop_after,
        seed=seed,
        **options,
    )


OPTIONS = {
    "plain": {},
    "accumulated": {"options": StepOptions(accumulate=3, average=0.9)},
    "searched": {},
    "rolling back": {"options": StepOptions(nonfinite="rollback", keep_every=3)},
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_session_that_was_broken_off_goes_on_as_one_without_a_break(tmp_path, kind):
    class Lost(Exception):
        pass

    class Breaks:
        def after_step(self, session, step):
            if step.number == 7:
                session.keeper = None  # as if it had been killed: nothing is rescued
                raise KeyboardInterrupt

    def made(folder, stop_after, hooks=(), workers=0, seed=7):
        one = long_session(
            folder, stop_after, workers=workers, hooks=[Counter(), *hooks], seed=seed,
            **OPTIONS[kind],
        )  # fmt: skip
        if kind == "searched":
            one.optimizer = torch.optim.LBFGS(one.model.parameters(), max_iter=3)
        return one

    straight = made(tmp_path / "a", 12)
    straight.run()
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "b", 12, [Breaks()]).run()
    resumed = made(tmp_path / "b", 12, workers=2, seed=None)
    resumed.run()
    assert same(weights(resumed.model), weights(straight.model))
    final = [
        torch.load(tmp_path / name / "checkpoints" / "final.pt", weights_only=True) for name in "ab"
    ]
    for one in final:
        del one["extra"]["clock"]
    assert str(final[0]) == str(final[1])
    assert final[1]["extra"]["hooks"]["Counter"] == {"count": 12}
    assert events(tmp_path / "b", "loss") == events(tmp_path / "a", "loss")
    assert [step for step, _ in events(tmp_path / "b", "loss")] == list(range(1, 13))


def test_one_that_was_killed_before_its_first_checkpoint_has_one_history(tmp_path):
    class Breaks:
        def after_step(self, session, step):
            if step.number == 3:
                session.keeper = None
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session(run_dir=tmp_path, hooks=[Breaks()], stop_after=5).run()
    one = session(run_dir=tmp_path, stop_after=5)
    one.run()
    assert [step for step, _ in events(tmp_path, "loss")] == [1, 2, 3, 4, 5]
    assert events(tmp_path, "seed") == [(0, 7)]
    other = session(stop_after=5)
    other.run()
    assert same(weights(one.model), weights(other.model))


def test_active_time_goes_on_and_pauses_do_not_count(tmp_path):
    now = [0.0]

    def made(stop_after):
        class Takes:
            def after_step(self, session, step):
                now[0] += 10
                with session.paused():
                    now[0] += 1000

        clock = Clock(monotonic=lambda: now[0])
        return session(run_dir=tmp_path, stop_after=stop_after, hooks=[Takes()], clock=clock)

    one = made(3)
    now[0] += 5000  # nobody trains
    assert one.run().active_seconds == 30
    now[0] += 5000
    one.stop_rules[0].steps = 4
    assert one.run().active_seconds == 40
    two = made(6)
    now[0] += 5000
    assert two.run().active_seconds == 60


def test_hours_are_those_of_training_also_after_a_resume(tmp_path):
    now = [0.0]

    class Takes:
        def after_step(self, session, step):
            now[0] += 361
            with session.paused():
                now[0] += 5000

    def made(rule):
        keeper = Keeper(tmp_path / "checkpoints", last=Every(steps=1), every=Every(hours=1))
        clock = Clock(monotonic=lambda: now[0])
        return session(run_dir=tmp_path, keeper=keeper, stop_after=rule, hooks=[Takes()],
                       clock=clock)  # fmt: skip

    assert made(17).run().step == 17
    now[0] += 5000
    report = made(MaxActiveHours(3.5)).run()
    # 3.5 h are over after 35 steps.
    assert (report.step, report.reason) == (35, "3.51 active hours are over, of 3.5")
    found = {p.stem: load_checkpoint(p).iteration for p in (tmp_path / "checkpoints").iterdir()}
    assert found == {"hours-1": 10, "hours-2": 20, "hours-3": 30, "last": 35, "final": 35}


def test_a_run_may_go_on_in_the_same_process():
    straight, parts = (session(options=StepOptions(average=0.5)) for _ in range(2))
    for one, ends in ((straight, [6]), (parts, [2, 3, 6])):
        for end in ends:
            one.stop_rules = session(stop_after=end).stop_rules
            one.run()
    assert same(weights(straight.model), weights(parts.model))
    averages = [one._step.averages.state_dict() for one in (straight, parts)]
    assert same(*averages)


def test_checkpoints_of_something_else_are_refused(tmp_path):
    session(run_dir=tmp_path, stop_after=2).run()
    for options, text in (
        ({"seed": 8}, "a run with seed=7, but the session has seed=8"),
        ({"model": torch.nn.Linear(1, 1)}, "is not from this model"),
    ):
        with pytest.raises(ValueError, match=text):
            session(run_dir=tmp_path, **options).run()
    model = convolution(dropout=0.5, norm=True)
    some = torch.optim.Adam([next(model.parameters())])
    with pytest.raises(ValueError, match="is not from this optimizer"):
        session(model, some, run_dir=tmp_path).run()
    other = torch.optim.AdamW(model.parameters())
    with pytest.raises(ValueError, match="with the optimizer Adam, but the session has AdamW"):
        session(model, other, run_dir=tmp_path).run()
    plain = tmp_path / "plain"
    save_checkpoint(plain / "checkpoints" / "last.pt", Checkpoint(model.state_dict()))
    with pytest.raises(ValueError, match=r"is not from a session.*session\.load"):
        session(run_dir=plain).run()


def test_everything_goes_where_it_went_before_if_the_folder_is_changed(tmp_path, monkeypatch):
    class Goes:
        def after_step(self, session, step):
            (tmp_path / "elsewhere").mkdir(exist_ok=True)
            os.chdir(tmp_path / "elsewhere")

    monkeypatch.chdir(tmp_path)
    session(run_dir="run", hooks=[Goes()], stop_after=2).run()
    assert (tmp_path / "run" / "checkpoints" / "final.pt").exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_epoch_has_steps():
    with pytest.raises(ValueError, match="steps_per_epoch has to be at least 1, got 0"):
        session(steps_per_epoch=0)


# -- changes and ends -------------------------------------------------------------------------


def test_changes_act_at_the_next_step_and_are_logged(tmp_path):
    seen = []

    class Steers:
        def after_step(self, session, step):
            seen.append(session.optimizer.param_groups[0]["lr"])
            if step.number == 2:
                session.set("optimizer.lr", 0.5)
                assert session.optimizer.param_groups[0]["lr"] == 0.01

    session(run_dir=tmp_path, hooks=[Steers()], stop_after=4).run()
    assert seen == [0.01, 0.01, 0.5, 0.5]
    assert events(tmp_path, "set.optimizer.lr") == [(2, 0.5)]


def test_changes_are_there_after_a_resume(tmp_path):
    class Steers:
        def after_step(self, session, step):
            if step.number == 2:
                session.set("optimizer.lr", 0.5)
                session.set("model.dropout", 0.25)
            if step.number == 4:  # not applied yet when the checkpoint is written
                session.set("optimizer.lr", 0.125)

    def made(folder, stop_after, *hooks):
        return long_session(folder, stop_after, hooks=[Steers(), *hooks])

    straight = made(tmp_path / "a", 8)
    straight.run()
    made(tmp_path / "b", 4).run()
    resumed = made(tmp_path / "b", 8)
    resumed.run()
    assert resumed.get("model.dropout") == 0.25
    assert same(weights(resumed.model), weights(straight.model))


def test_a_target_that_is_not_there_is_said_at_once():
    with pytest.raises(LookupError, match=r"no target 'optimizer.lrr'; did you mean optimizer.lr"):
        session().set("optimizer.lrr", 0.5)


def test_another_thread_changes_between_steps(tmp_path):
    seen, failed = [], []

    class Watches(torch.optim.SGD):
        def step(self, closure=None):
            before = self.param_groups[0]["lr"]
            if len(seen) == 1:

                def change():
                    one.set("optimizer.lr", 0.5)
                    one.set("model.dropout", 7.0)  # is not possible
                    with pytest.raises(LookupError):
                        one.set("model.droput", 0.1)
                    failed.append(True)

                thread = threading.Thread(target=change)
                thread.start()
                thread.join()
            assert self.param_groups[0]["lr"] == before
            seen.append(before)
            return super().step(closure)

    model = convolution(dropout=0.5)
    optimizer = Watches(model.parameters(), lr=0.1)
    one = session(model, optimizer, run_dir=tmp_path, stop_after=4)
    one.run()
    assert seen == [0.1, 0.1, 0.5, 0.5]
    assert failed == [True]
    assert one.get("model.dropout") == 0.5
    assert events(tmp_path, "set.optimizer.lr") == [(2, 0.5)]
    ((step, failure),) = events(tmp_path, "failure")
    assert (step, failure["set"]) == (2, "model.dropout")


def test_nodes_upstream_can_be_changed():
    class Steers:
        def after_step(self, session, step):
            if step.number == 2:
                session.set("augment.Scale.factor", 0.0)

    class Scale(gp.BatchFilter):
        def __init__(self, factor=1.0):
            self.factor = factor

        def process(self, batch, request):
            batch[RAW].data = batch[RAW].data * np.float32(self.factor)

    losses = Losses()
    session(hooks=[Steers(), losses], nodes=[Scale()], stop_after=3).run()
    assert [bool(step.batch[RAW].data.any()) for step in losses.steps] == [True, True, False]


def test_schedules_set_what_holds_for_the_next_step_also_after_a_resume(tmp_path):
    def made(folder, stop_after):
        schedules = {
            "optimizer.lr": Decay(0.5, every=2),
            "model.dropout": Updates([(3, 0.25), (6, 0.125)]),
        }
        return long_session(folder, stop_after, hooks=[Scheduled(schedules)], every=3)

    straight = made(tmp_path / "a", 8)
    straight.run()
    assert events(tmp_path / "a", "set.optimizer.lr") == [
        (2, 0.005), (4, 0.0025), (6, 0.00125), (8, 0.000625)
    ]  # fmt: skip
    made(tmp_path / "b", 5).run()
    resumed = made(tmp_path / "b", 8)
    resumed.run()
    assert resumed.get("model.dropout") == 0.125
    assert resumed.get("optimizer.lr") == 0.000625
    assert same(weights(resumed.model), weights(straight.model))


def test_what_was_set_right_before_a_checkpoint_is_where_a_schedule_goes_on(tmp_path):
    class AtTheEnd:
        def after_step(self, session, step):
            if step.number == 3:
                session.set("optimizer.lr", 0.5)

    def made(stop_after):
        hooks = [Scheduled({"optimizer.lr": Decay(0.5, every=5)}), AtTheEnd()]
        return long_session(tmp_path, stop_after, hooks=hooks)

    made(3).run()
    resumed = made(4)
    resumed.run()
    assert resumed.get("optimizer.lr") == 0.5


def test_a_schedule_of_something_that_is_not_there_ends_it_before_it_begins(tmp_path):
    hook = Scheduled({"optimizer.lrr": Decay(0.5)})
    with pytest.raises(UnknownTarget, match="did you mean optimizer.lr"):
        session(run_dir=tmp_path / "run", hooks=[hook], stop_after=2).run()
    assert not (tmp_path / "run").exists()


def test_the_optimizer_can_be_exchanged():
    one = session(stop_after=2, options=StepOptions(nonfinite="rollback"))
    one.run()
    one.optimizer = torch.optim.LBFGS(one.model.parameters(), lr=0.5, max_iter=2)
    assert one.get("optimizer.lr") == 0.5
    one.stop_rules[0].steps = 4
    one.run()
    assert "evaluations" in one.metrics
    clipped = session(options=StepOptions(clip_norm=1.0))
    with pytest.raises(ValueError, match="LBFGS searches along lines"):
        clipped.optimizer = one.optimizer
    assert isinstance(clipped.optimizer, torch.optim.Adam)


def test_another_thread_may_stop_it(tmp_path):
    one = session(run_dir=tmp_path)
    trained = threading.Event()

    class Tells:
        def after_step(self, session, step):
            trained.set()

    one.hooks._hooks.append(Tells())
    one.hooks._names[id(one.hooks._hooks[-1])] = "Tells"
    stopper = threading.Thread(target=lambda: trained.wait() and one.request_stop("enough"))
    stopper.start()
    report = one.run()
    stopper.join()
    assert report.reason == "enough"
    assert load_checkpoint(tmp_path / "checkpoints" / "final.pt").iteration == report.step
    assert events(tmp_path, "stopped") == [(report.step, "enough")]


def test_it_may_end_without_saving(tmp_path):
    class Kills:
        def after_step(self, session, step):
            session.request_stop("killed", save=False)

    assert session(run_dir=tmp_path, hooks=[Kills()]).run().step == 1
    assert list((tmp_path / "checkpoints").iterdir()) == []


# -- validation -------------------------------------------------------------------------------


def validation(**options):
    return Validation(pipeline(seed=20), request(), batches=3, every=2, **options)


def test_validation_is_seen_by_hooks_log_and_rules_and_changes_nothing(tmp_path):
    losses = Losses()
    one = session(run_dir=tmp_path, hooks=[losses], stop_after=5, validation=validation())
    one.run()
    found = events(tmp_path, "validation.loss")
    assert [step for step, _ in found] == [0, 2, 4]
    assert ["validation.loss" in step.metrics for step in losses.steps] == [0, 1, 0, 1, 0]
    other = session(stop_after=5)
    other.run()
    assert same(weights(one.model), weights(other.model))
    assert one.metrics["validation.loss"] == found[-1][1]


def test_validation_stops_a_run_that_gets_no_better():
    model = convolution()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rule = EarlyStopping("validation.loss", patience=3)
    report = session(model, optimizer, stop_after=[rule], validation=validation()).run()
    assert report.step == 6
    assert report.reason.startswith("validation.loss has not become better")


def test_a_validation_that_was_broken_off_is_made_where_the_run_goes_on(tmp_path):
    def made(metric):
        kept = Keeper(tmp_path / "checkpoints", best={"validation.loss": "min"})
        looking = validation(metrics={"seen": metric})
        return session(run_dir=tmp_path, stop_after=4, validation=looking, keeper=kept)

    calls = []

    def interrupted(*_):
        calls.append(1)
        if len(calls) > 3:  # the validation of step 0 has three batches
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt) as caught:
        made(interrupted).run()
    assert "saved as after step 2" in str(caught.value.__notes__)
    made(lambda *_: 1.0).run()
    assert [step for step, _ in events(tmp_path, "loss")] == [1, 2, 3, 4]
    assert [step for step, _ in events(tmp_path, "validation.loss")] == [0, 2, 4]


def test_a_validation_may_be_due_at_the_end(tmp_path):
    looking = Validation(pipeline(seed=20), request(), batches=1, every=Every(steps=2, at_end=True))
    for stop_after in (3, 4):
        session(run_dir=tmp_path, stop_after=stop_after, validation=looking).run()
    assert [step for step, _ in events(tmp_path, "validation.loss")] == [2, 3, 4]


def test_the_best_is_kept(tmp_path):
    keeper = Keeper(tmp_path, best={"validation.loss": "min"})
    losses = Losses()
    session(hooks=[losses], stop_after=9, validation=validation(), keeper=keeper).run()
    found = {s.number: s.metrics.get("validation.loss", np.inf) for s in losses.steps}
    best = load_checkpoint(tmp_path / "best-validation.loss.pt")
    assert best.iteration == min(found, key=found.get)


# -- what fails -------------------------------------------------------------------------------


class Fails:
    def begin(self, session):
        raise OSError("no room")

    def after_step(self, session, step):
        raise RuntimeError("no picture")

    def state_dict(self):
        return {"function": print}

    def end(self, session):
        raise ValueError("no end")


def test_hooks_that_fail_are_told_once_and_the_training_goes_on(tmp_path, caplog):
    losses = Losses()
    one = session(run_dir=tmp_path, hooks=[Fails(), losses], stop_after=4)
    with caplog.at_level(logging.WARNING):
        one.run()
    assert len(losses.steps) == 4
    found = [value for _, value in events(tmp_path, "failure")]
    assert [(f["hook"], f["method"]) for f in found] == [
        ("Fails", "begin"),
        ("Fails", "after_step"),
        ("Fails", "state_dict"),
        ("Fails", "end"),
    ]
    assert found[1]["error"] == "RuntimeError: no picture"
    assert "in after_step" in found[1]["traceback"]
    assert caplog.text.count("RuntimeError: no picture") == 1
    other = session(stop_after=4)
    other.run()
    assert same(weights(one.model), weights(other.model))
    # The checkpoint can be loaded.
    assert load_checkpoint(tmp_path / "checkpoints" / "final.pt").iteration == 4


def test_a_validation_that_fails_does_not_end_the_training(tmp_path):
    def broken(prediction, target):
        return 1 / 0

    one = session(run_dir=tmp_path, stop_after=4, validation=validation(metrics=[broken]))
    assert one.run().step == 4
    (failure,) = [value for _, value in events(tmp_path, "failure")]
    assert failure["hook"] == "Validation"
    assert one.model.training


def test_a_stop_rule_that_fails_ends_the_training_with_a_checkpoint(tmp_path):
    class Broken:
        def reason(self, moment, metrics):
            if moment.step == 3:
                raise RuntimeError("no rule")

    with pytest.raises(RuntimeError, match="no rule") as info:
        session(run_dir=tmp_path, stop_after=Broken()).run()
    assert "the training was saved as after step 3" in info.value.__notes__[0]
    one = session(run_dir=tmp_path, stop_after=6)
    one.run()
    other = session(stop_after=6)
    other.run()
    assert same(weights(one.model), weights(other.model))


class Sick(gp.BatchFilter):
    def process(self, batch, request):
        if request.position.index == 3:
            raise OSError("the file server is gone")


def test_a_batch_that_cannot_be_made_ends_it_with_a_checkpoint(tmp_path):
    with pytest.raises(OSError, match="file server") as info:
        session(run_dir=tmp_path, nodes=[Sick()], stop_after=6).run()
    assert "saved as after step 3" in " ".join(info.value.__notes__)
    one, other = session(run_dir=tmp_path, stop_after=6), session(stop_after=6)
    one.run()
    other.run()
    assert same(weights(one.model), weights(other.model))


def test_what_breaks_off_within_an_update_is_not_saved(tmp_path):
    class Half(torch.optim.SGD):
        def step(self, closure=None):
            self.param_groups[0]["params"][0].data += 1
            raise MemoryError

    model = convolution()
    one = session(model, run_dir=tmp_path, stop_after=3)
    one.run()
    one.optimizer = Half(model.parameters())
    one.stop_rules[0].steps = 5
    with pytest.raises(MemoryError) as info:
        one.run()
    assert "broke off within step 4, unsaved" in info.value.__notes__[0]
    assert load_checkpoint(tmp_path / "checkpoints" / "final.pt").iteration == 3
    assert not (tmp_path / "checkpoints" / "last.pt").exists()


class Interrupted(torch.optim.SGD):
    """Is broken off in the middle of its fifth step."""

    count = 0

    def step(self, closure=None):
        self.count += 1
        if self.count == 5:
            self.param_groups[0]["params"][0].data += 1
            raise KeyboardInterrupt
        return super().step(closure)


@pytest.mark.parametrize("saved", [True, False])
def test_after_half_an_update_it_goes_on_from_a_checkpoint_and_never_from_there(tmp_path, saved):
    model, other = convolution(), convolution()
    one = session(
        model,
        Interrupted(model.parameters(), lr=0.1),
        run_dir=tmp_path,
        keeper=Keeper(tmp_path / "checkpoints", last=Every(steps=3)) if saved else None,
        stop_after=7,
    )
    if not saved:
        one.keeper = None
    with pytest.raises(KeyboardInterrupt):
        one.run()
    if not saved:
        with pytest.raises(RuntimeError, match="broke off within step 5, so that"):
            one.run()
        return
    assert one.run().step == 7
    session(other, torch.optim.SGD(other.parameters(), lr=0.1), stop_after=7).run()
    assert same(weights(model), weights(other))
    assert [step for step, _ in events(tmp_path, "loss")] == [1, 2, 3, 4, 5, 6, 7]
    # It can be saved again.
    assert load_checkpoint(tmp_path / "checkpoints" / "final.pt").iteration == 7


def test_one_of_several_processes_does_not_take_weights_of_its_own(tmp_path):
    path = session(stop_after=1).save(tmp_path / "a.pt")

    class Loads:
        def after_step(self, session, step):
            session.ranks = Ranks(0, 2)
            try:
                session.load(path)
            finally:
                session.ranks = Ranks()

    one = session(run_dir=tmp_path / "run", hooks=[Loads()], stop_after=1)
    one.run()
    (said,) = [value["error"] for _, value in events(tmp_path / "run", "failure")]
    assert "2 processes train, and only this one would have other weights" in said


def test_a_full_disk_does_not_end_the_training(caplog):
    class Full:
        def record(self, step, values):
            raise OSError(28, "No space left on device")

        def resumed(self, step): ...

        def begun(self): ...
        def sync(self): ...

    one = session(stop_after=3)
    one.log = Full()
    assert one.run().step == 3
    assert "No space left" in caplog.text


# -- not finite -------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_it_and_the_batch_can_be_made_again(tmp_path):
    one = session(run_dir=tmp_path, nodes=[Poison(2)])
    with pytest.raises(NonFiniteLoss, match="the loss is nan at iteration 3") as info:
        one.run()
    error = info.value
    assert np.isnan(error.batch[RAW].data).all()
    ((step, said),) = events(tmp_path, "nonfinite")
    assert (step, said["step"], said["action"]) == (2, 3, "stop")
    with np.load(tmp_path / said["batch"], allow_pickle=False) as kept:
        assert np.isnan(kept["RAW"]).all()
        assert str(kept["token"]) == said["token"]
        np.testing.assert_array_equal(kept["TARGET"], error.batch[TARGET].data)
        assert kept["RAW.voxel_size"].tolist() == ["1", "1"]
    assert said["batch"] in error.__notes__[-2]
    again = pipeline()
    with gp.build(again):
        batch = again.replay(said["token"])
    np.testing.assert_array_equal(batch[TARGET].data, error.batch[TARGET].data)
    # It goes on with the very batch, if somebody mended it.
    two, straight = session(run_dir=tmp_path, stop_after=5), session(stop_after=5)
    two.run()
    straight.run()
    assert same(weights(two.model), weights(straight.model))


@pytest.mark.parametrize("action", ["skip", "rollback"])
def test_a_loss_that_is_not_finite_may_be_passed_over(tmp_path, action):
    losses = Losses()
    one = session(
        run_dir=tmp_path,
        nodes=[Poison(2)],
        hooks=[losses],
        stop_after=5,
        options=StepOptions(nonfinite=action, keep_every=1),
    )
    one.run()
    assert [np.isnan(value) for value in losses.values] == [0, 0, 1, 0, 0]
    assert [(s, v["action"]) for s, v in events(tmp_path, "nonfinite")] == [(3, action)]
    assert losses.steps[2].voxels == 0


# -- warm starts ------------------------------------------------------------------------------


def test_a_warm_start_takes_weights_and_nothing_else(tmp_path):
    session(run_dir=tmp_path / "a", stop_after=3).run()
    path = tmp_path / "a" / "checkpoints" / "final.pt"
    one = session(run_dir=tmp_path / "b", stop_after=0)
    report = one.load(path)
    assert (len(report.taken), report.left) == (len(one.model.state_dict()), {})
    one.run()
    assert one.step == 0
    assert same(weights(one.model), load_checkpoint(path).model)
    frozen = one.freeze("net.0.*")
    assert frozen == ["net.0.weight", "net.0.bias"]
    one.stop_rules[0].steps = 3
    one.run()
    now, then = weights(one.model), load_checkpoint(path).model
    assert next(n for n in now if not torch.equal(now[n], then[n])) == "net.1.weight"
    # What was frozen is so after a resume.
    two = session(run_dir=tmp_path / "b", stop_after=4)
    two.run()
    assert torch.equal(two.model.net[0].weight, then["net.0.weight"])
    assert two.unfreeze("net.0.w*") == ["net.0.weight"]
    two.stop_rules[0].steps = 6
    two.run()
    assert not torch.equal(two.model.net[0].weight, then["net.0.weight"])
    assert torch.equal(two.model.net[0].bias, then["net.0.bias"])


def test_what_the_optimizer_lacks_cannot_be_unfrozen():
    one = session(stop_after=2)
    frozen = one.freeze("net.0.*")
    rest = [p for n, p in one.model.named_parameters() if n not in frozen]
    one.optimizer = torch.optim.SGD(rest, lr=0.5)
    with pytest.raises(ValueError, match=r"does not have net\.0\.weight, net\.0\.bias"):
        one.unfreeze()
    assert not one.model.net[0].weight.requires_grad
