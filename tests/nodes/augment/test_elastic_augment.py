import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import GraphSource, asking, ramp, served, source
from tests.nodes.augment.registered import IDS, POINTS, RAMP, center_of, volume

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
SIZE = gp.Coordinate(8, 2, 2)
WORLD = gp.Roi((-80, -80, -80), (240, 160, 160))
INNER = gp.Roi((0, -16, -16), (40, 32, 32))
CREMI = {
    "control_point_spacing": (2, 8, 8),
    "jitter_sigma": (0, 1, 1),
    "rotation_interval": (0, np.pi / 2),
    "prob_slip": 0.2,
    "prob_shift": 0.2,
    "max_misalign": 5,
}
SMOOTH = {**CREMI, "prob_slip": 0, "prob_shift": 0, "jitter_sigma": (0.2, 0.5, 0.5)}


def batch_of(seed=1, roi=INNER, p=1.0, **kwargs):
    pipeline = volume(WORLD, SIZE, SIZE) + gp.ElasticAugment(**{**CREMI, **kwargs}, p=p)
    return served(pipeline, asking(RAMP=roi, IDS=roi, points=roi), seed)


def test_without_anything_to_draw_it_changes_nothing():
    batch = batch_of(jitter_sigma=(0, 0, 0), rotation_interval=(0, 0), prob_slip=0, prob_shift=0)
    plain = served(volume(WORLD, SIZE, SIZE), asking(RAMP=INNER, IDS=INNER, points=INNER))
    for key in RAMP, IDS:
        np.testing.assert_array_equal(batch[key].data, plain[key].data)
    np.testing.assert_array_equal(batch[POINTS].locations, plain[POINTS].locations)


def test_p():
    plain = served(volume(WORLD, SIZE, SIZE), asking(IDS=INNER))[IDS].data
    np.testing.assert_array_equal(batch_of(p=0)[IDS].data, plain)
    moved = [not np.array_equal(batch_of(s, p=0.5)[IDS].data, plain) for s in range(16)]
    assert 2 < sum(moved) < 14


@hypothesis.settings(max_examples=12)
@hypothesis.given(seed=st.integers(0, 2**32), smooth=st.booleans())
def test_image_labels_and_points_stay_registered(seed, smooth):
    batch = batch_of(seed, **(SMOOTH if smooth else CREMI))
    for array in batch.arrays.values():
        assert array.spec.roi == INNER
    # The ramp tells where each voxel's centre comes from (it is linear between voxels), the id from
    # which voxel: the two are at most half a voxel apart.
    came_from = center_of(batch[IDS].data, WORLD, SIZE)
    half = np.array([float(v) / 2 for v in SIZE])[:, None, None, None]
    assert (np.abs(batch[RAMP].data - came_from) <= half + 1e-6).all()
    # A point that lies in a voxel comes from where that voxel comes from, within a voxel's size as
    # the map stretches it.
    image = batch[RAMP]
    begin, size = np.array(INNER.begin, float), np.array(SIZE, float)
    graph = batch[POINTS]
    assert graph.num_vertices() > 300
    index = np.floor((graph.locations - begin) / size).astype(int).T
    apart = np.abs(center_of(graph.ids, WORLD, SIZE) - image.data[(slice(None), *index)])
    assert (apart <= 2 * half[:, 0, 0]).mean() > 0.95
    if smooth:
        at_voxels = (graph.locations - begin) / size - 0.5
        inside = ((at_voxels >= 0) & (at_voxels <= np.array(image.data.shape[1:]) - 1)).all(axis=1)
        shown = trilinear(image.data, at_voxels[inside])
        off = np.abs(shown - center_of(graph.ids[inside], WORLD, SIZE))
        assert (off <= half[:, 0, 0]).all()


def trilinear(data, places):
    from scipy import ndimage

    return np.stack([ndimage.map_coordinates(channel, places.T, order=1) for channel in data])


@hypothesis.settings(max_examples=12)
@hypothesis.given(seed=st.integers(0, 2**32))
def test_nothing_from_outside_comes_in(seed):
    # every voxel comes from a place that was read: no black border, no label that was not there
    inputs = (
        source(RAW, np.ones((30, 80, 80), np.float32), SIZE, WORLD.begin, True),
        source(LABELS, np.full((30, 80, 80), 2**63 + 1, np.uint64), SIZE, WORLD.begin, False),
    )
    pipeline = inputs + gp.MergeProvider() + gp.ElasticAugment(**CREMI)
    smaller = gp.Roi((8, -6, -6), (16, 10, 12))
    batch = served(pipeline, asking(RAW=INNER, LABELS=smaller), seed)
    np.testing.assert_allclose(batch[RAW].data, 1, rtol=1e-6)
    assert batch[LABELS].data.dtype == np.uint64
    assert set(batch[LABELS].data.ravel().tolist()) == {2**63 + 1}


