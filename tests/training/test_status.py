"""The line that says how a training goes."""

import io
import re

import pytest

from tests.training.fakes import Hands
from tests.training.sessions import session
from voxflow.training import Every, MaxActiveHours, MaxSteps, Status, history
from voxflow.training.status import _time


class Second:
    """A second passes with each step."""

    def __init__(self, hands):
        self.hands = hands

    def after_step(self, session, step):
        self.hands.seconds += 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(status, steps=6, rules=None, **options):
    hands = Hands()
    rules = MaxSteps(steps) if rules is None else [MaxSteps(steps), *rules]
    made = session(hooks=[Second(hands), status], stop_after=rules, clock=hands.clock(), **options)
    made.run()
    return made


def test_a_line_is_printed_when_it_is_due_and_its_rates_are_logged(tmp_path):
    out = io.StringIO()
    made = run(Status(3, stream=out), run_dir=tmp_path)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    number = r"\d[\d.e-]*"
    assert re.fullmatch(
        rf"step 3/6  loss {number}  lr 0.01  1 it/s  6.4e-05 MVx/s  0:03  0:03 left", lines[0]
    )
    assert lines[1].endswith("0:06  0:00 left")
    found = history(tmp_path)
    assert found["lr"].values.tolist() == [0.01, 0.01]
    assert found["iterations_per_second"].steps.tolist() == [3, 6]
    assert found["voxels_per_second"].values.tolist() == [64.0, 64.0]
    mean = found["loss"].values[3:].mean()
    assert float(re.search(rf"loss ({number})", lines[1])[1]) == pytest.approx(mean, rel=1e-3)
    assert made.step == 6


def test_the_first_rule_that_ends_the_run_says_how_long_it_takes():
    out = io.StringIO()
    run(Status(2, stream=out), steps=4, rules=[MaxActiveHours(5 / 3600)])
    assert [line.rpartition("  ")[2] for line in out.getvalue().splitlines()] == [
        "0:02 left",
        "0:00 left",
    ]


def test_on_a_terminal_one_line_changes(tmp_path):
    out = Terminal()
    run(Status(2, stream=out), run_dir=tmp_path)
    text = out.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert set(re.findall(r"\rstep (\d)/6", text)) == set("123456")
    assert len(history(tmp_path)["lr"]) == 3


def test_it_may_be_quiet(tmp_path, capsys):
    run(Status(2, quiet=True), run_dir=tmp_path)
    assert capsys.readouterr() == ("", "")
    assert len(history(tmp_path)["lr"]) == 3


def test_where_a_run_goes_on_so_does_its_rhythm(tmp_path):
    out = io.StringIO()
    for steps in (4, 9):
        hands = Hands()
        status = Status(Every(hours=3 / 3600), stream=out)
        hooks = [Second(hands), status]
        session(hooks=hooks, stop_after=steps, clock=hands.clock(), run_dir=tmp_path).run()
    assert [line.partition("/")[0] for line in out.getvalue().splitlines()] == [
        "step 3",
        "step 6",
        "step 9",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0:00"), (61, "1:01"), (36000, "10:00:00")])
def test_times(seconds, text):
    assert _time(seconds) == text
