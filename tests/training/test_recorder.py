"""Numbers and pictures reach loggers, and what they do does not end the training."""

import csv
import shutil
import sys

import numpy as np
import pytest

from tests.torch.nets import request
from tests.training.sessions import Losses, pipeline, same, session, weights
from voxflow.training import Every, Recorder, TensorBoardLogger, Validation, read_events

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
event_file_writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")


def read(folder):
    sizes = {accumulator.SCALARS: 0, accumulator.IMAGES: 0, accumulator.HISTOGRAMS: 0}
    found = accumulator.EventAccumulator(str(folder), sizes)
    found.Reload()
    return found


def rows(file):
    with file.open(newline="") as table:
        return list(csv.DictReader(table))


def test_tensorboard_and_the_table_have_what_the_log_has(tmp_path):
    recorder = Recorder(histograms=Every(steps=2), graph=True)
    checked = Validation(pipeline(), request(), batches=1, every=2)
    made = session(hooks=[recorder], validation=checked, stop_after=4, run_dir=tmp_path)
    made.run()
    losses = [e.value for e in read_events(tmp_path, ["loss"])]
    board = read(tmp_path / "tensorboard")
    assert [s.value for s in board.Scalars("loss")] == pytest.approx(losses)
    assert [s.step for s in board.Scalars("validation/loss")] == [0, 2, 4]
    assert [s.value for s in board.Scalars("lr")] == pytest.approx([0.01] * 4)
    assert [h.step for h in board.Histograms("weights/net/0/weight")] == [2, 4]
    assert any("conv" in node.op.lower() for node in board.Graph().node)
    table = rows(tmp_path / "history.csv")
    assert [float(row["loss"]) for row in table[1:]] == losses
    assert [row["step"] for row in table if row["validation.loss"]] == ["0", "2", "4"]


def test_nothing_of_the_training_changes(tmp_path):
    plain, seen = Losses(), Losses()
    one = session(hooks=[plain], stop_after=4)
    one.run()
    recorder = Recorder(histograms=Every(steps=1), graph=True)
    other = session(hooks=[recorder, seen], stop_after=4, run_dir=tmp_path)
    other.run()
    assert plain.values == seen.values
    assert same(weights(one.model), weights(other.model))


def test_where_a_run_goes_on_what_was_overtaken_is_dropped(tmp_path):
    session(hooks=[Recorder()], stop_after=3, run_dir=tmp_path).run()
    kept = tmp_path / "kept.pt"
    shutil.copy(tmp_path / "checkpoints" / "final.pt", kept)
    session(hooks=[Recorder()], stop_after=5, run_dir=tmp_path).run()
    shutil.copy(kept, tmp_path / "checkpoints" / "final.pt")
    session(hooks=[Recorder()], stop_after=6, run_dir=tmp_path).run()
    board = read(tmp_path / "tensorboard")
    assert [s.step for s in board.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows(tmp_path / "history.csv")] == list("123456")


def test_a_file_of_the_same_second_is_read_in_its_turn(tmp_path, monkeypatch):
    # The number that ends a name goes from one digit to two.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    for first in (1, 4):
        logger = TensorBoardLogger(tmp_path, first - 1)
        for step in range(first, first + 3):
            logger.log_scalars(step, {"loss": 1.0})
        logger.close()
    assert [s.step for s in read(tmp_path).Scalars("loss")] == [1, 2, 3, 4, 5, 6]


def test_what_hooks_record_is_in_the_table_and_tensorboard(tmp_path):
    class Counts:
        def after_step(self, session, step):
            session.record({"counted": np.int64(step.number), "said": "text", "flag": True})

    counted = {"hooks": [Counts(), Recorder(), Counts()], "run_dir": tmp_path}
    session(stop_after=2, **counted).run()
    session(stop_after=3, **counted).run()
    board = read(tmp_path / "tensorboard")
    assert {(s.step, s.value) for s in board.Scalars("counted")} == {(1, 1), (2, 2), (3, 3)}
    assert not {"said", "flag", "seed"} & {*board.Tags()["scalars"]}
    table = rows(tmp_path / "history.csv")
    assert [(row["step"], row["counted"]) for row in table] == [(n, f"{n}.0") for n in "123"]
    assert all(row["loss"] and row["lr"] for row in table)


class Service:
    def __init__(self, fails=True):
        self.fails = fails
        self.found = []

    def log_scalars(self, step, values):
        if self.fails:
            raise ConnectionError("no network")
        self.found.append(step)

    def close(self):
        pass


def test_a_logger_that_fails_is_told_and_the_others_go_on(tmp_path, caplog):
    good = Service(fails=False)
    recorder = Recorder(more=[Service(), good], tensorboard=False)
    assert session(hooks=[recorder], stop_after=3, run_dir=tmp_path).run().step == 3
    assert good.found == [1, 2, 3]
    assert len(rows(tmp_path / "history.csv")) == 3
    told = [event.value["error"] for event in read_events(tmp_path, ["failure"])]
    assert told == ["Service failed (ConnectionError: no network)"]
    assert "left out; training goes on" in caplog.text


def test_a_missing_package_is_told_and_the_table_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert session(hooks=[Recorder()], stop_after=2, run_dir=tmp_path).run().step == 2
    told = [event.value["error"] for event in read_events(tmp_path, ["failure"])]
    assert len(told) == 1
    assert 'pip install "voxflow[torch]"' in told[0]
    assert len(rows(tmp_path / "history.csv")) == 2


def test_pictures_reach_tensorboard(tmp_path):
    recorder = Recorder(csv=False)
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)

    class Draws:
        def after_step(self, session, step):
            recorder.log_images(step.number, {"previews.a": pixels})

    session(hooks=[recorder, Draws()], stop_after=2, run_dir=tmp_path).run()
    found = read(tmp_path / "tensorboard").Images("previews/a")
    assert [(image.step, image.width, image.height) for image in found] == [(1, 5, 4), (2, 5, 4)]


def test_a_run_that_breaks_off_leaves_nothing_unwritten(tmp_path):
    class Ends:
        def reason(self, moment, metrics):
            if moment.step == 2:
                raise KeyboardInterrupt
            return None

    with pytest.raises(KeyboardInterrupt):
        session(hooks=[Recorder()], stop_after=Ends(), run_dir=tmp_path).run()
    assert [s.step for s in read(tmp_path / "tensorboard").Scalars("loss")] == [1, 2]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session(hooks=[Recorder()], stop_after=1).run()
    assert list(tmp_path.iterdir()) == []
