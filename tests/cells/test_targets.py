"""Targets of cells are those of the common nodes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as vf
from voxflow.cells.targets import Targets

LABELS, CLASSES, MASK = vf.ArrayKey("LABELS"), vf.ArrayKey("CLASSES"), vf.ArrayKey("MASK")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31), st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from(["u1", "u2", "i4", "u8", "?"]), st.booleans(), st.data(),
)  # fmt: skip
def test_as_the_common_nodes_make_them(seed, shape, dtype, ignored, data):
    labels = np.random.default_rng(seed).integers(0, 4, shape).astype(dtype)
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    extent = [data.draw(st.integers(1, n - b)) for n, b in zip(shape, begin, strict=True)]
    request = vf.BatchRequest({CLASSES: vf.Roi(begin, extent)})
    common = vf.LabelsToClasses(LABELS, CLASSES) + vf.AsType(CLASSES, np.int64)
    if ignored:
        request[MASK] = vf.ArraySpec(roi=vf.Roi((0, 0), shape))
        common = vf.HandleBlobs(LABELS, "remove") + common
        common = vf.HandleBlobs(LABELS, "ignore", mask=MASK) + common
    found = []
    for node in (Targets(LABELS, CLASSES, MASK if ignored else None), common):
        source = vf.ArraySource(LABELS, labels, spec=vf.ArraySpec(voxel_size=(1, 1)))
        with vf.build(source + node) as pipeline:
            found.append(pipeline.request_batch(request))
    for key in request:
        one, other = (batch[key].data for batch in found)
        np.testing.assert_array_equal(one, other, strict=True)


def test_refuses_labels_that_are_no_integers():
    source = vf.ArraySource(LABELS, np.ones((2, 2)), spec=vf.ArraySpec(voxel_size=(1, 1)))
    with (
        pytest.raises(vf.PipelineSetupError, match="LABELS is float64"),
        vf.build(source + Targets(LABELS, CLASSES)),
    ):
        pass


def test_is_made_in_any_layout():
    labels = np.array([[2, 2, 3], [0, 1, 3]], np.uint8)
    source = vf.ArraySource(LABELS, labels, spec=vf.ArraySpec(voxel_size=(1, 1)))
    target = Targets(LABELS, CLASSES)
    with vf.build(source + target) as pipeline:
        request = vf.BatchRequest({CLASSES: vf.Roi((0, 0), (2, 3)), LABELS: vf.Roi((0, 0), (2, 3))})
        whole = pipeline.request_batch(request)
        deferred = target.process(whole, request)[CLASSES]
        out = np.empty((3, 2), np.int64).T
        deferred.write_to(out)
    np.testing.assert_array_equal(out, whole[CLASSES].data)
