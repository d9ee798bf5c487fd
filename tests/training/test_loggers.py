import logging
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training.loggers import CsvLogger, Loggers, TensorBoardLogger


class Kept:
    def __init__(self, fails_at=None, fails_to_close=False):
        self.fails_at = fails_at
        self.fails_to_close = fails_to_close
        self.found = []
        self.closed = 0

    def log_scalars(self, step, values):
        if step == self.fails_at:
            raise ConnectionError("no network")
        self.found.append((step, dict(values)))

    def close(self):
        self.closed += 1
        if self.fails_to_close:
            raise ConnectionError("no network either")


def test_all_get_all():
    one, other = Kept(), Kept()
    loggers = Loggers([one, other])
    loggers.log_scalars(1, {"loss": 0.5})
    loggers.log_scalars(2, {"loss": 0.25})
    loggers.close()
    loggers.close()
    assert one.found == other.found == [(1, {"loss": 0.5}), (2, {"loss": 0.25})]
    assert one.closed == other.closed == 1
    assert loggers.failed == []


def test_one_that_fails_is_told_once_and_left_out(caplog):
    bad, good = Kept(fails_at=2, fails_to_close=True), Kept()
    loggers = Loggers([bad, good])
    with caplog.at_level(logging.WARNING):
        for step in range(1, 5):
            loggers.log_scalars(step, {"loss": 1.0})
        loggers.close()
    assert [step for step, _ in bad.found] == [1]
    assert [step for step, _ in good.found] == [1, 2, 3, 4]
    assert loggers.failed == ["Kept failed (ConnectionError: no network)"]
    assert len(caplog.records) == 1
    assert (bad.closed, good.closed) == (1, 1)


def test_one_that_fails_to_close_keeps_no_other_from_it(caplog):
    bad, good = Kept(fails_to_close=True), Kept()
    with caplog.at_level(logging.WARNING):
        Loggers([bad, good]).close()
    assert good.closed == 1
    assert "no network either" in caplog.text


def test_an_interrupt_is_no_failure():
    class Interrupted(Kept):
        def log_scalars(self, step, values):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Loggers([Interrupted()]).log_scalars(1, {})


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]
    }


def test_tensorboard_has_one_history_after_a_resume(tmp_path):
    first = TensorBoardLogger(tmp_path)
    for step in range(1, 6):
        first.log_scalars(step, {"loss": step, "validation.loss": 2 * step})
    first.close()
    second = TensorBoardLogger(tmp_path, step=3)
    second.log_scalars(4, {"loss": 40})
    second.close()
    assert scalars(tmp_path) == {
        "loss": [(1, 1), (2, 2), (3, 3), (4, 40)],
        "validation/loss": [(1, 2), (2, 4), (3, 6)],
    }


def test_tensorboard_gets_many_steps_at_once_and_misses_none(tmp_path, monkeypatch):
    now = [1e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    logger, written = TensorBoardLogger(tmp_path), []
    add = logger._writer.add_scalar

    def noted(name, value, step, walltime):
        written.append((step, walltime))
        add(name, value, step, walltime=walltime)

    monkeypatch.setattr(logger._writer, "add_scalar", noted)
    counts = []
    for step in range(1, 251):
        now[0] += 0.01 if step < 220 else 6
        logger.log_scalars(step, {"loss": step})
        counts.append(len(written))
    assert counts[98:100] == [0, 100]
    assert counts[219:221] == [219 + 1, 219 + 1]
    logger.close()
    assert [step for step, _ in written] == list(range(1, 251))
    # As of when they were measured.
    assert written[49][1] == pytest.approx(1e9 + 0.5)
    assert scalars(tmp_path)["loss"] == [(step, step) for step in range(1, 251)]


def test_tensorboard_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r'pip install "voxflow\[torch\]"'):
        TensorBoardLogger(tmp_path)


def table(path):
    return path.read_text().splitlines()


def test_a_table_grows_by_rows_and_columns(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    logger = CsvLogger(path)
    logger.log_scalars(1, {"loss": 0.5})
    assert table(path) == ["step,loss", "1,0.5"]
    logger.log_scalars(2, {"loss": 0.25, "val": 3.0})
    logger.log_scalars(3, {"val": 2.0})
    logger.log_scalars(4, {})
    logger.close()
    assert table(path) == ["step,loss,val", "1,0.5,", "2,0.25,3.0", "3,,2.0"]
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_what_comes_later_of_a_step_goes_into_its_row(tmp_path):
    table = CsvLogger(tmp_path / "t.csv")
    for step, values in ((1, {"a": 1.0}), (1, {"b": 2.0}), (2, {"b": 3.0}), (2, {"a": 4.0})):
        table.log_scalars(step, values)
    assert table.path.read_text().splitlines() == ["step,a,b", "1,1.0,2.0", "2,4.0,3.0"]
    again = CsvLogger(table.path, step=2)
    again.log_scalars(3, {"a": 5.0})
    again.log_scalars(3, {"b": 6.0})
    assert table.path.read_text().splitlines()[2:] == ["2,4.0,3.0", "3,5.0,6.0"]


def test_a_table_of_some_numbers(tmp_path):
    path = tmp_path / "table.csv"
    logger = CsvLogger(path, ["val", "loss"])
    logger.log_scalars(1, {"lr": 0.1})
    assert not path.exists()
    logger.log_scalars(2, {"lr": 0.1, "loss": 0.5})
    assert table(path) == ["step,val,loss", "2,,0.5"]


def test_a_table_is_gone_on_with_and_what_was_overtaken_is_dropped(tmp_path):
    path = tmp_path / "table.csv"
    logger = CsvLogger(path)
    for step in range(1, 6):
        logger.log_scalars(step, {"loss": step, "a,b": 'x"'})
    path.write_text(path.read_text() + "6,0.")
    resumed = CsvLogger(path, step=3)
    assert table(path) == ['step,loss,"a,b"', *[f'{i},{i},"x"""' for i in (1, 2, 3)]]
    resumed.log_scalars(4, {"loss": 40})
    assert table(path)[-1] == "4,40,"
    CsvLogger(path)
    assert table(path) == ['step,loss,"a,b"']


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(-1, 1), max_size=3), max_size=8),
    st.integers(0, 8),
)
def test_a_resumed_table_is_that_of_one_run(tmp_path_factory, rows, cut):
    folder = tmp_path_factory.mktemp("tables")
    whole, first = CsvLogger(folder / "whole"), CsvLogger(folder / "broken")
    for step, row in enumerate(rows, 1):
        whole.log_scalars(step, row)
        first.log_scalars(step, row)
    second = CsvLogger(folder / "broken", step=cut)
    for step, row in list(enumerate(rows, 1))[cut:]:
        second.log_scalars(step, row)
    paths = [folder / name for name in ("whole", "broken")]
    if any(rows):
        one, other = (path.read_text() for path in paths)
        assert one == other
    else:
        assert not any(path.exists() for path in paths)
