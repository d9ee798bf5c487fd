"""The path to what cannot be pickled."""

import functools
import pickle

import pytest

from voxflow.pipeline.engine.workers.blame import find_unpicklable
from voxflow.pipeline.engine.workers.packing import pack_by_value


class Slotted:
    __slots__ = ("inner",)


class Plain:
    def method(self):
        return self


def bad():
    return (i for i in ())


def find(obj):
    return find_unpicklable(obj, pack_by_value, "serve")


def test_paths():
    slotted, plain = Slotted(), Plain()
    slotted.inner = [bad()]
    plain.child = {"x": slotted}
    assert find(plain)[0] == "serve.child['x'].inner[0]"
    assert find(plain.method)[0] == "serve.__self__.child['x'].inner[0]"
    assert find(functools.partial(print, plain))[0] == "serve.args[0].child['x'].inner[0]"
    assert find(lambda: plain)[0] == "serve -> plain.child['x'].inner[0]"
    assert find((1, {2})) is None


def test_the_thing_itself_is_named_with_its_type():
    path, error = find(bad())
    assert path == "serve (builtins.generator)"
    assert isinstance(error, (TypeError, pickle.PicklingError))


def test_a_circle_ends():
    plain = Plain()
    plain.me = plain
    plain.bad = bad()
    assert find(plain)[0] == "serve.bad"


@pytest.mark.parametrize("value", [1, "a", [1, [2]]])
def test_what_can_be_pickled_is_not_blamed(value):
    assert find(value) is None
