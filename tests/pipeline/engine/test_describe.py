"""A pipeline as plain values: the same in every process, and other ones where it is another."""

import functools
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import voxflow as gp
from tests.nodes.cases.world import FOLDER
from tests.nodes.test_contract import CASES
from voxflow.pipeline.engine.describe import describe, differences
from voxflow.pipeline.engine.values import Values
from voxflow.testing.world import draw_world

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
POINTS = gp.GraphKey("POINTS")


class Holds(gp.BatchFilter):
    """A node with any parameters."""

    def __init__(self, value=None, other=0, **more):
        self.value = value
        self.other = other

    def process(self, batch, request):
        pass


def volume(fill=0, **options):
    return gp.ArraySource(RAW, gp.Array(np.full((4, 6), fill), SPEC), **options)


SPEC = gp.ArraySpec(gp.Roi((0, 0), (39.2, 12)), (9.8, 2))


def changed(old, new):
    """The differences of two pipelines, which are told in both directions."""
    assert bool(differences(describe(new), describe(old))) == (describe(old) != describe(new))
    return differences(describe(old), describe(new))


# -- every node ---------------------------------------------------------------------------------


def case_of(name):
    case = CASES[name]
    made = case.make(draw_world(case.axes[0], 0))
    return made if isinstance(made, gp.Pipeline) else gp.Pipeline(made)


@pytest.mark.parametrize("name", CASES)
def test_every_node_is_described_the_same_before_and_after(name):
    trial = CASES[name].trial(CASES[name].axes[0])
    pipeline = trial._pipeline(False, False)
    said = describe(pipeline)
    assert json.loads(json.dumps(said, allow_nan=False)) == said == describe(pipeline)
    with gp.build(pipeline, seed=3):
        assert describe(pipeline) == said
        pipeline.request_batch(trial.request)
        assert describe(pipeline) == said
    assert describe(pipeline) == said


def described_cases():
    """What all cases are, as text. Run in processes of their own."""
    said = [describe(case_of(name)) for name in sorted(CASES)]
    text = re.sub(re.escape(str(FOLDER)) + r"(/[\w-]*)?", "FOLDER", json.dumps(said))
    return re.sub(r"\bwritten-\d+", "written", text)  # files are counted in each process


def test_processes_describe_alike():
    code = "from tests.pipeline.engine.test_describe import *; print(described_cases())"
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1"},  # here it is another one
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        check=True,
    )
    first, second = json.loads(described_cases()), json.loads(there.stdout)
    for name, one, other in zip(sorted(CASES), first, second, strict=True):
        assert differences(one, other) == [], name
    assert first == second


# -- values -------------------------------------------------------------------------------------


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True, slots=True)
class Pair:
    first: int
    second: object


def adding(n):
    return lambda x: x + n


class Model:
    def __init__(self, weight):
        self.weight = weight

    def state_dict(self):
        return {"weight": self.weight}


class Shy:
    def __init__(self, n):
        self._n = n


class Open:
    def __init__(self, n):
        self.n = n
        self._cache = object()