def test_misalignment_is_bounded_and_per_section():
    only = {"jitter_sigma": (0, 0, 0), "rotation_interval": (0, 0)}
    slips = batch_of(3, prob_slip=1, prob_shift=0, **only)
    moved = slips[RAMP].data - served(volume(WORLD, SIZE, SIZE), asking(RAMP=INNER))[RAMP].data
    steps = moved / np.array(SIZE, float)[:, None, None, None]
    assert not steps[0].any()
    assert np.abs(steps).max() <= 5
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    for axis in (1, 2):
        per_section = steps[axis].reshape(5, -1)
        assert (np.ptp(per_section, axis=1) < 1e-9).all()
        assert np.ptp(per_section[:, 0]) > 0


def test_rotation_and_scale_are_about_the_centre():
    only = {"jitter_sigma": (0, 0, 0), "prob_slip": 0, "prob_shift": 0}
    quarter = batch_of(rotation_interval=(np.pi / 2, np.pi / 2), **only)
    plain = served(volume(WORLD, SIZE, SIZE), asking(RAMP=INNER))[RAMP].data
    turned = np.rot90(plain, 1, axes=(-2, -1))
    np.testing.assert_allclose(np.sort(quarter[RAMP].data, None), np.sort(turned, None), atol=1e-9)
    assert not np.allclose(quarter[RAMP].data, plain)
    twice = batch_of(rotation_interval=(0, 0), scale_interval=(2, 2), **only)
    middle = np.array([float(c) for c in INNER.center])[:, None, None, None]
    np.testing.assert_allclose(twice[RAMP].data, middle + (plain - middle) / 2, atol=1e-9)


def test_labels_take_what_fills_most_of_a_voxel():
    data = np.random.default_rng(0).integers(2**64 - 4, 2**64 - 1, (30, 80, 80), np.uint64)
    half = {"spatial_dims": 2, "scale_interval": (0.5, 0.5)}
    half.update(control_point_spacing=(8, 8), jitter_sigma=(0, 0), rotation_interval=(0, 0))
    inputs = source(LABELS, data, SIZE, WORLD.begin, False)
    shown = served(inputs + gp.ElasticAugment(**half, labels="majority"), asking(LABELS=INNER))
    read = gp.Roi((0, -32, -32), (40, 64, 64))
    blocks = served(inputs, asking(LABELS=read))[LABELS].data.reshape(5, 16, 2, 16, 2)
    for at, got in np.ndenumerate(shown[LABELS].data):
        block = blocks[at[0], at[1], :, at[2]]
        values, counts = np.unique(block, return_counts=True)
        tied = values[counts == counts.max()]
        assert got == (block[1, 1] if block[1, 1] in tied else tied[0])
    nearest = served(inputs + gp.ElasticAugment(**half), asking(LABELS=INNER))
    assert (nearest[LABELS].data == blocks[:, :, 1, :, 1]).all()


def test_upstream_is_asked_for_not_much_more():
    seen = []

    class Spy(gp.BatchFilter):
        def process(self, batch, request):
            seen.append(batch[RAW].spec.roi)

    data = np.zeros((30, 80, 80), np.float32)
    kwargs = {**CREMI, "rotation_interval": (0, 0), "jitter_sigma": (0, 0, 0)}
    pipeline = source(RAW, data, SIZE, WORLD.begin) + Spy() + gp.ElasticAugment(**kwargs)
    for seed in range(5):
        served(pipeline, asking(RAW=INNER), seed)
    for roi in seen:
        assert roi.contains(INNER) or roi.intersects(INNER)
        assert roi.begin[0] == 0
        assert roi.shape[0] == 40
        assert max(roi.shape[1:]) <= 32 + 2 * 5 * 2 * 5


def test_two_axes():
    roi = gp.Roi((0, 0), (60, 60))
    inner = gp.Roi((20, 20), (16, 24))
    pipeline = source(RAW, ramp(roi, (2, 2)), (2, 2), interpolatable=True) + gp.ElasticAugment(
        (4, 4), (1, 1), (0, 1), spatial_dims=2
    )
    array = served(pipeline, asking(RAW=inner))[RAW]
    assert array.data.shape == (2, 8, 12)
    moved = np.abs(array.data - ramp(inner, (2, 2)))
    assert 0 < moved.max() < 20


