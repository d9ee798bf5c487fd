import numpy as np
import pytest

import voxflow as gp
from tests.helpers import source

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


def code(places):
    """A label for each place that names it."""
    return (places * (1, 1000, 10**6)[: places.shape[-1]]).sum(-1).astype(np.uint64)


def pair(image, labels, voxel, offset=None):
    """An image, and labels that are the middle of it."""
    places = np.stack(np.indices(image), -1)
    cut = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(image, labels, strict=True))
    raw, lab = code(places).astype(np.float64), code(places)[cut]
    return (
        source(RAW, raw, voxel, offset),
        source(LABELS, lab, voxel),
    ) + gp.MergeProvider()


@pytest.mark.parametrize(
    ("image", "labels", "shift"),
    [(7, 5, 1), (350, 150, 100), (250, 150, 50), (6, 6, 0), (5, 9, -2)],
)
def test_golden_numbers_of_registration(image, labels, shift):
    inputs = (source(RAW, np.zeros(image), (1,)), source(LABELS, np.zeros(labels), (1,)))
    with gp.build(inputs + gp.MergeProvider() + gp.AlignCenter(LABELS, RAW)) as built:
        assert built.spec[LABELS].roi == gp.Roi((shift,), (labels,))
        assert built.spec[RAW].roi == gp.Roi((0,), (image,))


@pytest.mark.parametrize(
    ("image", "labels", "voxel", "offset"),
    [
        ((7, 9), (5, 3), (1, 1), None),
        ((7, 12, 9), (5, 6, 9), (9.8, 4, 4), None),
        ((9, 12, 11), (5, 6, 9), (40, 4.6, 4), (-400, 9.2, 4)),
    ],
)
def test_a_thousand_random_batches_lie_on_each_other(image, labels, voxel, offset):
    pipeline = pair(image, labels, voxel, offset) + gp.AlignCenter(LABELS, RAW)
    request = gp.BatchRequest()
    size = gp.Coordinate(voxel)
    request.add(RAW, size * gp.Coordinate((4,) * len(voxel)))
    request.add(LABELS, size * gp.Coordinate((2,) * len(voxel)))
    with gp.build(pipeline + gp.RandomLocation(), seed=1) as built:
        for _ in range(1000):
            batch = built.request_batch(request)
            middle = batch[RAW].data[(slice(1, 3),) * len(voxel)]
            np.testing.assert_array_equal(batch[LABELS].data, middle.astype(np.uint64))
            assert batch[LABELS].spec.roi == request[LABELS].roi


def test_an_image_of_coarser_voxels():
    inputs = (source(RAW, np.zeros(5), (3,)), source(LABELS, np.zeros(9), (1,)))
    with gp.build(inputs + gp.MergeProvider() + gp.AlignCenter(LABELS, RAW)) as built:
        assert built.spec[LABELS].roi == gp.Roi((3,), (9,))


def test_refuses_odd_differences_and_names_the_axis_and_the_sizes():
    inputs = (source(RAW, np.zeros((7, 9)), (4, 2)), source(LABELS, np.zeros((5, 4)), (4, 2)))
    with (
        pytest.raises(
            gp.PipelineSetupError,
            match="axis 1: RAW has 9 voxels, LABELS has 4 voxels, which differ by 5",
        ) as error,
        gp.build(inputs + gp.MergeProvider() + gp.AlignCenter(LABELS, RAW)),
    ):
        pass
    assert "axis 0" not in str(error.value)


def test_refuses_what_has_no_centre():
    inputs = (source(RAW, np.zeros(7), (1,)), source(LABELS, np.zeros(5), (1,)))
    with (
        pytest.raises(gp.PipelineSetupError, match="RAW has no bounded region"),
        gp.build(inputs + gp.MergeProvider() + gp.Pad(RAW, None) + gp.AlignCenter(LABELS, RAW)),
    ):
        pass
    flat = (source(RAW, np.zeros((7, 7)), (1, 1)), source(LABELS, np.zeros(5), (1,)))
    with (
        pytest.raises(gp.PipelineSetupError, match="LABELS has 1 axes, RAW has 2"),
        gp.build(flat + gp.MergeProvider() + gp.AlignCenter(LABELS, RAW)),
    ):
        pass
    with pytest.raises(TypeError, match="takes two ArrayKeys, got 'RAW'"):
        gp.AlignCenter(LABELS, "RAW")


def test_a_placeholder_lies_elsewhere_upstream_too():
    pipeline = pair((9, 7), (3, 3), (2, 5)) + gp.AlignCenter(LABELS, RAW)
    with gp.build(pipeline):
        image, labels = pipeline.spec[RAW].roi, pipeline.spec[LABELS].roi
        placeholder = gp.ArraySpec(labels, placeholder=True)
        batch = pipeline.request_batch(gp.BatchRequest({RAW: image, LABELS: placeholder}))
    assert [key for key, _ in batch.items()] == [RAW]
