import logging
import struct
import sys
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.helpers import children, left_behind
from voxflow.training.events import EventLog
from voxflow.training.plots import Plotter, plot_history, thinned, value_limits

VALUES = arrays(
    np.float64,
    st.integers(0, 200),
    elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf]),
)


@pytest.fixture
def run(tmp_path):
    with EventLog(tmp_path) as log:
        for step in range(100):
            log.record(step, {"loss": 1 / (step + 1), "optimizer.lr": 0.1, "note": "text"})
            if step % 10 == 0:
                log.record(step, {"validation.loss": 2 / (step + 1), "val/a b": float("nan")})
    return tmp_path


def size(path):
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def test_a_picture_for_each_last_part(run):
    folder = run / "deep" / "plots"
    written = plot_history(run, folder)
    assert [p.name for p in written] == ["loss.png", "lr.png", "val_a_b.png"]
    assert sorted(folder.iterdir()) == sorted(written)
    assert all(size(p) == (900, 500) for p in written)
    plots = {
        kind: plot_history(run, run / kind, ["loss"], over=kind) for kind in ("steps", "hours")
    }
    assert [len(p) for p in plots.values()] == [1, 1]
    assert plots["steps"][0].read_bytes() != plots["hours"][0].read_bytes()


def test_an_outlier_is_out_of_the_picture_only_if_asked(run):
    with EventLog(run) as log:
        log.record(100, {"loss": 1e9})
    clipped = plot_history(run, run / "a", ["loss"])[0].read_bytes()
    whole = plot_history(run, run / "b", ["loss"], autoscale=False)[0].read_bytes()
    assert clipped != whole


@given(VALUES, st.integers(1, 30))
def test_few_points_show_the_extremes(values, half):
    x = np.arange(len(values)) * 2.0
    found_x, found = thinned(x, values, 2 * half)
    finite = values[np.isfinite(values)]
    assert len(found) == len(found_x) <= 2 * half
    assert len(found) == len(finite) or len(found) >= half
    assert (np.diff(found_x) > 0).all()
    np.testing.assert_array_equal(values[(found_x / 2).astype(int)], found)
    if len(finite):
        assert (found.min(), found.max()) == (finite.min(), finite.max())


@given(VALUES)
@example(np.array([1, 0.0625, 0, 1, -1, -1]))
def test_limits_hold_most_values(values):
    limits = value_limits(values)
    finite = values[np.isfinite(values)]
    if not len(finite):
        assert limits is None
        return
    low, high = limits
    assert ((finite >= low - 1e-9) & (finite <= high + 1e-9)).mean() >= 0.5


def test_limits_leave_out_what_is_far_away():
    values = np.array([1e9, *np.linspace(0.6, 0.4, 30)])
    low, high = value_limits(values)
    assert 0.38 < low < 0.4
    assert 0.6 < high < 0.62
    # Where most are alike, the others are what there is to be seen.
    assert value_limits(np.array([0.0, 0, 0, 0, 1])) == (-0.05, 1.05)


def test_drawing_goes_on_beside_the_training(run):
    plotter = Plotter(run, run / "plots")
    assert plotter.draw()
    assert not plotter.draw()
    assert len(children()) == 1
    deadline = time.monotonic() + 60
    while not plotter.draw():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (run / "plots" / "loss.png").exists()
    (run / "plots" / "loss.png").unlink()
    plotter.close()
    assert size(run / "plots" / "loss.png") == (900, 500)
    assert left_behind() == []


def test_a_failing_drawing_is_told_once(run, caplog):
    (run / "plots").write_text("not a folder")
    plotter = Plotter(run, run / "plots")
    with caplog.at_level(logging.WARNING):
        plotter.draw()
        plotter.close()
    assert len(caplog.records) == 1
    assert "could not be drawn (FileExistsError" in caplog.text


def test_a_process_that_cannot_be_started_is_told(run, caplog, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(run / "no-python"))
    with caplog.at_level(logging.WARNING):
        plotter = Plotter(run, run / "plots")
        assert not plotter.draw()
        plotter.close()
    assert "training goes on" in caplog.text


def test_a_drawing_that_takes_too_long_is_broken_off(run, caplog):
    plotter = Plotter(run, run / "plots")
    with caplog.at_level(logging.WARNING):
        plotter.draw()
        plotter.close(timeout=0.0)
    assert left_behind() == []
    assert "exit status -9" in caplog.text


def test_mistakes_are_told(run, monkeypatch):
    with pytest.raises(ValueError, match="'steps' or 'hours', got 'days'"):
        plot_history(run, run / "plots", over="days")
    with pytest.raises(FileNotFoundError):
        plot_history(run / "nothing", run / "plots")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "voxflow\[plots\]"'):
        plot_history(run, run / "plots")
