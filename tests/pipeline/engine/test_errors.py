"""Errors keep their type, their text and all that they hold."""

import json
import pickle

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.pipeline.engine.errors import (
    BatchFilterError,
    BatchMismatch,
    RequestRefused,
    SamplingError,
    marked,
)


class WithArguments(Exception):
    """Its constructor does not take what is kept in `args`."""

    def __init__(self, where, what):
        super().__init__(f"{what} at {where}")
        self.where = where


class WithNew(Exception):
    def __new__(cls, where, what):
        return super().__new__(cls)

    def __init__(self, where, what):
        super().__init__(f"{what} at {where}")


class WithSlots(Exception):
    __slots__ = ("where",)


class NotDerivable(Exception):
    def __init_subclass__(cls):
        raise TypeError("no subclasses, please")


def caught(call, *args):
    try:
        call(*args)
    except Exception as error:
        return error


def with_slots():
    error = WithSlots("text")
    error.where = 3
    return error


ERRORS = [
    Exception("plain"),
    ValueError("text"),
    KeyError("key"),
    caught(open, "/not/there"),
    caught(b"\xff".decode),
    caught(compile, "1 +", "file", "exec"),
    json.JSONDecodeError("text", "document", 3),
    ImportError("text", name="name", path="path"),
    ExceptionGroup("group", [ValueError(1)]),
    WithArguments("place", "thing"),
    WithNew("place", "thing"),
    with_slots(),
    gp.VoxflowError("text"),
    RequestRefused(["one", "two"]),
    SamplingError("text"),
]


@pytest.mark.parametrize("kind", [gp.PipelineRequestError, gp.PipelineSetupError])
@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_marked_errors_are_what_they_were(error, kind):
    cause = ValueError("cause")
    error.__cause__ = cause
    try:
        raise error
    except Exception:
        pass
    new = marked(error, kind, provider="node")
    assert isinstance(new, kind)
    assert isinstance(new, type(error))
    assert type(new).__name__ == type(error).__name__
    assert type(new).__module__ == type(error).__module__
    assert str(new) == str(error)
    assert new.args == error.args
    assert new.__cause__ is cause
    assert new.__traceback__ is not None
    assert new.provider == "node"
    for name in ("filename", "object", "lineno", "doc", "name", "where", "problems"):
        assert getattr(new, name, None) == getattr(error, name, None)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_marked_errors_travel(error):
    # the nodes may not pickle; they stay at home
    new = marked(error, gp.PipelineRequestError, pipeline=lambda: 0, request=gp.BatchRequest())
    if not hasattr(new, "__notes__"):
        new.add_note("note")
    again = pickle.loads(pickle.dumps(new))
    assert type(again) is type(new)
    assert str(again) == str(new)
    assert again.__notes__ == ["note"]
    assert again.request == gp.BatchRequest()
    assert getattr(again, "filename", None) == getattr(new, "filename", None)
    assert getattr(again, "problems", None) == getattr(new, "problems", None)


def test_marked_twice_is_marked_once():
    error = marked(ValueError("text"), gp.PipelineRequestError, provider="first")
    assert marked(error, gp.PipelineRequestError, provider="second") is error
    assert error.provider == "first"


def test_what_cannot_be_derived_from_keeps_its_text_and_is_the_cause():
    error = NotDerivable("text")
    new = marked(error, gp.PipelineRequestError)
    assert type(new) is gp.PipelineRequestError
    assert str(new) == "NotDerivable: text"
    assert new.__cause__ is error


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (RequestRefused(["a"]), ValueError),
        (BatchMismatch("a"), RuntimeError),
        (SamplingError("a"), RuntimeError),
    ],
)
def test_the_tree(error, builtin):
    assert isinstance(error, builtin)
    assert isinstance(error, gp.PipelineRequestError)
    assert issubclass(gp.PipelineRequestError, gp.BatchRequestError)
    assert isinstance(error, gp.VoxflowError)
    assert str(error) == "a"


def test_an_error_without_arguments_has_attributes():
    error = gp.BatchRequestError("text")
    assert str(error) == "text"
    for name in ("provider", "pipeline", "request", "batch", "token", "original_traceback"):
        assert getattr(error, name) is None


def test_all_problems_are_listed():
    assert str(RequestRefused(["one", "two"])) == (
        "the request cannot be served, for 2 reasons:\n  1. one\n  2. two"
    )


def test_filter_errors_travel():
    error = BatchFilterError(gp.BatchFilter(), "text")
    assert str(error) == "Error in BatchFilter: text"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


class FailsOnce(gp.BatchFilter):
    def setup(self):
        self.asked = 0

    def process(self, batch, request):
        self.asked += 1
        if self.asked == 1:
            raise ZeroDivisionError("once")


class TriesAgain(gp.BatchFilter):
    """As nodes do that were written for gunpowder."""

    def provide(self, request):
        with pytest.raises(gp.BatchRequestError, match="once") as caught:
            self.get_upstream_provider().request_batch(request.copy())
        assert (type(caught.value).__name__, str(caught.value)) == ("ZeroDivisionError", "once")
        assert isinstance(caught.value, ZeroDivisionError)
        return self.get_upstream_provider().request_batch(request.copy())


def test_a_node_catches_what_happened_upstream_by_its_name():
    raw = gp.ArrayKey("RAW")
    pipeline = source(raw, np.ones((4, 4)), (1, 1)) + FailsOnce() + TriesAgain()
    assert served(pipeline, asking(RAW=((0, 0), (2, 2))))[raw].data.shape == (2, 2)