def test_time_is_left_alone():
    size = (1, 8, 2, 2)
    roi = gp.Roi((0, -40, -40, -40), (5, 120, 80, 80))
    inner = gp.Roi((1, 0, -8, -8), (3, 40, 16, 16))
    points = {1: (0.5, 20, 0, 0), 2: (2.5, 20, 0, 0), 3: (4.5, 20, 0, 0)}
    inputs = (
        source(RAW, ramp(roi, size), size, roi.begin, True),
        GraphSource(POINTS, points, roi),
    )
    pipeline = inputs + gp.MergeProvider() + gp.ElasticAugment(**SMOOTH)
    batch = served(pipeline, asking(RAW=inner, points=inner))
    data = batch[RAW].data
    assert data.shape == (4, 3, 5, 8, 8)
    for t in range(3):
        np.testing.assert_allclose(data[0, t], 1.5 + t, atol=1e-9)
        np.testing.assert_allclose(data[1:, t], data[1:, 0], atol=1e-6)
    assert [node.id for node in batch[POINTS].nodes] == [2]
    assert batch[POINTS].node(2).location[0] == 2.5


def test_points_alone_need_to_know_what_a_voxel_is():
    points = GraphSource(POINTS, {1: (20.0, 0.0, 0.0)}, WORLD)
    request = asking(points=INNER)
    with pytest.raises(RuntimeError, match=r"nothing in the request says.*voxel_size="):
        served(points + gp.ElasticAugment(**SMOOTH), request)
    batch = served(points + gp.ElasticAugment(**SMOOTH, voxel_size=SIZE), request)
    assert batch[POINTS].num_vertices() == 1
    # a placeholder says it as well
    request = asking(points=INNER, RAMP=gp.ArraySpec(INNER, placeholder=True))
    batch = served(volume(WORLD, SIZE, SIZE) + gp.ElasticAugment(**SMOOTH), request)
    assert batch[POINTS].num_vertices() > 0
    assert RAMP not in batch


def test_arrays_of_different_voxels():
    pipeline = volume(WORLD, (8, 4, 4), SIZE)
    request = asking(RAMP=INNER, IDS=INNER)
    with pytest.raises(ValueError, match=r"RAMP \(8, 4, 4\), IDS \(8, 2, 2\).*voxel_size="):
        served(pipeline + gp.ElasticAugment(**SMOOTH), request)
    batch = served(pipeline + gp.ElasticAugment(**SMOOTH, voxel_size=SIZE), request)
    fine = center_of(batch[IDS].data, WORLD, SIZE)
    coarse = batch[RAMP].data
    mean = fine.reshape(3, 5, 8, 2, 8, 2).mean(axis=(3, 5))
    assert np.abs(mean - coarse).max() < 4


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"control_point_spacing": (8, 8)}, r"one entry for each of spatial_dims=3 axes"),
        ({"spatial_dims": 2}, r"one entry for each of spatial_dims=2 axes"),
        ({"rotation_interval": (1, 0)}, r"rotation_interval goes from low to high"),
        ({"scale_interval": (1,)}, r"scale_interval goes from low to high"),
        ({"prob_slip": 0.6, "prob_shift": 0.6}, "prob_slip 0.6 and prob_shift 0.6"),
        ({"jitter_sigma": (0, -1, 0)}, "sigma"),
        ({"voxel_size": (2, 2)}, "voxel_size"),
        ({"p": 2}, "p is a probability"),
        ({"labels": "linear"}, "by 'nearest' or 'majority', got 'linear'"),
    ],
)
def test_arguments_are_checked_at_once(kwargs, text):
    with pytest.raises(ValueError, match=text):
        gp.ElasticAugment(**{**CREMI, **kwargs})


def test_too_few_axes_are_said_with_the_first_request():
    pipeline = source(RAW, np.zeros((9, 9)), (1, 1)) + gp.ElasticAugment(**CREMI)
    with pytest.raises(ValueError, match=r"deforms 3 axes.*spatial_dims="):
        served(pipeline, asking(RAW=((0, 0), (2, 2))))


def test_two_entries_are_enough_for_images_of_two_axes_but_not_for_volumes():
    raw = gp.ArrayKey("RAW")
    node = gp.ElasticAugment((4, 4), (1, 1), (0, 1))
    image = source(raw, np.ones((64, 64)), (1, 1)) + node
    request = gp.BatchRequest({raw: gp.Roi((24, 24), (16, 16))})
    with gp.build(image):
        assert image.request_batch(request)[raw].data.shape == (16, 16)
    volume = source(raw, np.ones((4, 64, 64)), (1, 1, 1)) + gp.ElasticAugment(
        (4, 4), (1, 1), (0, 1)
    )
    request = gp.BatchRequest({raw: gp.Roi((0, 24, 24), (4, 16, 16))})
    with gp.build(volume), pytest.raises(ValueError, match="give spatial_dims="):
        volume.request_batch(request)
