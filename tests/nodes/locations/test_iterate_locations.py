import logging

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, ramp, source
from voxflow.pipeline.engine.errors import SamplingError

RAW, ID, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("ID"), gp.GraphKey("POINTS")
PLACES = {7: (10.0,), 2**63 - 1: (20.5,), 3: (99.0,), 5: (50.0,)}


def line(points=None, roi=((0,), (100,))):
    image = source(RAW, np.arange(100, dtype=np.float32), (1,))
    graph = GraphSource(POINTS, points or PLACES, gp.Roi(*roi))
    return (image, graph) + gp.MergeProvider()


def asked(size=4):
    request = gp.BatchRequest({RAW: gp.Roi((0,), (size,))})
    request[ID] = gp.ArraySpec(nonspatial=True)
    return request


def served(node, count, before=None, seed=1, request=None):
    with gp.build(before or (line() + node), seed=seed) as built:
        batches = [built.request_batch(request or asked()) for _ in range(count)]
    return [(int(b[RAW].data.flat[0]), b[ID].data.tolist()) for b in batches]


ROUND = [(8, [7]), (18, [2**63 - 1]), (48, [5])]


def test_goes_through_the_nodes_that_fit_in_their_order():
    assert served(gp.IterateLocations(POINTS, node_id=ID), 6) == ROUND * 2


def test_centres_in_space_with_anisotropic_voxels():
    image = source(RAW, ramp(gp.Roi((0, 0, 0), (80, 40, 40)), (8, 2, 2)), (8, 2, 2))
    graph = GraphSource(POINTS, {1: (37.0, 21.0, 11.9)}, gp.Roi((0, 0, 0), (80, 40, 40)))
    request = gp.BatchRequest({RAW: gp.Roi((800, 0, 0), (24, 8, 4))})
    pipeline = (image, graph) + gp.MergeProvider() + gp.IterateLocations(POINTS)
    with gp.build(pipeline) as built:
        centre = built.request_batch(request)[RAW].data.mean(axis=(1, 2, 3))
    assert np.all(np.abs(centre - (37, 21, 11.9)) <= (4, 1, 1))


def test_only_nodes_in_a_region():
    found = served(gp.IterateLocations(POINTS, gp.Roi((15,), (40,)), ID), 4)
    assert found == ROUND[1:] * 2


def test_two_of_them_count_apart_and_from_the_start_at_each_build():
    node = gp.IterateLocations(POINTS, node_id=ID)
    assert served(node, 2) == ROUND[:2]
    assert served(node, 2) == ROUND[:2]
    assert served(gp.IterateLocations(POINTS, node_id=ID), 1) == ROUND[:1]


def test_workers_keep_the_order():
    node = gp.IterateLocations(POINTS, node_id=ID)
    assert served(node, 6, line() + node + gp.PreCache(3, 2)) == ROUND * 2


def test_says_when_all_were_visited():
    node = gp.IterateLocations(POINTS)
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,))})
    with gp.build(line() + node, seed=1) as built:
        seen = []
        for _ in range(4):
            built.request_batch(request)
            seen.append(node.visited_all.value)
    assert seen == [False, False, True, True]
    with gp.build(line() + node):
        assert not node.visited_all.value


def test_replaying_the_last_node_is_no_visit():
    node = gp.IterateLocations(POINTS)
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,))})
    with gp.build(line() + node, seed=1) as built:
        token = [built.request_batch(request) for _ in range(3)][-1].token
    with gp.build(line() + node, seed=1) as built:
        built.replay(token)
        assert not node.visited_all.value


def test_draws_nodes_at_random():
    found = served(gp.IterateLocations(POINTS, None, ID, True), 300)
    assert {place for place, _ in found} == {8, 18, 48}
    assert min(sum(place == p for place, _ in found) for p in (8, 18, 48)) > 70
    assert found != served(gp.IterateLocations(POINTS, None, ID, True), 300, seed=2)


def test_a_stack_takes_several_nodes():
    node = gp.IterateLocations(POINTS, node_id=ID, per_batch=3)
    with gp.build(line() + node + gp.Stack(3), seed=1) as built:
        assert built.request_batch(asked())[ID].data.tolist() == [[7], [2**63 - 1], [5]]


def test_says_which_nodes_are_left_out(caplog):
    served(gp.IterateLocations(POINTS, node_id=ID), 1)
    texts = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert any("1 of 4 locations are left out" in text for text in texts)


@pytest.mark.parametrize("roi", [gp.Roi((60,), (10,)), gp.Roi((0,), (0,))])
def test_refuses_a_region_without_nodes(roi):
    with (
        pytest.raises(gp.PipelineSetupError, match="POINTS has no nodes in"),
        gp.build(line() + gp.IterateLocations(POINTS, roi)),
    ):
        pass


def test_says_if_no_node_fits():
    with gp.build(line() + gp.IterateLocations(POINTS, gp.Roi((90,), (10,)))) as built:
        for ask in (built.check, built.request_batch):
            with pytest.raises(gp.PipelineRequestError, match="0 of 1 locations fit") as error:
                ask(gp.BatchRequest({RAW: gp.Roi((0,), (4,))}))
        assert isinstance(error.value, SamplingError)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((RAW,), TypeError, "graph has to be a GraphKey"),
        ((POINTS, None, POINTS), TypeError, "node_id has to be an ArrayKey"),
    ],
)
def test_refuses_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        gp.IterateLocations(*arguments)
    with pytest.raises(ValueError, match="per_batch"):
        gp.IterateLocations(POINTS, per_batch=0)
