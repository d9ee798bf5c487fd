import pickle

import pytest

import voxflow as gp
from voxflow.nodes.locations.turns import Turns
from voxflow.pipeline.data.request import RunPosition


def test_batches_and_their_parts_take_turns():
    turns = Turns(3)
    request = gp.BatchRequest().at(RunPosition(seed=1, index=4))
    assert turns.of(request) == 12
    assert [turns.of(request.reseed("stack", i)) for i in range(3)] == [12, 13, 14]
    assert pickle.loads(pickle.dumps(turns)).of(request) == 12


def test_others_are_counted_except_where_it_is_only_planned():
    turns = Turns()
    request = gp.BatchRequest(random_seed=1)
    planned = gp.BatchRequest(random_seed=1)
    planned.planning = True
    assert [turns.of(r) for r in (request, planned, planned, request, request)] == [0, 1, 1, 1, 2]


def test_refuses_batches_without_turns():
    with pytest.raises(ValueError, match="per_batch has to be at least 1, got 0"):
        Turns(0)
