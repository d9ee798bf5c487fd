"""Segments within a pipeline."""

import numpy as np
import pytest

import voxflow as gp
from tests.segmentation.volumes import NEIGHBORHOODS, cells
from voxflow.segmentation import MutexWatershed, Segment, segment
from voxflow.testing import check_node

AFFINITIES, MASK, SEGMENTS = map(gp.ArrayKey, ("AFFINITIES", "MASK", "SEGMENTS"))
NEIGHBORHOOD = NEIGHBORHOODS[2]
WHOLE = gp.Roi((0, 0), (120, 120))


KIND = gp.Affinities(NEIGHBORHOOD)


def source(data, key=AFFINITIES, kind=KIND):
    return gp.ArraySource(key, data, spec=gp.ArraySpec(voxel_size=(4, 4), kind=kind))


def ask(pipeline, roi=WHOLE):
    with gp.build(pipeline) as built:
        return built.request_batch(gp.BatchRequest({SEGMENTS: roi}))[SEGMENTS]


def test_a_batch_is_segmented_by_itself():
    _, affinities = cells((30, 30), NEIGHBORHOOD)
    mask = np.random.default_rng(0).random((30, 30)) < 0.9
    method = MutexWatershed(bias=0.6)
    pipeline = (
        (source(affinities), source(mask.astype(np.uint8), MASK, None))
        + gp.MergeProvider()
        + Segment(AFFINITIES, SEGMENTS, method, mask=MASK, min_size=3)
    )
    found = ask(pipeline)
    whole = segment(affinities, method, neighborhood=NEIGHBORHOOD, mask=mask, min_size=3)
    assert (found.data == whole).all()
    assert found.spec.kind is None
    assert not found.spec.interpolatable
    part = ask(pipeline, gp.Roi((8, 0), (60, 80)))
    cut = (slice(2, 17), slice(0, 20))
    inside = np.ascontiguousarray(affinities[(slice(None), *cut)])
    there = segment(inside, method, neighborhood=NEIGHBORHOOD, mask=mask[cut], min_size=3)
    assert (part.data == there).all()


def test_it_keeps_what_all_nodes_promise():
    def make(world):
        zeros = (0,) * (world.ndim - 1)
        steps = [(-1, *zeros), (*zeros, 1)]
        return gp.AddAffinities(steps, world.labels, AFFINITIES, dtype=np.float32) + Segment(
            AFFINITIES, world.new
        )

    check_node(make, axes=("yx", "zyx"), examples=2)


def test_bad_pipelines_are_refused_before_they_run():
    _, affinities = cells((30, 30), NEIGHBORHOOD)
    with pytest.raises(gp.PipelineSetupError, match="which voxels its channels compare"):
        ask(source(affinities, kind=None) + Segment(AFFINITIES, SEGMENTS))
    with pytest.raises(gp.PipelineSetupError, match="have 3 entries"):
        ask(source(affinities, kind=gp.Affinities([[-1, 0, 0]])) + Segment(AFFINITIES, SEGMENTS))
    coarse = gp.ArraySource(MASK, np.ones((15, 15)), spec=gp.ArraySpec(voxel_size=(8, 8)))
    with pytest.raises(gp.PipelineSetupError, match="needs a mask for each voxel"):
        ask(
            (source(affinities), coarse)
            + gp.MergeProvider()
            + Segment(AFFINITIES, SEGMENTS, mask=MASK)
        )
