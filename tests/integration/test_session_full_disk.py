"""A full disk, a broken logger, preview and plot: the training goes on, or ends with what loads."""

import logging
import subprocess
import sys

import pytest

import voxflow as gp
from tests.torch.nets import OUT, RAW, volume
from tests.training.sessions import Losses, same, session, weights
from voxflow.training import (
    Every,
    Keeper,
    Plots,
    PreviewRegion,
    Previews,
    Recorder,
    Status,
    load_newest_checkpoint,
    read_events,
)

# The thread in which TensorBoard writes ends with a traceback; the training is told, and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Fills:
    """The disk is full from one step on, until another."""

    def __init__(self, disk, begin, end=None):
        self.disk = disk
        self.begin_at, self.end_at = begin, end

    def after_step(self, session, step):
        file = self.disk / "filler"
        if step.number == self.begin_at:
            with file.open("wb", buffering=0) as filler:
                try:
                    while filler.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
        if step.number == self.end_at:
            file.unlink()


def watched(folder, *hooks, steps=12, more=()):
    asked = gp.BatchRequest({key: gp.Roi((4, 4), (10, 10)) for key in (RAW, OUT)})
    recorder = Recorder(histograms=Every(steps=1), more=more)
    region = PreviewRegion(volume(seed=1), asked, (2, 2))
    watching = [
        recorder,
        Status(1, quiet=True),
        Previews({"a": region}, every=1, images=recorder),
        Plots(4, pause=0.0),
    ]
    keeper = Keeper(folder / "checkpoints", last=Every(steps=2))
    losses = Losses()
    hooks = [*watching, losses, *hooks]
    made = session(hooks=hooks, stop_after=steps, run_dir=folder, keeper=keeper)
    return made, losses


@pytest.fixture
def untouched():
    losses = Losses()
    made = session(hooks=[losses], stop_after=12)
    made.run()
    return made, losses


def test_a_disk_that_is_full_for_a_while_costs_pictures_and_nothing_else(
    small_disk, untouched, caplog
):
    folder = small_disk / "run"
    with caplog.at_level(logging.WARNING):
        made, losses = watched(folder, Fills(small_disk, 3, 9))
        assert made.run().step == 12
    assert losses.values == untouched[1].values
    assert same(weights(made.model), weights(untouched[0].model))
    assert [event.step for event in read_events(folder, ["loss"])] == list(range(1, 13))
    found = load_newest_checkpoint(folder / "checkpoints")
    assert found[0].stem == "final"
    assert found[1].iteration == 12
    for said in ("the log cannot be written", "could not be written", "Previews failed"):
        assert said in caplog.text
    assert caplog.text.count("the log cannot be written") == 1
    told = [event.value.get("method", "") for event in read_events(folder, ["failure"])]
    assert "draw a" in told
    assert (folder / "previews" / "a-step-12.png").exists()


@pytest.mark.slow
def test_a_disk_that_stays_full_ends_the_run_with_a_checkpoint_that_loads(small_disk, untouched):
    folder = small_disk / "run"
    made, _ = watched(folder, Fills(small_disk, 5))
    with pytest.raises((OSError, RuntimeError)):
        made.run()
    assert made.step == 12
    found = load_newest_checkpoint(folder / "checkpoints")
    assert found[1].iteration == 4
    (small_disk / "filler").unlink()
    again, _ = watched(folder)
    assert again.run().step == 12
    assert same(weights(again.model), weights(untouched[0].model))


def test_nothing_that_is_looked_at_ends_a_training(tmp_path, untouched, monkeypatch, caplog):
    class Service:
        def log_scalars(self, step, values):
            raise ConnectionError("no network")

        def close(self):
            raise ConnectionError("no network either")

    def broken(*args, **options):
        raise RuntimeError("no picture")

    monkeypatch.setattr("voxflow.training.previews.batch_picture", broken)
    monkeypatch.setattr(subprocess, "Popen", broken_process)
    made, losses = watched(tmp_path, more=[Service()])
    assert made.run().step == 12
    assert losses.values == untouched[1].values
    assert same(weights(made.model), weights(untouched[0].model))
    told = {str(event.value.get("hook")) for event in read_events(tmp_path, ["failure"])}
    assert told == {"Recorder", "Previews"}
    assert "the curves could not be drawn" in caplog.text
    assert load_newest_checkpoint(tmp_path / "checkpoints")[1].iteration == 12


def broken_process(*args, **options):
    raise OSError(f"no process for {sys.executable}")
