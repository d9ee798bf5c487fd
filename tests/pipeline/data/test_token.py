"""Tokens hold a whole request."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from voxflow.pipeline.data import ReplayToken, RunPosition
from voxflow.testing.strategies import rois, voxel_sizes

ARRAY, GRAPH = gp.ArrayKey("ARRAY"), gp.GraphKey("GRAPH")

array_specs = st.one_of(
    st.builds(
        gp.ArraySpec,
        rois(2),
        voxel_sizes(2),
        st.sampled_from([None, True, False]),
        dtype=st.sampled_from([None, "uint8", ">f4"]),
        placeholder=st.booleans(),
    ),
    st.builds(gp.ArraySpec, nonspatial=st.just(True), dtype=st.sampled_from([None, "int64"])),
)
graph_specs = st.builds(
    gp.GraphSpec,
    st.none() | rois(3),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "float32", "float64"]),
    st.booleans(),
)


@given(array_specs, graph_specs, st.integers(0, 2**63 - 1))
def test_round_trip(array, graph, seed):
    request = gp.BatchRequest({ARRAY: array, GRAPH: graph}, random_seed=seed)
    again = ReplayToken(str(ReplayToken.of(request))).request()
    assert again == request
    assert again.seed == request.seed
    assert again.random_seed == request.random_seed
    assert again.position is None


def test_position_comes_along():
    request = gp.BatchRequest({ARRAY: gp.Roi((0,), (4,))}).at(RunPosition(3, 14))
    again = ReplayToken.of(request).request()
    assert again.position == RunPosition(3, 14)
    assert again.seed == request.seed


def test_one_line_of_json():
    text = str(ReplayToken.of(gp.BatchRequest({ARRAY: gp.Roi((0, 9.8), (1, 2))}, random_seed=1)))
    assert "\n" not in text
    assert json.loads(text) == {
        "seed": 1,
        "arrays": {"ARRAY": {"roi": [[0, "49/5"], [1, 2]]}},
        "graphs": {},
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        "5",
        '{"seed": 1}',
        '{"seed": 1, "arrays": [], "graphs": {}}',
        '{"seed": 1, "arrays": {}, "graphs": {}, "run": [1, 2, 3, 4, 5]}',
        '{"seed": 1, "arrays": {"A": {"size": 1}}, "graphs": {}}',
        '{"seed": 1.5, "arrays": {}, "graphs": {}}',
    ],
)
def test_other_text(text):
    with pytest.raises(ValueError, match="this is no replay token"):
        ReplayToken(text).request()


def test_a_request_without_seed_has_none():
    with pytest.raises(RuntimeError, match="no seed"):
        ReplayToken.of(gp.BatchRequest())
