import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source, specs

LABELS, BOUNDARY = gp.ArrayKey("LABELS"), gp.ArrayKey("BOUNDARY")
TWO = np.array([1, 1, 1, 1, 2, 2, 2, 2])
APART = np.array([5, 5, 5, 5, 0, 0, 0, 0, 7, 7, 7, 9])


def boundary(labels, *args, size=None, **kwargs):
    size = gp.Coordinate(size or (1,) * labels.ndim)
    roi = gp.Roi((0,) * len(size), gp.Coordinate(labels.shape) * size)
    asked = gp.BatchRequest({BOUNDARY: roi})
    node = gp.LabelsToBoundary(LABELS, BOUNDARY, *args, **kwargs)
    return served(source(LABELS, labels, size) + node, asked)[BOUNDARY].data


@pytest.mark.parametrize(("thickness", "wide"), [(1, 2), (2, 4), (3, 6)])
def test_so_many_voxels_on_each_side(thickness, wide):
    data = boundary(TWO, thickness)
    assert data.dtype == np.uint8
    assert data.tolist() == [0] * (4 - wide // 2) + [1] * wide + [0] * (4 - wide // 2)


def test_edges_at_the_border_of_the_volume_are_there():
    labels = np.zeros((4, 4), int)
    labels[0, 0] = labels[3, 3] = 1
    wanted = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]
    assert boundary(labels).tolist() == wanted


@pytest.mark.parametrize(
    ("background", "touching_only", "wanted"),
    [
        ("object", False, [0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 1]),
        ("boundary", False, [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1]),
        ("class", False, [0, 0, 0, 1, 2, 2, 2, 2, 1, 0, 1, 1]),
        ("object", True, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
        ("boundary", True, [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1]),
        ("class", True, [0, 0, 0, 0, 2, 2, 2, 2, 0, 0, 1, 1]),
    ],
)
def test_what_background_is(background, touching_only, wanted):
    got = boundary(APART, background=background, touching_only=touching_only)
    assert got.tolist() == wanted


def test_background_has_any_value():
    labels = np.array([5, 5, 2**64 - 1, 2**64 - 1, 0], np.uint64)
    got = boundary(labels, background="class", background_value=2**64 - 1)
    assert got.tolist() == [0, 1, 2, 2, 1]


def test_sections_by_themselves():
    labels = np.stack([np.full((4, 4), 3), np.full((4, 4), 5)])
    labels[:, :, 2:] = 7
    assert boundary(labels).all(axis=(0, 1)).tolist() == [True, True, True, False]
    wanted = np.zeros((2, 4, 4))
    wanted[:, :, 1:3] = 1
    np.testing.assert_array_equal(boundary(labels, axes=(-2, -1)), wanted)


def test_what_is_offered_and_asked_for():
    seen = []

    class Spy(gp.BatchFilter):
        def process(self, batch, request):
            seen.append(batch[LABELS].spec.roi)

    pipeline = source(LABELS, np.zeros((9, 9, 9), int), (40, 4, 4))
    pipeline = pipeline + Spy() + gp.LabelsToBoundary(LABELS, BOUNDARY, 2, axes=(1, 2))
    with specs(pipeline) as spec:
        assert spec[BOUNDARY].roi == spec[LABELS].roi
        assert spec[BOUNDARY].interpolatable is False
        roi = gp.Roi((40, 4, 12), (80, 8, 8))
        pipeline.request_batch(gp.BatchRequest({BOUNDARY: roi}))
    assert seen == [gp.Roi((40, 0, 4), (80, 20, 24))]


def test_mistakes():
    for thickness in (0, 256):
        with pytest.raises(ValueError, match=rf"1 \.\.\. 255 voxels on each side, got {thickness}"):
            gp.LabelsToBoundary(LABELS, BOUNDARY, thickness)
    with pytest.raises(ValueError, match="got 'none'"):
        gp.LabelsToBoundary(LABELS, BOUNDARY, background="none")
    with pytest.raises(gp.PipelineSetupError, match=r"axes \(0, 2\), but LABELS has 2 spatial"):
        boundary(np.zeros((2, 2), int), axes=(0, 2))


def test_half_a_voxel_is_no_thickness():
    with pytest.raises(TypeError, match="float"):
        gp.LabelsToBoundary(LABELS, BOUNDARY, 1.5)
