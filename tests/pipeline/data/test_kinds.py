"""What arrays declare of their values, in specs and in files."""

import copy

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.data.kinds import (
    Affinities,
    Descriptors,
    Vectors,
    attrs_of_kind,
    kind_of_attrs,
)

KINDS = [
    Affinities([[-1, 0, 0], [0, 9, 0]]),
    Vectors(),
    Vectors("voxels"),
    Descriptors(80),
    Descriptors((80, 20.5, 20.5)),
]
EACH = pytest.mark.parametrize("kind", KINDS, ids=str)


@EACH
def test_files_state_what_was_declared(kind):
    attrs = attrs_of_kind(kind)
    assert kind_of_attrs(attrs) == kind
    assert kind_of_attrs({name: np.asarray(value) for name, value in attrs.items()}) == kind


def test_plain_values_state_nothing():
    assert attrs_of_kind(None) == {}
    assert kind_of_attrs({"resolution": [4, 4], "affinity_neighborhood": None}) is None


@EACH
def test_is_kept_by_specs(kind):
    spec = gp.ArraySpec(gp.Roi((0,), (4,)), (1,), kind=kind)
    assert spec.copy() == copy.deepcopy(spec) == spec
    assert spec != gp.ArraySpec(gp.Roi((0,), (4,)), (1,))
    assert str(kind) in repr(spec)
    assert "kind" not in repr(gp.ArraySpec())
    plain = gp.ArraySpec(gp.Roi((0,), (4,)), (1,))
    plain.update_with(spec)
    assert plain == spec
    spec.update_with(gp.ArraySpec())
    assert spec.kind == kind


@EACH
def test_a_token_keeps_it(kind):
    request = gp.BatchRequest(random_seed=3)
    request[gp.ArrayKey("RAW")] = gp.ArraySpec(gp.Roi((0,), (4,)), kind=kind)
    again = gp.ReplayToken.of(request).request()
    assert again == request
    assert again[gp.ArrayKey("RAW")].kind == kind


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Affinities([]), ValueError, "one or more offsets"),
        (lambda: Affinities([[1, 0], [1]]), ValueError, "one or more offsets"),
        (lambda: Affinities([[]]), ValueError, "one or more offsets"),
        (lambda: Affinities([[0.5, 0]]), TypeError, "float"),
        (lambda: Vectors("nm"), ValueError, "'world' units or 'voxels'"),
        (lambda: Descriptors(0), ValueError, "above 0"),
        (lambda: Descriptors((1, -1)), ValueError, "above 0"),
        (lambda: gp.ArraySpec(kind="affinities"), TypeError, "Affinities, Vectors or Descriptors"),
    ],
)
def test_mistakes_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()
