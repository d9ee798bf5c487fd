import logging
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.torch.checkpoint import Checkpoint, load_checkpoint
from voxflow.training import keeping
from voxflow.training.keeping import Keeper, load_newest_checkpoint
from voxflow.training.when import Every, Moment


def train(keeper, losses=None, start=0, stop=50, seconds=1.0, metric="validation.loss"):
    """Steps with a metric at some of them; each checkpoint knows its step and the keeper."""
    keeper.begin()
    for step in range(start + 1, stop + 1):

        def make(step=step):
            return Checkpoint({}, iteration=step, extra={"keeper": keeper.state_dict()})

        loss = (losses or {}).get(step)
        metrics = {} if loss is None else {metric: loss}
        keeper.after_step(Moment(step, step * seconds), metrics, make)


def there(folder):
    """The step of each file."""
    return {p.name: load_checkpoint(p).iteration for p in sorted(folder.iterdir())}


def test_last_is_replaced_and_others_stay(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    train(Keeper(folder, last=Every(steps=20), every=Every(steps=15)))
    assert there(folder) == {
        "last.pt": 40,
        "step-15.pt": 15,
        "step-30.pt": 30,
        "step-45.pt": 45,
    }


def test_three_and_a_half_hours(tmp_path):
    train(Keeper(tmp_path, every=Every(hours=1.0)), stop=35, seconds=361.0)
    assert there(tmp_path) == {"hours-1.pt": 10, "hours-2.pt": 20, "hours-3.pt": 30}


def test_best_changes_on_improvement_only(tmp_path):
    losses = {10: 0.5, 20: 0.6, 30: 0.4, 40: float("nan"), 50: 0.4}
    train(Keeper(tmp_path, best={"validation.loss": "min", "iou": "max"}), losses)
    assert there(tmp_path) == {"best-validation.loss.pt": 30}
    train(Keeper(tmp_path, best={"iou": "max"}), losses, metric="iou")
    assert there(tmp_path) == {"best-validation.loss.pt": 30, "best-iou.pt": 20}


def test_some_are_kept_but_never_the_others_deleted(tmp_path):
    keeper = Keeper(tmp_path, last=Every(steps=50), every=Every(steps=5), best={"a": "min"}, keep=2)
    train(keeper, {7: 0.5, 10: 0.4, 20: 0.7}, metric="a")
    keeper.save("final", Checkpoint({}, iteration=50))
    keeper.save("before-i-tried", Checkpoint({}, iteration=50))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-5.pt.bak").write_text("mine")
    train(keeper, start=50, stop=60)
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "step-5.pt.bak").unlink()
    assert there(tmp_path) == {
        "before-i-tried.pt": 50,
        "best-a.pt": 10,
        "final.pt": 50,
        "last.pt": 50,
        "step-55.pt": 55,
        "step-60.pt": 60,
    }


def test_nothing_is_made_where_nothing_is_due(tmp_path):
    keeper = Keeper(tmp_path, last=Every(steps=2), best={"a": "min"})
    keeper.begin()
    assert keeper.after_step(Moment(1), {"b": 1.0}, pytest.fail) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_due_at_one_step_is_written_once(tmp_path, monkeypatch):
    written = []
    save = keeping.save_checkpoint
    monkeypatch.setattr(
        keeping, "save_checkpoint", lambda p, c: written.append(p.name) or save(p, c)
    )
    train(Keeper(tmp_path, last=Every(steps=50), every=Every(steps=50), best={"a": "min"}), {})
    assert written == ["last.pt"]
    assert there(tmp_path) == {"last.pt": 50, "step-50.pt": 50}
    # What comes next under one of the names does not change the other.
    train(Keeper(tmp_path, last=Every(steps=60)), start=50, stop=60)
    assert there(tmp_path) == {"last.pt": 60, "step-50.pt": 50}


@settings(max_examples=15)
@given(
    st.dictionaries(st.integers(1, 30), st.floats(0, 1), max_size=12),
    st.integers(1, 29),
    st.integers(1, 7),
    st.integers(0, 3),
)
def test_a_resumed_run_keeps_what_one_that_was_not_stopped_keeps(
    tmp_path_factory, losses, killed, by, keep
):
    """Killed at any step, gone on from ``last`` with the state in it."""

    def make(folder):
        return Keeper(
            folder,
            last=Every(steps=by),
            every=Every(hours=0.001, steps=9),
            best={"validation.loss": "min"},
            keep=keep,
        )

    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    train(make(whole), losses, stop=30)
    train(make(broken), losses, stop=killed)
    resumed, start = make(broken), 0
    if (broken / "last.pt").exists():
        found = load_checkpoint(broken / "last.pt")
        start = found.iteration
        resumed.load_state_dict(found.extra["keeper"])
    train(resumed, losses, start=start, stop=30)
    assert there(broken) == there(whole)


def test_a_state_of_other_rules_is_taken_as_far_as_it_fits(tmp_path):
    old = Keeper(tmp_path, last=Every(steps=1), best={"a": "min"})
    train(old, {1: 0.5}, stop=1, metric="a")
    new = Keeper(tmp_path, every=Every(steps=1), best={"a": "min", "b": "max"})
    new.load_state_dict(old.state_dict())
    assert new.state_dict()["best"] == {
        "a": {"best": 0.5, "without": 0},
        "b": {"best": None, "without": 0},
    }


def test_the_newest_is_found_whatever_its_name(tmp_path):
    assert load_newest_checkpoint(tmp_path / "nothing") is None
    train(Keeper(tmp_path, last=Every(steps=20), every=Every(steps=15)))
    path, found = load_newest_checkpoint(tmp_path)
    assert (path.name, found.iteration) == ("step-45.pt", 45)
    both = tmp_path / "both"
    train(Keeper(both, last=Every(steps=10), every=Every(steps=10)), stop=10)
    assert load_newest_checkpoint(both)[0].name == "last.pt"


