import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, asking, ramp, served, source, specs

RAW, POINTS = gp.ArrayKey("RAW"), gp.GraphKey("points")
ROI = gp.Roi((0, 9.8), (100, 98))
SIZE = (5, 9.8)


def volume():
    return source(RAW, ramp(ROI, SIZE), SIZE, ROI.offset)


def test_offers_the_region_and_changes_nothing():
    left = gp.Roi((10, 19.6), (50, 49))
    pipeline = volume() + gp.Crop(RAW, left)
    with specs(pipeline) as spec:
        assert spec[RAW].roi == left
    batch = served(pipeline, asking(RAW=left))
    np.testing.assert_allclose(batch[RAW].data, ramp(left, SIZE))


def test_a_request_outside_is_refused():
    with pytest.raises(gp.PipelineRequestError, match=r"axis 0 misses 10 .*= 2 voxels"):
        served(volume() + gp.Crop(RAW, gp.Roi((10, 9.8), (50, 49))), asking(RAW=ROI))


@pytest.mark.parametrize(
    ("fractions", "left"),
    [
        # 20 voxels of 5 and 10 of 9.8, cut at whole voxels
        ({"fraction_negative": (0.3, 0.1)}, gp.Roi((30, 19.6), (70, 88.2))),
        ({"fraction_positive": (0.29, 0.15)}, gp.Roi((0, 9.8), (75, 88.2))),
        (
            {"fraction_negative": (0.05, 0), "fraction_positive": (0.9, 0.7)},
            gp.Roi((5, 9.8), (5, 29.4)),
        ),
    ],
)
def test_fractions_are_cut_off_at_whole_voxels(fractions, left):
    with specs(volume() + gp.Crop(RAW, **fractions)) as spec:
        assert spec[RAW].roi == left


def test_fractions_are_exact():
    # 0.29 * 100 is 28.999... in floating point
    pipeline = source(RAW, np.zeros(100), (1,)) + gp.Crop(RAW, fraction_negative=[0.29])
    with specs(pipeline) as spec:
        assert spec[RAW].roi == gp.Roi((29,), (71,))


def test_crops_graphs():
    graph = GraphSource(POINTS, {1: (5, 5), 2: (50, 50)}, gp.Roi((0, 0), (99, 99)))
    pipeline = graph + gp.Crop(POINTS, fraction_negative=(0.25, 0.25))
    with specs(pipeline) as spec:
        assert spec[POINTS].roi == gp.Roi((24, 24), (75, 75))
    batch = served(pipeline, asking(points=((24, 24), (40, 40))))
    assert [node.id for node in batch[POINTS].nodes] == [2]


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({}, "got neither"),
        ({"roi": ROI, "fraction_negative": (0, 0)}, "got both"),
        ({"fraction_negative": (0.5,), "fraction_positive": (0.5,)}, "leave something"),
        ({"fraction_negative": (-0.1,)}, "0 or more"),
        ({"fraction_negative": (0.1,), "fraction_positive": (0.1, 0.1)}, "for each axis"),
    ],
)
def test_arguments_are_checked_at_once(kwargs, text):
    with pytest.raises(ValueError, match=text):
        gp.Crop(RAW, **kwargs)


@pytest.mark.parametrize(
    ("crop", "text"),
    [
        (gp.Crop(RAW, gp.Roi((0, 0), (50, 49))), "not inside of"),
        (gp.Crop(RAW, gp.Roi((0,), (50,))), "RAW, which has 2 axes"),
        (gp.Crop(RAW, gp.Roi((0, 9.8), (0, 49))), "not inside of"),
        (gp.Crop(RAW, gp.Roi((1, 9.8), (50, 49))), "is not on the voxel grid"),
        (gp.Crop(RAW, fraction_negative=(0.1,)), "2 axes; give one for each"),
        (gp.Crop(POINTS, ROI), "no spec for points"),
    ],
)
def test_what_does_not_fit_is_said_at_setup(crop, text):
    with pytest.raises(gp.PipelineSetupError, match=text), gp.build(volume() + crop):
        pass


def test_an_unbounded_region_has_no_fraction():
    pipeline = volume() + gp.Pad(RAW, None) + gp.Crop(RAW, fraction_negative=(0.1, 0.1))
    with pytest.raises(gp.PipelineSetupError, match=r"unbounded.*roi="), gp.build(pipeline):
        pass


def test_bounds_an_unbounded_region():
    pipeline = volume() + gp.Pad(RAW, None) + gp.Crop(RAW, gp.Roi((-50, 0), (500, 98)))
    batch = served(pipeline, asking(RAW=((-50, 0), (10, 9.8))))
    assert not batch[RAW].data.any()
