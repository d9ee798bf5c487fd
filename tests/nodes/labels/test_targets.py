"""What all nodes keep to that make something from labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import served, source

LABELS, NEW, OTHER, MASK = (gp.ArrayKey(name) for name in ("LABELS", "NEW", "OTHER", "MASK"))
HUGE = [2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**32 + 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]

# What they make of labels alone, each voxel from some of those around.
LOCAL = {
    "AddAffinities": lambda: gp.AddAffinities([[-1, 0], [0, 2]], LABELS, NEW),
    "GrowBoundary": lambda: gp.GrowBoundary(LABELS, steps=2, context=True),
    "ExcludeLabels": lambda: gp.ExcludeLabels(LABELS, HUGE[::2]),
    "ExcludeLabels, the mask": lambda: gp.ExcludeLabels(LABELS, HUGE[::2], NEW, 11),
    "LabelsToBoundary": lambda: gp.LabelsToBoundary(LABELS, NEW, 2),
    "LabelsToBoundary, touching": lambda: gp.LabelsToBoundary(LABELS, NEW, 3, (-1,), True, "class"),
    "LabelsToClasses": lambda: gp.LabelsToClasses(LABELS, NEW, one_hot=True),
    "AddDistances": lambda: gp.AddDistances(LABELS, NEW, 17, signed=True),
    "AddDistances to voxels": lambda: gp.AddDistances(LABELS, NEW, 9, to="voxel", only_xy=True),
    "AddDistances to background": lambda: gp.AddDistances(LABELS, NEW, 25, boundary="background"),
    "AddDescriptors": lambda: gp.AddDescriptors(LABELS, NEW, (9, 7)),
    "AddDescriptors, downsampled": lambda: gp.AddDescriptors(LABELS, NEW, 9, downsample=(1, 3)),
    "AddMask": lambda: gp.AddMask(LABELS, NEW, ignore=HUGE[1::2]),
    "HandleBlobs": lambda: gp.HandleBlobs(LABELS, mask=NEW, blob=2**63),
    "gradients": lambda: gp.contrib.AddBoundaryDistanceGradients(
        LABELS, NEW, normalize="l2", max_distance=14
    ),
    "distances": lambda: gp.contrib.AddBoundaryDistanceGradients(
        LABELS, OTHER, NEW, max_distance=14
    ),
    "boundaries": lambda: gp.contrib.AddBoundaryDistanceGradients(LABELS, OTHER, None, NEW),
    "DownSample": lambda: gp.DownSample(LABELS, (1, 2), NEW),
    "UpSample": lambda: gp.UpSample(LABELS, (2, 1), NEW),
    "Resample": lambda: gp.Resample(LABELS, gp.Coordinate(10, 2), NEW),
}
# And those whose result for a block is one of its own.
OF_BLOCKS = {
    "RenumberConnectedComponents": lambda: gp.RenumberConnectedComponents(LABELS),
    "PrepareMalis": lambda: gp.contrib.PrepareMalis(LABELS, NEW, MASK),
}
KEPT = {
    "GrowBoundary",
    "ExcludeLabels",
    "RenumberConnectedComponents",
    "PrepareMalis",
    "DownSample",
    "UpSample",
    "Resample",
}
SIZE, OFFSET = gp.Coordinate(5, 4), gp.Coordinate(10, -8)


def some_labels(shape=(24, 30), seed=0, grain=3, ids=(0, *HUGE)):
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array(ids, np.uint64), size=shape)
    return coarse[np.ix_(*[np.arange(n) // grain for n in shape])]


def made(node, labels, roi=None, channels=False):
    """What a node makes in a region; None: wherever it can."""
    data = np.stack([labels, labels[::-1]]) if channels else labels
    known = (np.indices(data.shape).sum(axis=0) % 3).astype(np.uint8)
    inputs = source(LABELS, data, SIZE, OFFSET), source(MASK, known, SIZE, OFFSET)
    pipeline = inputs + gp.MergeProvider() + node
    with gp.build(pipeline):
        key = NEW if NEW in pipeline.spec else LABELS
        asked = gp.BatchRequest({key: roi or pipeline.spec[key].roi})
        return pipeline.request_batch(asked)[key]


@pytest.mark.parametrize("make", LOCAL.values(), ids=LOCAL)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_block_is_that_part_of_the_whole(make, data):
    labels = some_labels(
        seed=data.draw(st.integers(0, 99)), grain=data.draw(st.sampled_from([2, 5]))
    )
    whole = made(make(), labels)
    size, there = whole.spec.voxel_size, whole.spec.roi
    counts = there.shape / size
    first = gp.Coordinate(data.draw(st.integers(0, n - 1)) for n in counts)
    extent = gp.Coordinate(
        data.draw(st.integers(1, min(n - f, 8))) for n, f in zip(counts, first, strict=True)
    )
    roi = gp.Roi(there.offset + first * size, extent * size)
    block, part = made(make(), labels, roi), whole.crop(roi)
    np.testing.assert_allclose(block.data, part.data, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LOCAL | OF_BLOCKS)
def test_all_ids_of_64_bits_are_told_apart(name):
    make = (LOCAL | OF_BLOCKS)[name]
    # ids that are equal in fewer bits, or next to one another as floating point numbers
    labels = some_labels()
    plain = np.searchsorted(np.array([0, *HUGE], np.uint64), labels).astype(np.uint64)
    node = make()
    got = made(node, labels).data
    for attribute in ("exclude", "ignore"):  # the same ids, by their small names
        if hasattr(node, attribute):
            ids = [1 + HUGE.index(n) for n in getattr(node, attribute)]
            setattr(node, attribute, ids)
    if hasattr(node, "blob"):
        node.blob = 1 + HUGE.index(node.blob)
    wanted = made(node, plain).data
    if name == "RenumberConnectedComponents":
        assert got.dtype == np.uint64
    elif name.split(",")[0] in KEPT and name != "ExcludeLabels, the mask":
        assert got.dtype == np.uint64
        ids = np.array([0, *HUGE, 3], np.uint64)  # what is free in both: the smallest, or the next
        if name == "PrepareMalis":
            assert (got[0][wanted[0] == 10] == 1).all()
            ids[10] = 1
        wanted = ids[wanted.astype(int)]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", LOCAL | OF_BLOCKS)
def test_channels_go_through_by_themselves(name):
    make, labels = (LOCAL | OF_BLOCKS)[name], some_labels(ids=(0, 3, 4))
    both = made(make(), labels, channels=True).data
    if name == "PrepareMalis":  # the two copies lead
        assert both.shape == (2, 2, *labels.shape)
        return
    each = [made(make(), part).data for part in (labels, labels[::-1])]
    np.testing.assert_array_equal(both, np.stack(each))


@pytest.mark.parametrize("name", LOCAL | OF_BLOCKS)
def test_labels_are_integers(name):
    if name in ("AddMask", "DownSample", "UpSample", "Resample"):
        return
    floating = source(LABELS, np.ones((4, 4)), SIZE), source(MASK, np.ones((4, 4)), SIZE)
    pipeline = floating + gp.MergeProvider() + (LOCAL | OF_BLOCKS)[name]()
    with pytest.raises(gp.PipelineSetupError, match="LABELS is float64; put AsType upstream"):
        served(pipeline, gp.BatchRequest())


def test_labels_have_voxels():
    vector = gp.ArraySource(LABELS, gp.Array(np.ones(3, int), gp.ArraySpec(nonspatial=True)))
    with pytest.raises(gp.PipelineSetupError, match="works on voxels, and LABELS has none"):
        served(vector + gp.LabelsToBoundary(LABELS, NEW), gp.BatchRequest())


def test_labels_without_an_end_are_asked_for_all_around():
    endless = gp.RandomLocation()
    asked = gp.BatchRequest({NEW: gp.Roi((0, 0), (25, 20))})
    for make in (LOCAL["LabelsToClasses"], LOCAL["AddDescriptors, downsampled"]):
        pipeline = source(LABELS, some_labels((60, 60)), SIZE) + endless + make()
        assert served(pipeline, asked)[NEW].data.shape[1:] == (5, 5)
        endless = gp.RandomLocation()
