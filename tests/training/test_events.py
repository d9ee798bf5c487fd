import errno
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.fakes import Hands
from voxflow.training import Event, EventLog, read_events
from voxflow.training.events import FILE_NAME

NAMES = st.text(min_size=1).filter(lambda name: name != "resumed")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def losses(path, **options):
    return [(event.step, event.value) for event in read_events(path, ["loss"], **options)]


@given(st.lists(st.tuples(st.integers(0, 2**40), st.dictionaries(NAMES, JSON, max_size=4))))
def test_what_is_recorded_is_read(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("run")
    hands = Hands()
    with EventLog(folder, hands.clock()) as log:
        for step, values in steps:
            hands.seconds += 0.25
            log.record(step, values)
    assert read_events(folder) == [
        Event(step, 0.25 * number, 1_000_000 + 0.25 * number, name, value)
        for number, (step, values) in enumerate(steps, 1)
        for name, value in values.items()
    ]


@given(values=st.lists(JSON, min_size=1, max_size=8), data=st.data())
def test_cut_off_anywhere(tmp_path_factory, values, data):
    folder = tmp_path_factory.mktemp("run")
    with EventLog(folder, Hands().clock()) as log:
        for step, value in enumerate(values):
            log.record(step, {"loss": value})
    file = folder / FILE_NAME
    whole = file.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    file.write_bytes(whole[:cut])
    # A line is there as soon as its last brace is.
    there = [number for number in range(len(values)) if _end(whole, number) <= cut]
    assert losses(folder) == [(number, values[number]) for number in there]
    with EventLog(folder) as log:
        log.record(99, {"loss": "more"})
    assert losses(folder) == [(number, values[number]) for number in there] + [(99, "more")]


def test_cut_off_where_it_looks_whole(tmp_path):
    with EventLog(tmp_path) as log:
        log.record(1, {"loss": 1})
        log.record(2, {"loss": {"a": 2}})
    file = tmp_path / FILE_NAME
    file.write_bytes(file.read_bytes()[:-2])
    with EventLog(tmp_path) as log:
        log.record(3, {"loss": 3})
    assert losses(tmp_path) == [(1, 1), (3, 3)]


def _end(whole, number):
    return sum(len(line) + 1 for line in whole.splitlines()[: number + 1]) - 1


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6))
def test_a_run_that_is_resumed_anywhere_has_one_history(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("run")
    clock = Hands().clock()
    done, expected, everything = 0, [], []
    for part, (back, on) in enumerate(parts):
        with EventLog(folder, clock) as log:
            if part:
                done = max(0, done - back)
                log.resumed(done)
                expected = [event for event in expected if event[0] <= done]
            for _ in range(on):
                done += 1
                log.record(done, {"loss": part, "other": 0})
                expected.append((done, part))
                everything.append((done, part))
    if parts:
        assert losses(folder) == expected
        steps = [step for step, _ in expected]
        assert steps == list(range(1, done + 1))
        assert losses(folder, overtaken=True) == everything


def test_of_the_last_step_before_the_checkpoint_all_is_kept(tmp_path):
    with EventLog(tmp_path) as log:
        log.record(0, {"start": 1})
        log.record(5, {"loss": 1.0})
        log.record(5, {"valid": 2.0})
        log.record(6, {"loss": 3.0})
        log.resumed(5)
        log.record(6, {"loss": 4.0})
    told = [(event.step, event.name, event.value) for event in read_events(tmp_path)]
    assert told == [
        (0, "start", 1),
        (5, "loss", 1.0),
        (5, "valid", 2.0),
        (5, "resumed", 5),
        (6, "loss", 4.0),
    ]


def test_what_begins_anew_leaves_out_all_before(tmp_path):
    for _ in range(2):
        with EventLog(tmp_path) as log:
            log.begun()
            log.record(0, {"loss": 1})
            log.record(1, {"loss": 2})
    assert losses(tmp_path) == [(0, 1), (1, 2)]
    assert losses(tmp_path, overtaken=True) == [(0, 1), (1, 2)] * 2
    with EventLog(tmp_path) as log, pytest.raises(ValueError, match="cannot be negative, got -1"):
        log.resumed(-1)


def test_numbers_of_numpy_and_torch(tmp_path):
    with EventLog(tmp_path) as log:
        log.record(
            np.int64(1),
            {
                "a": np.float32(0.5),
                "b": torch.tensor(0.25),
                "c": np.array([1, 2]),
                "d": np.int64(3),
            },
        )
    assert [event.value for event in read_events(tmp_path)] == [0.5, 0.25, [1, 2], 3]
    assert {event.step for event in read_events(tmp_path)} == {1}


def test_what_is_not_finite(tmp_path):
    with EventLog(tmp_path) as log:
        log.record(1, {"a": float("nan"), "b": float("inf"), "c": -float("inf")})
    nan, *infinite = [event.value for event in read_events(tmp_path)]
    assert np.isnan(nan)
    assert infinite == [np.inf, -np.inf]


KILLED = """
import os, signal, sys
from voxflow.training import EventLog
log = EventLog(sys.argv[1])
for step in range(1, 1001):
    log.record(step, {"loss": step / 7})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_all_is_there(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], timeout=110)
    assert done.returncode == -signal.SIGKILL
    assert losses(tmp_path) == [(step, step / 7) for step in range(1, 1001)]
    EventLog(tmp_path).close()  # nobody has it any more


def test_read_while_it_is_written(tmp_path):
    log = EventLog(tmp_path)
    log.record(1, {"loss": 1})
    assert losses(tmp_path) == [(1, 1)]
    log.record(2, {"loss": 2})
    assert losses(log.path) == [(1, 1), (2, 2)]
    log.close()


def test_two_do_not_write_to_one(tmp_path):
    with EventLog(tmp_path):
        read_events(tmp_path)  # a reader does not give the file away
        with pytest.raises(RuntimeError, match="another training writes to .*events.jsonl"):
            EventLog(tmp_path)
    EventLog(tmp_path).close()


def test_a_full_disk_leaves_no_gap(tmp_path, monkeypatch):
    write, full = os.write, [True]

    def partly(file, data):
        if full[0] and len(data) <= 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:20] if full[0] else data)

    log = EventLog(tmp_path)
    log.record(1, {"loss": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", partly)
        for step in (2, 3):
            with pytest.raises(OSError, match="No space"):
                log.record(step, {"loss": step})
            assert losses(tmp_path) == [(1, 1), (2, 2)][: step - 1]
        full[0] = False
        log.record(4, {"loss": 4})
    assert losses(tmp_path) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    log.close()


def test_threads_do_not_mix_their_lines(tmp_path):
    log = EventLog(tmp_path)

    def many(name):
        for step in range(300):
            log.record(step, {name: "x" * 200})

    threads = [threading.Thread(target=many, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert len(lines) == 1200
    assert all(json.loads(line)["value"] == "x" * 200 for line in lines)


def test_each_line_is_json_with_names(tmp_path):
    with EventLog(tmp_path / "own.jsonl", Hands().clock()) as log:
        log.record(3, {"näme\n": "a\nb"})
    (line,) = (tmp_path / "own.jsonl").read_text("ascii").splitlines()
    fields = {"step": 3, "active": 0.0, "time": 1_000_000.0, "name": "näme\n", "value": "a\nb"}
    assert json.loads(line) == fields


@pytest.mark.parametrize(
    ("step", "values", "error", "text"),
    [
        (1, {"resumed": 1}, ValueError, "cannot have the name 'resumed'"),
        (1, {"": 1}, ValueError, "cannot have the name ''"),
        (-1, {"loss": 1}, ValueError, "cannot be negative, got -1"),
        (1, {"loss": 1, "b": object()}, TypeError, "a object for a value"),
    ],
)
def test_mistakes_write_nothing(tmp_path, step, values, error, text):
    with EventLog(tmp_path) as log:
        with pytest.raises(error, match=text):
            log.record(step, values)
        log.record(1, {"loss": 1})
    assert losses(tmp_path) == [(1, 1)]
    assert len(read_events(tmp_path)) == 1


def test_closed_is_closed(tmp_path):
    log = EventLog(tmp_path)
    log.sync()
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log.record(1, {"loss": 1})


def test_no_log(tmp_path):
    with pytest.raises(FileNotFoundError, match="directory of a run"):
        read_events(tmp_path)


def test_lines_of_something_else_are_left_out(tmp_path):
    with EventLog(tmp_path) as log:
        log.record(1, {"loss": 1})
    file = tmp_path / FILE_NAME
    file.write_bytes(b'[1]\n{}\n\xff\xfe{"step"}\nnull\n\n' + file.read_bytes() + b'{"step": 2}\n')
    assert losses(tmp_path) == [(1, 1)]
