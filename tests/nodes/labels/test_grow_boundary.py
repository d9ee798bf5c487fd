import numpy as np
import pytest
from scipy import ndimage

import voxflow as gp
from tests.helpers import asking, served, source

LABELS, MASK = gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")


def slabs(z=3, y=12, x=4):
    """Two objects that touch in the middle of y."""
    labels = np.ones((z, y, x), np.uint64)
    labels[:, y // 2 :] = 2**63 + 1
    return labels


def grown(labels, size, request=None, **kwargs):
    request = request or asking(
        LABELS=((0,) * len(size), gp.Coordinate(labels.shape[-len(size) :]) * gp.Coordinate(size))
    )
    return served(source(LABELS, labels, size) + gp.GrowBoundary(LABELS, **kwargs), request)[
        LABELS
    ].data


def test_two_slabs_get_six_voxels_between_them():
    data = grown(slabs(), (40, 4, 4), steps=3, only_xy=True)
    assert data.dtype == np.uint64
    for z in range(3):
        for x in range(4):
            assert data[z, :, x].tolist() == [1] * 3 + [0] * 6 + [2**63 + 1] * 3


def test_equals_the_erosion_of_each_object():
    rng = np.random.default_rng(1)
    labels = ndimage.zoom(rng.integers(0, 4, (3, 4, 4)), 4, order=0)
    wanted = np.full(labels.shape, 9)
    for label in (0, 1, 2, 3):
        inside = ndimage.binary_erosion(labels == label, iterations=2, border_value=1)
        wanted[inside] = label
    np.testing.assert_array_equal(grown(labels, (1, 1, 1), steps=2, background=9), wanted)


def test_channels_do_not_touch_one_another():
    labels = np.stack([np.full((4, 4), 1), np.full((4, 4), 2)])
    np.testing.assert_array_equal(grown(labels, (1, 1)), labels)


def test_a_block_does_not_see_its_neighbours_unless_context_is_asked_for():
    request = asking(LABELS=((0, 8, 0), (120, 16, 16)))  # from y=2, the boundary is at y=6
    request_beside = asking(LABELS=((0, 24, 0), (120, 24, 16)))  # from y=6, begins at the boundary
    labels = slabs()
    kwargs = {"steps": 2, "only_xy": True}
    whole = grown(labels, (40, 4, 4), **kwargs)
    part = grown(labels, (40, 4, 4), request_beside, **kwargs)
    assert (part != whole[:, 6:]).any()
    for context_request, where in ((request_beside, slice(6, 12)), (request, slice(2, 6))):
        part = grown(labels, (40, 4, 4), context_request, context=True, **kwargs)
        np.testing.assert_array_equal(part, whole[:, where])


def test_context_is_asked_for_as_far_as_there_is_any():
    seen = []

    class Spy(gp.BatchFilter):
        def process(self, batch, request):
            seen.append(batch[LABELS].spec.roi)

    for only_xy in (True, False):
        pipeline = (
            source(LABELS, slabs(), (40, 4, 4))
            + Spy()
            + gp.GrowBoundary(LABELS, steps=3, only_xy=only_xy, context=True)
        )
        served(pipeline, asking(LABELS=((40, 4, 0), (40, 12, 8))))
    assert seen == [gp.Roi((40, 0, 0), (40, 28, 16)), gp.Roi((0, 0, 0), (120, 28, 16))]


def with_mask(mask, offset, roi, **kwargs):
    inputs = source(LABELS, slabs(1), (1, 1, 1)), source(MASK, mask, (1, 1, 1), offset)
    pipeline = inputs + gp.MergeProvider() + gp.GrowBoundary(LABELS, MASK, 2, **kwargs)
    return served(pipeline, asking(LABELS=roi))[LABELS].data


def test_unknown_voxels_take_no_boundary():
    mask = np.ones((1, 12, 4), np.uint8)
    mask[:, 6:] = 0
    whole = ((0, 0, 0), (1, 12, 4))
    np.testing.assert_array_equal(with_mask(mask, (0, 0, 0), whole), slabs(1))
    mask[:, 6:] = 1
    assert (
        with_mask(mask, (0, 0, 0), whole)[0, :, 0].tolist() == [1] * 4 + [0] * 4 + [2**63 + 1] * 4
    )


def test_a_smaller_mask_works_where_it_is():
    mask = np.ones((1, 12, 2), np.uint8)
    data = with_mask(mask, (0, 0, 2), ((0, 2, 1), (1, 8, 3)))
    np.testing.assert_array_equal(data[..., 0], slabs(1)[:, 2:10, 1])
    assert data[0, :, 1].tolist() == [1, 1, 0, 0, 0, 0, 2**63 + 1, 2**63 + 1]
    # nothing of the mask is in the region
    np.testing.assert_array_equal(
        with_mask(mask, (0, 0, 2), ((0, 2, 0), (1, 8, 2))), slabs(1)[:, 2:10, :2]
    )


def test_the_source_is_left_alone():
    labels = slabs()
    grown(labels, (1, 1, 1), steps=3)
    np.testing.assert_array_equal(labels, slabs())


@pytest.mark.parametrize("steps", [-1, 256])
def test_steps_are_checked_at_once(steps):
    with pytest.raises(ValueError, match=rf"steps has to lie in 0 \.\.\. 255, got {steps}"):
        gp.GrowBoundary(LABELS, steps=steps)


@pytest.mark.parametrize(
    ("grow", "text"),
    [
        (gp.GrowBoundary(LABELS, only_xy=True), "only_xy needs two axes, LABELS has one"),
        (gp.GrowBoundary(LABELS, MASK), r"which are of \(1,\), but those of MASK are of \(2,\)"),
        (gp.GrowBoundary(gp.ArrayKey("NO")), "no spec for NO"),
    ],
)
def test_what_does_not_fit_is_said_at_setup(grow, text):
    inputs = source(LABELS, np.ones(4, int), (1,)), source(MASK, np.ones(2, int), (2,))
    with (
        pytest.raises(gp.PipelineSetupError, match=text),
        gp.build(inputs + gp.MergeProvider() + grow),
    ):
        pass


def test_a_mask_needs_the_channels_of_the_labels():
    inputs = source(LABELS, np.ones((2, 4), int), (1,)), source(MASK, np.ones(4, int), (1,))
    pipeline = inputs + gp.MergeProvider() + gp.GrowBoundary(LABELS, MASK)
    with pytest.raises(ValueError, match=r"MASK has the shape \(4,\), LABELS has \(2, 4\)"):
        served(pipeline, asking(LABELS=((0,), (4,))))


def test_ids_are_integers():
    pipeline = source(LABELS, np.ones(4), (1,)) + gp.GrowBoundary(LABELS)
    with pytest.raises(gp.PipelineSetupError, match="LABELS is float64; put AsType"):
        served(pipeline, asking(LABELS=((0,), (4,))))
