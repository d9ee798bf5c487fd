"""Symmetries of Predict: answers to turned inputs, put straight and merged."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.torch.nets import OUT, RAW
from voxflow.ops.actions import act
from voxflow.ops.affinities import affinities
from voxflow.ops.symmetries import Symmetry, symmetries
from voxflow.torch import Predict

NEAREST = {2: [[-1, 0], [0, -1]], 3: [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]}
FAR = {n: [*offsets, *(np.array(offsets) * 3).tolist()] for n, offsets in NEAREST.items()}
BOTH_WAYS = [[0, -2], [-2, 0], [0, 2], [2, 0], [1, 1], [1, -1]]


class Net(torch.nn.Module):
    """A valid network without any symmetry, of images without channels."""

    def __init__(self, ndim, channels=None):
        super().__init__()
        torch.manual_seed(ndim)
        kind = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
        self.channels = channels
        self.net = torch.nn.Sequential(kind(1, 5, 3), torch.nn.Tanh(), kind(5, channels or 1, 3))

    def forward(self, x):
        made = self.net(x[None, None])[0]
        return made if self.channels else made[0]


class Same(torch.nn.Module):
    """Affinities of labels, where they can be told."""

    def __init__(self, offsets, reach):
        super().__init__()
        self.offsets, self.reach = offsets, reach

    def forward(self, labels):
        def shifted(offset):
            for axis, (step, around) in enumerate(zip(offset, self.reach, strict=True)):
                size = labels.shape[axis] - 2 * around
                yield slice(around + step, around + step + size)

        here = labels[tuple(shifted([0] * len(self.reach)))]
        there = [labels[tuple(shifted(offset))] for offset in self.offsets]
        return torch.stack([((here == t) & (here > 0)).float() for t in there])


def image(shape, size=None, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.random(shape) if dtype == np.float32 else rng.integers(0, 3, shape)
    size = gp.Coordinate((1,) * len(shape) if size is None else size)
    spec = gp.ArraySpec(gp.Roi((0,) * len(shape), size * gp.Coordinate(shape)), size)
    return gp.Array(data.astype(dtype), spec)


def predicted(array, model, context, part=None, kind=None, **options):
    specs = {OUT: gp.ArraySpec(kind=kind)}
    options = {"device": "cpu", "context": context, "array_specs": specs, **options}
    predict = Predict(model, {0: RAW}, {0: OUT}, **options)
    with gp.build(gp.ArraySource(RAW, array) + predict) as built:
        roi = built.spec[OUT].roi if part is None else part
        return built.request_batch(gp.BatchRequest({OUT: roi}))[OUT]


def truth(labels, offsets, where):
    """The affinities of labels in a part of them."""
    below = [max(0, -low) for low in np.min(offsets, axis=0)]
    inside = [slice(w.start - b, w.stop - b) for w, b in zip(where, below, strict=True)]
    return affinities(labels, offsets)[(slice(None), *inside)]


@pytest.mark.parametrize("shape", [(12, 9), (8, 9, 7)])
@pytest.mark.parametrize("merge", ["mean", "max"])
def test_a_model_that_is_turned_with_its_input_says_the_same(shape, merge):
    class Even(torch.nn.Module):
        def forward(self, x):
            pool = torch.nn.functional.max_pool2d if x.ndim == 2 else torch.nn.functional.max_pool3d
            return pool(x[None, None], 3, 1)[0, 0] ** 2

    array, ndim = image(shape), len(shape)
    plain = predicted(array, Even(), (1,) * ndim)
    turned = predicted(array, Even(), (1,) * ndim, symmetries=symmetries(ndim), merge=merge)
    np.testing.assert_array_equal(turned.data, plain.data)
    assert turned.spec.roi == plain.spec.roi
    assert turned.data.dtype == np.float32


@pytest.mark.parametrize("shape", [(12, 9), (8, 9, 7)])
@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize(("merge", "blocks_per_pass"), [("mean", 1), ("max", 1)])
def test_the_answer_to_a_turned_input_is_the_turned_answer(shape, channels, merge, blocks_per_pass):
    ndim, array = len(shape), image(shape)
    options = {"context": (2,) * ndim, "merge": merge, "symmetries": list(symmetries(ndim))}
    net = Net(ndim, channels)
    straight = predicted(array, net, **options).data
    one = predicted(array, net, (2,) * ndim).data
    assert not np.allclose(one, straight, atol=1e-2)
    for symmetry in list(symmetries(ndim))[:: 1 if ndim == 2 else 5]:
        data = np.ascontiguousarray(symmetry.move(array.data))
        turned = gp.Array(data, gp.ArraySpec(gp.Roi((0,) * ndim, data.shape), (1,) * ndim))
        np.testing.assert_array_equal(
            predicted(turned, net, **options).data, symmetry.move(straight)
        )


def test_the_mean_and_the_greatest_of_all_answers():
    array, net = image((9, 8)), Net(2)
    answers = []
    with torch.no_grad():
        for symmetry in symmetries(2):
            data = np.ascontiguousarray(symmetry.move(array.data))
            answers.append(symmetry.inverse.move(net(torch.from_numpy(data)).numpy()))
    mean = predicted(array, net, (2, 2), symmetries=symmetries(2)).data
    np.testing.assert_allclose(mean, np.mean(answers, axis=0), rtol=1e-5)
    most = predicted(array, net, (2, 2), symmetries=symmetries(2), merge="max").data
    np.testing.assert_array_equal(most, np.max(answers, axis=0))


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from([(2, NEAREST[2]), (2, FAR[2]), (2, BOTH_WAYS), (3, NEAREST[3]), (3, FAR[3])]),
    st.sampled_from(["mean", "max"]),
    st.integers(0, 9),
)
def test_affinities_are_those_of_the_labels(neighborhood, merge, seed):
    ndim, offsets = neighborhood
    reach = tuple(np.abs(offsets).max(axis=0).tolist())
    size = gp.Coordinate((9.8,) * ndim)
    array = image((15, 16, 14)[:ndim], size, np.uint64, seed)
    kind = gp.Affinities(offsets)
    options = {"kind": kind, "symmetries": list(symmetries(ndim)), "merge": merge}
    model, context = Same(offsets, reach), gp.Coordinate(reach) * size
    predict = Predict(
        model, {0: RAW}, {0: OUT}, {OUT: gp.ArraySpec(kind=kind)}, device="cpu", context=context,
        symmetries=symmetries(ndim),
    )  # fmt: skip
    found = predicted(array, model, context, **options)
    with gp.build(gp.ArraySource(RAW, array) + predict) as built:
        assert predict.reach == array.spec.roi.shape / 2 - built.spec[OUT].roi.shape / 2
    inside = (found.spec.roi / size).to_slices()
    np.testing.assert_array_equal(found.data, truth(array.data, offsets, inside))
    part = found.spec.roi.grow(-size, gp.Coordinate((0,) * ndim))
    some = predicted(array, model, context, part, **options)
    np.testing.assert_array_equal(some.data, found.crop(part).data)


def test_affinities_reach_further_only_where_others_are_read():
    offsets, size = [[-3, 0], [0, -1]], gp.Coordinate((4, 9.8))
    mirrors = list(symmetries(2, transpose_only=[]))
    array = image((20, 20), size, np.uint64)
    for some, margin in ((mirrors, (12, 9.8)), (mirrors[:1], (0, 0)), (mirrors[:2], (0, 9.8))):
        context = size * gp.Coordinate((3, 1))
        predict = Predict(
            Same(offsets, (3, 1)), {0: RAW}, {0: OUT},
            {OUT: gp.ArraySpec(kind=gp.Affinities(offsets))}, device="cpu", context=context,
            symmetries=some,
        )  # fmt: skip
        with gp.build(gp.ArraySource(RAW, array) + predict) as built:
            assert predict.reach == context + gp.Coordinate(margin)
            assert built.spec[OUT].roi == array.spec.roi.grow(-predict.reach, -predict.reach)


@pytest.mark.parametrize("units", ["world", "voxels"])
def test_vectors_are_turned_back(units):
    class Gradient(torch.nn.Module):
        def forward(self, x):
            rows = x[2:, 1:-1] - x[:-2, 1:-1]
            columns = x[1:-1, 2:] - x[1:-1, :-2]
            return torch.stack([rows, columns])

    array, kind = image((9, 7)), gp.Vectors(units)
    plain = predicted(array, Gradient(), (1, 1), kind=kind)
    turned = predicted(array, Gradient(), (1, 1), kind=kind, symmetries=symmetries(2))
    np.testing.assert_array_equal(turned.data, plain.data)


def test_several_outputs_are_turned_each_in_its_way():
    other = gp.ArrayKey("OTHER")

    class Two(torch.nn.Module):
        def forward(self, labels):
            return Same(FAR[2], (3, 3))(labels), labels[3:-3, 3:-3].float()

    array = image((16, 17), None, np.uint64)
    specs = {OUT: gp.ArraySpec(kind=gp.Affinities(FAR[2]))}
    predict = Predict(
        Two(), {0: RAW}, {0: OUT, 1: other}, specs, device="cpu", context=(3, 3),
        symmetries=symmetries(2),
    )  # fmt: skip
    with gp.build(gp.ArraySource(RAW, array) + predict) as built:
        roi = built.spec[OUT].roi
        assert built.spec[other].roi == roi == gp.Roi((6, 6), (4, 5))
        batch = built.request_batch(gp.BatchRequest({OUT: roi, other: roi}))
    inside = roi.to_slices()
    np.testing.assert_array_equal(batch[OUT].data, truth(array.data, FAR[2], inside))
    np.testing.assert_array_equal(batch[other].data, array.data[inside])


@pytest.mark.parametrize("blocks_per_pass", [3, 8])
def test_turned_blocks_share_passes(blocks_per_pass):
    sizes = []

    class Batched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = torch.nn.Conv2d(1, 2, 3)

        def forward(self, x):
            sizes.append(len(x))
            return self.net(x)

    data = np.random.default_rng(0).random((1, 1, 9, 9), np.float32)
    array = gp.Array(data, gp.ArraySpec(gp.Roi((0, 0), (9, 9)), (1, 1)))
    options = {"symmetries": list(symmetries(2))}
    expected = predicted(array, Batched(), (1, 1), **options).data
    sizes.clear()
    found = predicted(array, Batched(), (1, 1), blocks_per_pass=blocks_per_pass, **options).data
    assert sizes == [blocks_per_pass] * -(-8 // blocks_per_pass)
    np.testing.assert_allclose(found, expected, atol=1e-6)


# -- what cannot be ---------------------------------------------------------------------------


def refused(text, array=None, model=None, context=(2, 2), **options):
    array = image((12, 12)) if array is None else array
    with pytest.raises(gp.PipelineSetupError, match=text):
        predicted(array, model or Net(2), context, **options)


def test_axes_that_differ_do_not_change_places():
    anisotropic = image((12, 12), (4, 9.8))
    refused(
        r"voxel size of input 0 is \(4, 9.8\), .*transpose_only", anisotropic, context=(0, 0),
        symmetries=symmetries(2),
    )  # fmt: skip
    refused(r"context is \(2, 1\), so axes", context=(2, 1), symmetries=symmetries(2))
    some = symmetries(2, transpose_only=[])
    found = predicted(anisotropic, Net(2), (8, 19.6), symmetries=some)
    assert found.data.shape == (8, 8)


def test_kinds_that_cannot_be_put_straight_are_refused():
    lonely = gp.Affinities([[0, -2]])
    refused(r"output 0: affinities .*\(-2, 0\)", kind=lonely, symmetries=symmetries(2))
    refused("take merge='mean'", kind=gp.Vectors(), symmetries=symmetries(2), merge="max")
    refused("is of 3 axes, the context of 2", symmetries=symmetries(3))
    refused("symmetries is empty", symmetries=[])


def test_integers_have_no_mean():
    class Classes(torch.nn.Module):
        def forward(self, x):
            return (x > 0.5).to(torch.uint8)

    array = image((6, 6))
    with pytest.raises(TypeError, match="uint8, which has no mean.*merge='max'"):
        predicted(array, Classes(), (0, 0), symmetries=symmetries(2))
    found = predicted(array, Classes(), (0, 0), symmetries=symmetries(2), merge="max").data
    np.testing.assert_array_equal(found, array.data > 0.5)


def test_a_model_that_makes_other_sizes_along_other_axes_is_told():
    class Narrow(torch.nn.Module):
        def forward(self, x):
            return x[1:-1, 2:-2]

    quarter = [Symmetry((False, False)), Symmetry((False, False), (1, 0))]
    with pytest.raises(ValueError, match=r"output 0 of a turned block has the shape"):
        predicted(image((9, 9)), Narrow(), (1, 1), symmetries=quarter)


def test_it_is_what_the_table_of_actions_says():
    offsets = FAR[2]
    array, net = image((12, 11)), Net(2, len(offsets))
    kind = gp.Affinities(offsets)
    found = predicted(array, net, (2, 2), kind=kind, symmetries=symmetries(2))
    answers = []
    with torch.no_grad():
        for symmetry in symmetries(2):
            data = np.ascontiguousarray(symmetry.move(array.data))
            answer = net(torch.from_numpy(data)).numpy()
            answers.append(act(symmetry.inverse, answer, kind, fill=np.nan))
    assert found.data.shape == (4, 2, 1)
    mean = np.mean(answers, axis=0)[:, 3:-3, 3:-3]
    np.testing.assert_allclose(found.data, mean, rtol=1e-5)
