import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import voxflow as gp
from tests.helpers import source, specs

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
SIZE = gp.Coordinate(4, 9.8)
NUMPY = {"pad": "constant", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3)


def all_of(pipeline, key=RAW):
    with gp.build(pipeline, seed=1):
        return pipeline.request_batch(gp.BatchRequest({key: pipeline.spec[key].roi}))[key]


def image(shape, lead=(), interpolatable=True, seed=0, dims=None):
    data = np.random.default_rng(seed).random((*lead, *shape)).astype(np.float32)
    size = [SIZE[i % 2] for i in range(len(shape))]
    return data, source(RAW, data, size, interpolatable=interpolatable)


@given(
    shape=SHAPES, more=st.integers(0, 20), channels=st.booleans(), mode=st.sampled_from([*NUMPY])
)
@settings(max_examples=60, deadline=None)
def test_is_padded_as_numpy_does_and_back_exactly(shape, more, channels, mode):
    data, line = image(shape, (2,) if channels else ())
    wanted = [max(shape) + more] * len(shape)
    widths = [(0, 0)] * channels + [
        ((w - n) // 2, w - n - (w - n) // 2) for w, n in zip(wanted, shape, strict=True)
    ]
    fit = gp.FitToSize(RAW, wanted[0], mode)
    made = all_of(line + fit)
    np.testing.assert_array_equal(made.data, np.pad(data, widths, NUMPY[mode]))
    fit = gp.FitToSize(RAW, wanted[0], mode)
    back = all_of(line + fit + gp.FitBack(RAW, fit))
    np.testing.assert_array_equal(back.data, data)
    with specs(line) as spec:
        assert back.spec.roi == spec[RAW].roi


@given(shape=SHAPES, size=st.integers(1, 20), linear=st.booleans())
@settings(max_examples=60, deadline=None)
def test_resizing_keeps_region_and_shape(shape, size, linear):
    data, line = image(shape, (2,), linear)
    fit = gp.FitToSize(RAW, size, "resize")
    made = all_of(line + fit)
    assert made.data.shape == (2, *(size for _ in shape))
    assert made.spec.roi == gp.Roi(
        (0,) * len(shape), [n * SIZE[i % 2] for i, n in enumerate(shape)]
    )
    assert data.min() <= made.data.min() + 1e-6
    assert made.data.max() <= data.max() + 1e-6
    fit = gp.FitToSize(RAW, size, "resize")
    back = all_of(line + fit + gp.FitBack(RAW, fit))
    assert back.data.shape == data.shape
    if not linear and all(size >= n for n in shape):
        np.testing.assert_array_equal(back.data, data)


def test_resizing_keeps_a_ramp():
    ramp = np.arange(40.0)
    line = source(RAW, ramp, (3,), interpolatable=True)
    for size in (20, 50, 80):
        made = all_of(line + gp.FitToSize(RAW, size, "resize")).data
        places = (np.arange(size) + 0.5) * 40 / size - 0.5
        np.testing.assert_allclose(made[3:-3], places[3:-3], atol=1e-6)


def test_labels_stay_labels():
    ids = np.array([[2**64 - 1, 7], [2**63 + 1, 0]], np.uint64)
    fit = gp.FitToSize(LABELS, (5, 3), "resize")
    line = source(LABELS, ids, (1, 1), interpolatable=False)
    made = all_of(line + fit, LABELS).data
    assert made.dtype == np.uint64
    assert set(made.ravel().tolist()) == set(ids.ravel().tolist())
    fit = gp.FitToSize(LABELS, (5, 3), "resize")
    np.testing.assert_array_equal(all_of(line + fit + gp.FitBack(LABELS, fit), LABELS).data, ids)


@given(
    begin=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    shape=st.tuples(*[st.integers(1, 9)] * 2),
)
@settings(max_examples=30, deadline=None)
def test_a_part_is_that_part_of_the_whole(begin, shape):
    _, line = image((17, 12))
    for mode in ("symmetric", "border-mean", "resize"):
        pipeline = line + gp.FitToSize(RAW, 30, mode)
        with gp.build(pipeline, seed=1):
            spec = pipeline.spec[RAW]
            whole = pipeline.request_batch(gp.BatchRequest({RAW: spec.roi}))[RAW]
            roi = gp.Roi(
                spec.roi.begin + gp.Coordinate(begin) * spec.voxel_size,
                gp.Coordinate(shape) * spec.voxel_size,
            )
            part = pipeline.request_batch(gp.BatchRequest({RAW: roi}))[RAW].data
        np.testing.assert_array_equal(part, whole.crop(roi).data)


@pytest.fixture
def net():
    pytest.importorskip("torch")
    from voxflow.models.geometry import Geometry

    return Geometry(*(gp.Coordinate(n, n) for n in (22, 4, 4, 1)))


@pytest.mark.parametrize("mode", ["pad", "reflect", "symmetric", "edge", "border-mean"])
def test_27_voxels_are_padded_to_30(net, mode):
    for size in (net, lambda shape: net.valid_input_shape(shape, ">=")):
        assert all_of(image((27, 27))[1] + gp.FitToSize(RAW, size, mode)).data.shape == (30, 30)


def test_27_voxels_are_cropped_to_26_and_rejected(net):
    data, line = image((27, 27))
    fit = gp.FitToSize(RAW, net, "crop")
    np.testing.assert_array_equal(all_of(line + fit).data, data[:26, :26])
    fit = gp.FitToSize(RAW, net, "crop")
    back = all_of(line + fit + gp.FitBack(RAW, fit, value=-1)).data
    np.testing.assert_array_equal(back[:26, :26], data[:26, :26])
    assert (back[26] == -1).all()
    with pytest.raises(gp.PipelineSetupError, match=r"\(27, 27\) voxels, and mode='reject'"):
        all_of(line + gp.FitToSize(RAW, net, "reject"))
    assert all_of(image((26, 30))[1] + gp.FitToSize(RAW, net, "reject")).data.shape == (26, 30)


def test_the_mean_of_the_border():
    data, line = image((5, 6), (2,))
    border = np.ones((5, 6), bool)
    border[1:-1, 1:-1] = False
    made = all_of(line + gp.FitToSize(RAW, 9, "border-mean")).data
    np.testing.assert_allclose(made[:, 0, 0], data[:, border].mean(1), rtol=1e-6)
    np.testing.assert_array_equal(made[:, 2:7, 1:7], data)


@pytest.mark.parametrize(
    ("size", "mode", "message"),
    [(3, "pad", "cannot make"), (9, "crop", "cannot make"), ((5, 5, 5), "pad", "for 2 axes")],
)
def test_sizes_that_cannot_be_had(size, mode, message):
    with pytest.raises(gp.PipelineSetupError, match=message):
        all_of(image((5, 6))[1] + gp.FitToSize(RAW, size, mode))


def test_mistakes():
    with pytest.raises(ValueError, match="mode has to be one of"):
        gp.FitToSize(RAW, 3, "mirror")
    with pytest.raises(ValueError, match="takes a FitToSize"):
        gp.FitBack(RAW, gp.Pad(RAW, 3))
    with pytest.raises(gp.PipelineSetupError, match="is not upstream"):
        all_of(image((5, 6))[1] + gp.FitBack(RAW, gp.FitToSize(RAW, 9)))


@pytest.mark.parametrize("back", [False, True])
def test_a_value_that_the_dtype_cannot_hold_is_an_error(back):
    line = source(RAW, np.ones((5, 6), np.uint8), (1, 1))
    fit = gp.FitToSize(RAW, 9, value=0 if back else 0.5)
    with pytest.raises(gp.PipelineSetupError, match=r"fill RAW with 0.5, which uint8 cannot"):
        all_of(line + fit + gp.FitBack(RAW, fit, value=0.5) if back else line + fit)


def test_labels_have_no_mean_at_the_border():
    with pytest.raises(gp.PipelineSetupError, match="RAW holds labels, which have no mean"):
        all_of(image((5, 6), interpolatable=False)[1] + gp.FitToSize(RAW, 9, "border-mean"))


LABELS = gp.ArrayKey("LABELS")


@pytest.mark.parametrize(("size", "mode"), [(9, "pad"), (3, "crop"), (7, "resize")])
@pytest.mark.parametrize("back", [False, True])
def test_a_placeholder_has_its_own_region_upstream(size, mode, back):
    inputs = (image((5, 6))[1], source(LABELS, np.ones((5, 6), np.uint8), SIZE))
    fit = gp.FitToSize(RAW, size, mode)
    pipeline = inputs + gp.MergeProvider() + fit
    if back:
        pipeline += gp.FitBack(RAW, fit)
    with gp.build(pipeline):
        placeholder = gp.ArraySpec(pipeline.spec[RAW].roi, placeholder=True)
        whole = pipeline.spec[LABELS].roi
        batch = pipeline.request_batch(gp.BatchRequest({RAW: placeholder, LABELS: whole}))
    assert [key for key, _ in batch.items()] == [LABELS]
