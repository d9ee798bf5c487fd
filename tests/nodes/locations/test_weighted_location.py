import pickle
from collections import Counter

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import source
from voxflow.pipeline.engine.errors import RequestRefused, SamplingError

RAW, MAP = gp.ArrayKey("RAW"), gp.ArrayKey("MAP")


def pipeline(data, voxel, node, offset=None):
    raw = source(RAW, np.zeros(data.shape, np.float32), voxel, offset)
    return (raw, source(MAP, data, voxel, offset)) + gp.MergeProvider() + node


def asked(shape, voxel, placeholder=True):
    request = gp.BatchRequest()
    request.add(RAW, gp.Coordinate(shape) * gp.Coordinate(voxel))
    request.add(MAP, gp.Coordinate(shape) * gp.Coordinate(voxel), placeholder=placeholder)
    return request


def places(node, request, count):
    found = Counter()
    for seed in range(count):
        one = request.clone()
        one._set_seed(seed)
        found[tuple(node.draw(one, one.rng("x")))] += 1
    return found


@pytest.mark.parametrize(
    ("data", "voxel", "shape"),
    [
        ((9,), (2,), (4,)),
        ((7, 6), (9.8, 4), (3, 2)),
        ((4, 5, 6), (40, 4.6, 4), (1, 4, 3)),
    ],
)
def test_places_are_as_likely_as_their_middle_voxel(data, voxel, shape):
    values = np.random.default_rng(1).random(data).astype(np.float32)
    values[(0,) * len(data)] = values[(2,) * len(data)] = 0
    with gp.build(pipeline(values, voxel, gp.WeightedLocation(MAP))) as built:
        request = asked(shape, voxel)
        found = places(built.output, request, 1500)
        begin = request[MAP].roi.begin
    expected = {}
    for index in np.ndindex(*(n - s + 1 for n, s in zip(data, shape, strict=True))):
        weight = values[tuple(i + s // 2 for i, s in zip(index, shape, strict=True))]
        if weight:
            expected[tuple(gp.Coordinate(index) * gp.Coordinate(voxel) - begin)] = float(weight)
    assert set(found) <= set(expected)
    scale = 1500 / sum(expected.values())
    chi2 = sum((found[k] - w * scale) ** 2 / (w * scale) for k, w in expected.items())
    assert chi2 < len(expected) + 4 * np.sqrt(2 * len(expected))


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.uint64])
def test_the_foreground_with_a_probability(dtype):
    mask = np.zeros((40, 50), dtype)
    mask[10:12, 20:30] = np.array(200).astype(dtype)
    mask[0, 0] = 1  # never in the middle
    request = asked((5, 3), (1, 1), placeholder=False)
    with gp.build(pipeline(mask, (1, 1), gp.WeightedLocation(MAP, p=0.25)), seed=1) as built:
        centres = [built.request_batch(request)[MAP].data[2, 1] > 0 for _ in range(1000)]
    expected = 0.25 + 0.75 * 20 / (36 * 48)
    assert abs(np.mean(centres) - expected) < 4 * np.sqrt(expected * (1 - expected) / 1000)


def test_classes_are_seen_equally_often():
    labels = np.full((30, 30, 30), -1, np.int64)
    labels[:20] = 0
    labels[22, 14, 5:9] = 5
    labels[25:29, 10:20, 10:20] = 7
    request = asked((3, 3, 3), (8, 2, 2), placeholder=False)
    node = gp.WeightedLocation(MAP, classes="balanced")
    with gp.build(pipeline(labels, (8, 2, 2), node), seed=1) as built:
        seen = Counter(int(built.request_batch(request)[MAP].data[1, 1, 1]) for _ in range(900))
    assert set(seen) == {0, 5, 7}
    assert all(abs(n - 300) < 4 * np.sqrt(200) for n in seen.values())


def test_classes_are_as_likely_as_they_are_told():
    labels = np.repeat([1, 2, 3], 10)
    node = gp.WeightedLocation(MAP, classes={1: 3, 3: 1, 9: 0})
    with gp.build(pipeline(labels, (1,), node), seed=2) as built:
        request = asked((1,), (1,), placeholder=False)
        seen = Counter(int(built.request_batch(request)[MAP].data[0]) for _ in range(800))
    assert set(seen) == {1, 3}
    assert abs(seen[1] - 600) < 4 * np.sqrt(150)


def test_a_copy_draws_the_same_and_reads_nothing_twice():
    values = np.random.default_rng(1).random((30, 30)).astype(np.float32)
    with gp.build(pipeline(values, (1, 1), gp.WeightedLocation(MAP)), seed=1) as built:
        request = asked((4, 4), (1, 1))
        first = places(built.output, request, 20)
        copy = pickle.loads(pickle.dumps(built.output))
        copy._upstream_weights = lambda box: values[tuple(slice(*b) for b in box)]
        assert places(copy, request, 20) == first


def test_says_what_is_missing():
    with gp.build(pipeline(np.zeros((9, 9)), (1, 1), gp.WeightedLocation(MAP))) as built:
        with pytest.raises(RequestRefused, match="MAP, which is not in the request"):
            built.check(gp.BatchRequest({RAW: gp.Roi((0, 0), (2, 2))}))
        with pytest.raises(SamplingError, match=r"MAP: none of 49 voxels has a weight above 0"):
            built.check(asked((3, 3), (1, 1)))
    negative = pipeline(np.full((9, 9), -1.0), (1, 1), gp.WeightedLocation(MAP))
    with gp.build(negative) as built, pytest.raises(ValueError, match="MAP: weights have to be 0"):
        built.request_batch(asked((3, 3), (1, 1)))


def test_refuses_arguments():
    with pytest.raises(TypeError, match="weights has to be an ArrayKey"):
        gp.WeightedLocation("MAP")
    with pytest.raises(ValueError, match=r"p has to lie in \[0, 1\], got 2"):
        gp.WeightedLocation(MAP, p=2)
    with pytest.raises(ValueError, match="'balanced', got 'even'"):
        gp.WeightedLocation(MAP, classes="even")
    for classes in ({}, {1: 0}, {1: -1, 2: 3}):
        with pytest.raises(ValueError, match="classes have to be 0 or more"):
            gp.WeightedLocation(MAP, classes=classes)