APART = [
    (0.5, 1.0),
    (1, "1"),
    (None, False),
    (float("nan"), float("inf")),
    (2**64 - 1, 2**64 - 2),
    (Fraction(49, 5), Fraction(49, 6)),
    (gp.Coordinate(9.8, 4), gp.Coordinate(9.8, 2)),
    (gp.Roi((0, 0), (4, 4)), gp.Roi((0, 1), (4, 4))),
    (gp.Roi((None,), (None,)), gp.Roi((0,), (1,))),
    (RAW, OUT),
    (RAW, gp.GraphKey("RAW")),
    (gp.ArraySpec(voxel_size=(4,)), gp.ArraySpec(voxel_size=(2,))),
    (gp.ArraySpec(kind=gp.Affinities([(0, 1)])), gp.ArraySpec(kind=gp.Affinities([(1, 0)]))),
    (gp.BatchRequest({RAW: gp.Roi((0,), (1,))}), gp.BatchRequest({RAW: gp.Roi((0,), (2,))})),
    ({RAW: 1}, {OUT: 1}),
    ({1, 2}, {1, 3}),
    (Color.RED, Color.BLUE),
    (Path("a"), Path("b")),
    (b"a", b"b"),
    (np.dtype("uint8"), np.dtype("int8")),
    (np.zeros(3), np.ones(3)),
    (np.zeros(3), np.zeros(3, np.float32)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array([1, "a"], object), np.array([1, "b"], object)),
    (gp.Array(np.zeros((4, 6)), SPEC), gp.Array(np.ones((4, 6)), SPEC)),
    (Pair(1, 2), Pair(1, 3)),
    (Pair(1, Pair(1, 2)), Pair(1, Pair(1, 3))),
    (Open(1), Open(2)),
    (adding(1), adding(2)),
    (lambda x: x + 1, lambda x: x + 2),
    (lambda x: x.sum(), lambda x: x.min()),
    (lambda x: [y + 1 for y in x], lambda x: [y + 2 for y in x]),
    (lambda x, n=1: x + n, lambda x, n=2: x + n),
    (np.exp, np.log),
    (len, max),
    (int, float),
    (Open, Shy),
    (Open(1).__init__, Open(2).__init__),
    (functools.partial(max, 1), functools.partial(max, 2)),
    (Model(np.zeros(3)), Model(np.ones(3))),
]
"""Values of which a node makes something else."""


@pytest.mark.parametrize(("one", "other"), APART)
def test_values_are_told_apart(one, other):
    json.dumps(describe(Holds(one)), allow_nan=False)
    assert describe(Holds(one)) == describe(Holds(one))
    (line,) = changed(Holds(one), Holds(other))[:1]
    assert line.startswith("Holds: value")


