"""What is asked for, and its seed."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from voxflow.pipeline.data import RunPosition

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")


def rois(request):
    return [spec.roi for _, spec in request.items()]


# -- add ------------------------------------------------------------------------------------------


def test_add_centres_everything():
    request = gp.BatchRequest()
    request.add(RAW, (10, 10))
    request.add(LABELS, (5, 5))
    assert rois(request) == [gp.Roi((0, 0), (10, 10)), gp.Roi((3, 3), (5, 5))]
    request.add(POINTS, (20, 20))
    assert rois(request) == [
        gp.Roi((5, 5), (10, 10)),
        gp.Roi((8, 8), (5, 5)),
        gp.Roi((0, 0), (20, 20)),
    ]


def test_add_keeps_what_is_said():
    request = gp.BatchRequest()
    request.add(RAW, (10,), voxel_size=(9.8,), placeholder=True)
    request.add(POINTS, (10,), directed=False)
    assert request[RAW] == gp.ArraySpec(gp.Roi((0,), (10,)), (9.8,), placeholder=True)
    assert request[POINTS] == gp.GraphSpec(gp.Roi((0,), (10,)), directed=False)


def test_add_replaces():
    request = gp.BatchRequest()
    request.add(RAW, (10,))
    request.add(RAW, (4,))
    assert rois(request) == [gp.Roi((0,), (4,))]


def test_add_beside_a_spec_without_region():
    request = gp.BatchRequest({LABELS: gp.ArraySpec(nonspatial=True)})
    request.add(RAW, (10,))
    assert request[RAW].roi == gp.Roi((0,), (10,))


def test_add_takes_keys_only():
    with pytest.raises(RuntimeError, match="only ArrayKey and GraphKey can be requested"):
        gp.BatchRequest().add("RAW", (10,))


def test_add_with_an_unbounded_axis():
    request = gp.BatchRequest()
    request.add(RAW, (None, 10))
    request.add(LABELS, (6, 4))
    assert rois(request) == [gp.Roi((None, 0), (None, 10)), gp.Roi((0, 3), (6, 4))]


def test_sizes_that_are_not_whole_are_centred_exactly():
    request = gp.BatchRequest()
    size = gp.Coordinate(9.8)
    request.add(RAW, size * 10)
    request.add(LABELS, size * 4)
    assert request[LABELS].roi == gp.Roi(size * 3, size * 4)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.sampled_from([1, 4, 9.8, 0.25]))
def test_sizes_that_differ_by_even_numbers_of_voxels_stay_on_the_grid(sizes, step):
    request = gp.BatchRequest()
    voxel = gp.Coordinate(step)
    for i, size in enumerate(sizes):
        request.add(gp.ArrayKey(f"K{i}"), voxel * (2 * size))
    for roi in rois(request):
        assert roi.offset.is_multiple_of(voxel)
    assert len({roi.center // voxel for roi in rois(request)}) == 1


def test_a_voxel_size_that_is_not_whole_keeps_centres_exact():
    request = gp.BatchRequest()
    request.add(RAW, (25,), voxel_size=(2.5,))
    request.add(LABELS, (10,))
    assert request[LABELS].roi == gp.Roi((7.5,), (10,))


# -- seeds ----------------------------------------------------------------------------------------


def test_without_a_seed():
    request = gp.BatchRequest()
    assert not request.is_deterministic()
    assert len({request.random_seed for _ in range(20)}) > 1
    assert 0 <= request.random_seed < 2**32
    with pytest.raises(RuntimeError, match="this request has no seed"):
        request.seed  # noqa: B018


def test_copies_advance_the_seed_that_nodes_from_outside_see():
    request = gp.BatchRequest(random_seed=5)
    assert request.is_deterministic()
    copies = [request, request.copy(), request.copy().copy()]
    assert [r.random_seed for r in copies] == [5, 36, 1369]
    assert [r.seed for r in copies] == [5, 5, 5]
    assert copy.deepcopy(request).random_seed == request.clone().random_seed == 5


def test_seeds_are_whole():
    assert gp.BatchRequest(random_seed=np.uint32(7)).random_seed == 7
    with pytest.raises(TypeError, match=r"random_seed has to be a whole number, got 1\.5"):
        gp.BatchRequest(random_seed=1.5)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 2**63 - 1, -1])
def test_any_seed_fits_numpy(seed):
    request = gp.BatchRequest(random_seed=seed)
    for _ in range(50):
        np.random.RandomState(request.random_seed)  # would raise
        request = request.copy()


def test_reseed_and_branch():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,))}, random_seed=5)
    request._plans = {"draw": 1}
    assert request.reseed(1) == request
    assert request.reseed(1).seed == request.reseed(1).seed != request.reseed(2).seed
    assert request.reseed(1)._plans is None
    first, second = request.branch(0), request.branch(1)
    assert first.seed == second.seed == request.seed
    assert len({first.random_seed, second.random_seed, request.random_seed}) == 3
    assert not gp.BatchRequest().branch(0).is_deterministic()


def test_generators():
    request = gp.BatchRequest(random_seed=5)
    draw = request.rng("Node").random()
    assert request.rng("Node").random() == request.copy().rng("Node").random() == draw
    assert request.rng("Node-2").random() != draw
    assert request.reseed(0).rng("Node").random() != draw


def test_positions():
    position = RunPosition(7, 3)
    request = gp.BatchRequest().at(position)
    assert request.position == position
    assert request.seed == position.request_seed
    assert request.reseed("stack", 1).position == position.child("stack", 1)
    assert request.reseed("stack", 1).seed == position.child("stack", 1).request_seed
    assert position.child(1).next() == RunPosition(7, 4, ((1,),))
    assert request.at(position.child(1)).seed == request.reseed(1).seed


# -- copies, unions, equality ---------------------------------------------------------------------


def test_copies_share_nothing():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,)), POINTS: gp.Roi((0,), (4,))})
    for made in (
        request.copy(),
        request.clone(),
        copy.deepcopy(request),
        pickle.loads(pickle.dumps(request)),
        request.update_with(gp.BatchRequest()),
        request.merge(gp.BatchRequest()),
    ):
        assert made == request
        made[RAW].roi = None
        del made[POINTS]
        assert request[RAW].roi is not None
        assert POINTS in request


def test_update_with():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,))}, random_seed=5)
    other = gp.BatchRequest(
        {RAW: gp.ArraySpec(gp.Roi((2,), (4,)), dtype="uint8"), LABELS: gp.Roi((0,), (1,))}
    )
    united = request.update_with(other)
    assert united[RAW] == gp.ArraySpec(gp.Roi((0,), (6,)), dtype="uint8")
    assert united[LABELS].roi == gp.Roi((0,), (1,))
    assert united.random_seed == 36
    assert rois(request) == [gp.Roi((0,), (4,))]
    united[LABELS].roi = None
    assert other[LABELS].roi is not None


def test_merge_only_unites_regions():
    request = gp.BatchRequest({RAW: gp.Roi((0,), (4,))})
    merged = request.merge(
        gp.BatchRequest(
            {RAW: gp.ArraySpec(gp.Roi((2,), (4,)), dtype="uint8"), POINTS: gp.Roi((0,), (1,))}
        )
    )
    assert merged[RAW] == gp.ArraySpec(gp.Roi((0,), (6,)))
    assert merged[POINTS].roi == gp.Roi((0,), (1,))


def test_equality_ignores_the_seed():
    specs = {RAW: gp.Roi((0,), (4,))}
    assert gp.BatchRequest(specs, random_seed=1) == gp.BatchRequest(specs, random_seed=2)
    assert gp.BatchRequest(specs) != gp.BatchRequest()
    assert gp.BatchRequest(specs) != gp.ProviderSpec(specs)
    assert gp.ProviderSpec(specs) != gp.BatchRequest(specs)
    with pytest.raises(TypeError):
        hash(gp.BatchRequest())


def test_what_follows_from_a_replay_is_one():
    request = gp.BatchRequest(random_seed=1)
    assert not request.replayed
    request.replayed = True
    for follows in (
        request.clone(),
        request.copy(),
        request.reseed("part", 1),
        request.branch(1),
        request.at(RunPosition(1, 2)),
        request.merge(gp.BatchRequest()),
        pickle.loads(pickle.dumps(request)),
    ):
        assert follows.replayed
