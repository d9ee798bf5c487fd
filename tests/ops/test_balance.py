import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.balance import balance


def plain(labels, masks=(), slab=None, num_classes=2, clipmin=0.05, clipmax=0.95):
    """The same with numpy, in float64."""
    scale = np.ones(labels.shape)
    for mask in masks:
        scale *= mask
    sizes = labels.shape if slab is None else slab
    sizes = [n if s == -1 else s for n, s in zip(labels.shape, sizes, strict=True)]
    starts = [range(0, n, s) for n, s in zip(labels.shape, sizes, strict=True)]
    for start in itertools.product(*starts):
        piece = tuple(slice(b, b + s) for b, s in zip(start, sizes, strict=True))
        factors = np.zeros(labels[piece].shape)
        for c in range(num_classes):
            here = labels[piece] == c
            count, total = np.count_nonzero(here & (scale[piece] > 0)), scale[piece].sum()
            if count:
                fraction = count / total
                if clipmin is not None:
                    fraction = max(fraction, clipmin)
                if clipmax is not None:
                    fraction = min(fraction, clipmax)
                factors[here] = 1 / (num_classes * fraction)
        scale[piece] *= factors
    return scale


def share(fraction, n=1000):
    labels = np.zeros(n, np.uint8)
    labels[: round(fraction * n)] = 1
    return labels


@pytest.mark.parametrize(
    ("fraction", "negative", "positive"),
    [(0.5, 1.0, 1.0), (0.1, 0.5556, 5.0), (0.02, 0.5263, 10.0)],
)
def test_golden_numbers(fraction, negative, positive):
    weights = balance(share(fraction))
    assert weights.dtype == np.float32
    assert weights[-1] == pytest.approx(negative, abs=1e-4)
    assert weights[0] == pytest.approx(positive, abs=1e-4)


def test_masked_voxels_weigh_and_count_nothing():
    labels = np.concatenate([share(0.1), np.ones(500, np.uint8)])
    mask = np.ones(1500, bool)
    mask[1000:] = False
    weights = balance(labels, mask)
    assert (weights[1000:] == 0).all()
    assert weights[0] == pytest.approx(5.0)


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    num_classes = draw(st.sampled_from([1, 2, 3, 4, 5, 9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["uint8", "int64", "uint64", "float32"]))
    labels = rng.integers(0, num_classes, shape).astype(dtype)
    masks = [
        rng.integers(0, 2, shape).astype(draw(st.sampled_from(["uint8", "bool", "float32"])))
        for _ in range(draw(st.integers(0, 2)))
    ]
    if masks and draw(st.booleans()):
        masks[0] = masks[0] * np.float32(0.3)
    slab = draw(st.none() | st.tuples(*[st.sampled_from([-1, 1, 2, 3, 9])] * len(shape)))
    clips = draw(st.sampled_from([(0.05, 0.95), (None, None), (0.3, None), (None, 0.4)]))
    return labels, masks, slab, num_classes, *clips


@settings(max_examples=150, deadline=None)
@given(cases())
def test_equals_numpy(case):
    np.testing.assert_allclose(balance(*case), plain(*case), rtol=2e-6)


@pytest.mark.parametrize("num_classes", [2, 9])
@pytest.mark.parametrize("masked", [False, True])
def test_large_arrays(num_classes, masked):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, (3, 50, 60, 7)).astype(np.uint16)
    masks = [rng.integers(0, 2, labels.shape)] if masked else []
    for slab in (None, (1, -1, -1, -1), (-1, 20, -1, 3)):
        expected = plain(labels, masks, slab, num_classes)
        np.testing.assert_allclose(balance(labels, masks, slab, num_classes), expected, rtol=2e-6)


def test_each_channel_by_itself():
    affinities = np.stack([share(0.5), share(0.1)])
    weights = balance(affinities, slab=(1, -1))
    assert weights[:, 0].tolist() == pytest.approx([1.0, 5.0])


def test_an_absent_class_takes_no_part():
    assert balance(np.zeros(10, int)).tolist() == pytest.approx([1 / (2 * 0.95)] * 10)
    assert balance(np.zeros(10, int), clipmax=None).tolist() == [0.5] * 10


def test_everything_masked():
    assert not balance(share(0.5), np.zeros(1000)).any()


def test_views_of_any_layout_and_bools():
    base = np.random.default_rng(1).integers(0, 2, (4, 5, 6)).astype(bool)
    for labels in (base.T, base[:, ::-1], base[1:, :, ::2], base.astype(">i4")):
        np.testing.assert_allclose(balance(labels), plain(labels), rtol=2e-6)


def test_inputs_are_left_alone():
    labels, mask = share(0.2), np.ones(1000, np.float32)
    labels.flags.writeable = mask.flags.writeable = False
    balance(labels, mask)
    assert (mask == 1).all()


def test_nothing_to_balance():
    assert balance(np.zeros((0, 3), int)).shape == (0, 3)
    assert balance(np.zeros((), int)) == pytest.approx(1 / 1.9)


@pytest.mark.parametrize(
    ("labels", "options", "text"),
    [
        ([0, 1, 2], {}, r"classes 0 to 1 \(num_classes=2\); found 2: raise num_classes"),
        ([0, -1, 1], {}, "found -1"),
        ([0.0, 0.5], {}, "found 0.5"),
        ([0, 1, 7], {"num_classes": 6}, "found 7"),
        ([0, 1, -1], {"num_classes": 6, "masks": np.zeros(3)}, "found -1"),
        ([0, 1, 2], {"masks": np.zeros(3)}, "found 2"),
        ([0, 1], {"masks": np.ones(3)}, r"a mask has shape \(3,\), the labels \(2,\)"),
        ([0, 1], {"slab": (1, 1)}, "an entry for each"),
        ([0, 1], {"slab": (0,)}, "1 or more, or -1"),
        ([0, 1], {"num_classes": 0}, "at least 1; got 0"),
        (["a"], {}, "class labels are numbers"),
    ],
)
def test_refused(labels, options, text):
    with pytest.raises(ValueError, match=text):
        balance(np.array(labels), **options)
