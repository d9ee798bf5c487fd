import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.fakes import Hands
from voxflow.training import EventLog, ema, history, sma, to_csv

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(np.nan) | st.just(np.inf), max_size=40)


@pytest.fixture
def run(tmp_path):
    hands = Hands()
    with EventLog(tmp_path, hands.clock()) as log:
        for step in range(1, 6):
            hands.seconds = 10.0 * step
            log.record(step, {"loss": 1 / step, "lr": 1})
            if step % 2 == 0:
                log.record(step, {"valid": step, "set": "optimizer.lr", "flag": True})
        log.resumed(4)
        hands.seconds = 100
        log.record(5, {"loss": np.nan})
    return tmp_path


def test_arrays_by_name(run):
    found = history(run)
    assert list(found) == ["loss", "lr", "valid", "resumed"]
    loss = found["loss"]
    np.testing.assert_array_equal(loss.steps, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(loss.values, [1, 1 / 2, 1 / 3, 1 / 4, np.nan])
    np.testing.assert_array_equal(loss.active, [10, 20, 30, 40, 100])
    np.testing.assert_array_equal(loss.time, 1_000_000 + loss.active)
    assert (loss.steps.dtype, loss.values.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(found["valid"].steps, [2, 4])
    assert len(found["valid"]) == 2
    assert list(history(run, ["valid", "loss"])) == ["valid", "loss"]


def test_a_name_without_numbers_is_an_error(run):
    with pytest.raises(KeyError, match="no numbers of set, los; it has loss, lr, valid"):
        history(run, ["loss", "set", "los"])


def test_smoothing_is_a_view(run):
    before = (run / "events.jsonl").read_bytes()
    loss = history(run)["loss"]
    smooth = loss.ema(0.5)
    np.testing.assert_allclose(smooth.values, [1, 3 / 4, 13 / 24, 19 / 48, 19 / 48])
    np.testing.assert_array_equal(smooth.steps, loss.steps)
    np.testing.assert_allclose(loss.sma(2).values, [1, 3 / 4, 5 / 12, 7 / 24, 1 / 4])
    assert np.isnan(loss.values[-1])
    assert (run / "events.jsonl").read_bytes() == before


def test_table(run, tmp_path):
    target = tmp_path / "run.csv"
    target.write_text("old")
    to_csv(run, target)
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "active", "time", "name", "value"]
    of_loss = [float(row["value"]) for row in rows if row["name"] == "loss"]
    np.testing.assert_array_equal(of_loss, history(run)["loss"].values)
    assert [row["value"] for row in rows if row["name"] == "set"] == ["optimizer.lr"] * 2
    to_csv(run, target, ["valid"])
    assert [line.split(",")[3:] for line in target.read_text().splitlines()[1:]] == [
        ["valid", "2"],
        ["valid", "4"],
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "run.csv"]


def test_values_that_are_no_text_are_json_in_the_table(tmp_path):
    value = {"a": [1, 'x,"y"\n']}
    with EventLog(tmp_path) as log:
        log.record(1, {"kept": value})
    to_csv(tmp_path, tmp_path / "run.csv")
    with (tmp_path / "run.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert json.loads(row["value"]) == value


@given(VALUES, st.floats(0, 0.999), st.none() | st.floats(-10, 10))
def test_exponential_average_is_its_recursion(values, decay, start):
    average, expected = start, []
    for value in values:
        if np.isfinite(value):
            average = value if average is None else decay * average + (1 - decay) * value
        expected.append(np.nan if average is None else average)
    np.testing.assert_allclose(ema(values, decay, start), expected, rtol=1e-9, atol=1e-6)


@given(VALUES, st.integers(1, 50))
def test_moving_average_is_the_mean_of_the_last(values, width):
    expected = []
    for end in range(1, len(values) + 1):
        window = [v for v in values[max(0, end - width) : end] if np.isfinite(v)]
        expected.append(np.mean(window) if window else np.nan)
    np.testing.assert_allclose(sma(values, width), expected, rtol=1e-9, atol=1e-6)


def test_elektronn_average():
    # .995 / .005 from .65
    np.testing.assert_allclose(ema([1, 1], 0.995, 0.65), [0.65175, 0.65349125])


@pytest.mark.parametrize("decay", [-0.1, 1, 1.5, np.nan])
def test_decay_has_to_average(decay):
    with pytest.raises(ValueError, match="decay has to be"):
        ema([1], decay)


def test_width_has_to_be_positive():
    with pytest.raises(ValueError, match="width has to be at least 1, got 0"):
        sma([1], 0)