def test_times_of_files_say_nothing_where_a_run_was_copied_or_the_clock_set_back(tmp_path):
    keeper = Keeper(tmp_path, last=Every(steps=20), every=Every(steps=15), keep=2)
    train(keeper)
    for path in tmp_path.iterdir():
        later = time.time() + 3600 - load_checkpoint(path).iteration
        os.utime(path, (later, later))
    assert load_newest_checkpoint(tmp_path)[0].name == "step-45.pt"
    train(keeper, start=50, stop=60)
    assert there(tmp_path) == {"last.pt": 60, "step-45.pt": 45, "step-60.pt": 60}


def test_a_broken_one_is_passed_over(tmp_path, caplog):
    train(Keeper(tmp_path, every=Every(steps=15)))
    (tmp_path / "step-45.pt").write_bytes(b"x")
    (tmp_path / ".step-50.pt.1.part").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        assert load_newest_checkpoint(tmp_path)[0].name == "step-30.pt"
    assert "step-45.pt cannot be read" in caplog.text
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"x")
    with pytest.raises(ValueError, match="can be read, of .*step-15.*Remove them"):
        load_newest_checkpoint(tmp_path)


KILLED = """
    import sys, torch
    from voxflow.torch.checkpoint import Checkpoint
    from voxflow.training.keeping import Keeper
    from voxflow.training.when import Every, Moment
    keeper = Keeper(sys.argv[1], last=Every(steps=1), every=Every(steps=3), keep=2)
    keeper.begin()
    weights = {"w": torch.zeros(200_000)}
    for step in range(1, 10**9):
        weights["w"].fill_(step)
        keeper.after_step(Moment(step), {}, lambda: Checkpoint(weights, iteration=step))
        if step == 5:
            print("go", flush=True)
"""


def test_a_killed_process_leaves_complete_files_and_its_rest_is_removed(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"go\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    (tmp_path / f".last.pt.{process.pid}.part").write_bytes(b"half of it")
    (tmp_path / f".last.pt.{os.getpid()}.part").write_bytes(b"of one that lives")
    Keeper(tmp_path).begin()
    assert [p.name for p in tmp_path.glob(".*")] == [f".last.pt.{os.getpid()}.part"]
    for path in tmp_path.glob("*.pt"):
        found = load_checkpoint(path)
        assert (found.model["w"] == found.iteration).all()
    assert len(list(tmp_path.glob("step-*"))) in (1, 2, 3)


def test_a_full_disk_is_told_and_what_is_there_stays(tmp_path, caplog):
    small = {"w": torch.zeros(10)}
    large = {"w": torch.zeros(100_000)}
    keeper = Keeper(tmp_path, last=Every(steps=1), every=Every(steps=1), best={"a": "min"})
    keeper.begin()
    keeper.after_step(Moment(1), {"a": 0.5}, lambda: Checkpoint(small, iteration=1))
    before = there(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with caplog.at_level(logging.WARNING):
            made = keeper.after_step(Moment(2), {"a": 0.4}, lambda: Checkpoint(large, iteration=2))
        with pytest.raises((OSError, RuntimeError)):
            keeper.save("final", Checkpoint(large))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert made == []
    assert "last, step-2, best-a of step 2 could not be written" in caplog.text
    assert there(tmp_path) == before == {"best-a.pt": 1, "last.pt": 1, "step-1.pt": 1}
    # 0.4 was not kept, so that 0.45 is the best of what can be.
    keeper.after_step(Moment(3), {"a": 0.45}, lambda: Checkpoint(large, iteration=3))
    assert there(tmp_path) == {"best-a.pt": 3, "last.pt": 3, "step-1.pt": 1, "step-3.pt": 3}


def test_what_fails_otherwise_is_raised(tmp_path):
    keeper = Keeper(tmp_path, last=Every(steps=1))
    with pytest.raises(TypeError, match="extra"):
        keeper.after_step(Moment(1), {}, lambda: Checkpoint({}, extra={"a": object()}))


def test_names_of_metrics_make_names_of_files(tmp_path):
    train(Keeper(tmp_path, best={"val/a b": "min"}), {1: 1.0}, stop=1, metric="val/a b")
    assert there(tmp_path) == {"best-val_a_b.pt": 1}


def test_mistakes_are_told(tmp_path):
    with pytest.raises(ValueError, match="keep has to be 0 or more, got -1"):
        Keeper(tmp_path, keep=-1)
    with pytest.raises(ValueError, match="'min' or 'max'"):
        Keeper(tmp_path, best={"a": "least"})
    with pytest.raises(ValueError, match=re.escape("a/b would share a file")):
        Keeper(tmp_path, best={"a/b": "min", "a_b": "min"})
    for name in ("", "../x", ".x", "a/b"):
        with pytest.raises(ValueError, match="no folders"):
            Keeper(tmp_path).save(name, Checkpoint({}))


def test_hours_go_on_after_a_resume(tmp_path):
    first = Keeper(tmp_path, last=Every(steps=5), every=Every(hours=1.0))
    train(first, stop=15, seconds=361.0)
    second = Keeper(tmp_path, last=Every(steps=5), every=Every(hours=1.0))
    second.load_state_dict(load_checkpoint(tmp_path / "last.pt").extra["keeper"])
    train(second, start=15, stop=21, seconds=361.0)
    assert there(tmp_path) == {"hours-1.pt": 10, "hours-2.pt": 20, "last.pt": 20}
