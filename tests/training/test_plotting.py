"""Curves are drawn beside a session."""

from tests.training.fakes import Hands
from tests.training.sessions import session
from voxflow.training import Plots
from voxflow.training.plots import Plotter


class Minute:
    def __init__(self, hands):
        self.hands = hands

    def after_step(self, session, step):
        self.hands.seconds += 20


def test_curves_are_drawn_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    drawn, hands = [], Hands()
    monkeypatch.setattr(Plotter, "draw", lambda self: drawn.append(made.step) or True)
    monkeypatch.setattr(Plotter, "close", lambda self: drawn.append("end"))
    hooks = [Minute(hands), Plots(2, pause=60)]
    made = session(hooks=hooks, stop_after=12, run_dir=tmp_path, clock=hands.clock())
    made.run()
    assert drawn == [2, 6, 10, "end"]


def test_without_a_folder_nothing_is_drawn(monkeypatch):
    monkeypatch.setitem(Plots.begin.__globals__, "Plotter", None)
    session(hooks=[Plots(1)], stop_after=2).run()
