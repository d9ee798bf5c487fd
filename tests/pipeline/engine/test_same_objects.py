"""Results by identity."""

from voxflow.pipeline.engine.same_objects import SameObjects


def test_called_once_for_the_same_objects():
    calls = []
    length = SameObjects(lambda *lists: calls.append(lists) or sum(map(len, lists)))
    one, other, none = [1], [1], []
    assert [length(one, other, none), length(one, other, none), length(other, one, none)] == [2] * 3
    assert len(calls) == 2


def test_no_more_is_kept_than_was_said():
    double = SameObjects(lambda x, y, z: x[0] * 2, size=3)
    assert [double([i], None, None) for i in range(100)] == [2 * i for i in range(100)]
    assert len(double._known) <= 3


def test_an_object_that_is_gone_is_not_mistaken_for_another():
    first = SameObjects(lambda x, y, z: x[0])
    assert [first([i], None, None) for i in range(1000)] == list(range(1000))
