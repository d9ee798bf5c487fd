"""Requests that do not fit what is offered, batches that do not fit what was asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from voxflow.pipeline.engine.checks import check_batch, request_problems
from voxflow.pipeline.engine.errors import BatchMismatch
from voxflow.testing.strategies import rois_on_grid, voxel_sizes

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")
OFFERED = gp.ProviderSpec(
    {
        RAW: gp.ArraySpec(gp.Roi((0, 0), (400, 98)), (40, 9.8), dtype="uint8"),
        LABELS: gp.ArraySpec(nonspatial=True),
        POINTS: gp.GraphSpec(gp.Roi((0, 0), (400, 98)), directed=False),
    }
)


def problems(specs, offered=OFFERED):
    return [str(p) for p in request_problems("Node", offered, gp.BatchRequest(specs))]


@pytest.mark.parametrize(
    "specs",
    [
        {},
        {RAW: gp.Roi((0, 0), (400, 98))},
        {RAW: gp.Roi((40, 9.8), (40, 9.8))},
        {RAW: gp.ArraySpec(gp.Roi((40, 9.8), (40, 9.8)), (40, 9.8))},
        {LABELS: gp.ArraySpec(nonspatial=True)},
        {POINTS: gp.Roi((1, 1), (3, 3))},
        {POINTS: gp.GraphSpec(gp.Roi((1, 1), (3, 3)), directed=False)},
    ],
)
def test_what_fits(specs):
    assert problems(specs) == []


@pytest.mark.parametrize(
    ("specs", "texts"),
    [
        (
            {gp.ArrayKey("RAWW"): gp.Roi((0, 0), (40, 98))},
            [
                "Node, RAWW: neither this node nor one before it provides it. There is: RAW, "
                "LABELS, POINTS. Did you mean RAW?"
            ],
        ),
        (
            {gp.ArrayKey("labels"): gp.Roi((0, 0), (40, 98))},
            [
                "Node, labels: neither this node nor one before it provides it. There is: RAW, "
                "LABELS, POINTS. Did you mean LABELS?"
            ],
        ),
        (
            {gp.ArrayKey("XYZ"): gp.Roi((0, 0), (40, 98))},
            [
                "Node, XYZ: neither this node nor one before it provides it. There is: RAW, "
                "LABELS, POINTS."
            ],
        ),
        (
            {gp.GraphKey("RAW"): gp.Roi((0, 0), (40, 98))},
            ["Node, RAW: it is provided under ArrayKey('RAW'), not GraphKey('RAW')."],
        ),
        (
            {gp.ArrayKey("POINTS"): gp.Roi((0, 0), (40, 98))},
            ["Node, POINTS: it is provided under GraphKey('POINTS'), not ArrayKey('POINTS')."],
        ),
        (
            {RAW: gp.ArraySpec(gp.Roi((0, 0), (40, 98)), (40, 10))},
            [
                "Node, RAW: voxel size (40, 10) was asked, (40, 9.8) is there (world units). "
                "Ask without a voxel size, or put a resampling node in between."
            ],
        ),
        (
            {POINTS: gp.GraphSpec(gp.Roi((0, 0), (40, 98)), directed=True)},
            [
                "Node, POINTS: directed=True was asked, directed=False is there. Ask without "
                "directed=, or correct the spec of the source."
            ],
        ),
        (
            {RAW: gp.ArraySpec()},
            [
                "Node, RAW: no region was asked for. It has one, [0:400, 0:98] (400, 98) in world "
                "units = [0:10, 0:10] (10, 10) in voxels of (40, 9.8): ask for a Roi in it."
            ],
        ),
        (
            {LABELS: gp.Roi((0, 0), (40, 98))},
            [
                "Node, LABELS: the region [0:40, 0:98] (40, 98) was asked, but it is nonspatial "
                "and lies nowhere. Ask for it with ArraySpec(nonspatial=True)."
            ],
        ),
        (
            {RAW: gp.Roi((0, 0, 0), (2, 40, 98))},
            [
                "Node, RAW: a region of 3 dimensions was asked, [0:2, 0:40, 0:98] (2, 40, 98); it "
                "has 2, [0:400, 0:98] (400, 98). Channel axes are not asked for."
            ],
        ),
        (
            {RAW: gp.Roi((0, 0), (40, 50))},
            [
                "Node, RAW: [0:40, 0:50] (40, 50) is not on the voxel grid of (40, 9.8) (world "
                "units); the nearest regions on it: [0:40, 0:58.8] (40, 58.8) outside, [0:40, "
                "0:49] (40, 49) inside. Regions are in world units: n voxels are n * (40, 9.8)."
            ],
        ),
        (
            {RAW: gp.Roi((-80, 9.8), (440, 98))},
            [
                "Node, RAW: asked for [-80:360, 9.8:107.8] (440, 98) in world units = [-2:9, 1:11] "
                "(11, 10) in voxels of (40, 9.8), there is [0:400, 0:98] (400, 98) in world units "
                "= [0:10, 0:10] (10, 10) in voxels of (40, 9.8): axis 0 misses 80 world units = 2 "
                "voxels at its begin; axis 1 misses 9.8 world units = 1 voxel at its end. Ask for "
                "less, let downstream nodes add less context, or put Pad after the source."
            ],
        ),
        (
            {POINTS: gp.Roi((0, 0), (401, 98))},
            [
                "Node, POINTS: asked for [0:401, 0:98] (401, 98) in world units, there is "
                "[0:400, 0:98] (400, 98) in world units: axis 0 misses 1 world unit at its end. "
                "Ask for less, let downstream nodes add less context, or put Pad after the source."
            ],
        ),
        (
            {RAW: gp.Roi((None, 0), (None, 98))},
            [
                "Node, RAW: the unbounded region [:, 0:98] (inf, 98) was asked. Say where it "
                "begins and ends."
            ],
        ),
    ],
)
def test_what_does_not_fit(specs, texts):
    assert problems(specs) == texts


def test_empty_regions():
    (text,) = problems({RAW: gp.Roi((0, 0), (40, 98)).intersect(gp.Roi((80, 0), (40, 98)))})
    assert "the region that was asked is empty" in text


def test_nothing_provided():
    (text,) = problems({RAW: gp.Roi((0,), (1,))}, gp.ProviderSpec())
    assert "inside `with build(...)` only" in text


def test_unbounded_offers_and_requests():
    offered = gp.ProviderSpec(
        {POINTS: gp.GraphSpec(gp.Roi((None, 0), (None, 98))), RAW: gp.ArraySpec(voxel_size=(1, 1))}
    )
    assert problems({POINTS: gp.Roi((None, 0), (None, 98))}, offered) == []
    assert problems({POINTS: gp.Roi((-5, 0), (10, 98))}, offered) == []
    assert problems({RAW: gp.Roi((-5, 0), (10, 98))}, offered) == []
    (text,) = problems({POINTS: gp.Roi((None, None), (None, None))}, offered)
    assert "axis 1 is unbounded at its begin, which is not there" in text
    placeholder = gp.ArraySpec(gp.Roi((None, 0), (None, 98)), placeholder=True)
    assert problems({RAW: placeholder}, offered) == []


def test_all_problems_at_once():
    specs = {
        RAW: gp.ArraySpec(gp.Roi((1, 0), (440, 98)), (1, 1)),
        gp.ArrayKey("OTHER"): gp.Roi((0, 0), (1, 1)),
        POINTS: gp.Roi((0,), (1,)),
    }
    assert [text.split(":")[0] for text in problems(specs)] == [
        "Node, RAW",
        "Node, RAW",
        "Node, RAW",
        "Node, OTHER",
        "Node, POINTS",
    ]


@given(st.data())
def test_a_request_fits_if_its_region_is_inside_and_on_the_grid(data):
    voxel_size = data.draw(voxel_sizes())
    outer = data.draw(rois_on_grid(voxel_size))
    asked = data.draw(rois_on_grid(voxel_size))
    offered = gp.ProviderSpec({RAW: gp.ArraySpec(outer, voxel_size)})
    assert (problems({RAW: asked}, offered) == []) is outer.contains(asked)
    assert problems({RAW: asked.shift(voxel_size / 3)}, offered) != []


# -- batches --------------------------------------------------------------------------------------

ROI = gp.Roi((40, 9.8), (80, 19.6))


def made(data=None, spec=None, points=((50.0, 10.0),), directed=False, roi=ROI):
    batch = gp.Batch()
    data = np.zeros((2, 2), np.uint8) if data is None else data
    batch[RAW] = gp.Array(data)
    batch[RAW].spec = gp.ArraySpec(ROI, (40, 9.8)) if spec is None else spec
    nodes = [gp.Node(i, np.array(p)) for i, p in enumerate(points)]
    batch[POINTS] = gp.Graph(nodes, [], gp.GraphSpec(roi, directed=directed))
    return batch


def check(batch, **dtype):
    request = gp.BatchRequest(
        {RAW: gp.ArraySpec(ROI, **dtype), POINTS: gp.GraphSpec(ROI, directed=False)}
    )
    check_batch("Node", OFFERED, request, batch)


def test_batches_that_fit():
    check(made())
    check(made(np.zeros((7, 5, 2, 2))))
    check(made(np.zeros((2, 2), np.uint8)), dtype="uint8")


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (made(spec=gp.ArraySpec(gp.Roi((0, 0), (80, 19.6)), (40, 9.8))), "RAW: asked for .* got"),
        (made(spec=gp.ArraySpec(ROI, (8, 9.8))), r"RAW: voxel size \(40, 9.8\) was promised, got"),
        (made(np.zeros((2, 3))), r"RAW: .* has \(2, 2\) voxels .* the shape \(2, 3\)"),
        (made(np.zeros((2, 2, 3))), "Spatial axes come last; a node"),
        (made(np.zeros(2)), r"the data have the shape \(2,\)"),
        (made(np.zeros((2, 2), "f4")), "uint8 was asked, float32 came. Put AsType or Normalize"),
        (made(directed=True), "POINTS: directed=False was asked, got directed=True"),
        (made(roi=gp.Roi((0, 0), (1, 1))), r"POINTS: asked for .* got \[0:1, 0:1\]"),
    ],
)
def test_batches_that_do_not_fit(batch, text):
    with pytest.raises(BatchMismatch, match=text):
        check(batch, dtype="uint8")


@pytest.mark.parametrize("key", [RAW, POINTS])
def test_batches_that_lack_something(key):
    batch = made()
    del batch[key]
    with pytest.raises(BatchMismatch, match=f"Node, {key}: it was asked for, and the node did not"):
        check(batch)


def test_placeholders_need_not_come():
    request = gp.BatchRequest({RAW: gp.ArraySpec(ROI, placeholder=True)})
    check_batch("Node", OFFERED, request, gp.Batch())