SAME = [
    (np.float64(0.5), 0.5),
    (np.int64(3), 3),
    ((1, 2), [1, 2]),
    (gp.Coordinate(9.8, 4), (Fraction(49, 5), 4)),
    (Path("a/b"), "a/b"),
    (adding(1), adding(1)),
    ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
    (np.zeros((4, 6))[:, ::2], np.zeros((4, 3))),
    (np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(6).reshape(2, 3)),
    (Model(np.zeros(3)), Model(np.zeros(3))),
    (Open(1), Open(1)),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_values_that_are_the_same(one, other):
    assert changed(Holds(one), Holds(other)) == []


@given(hnp.arrays(np.int16, hnp.array_shapes(max_dims=3, max_side=4)), st.data())
def test_one_voxel_makes_a_difference(image, data):
    other = image.copy()
    at = tuple(data.draw(st.integers(0, n - 1)) for n in image.shape)
    other[at] += 1
    assert Values().of(image) != Values().of(other)
    assert Values().of(image.T) == Values().of(image.T.copy())


def test_large_arrays_are_hashed_in_pieces(monkeypatch):
    image = np.arange(24, dtype=np.uint64).reshape(4, 6)
    whole = Values().of(image), Values().of(image[:, ::2])
    monkeypatch.setattr("voxflow.pipeline.engine.values._PIECE", 16)
    assert (Values().of(image), Values().of(image[:, ::2])) == whole


def test_arrays_in_files_are_not_read(tmp_path):
    np.save(tmp_path / "image.npy", np.zeros((3, 4)))
    said = Values().of(np.load(tmp_path / "image.npy", mmap_mode="r"))
    assert said["file"] == str(tmp_path / "image.npy")
    assert "hash" not in said


def test_what_says_nothing_is_opaque():
    said = Values().of(Shy(1))
    assert said == {"class": f"{__name__}.Shy", "opaque": True}


def test_circles_end():
    circle = Open(1)
    circle.n = [circle]
    assert Values().of(circle)["n"] == [{"class": f"{__name__}.Open", "seen": True}]
    deep = None
    for _ in range(100):
        deep = [deep]
    assert "opaque" in json.dumps(Values().of(deep))


# -- what is told -------------------------------------------------------------------------------


def line(factor=None, cache=None, workers=1, dtype="float32", extra=()):
    nodes = [gp.Normalize(RAW, factor, dtype), *extra, gp.Pad(RAW, (9.8, 2))]
    reference = gp.BatchRequest({RAW: gp.Roi((0, 0), (19.6, 4))})
    pipeline = gp.Hdf5Source("raw.h5", {RAW: "raw"}, cache=cache)
    for node in nodes:
        pipeline = pipeline + node
    return pipeline + gp.Scan(reference, num_workers=workers)


def test_parameters_are_named():
    assert changed(line(), line()) == []
    assert changed(line(1.0), line(0.5)) == ["Normalize: factor is 0.5, was 1.0"]
    assert changed(line(dtype="float32"), line(dtype="float64")) == [
        "Normalize: dtype is float64, was float32"
    ]


def test_nodes_are_named():
    noise = [gp.NoiseAugment(RAW)]
    assert changed(line(), line(extra=noise)) == ["NoiseAugment is new"]
    assert changed(line(extra=noise), line()) == ["NoiseAugment is gone"]
    swapped = volume() + gp.Pad(RAW, 0) + gp.Normalize(RAW)
    assert changed(swapped, volume() + gp.Normalize(RAW) + gp.Pad(RAW, 0)) == [
        "Normalize comes after ArraySource, came after Pad",
        "Pad comes after Normalize, came after ArraySource",
    ]


def test_what_changes_no_voxel_is_left_out():
    rest = [gp.PrintProfilingStats(), gp.PreCache(num_workers=3)]
    assert changed(line(), line(cache=0, workers=4, extra=rest)) == []
    assert [n["inputs"] for n in describe(line(extra=rest))["nodes"]] == [
        [], ["Hdf5Source"], ["Normalize"], ["Pad"]
    ]  # fmt: skip


def test_the_second_of_a_kind():
    def two(*values):
        return volume() + Holds(values[0]) + Holds(values[1]) + Holds(3).named("mine")

    assert changed(two(1, 2), two(1, 5)) == ["Holds-2: value is 5, was 2"]
    pipeline = two(1, 2)
    before = describe(pipeline)
    with gp.build(pipeline):
        assert describe(pipeline) == describe(pipeline.output) == before


def test_inside_of_parameters():
    old, new = Holds({"a": {"b": [1, 2]}, "c": 3}), Holds({"a": {"b": [1, 4]}})
    assert changed(old, new) == [
        "Holds: value.a.b is (1, 4), was (1, 2)",
        "Holds: value.c is no longer there",
    ]
    assert changed(new, old)[-1] == "Holds: value.c is new: 3"
    (told,) = changed(Holds(np.zeros(3)), Holds(np.ones(3)))
    assert told.startswith("Holds: value changed (hash ")


def test_parameters_that_are_not_kept():
    class Forgets(gp.BatchFilter):
        def __init__(self, *many, size=1, **more):
            self._size = size

    (told,) = changed(Forgets(1, 2), Forgets(1, 3))
    assert told == "Forgets: many is (1, 3), was (1, 2)"
    assert changed(Forgets(size=1), Forgets(size=2)) == ["Forgets: size is 2, was 1"]
    assert changed(Forgets(), Forgets(size=1)) == []
    assert changed(Forgets(x=1), Forgets(x=2)) == ["Forgets: x is 2, was 1"]


def test_nodes_of_others_are_described_with_their_code():
    def kind(n):
        def process(self, batch, request):
            return n + 1 if n > 1 else n - 1

        def other(self, batch, request):
            return n

        return type("Mine", (gp.BatchFilter,), {"process": process if n else other})

    assert changed(kind(1)(), kind(2)()) == []
    (told,) = changed(kind(0)(), kind(1)())
    assert told.startswith("Mine: code changed (hash")


@pytest.mark.parametrize("given", [str, Path])
def test_checkpoints_are_described_by_what_they_hold(tmp_path, given):
    class Predicts(gp.BatchFilter):
        def __init__(self, model, checkpoint):
            self.model, self.checkpoint = model, checkpoint

    path = tmp_path / "weights"
    node = Predicts(Model(np.zeros(3)), given(path))
    missing = describe(node)
    path.write_bytes(b"one")
    first = describe(node)
    node.model.weight[:] = 5  # as loading them does
    assert describe(node) == first != missing
    path.write_bytes(b"two")
    (told,) = differences(first, describe(node))
    assert told.startswith("Predicts: checkpoint changed (hash ")
