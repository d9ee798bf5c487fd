"""What is told of blocks that failed."""

import pickle

import voxflow as gp
from voxflow.nodes.scanning.failures import Streak, failure, table


def entry(number, error):
    return failure(number, {gp.ArrayKey("RAW"): gp.Roi((number,), (8,))}, error)


def test_errors_that_differ_in_numbers_alone_are_one():
    entries = [entry(n, ValueError(f"voxels [{n}:{n + 8}] are bad")) for n in range(12)]
    entries += [entry(40, KeyError("RAW")), entry(50, TypeError("voxels [1:9] are bad"))]
    lines = table(entries).splitlines()
    assert lines[1] == "12      ValueError: voxels [0:8] are bad"
    assert lines[2] == (
        "        in blocks 0, 1, 2, 3, 4, 5, 6, 7, ...; the first asked for RAW: [0:8] (8)"
    )
    assert "1       KeyError: RAW" in lines
    assert "1       TypeError: voxels [1:9] are bad" in lines
    assert len(lines) == 1 + 3 * 2


def test_long_texts_are_cut():
    found = entry(3, ValueError("x" * 10**6))
    assert len(found["text"]) + len(found["traceback"]) < 10**4


def test_a_streak_ends_with_a_success_or_another_error():
    streak = Streak(3)
    one, other = entry(1, ValueError("1 is bad")), entry(2, KeyError("a"))
    assert [streak.add(one), streak.add(one), streak.add(other)] == [False] * 3
    assert [streak.add(one), streak.add(one)] == [False] * 2
    streak.broken()
    assert [streak.add(one), streak.add(one), streak.add(one)] == [False, False, True]


def test_the_error_survives_pickling():
    error = gp.ScanFailed("1 of 2", [entry(1, ValueError("no"))])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "1 of 2"
    assert again.failures == error.failures
