import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import ramp, served, source, specs

SOURCE, TARGET = gp.ArrayKey("SOURCE"), gp.ArrayKey("TARGET")


def resampled(data, size, target, roi=None, offset=None, interpolatable=True, **kwargs):
    pipeline = source(SOURCE, data, size, offset, interpolatable)
    pipeline = pipeline + gp.Resample(SOURCE, gp.Coordinate(target), TARGET, **kwargs)
    with gp.build(pipeline):
        asked = gp.BatchRequest({TARGET: roi or pipeline.spec[TARGET].roi})
        return pipeline.request_batch(asked)[TARGET]


@pytest.mark.parametrize("target", [(40, 8, 8), (20, 2, 2), (80, 6, 3), (13.3, 4, 4.9)])
@pytest.mark.parametrize("order", [1, 3])
def test_what_is_seen_stays_where_it_is(target, order):
    size, offset = gp.Coordinate(40, 4, 4), gp.Coordinate(1600, -480, 16)
    data = ramp(gp.Roi(offset, size * gp.Coordinate(40, 50, 60)), size)
    got = resampled(data, size, target, offset=offset, interp_order=order)
    assert got.spec.voxel_size == gp.Coordinate(target)
    wanted = ramp(got.spec.roi, got.spec.voxel_size)
    # what is mirrored at the border is seen some source voxels inside
    margin = [int(8 * v / t) + 4 for v, t in zip(size, target, strict=True)]
    inside = (slice(None), *(slice(n, -n) for n in margin))
    assert got.data[inside].size
    np.testing.assert_allclose(got.data[inside], wanted[inside], atol=1e-2)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([0, 1, 3]))
def test_a_block_is_that_part_of_the_whole(data, order):
    size = gp.Coordinate(data.draw(st.sampled_from([(2, 3), (4, 4), (9.8, 2)])))
    target = size * gp.Coordinate(
        data.draw(st.sampled_from([(2, 1), (0.5, 2), (1.5, 0.75), (3, 4)]))
    )
    image = np.random.default_rng(0).random((40, 48))
    whole = resampled(image, size, target, interp_order=order)
    counts = whole.spec.roi.shape / target
    first = gp.Coordinate(data.draw(st.integers(0, n - 1)) for n in counts)
    extent = gp.Coordinate(
        data.draw(st.integers(1, n - f)) for n, f in zip(counts, first, strict=True)
    )
    roi = gp.Roi(whole.spec.roi.offset + first * target, extent * target)
    block = resampled(image, size, target, roi, interp_order=order)
    np.testing.assert_allclose(block.data, whole.crop(roi).data, atol=1e-9 if order < 2 else 1e-5)


def test_labels_are_not_interpolated_whatever_is_asked(caplog):
    labels = np.array([2**64 - 1, 2**64 - 2, 2**63, 7], np.uint64)
    with caplog.at_level(logging.WARNING):
        fine = resampled(labels, (4,), (1,), interpolatable=False, interp_order=1)
    assert "SOURCE is not interpolatable" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(fine.data, labels.repeat(4))
    by_default = resampled(labels, (4,), (2,), interpolatable=False)
    np.testing.assert_array_equal(by_default.data, labels.repeat(2))
    assert not caplog.text
    nearest = resampled(np.array([0.0, 1.0]), (4,), (2,), interp_order=0)
    assert nearest.data.tolist() == [0, 0, 1, 1]


def test_images_are_smoothed_before_and_rounded():
    image = np.array([0, 255] * 20, np.uint8)
    got = resampled(image, (1,), (8,)).data
    assert got.dtype == np.uint8
    assert set(got.tolist()) <= {127, 128}


def test_channels_are_left_alone():
    image = np.random.default_rng(0).random((2, 8, 8))
    both = resampled(image, (1, 1), (2, 4), ndim=2).data
    for channel, got in zip(image, both, strict=True):
        np.testing.assert_allclose(got, resampled(channel, (1, 1), (2, 4)).data)


def test_it_is_offered_where_its_voxels_are_whole():
    pipeline = source(SOURCE, np.zeros(20, np.int16), (4,), (4,), interpolatable=True)
    with specs(pipeline + gp.Resample(SOURCE, (6,), TARGET)) as spec:
        assert spec[TARGET].roi == gp.Roi((6,), (78,))
        assert spec[TARGET].dtype == np.int16
        assert spec[TARGET].interpolatable


def test_sources_without_an_end():
    pipeline = source(SOURCE, np.zeros((40, 40)), (4, 4)) + gp.RandomLocation()
    pipeline = pipeline + gp.Resample(SOURCE, (8, 2), TARGET)
    asked = gp.BatchRequest({TARGET: gp.Roi((0, 0), (40, 40))})
    assert served(pipeline, asked)[TARGET].data.shape == (5, 20)


def test_mistakes():
    with pytest.raises(ValueError, match=r"interp_order has to lie in 0 \.\.\. 5, got 6"):
        gp.Resample(SOURCE, (1,), TARGET, interp_order=6)
    with pytest.raises(gp.PipelineSetupError, match="they need as many axes"):
        resampled(np.zeros(4), (1,), (1, 1))
    with pytest.raises(gp.PipelineSetupError, match=r"voxels of \(27,\), but SOURCE are only"):
        resampled(np.zeros(4), (3,), (27,))


def test_what_counts_in_voxels_has_no_meaning_at_other_voxels():
    affs, coarse = gp.ArrayKey("AFFS"), gp.ArrayKey("COARSE")
    labels = gp.ArrayKey("LABELS")
    ids = np.arange(64, dtype=np.uint64).reshape(8, 8) // 8
    for node in (
        gp.Resample(affs, (8, 8), coarse),
        gp.DownSample(affs, 2, coarse),
        gp.UpSample(affs, 2, coarse),
    ):
        pipeline = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4, 4)))
        pipeline += gp.AddAffinities([[-1, 0], [0, -1]], labels, affs) + node
        with gp.build(pipeline):
            assert pipeline.spec[affs].kind == gp.Affinities([[-1, 0], [0, -1]])
            assert pipeline.spec[coarse].kind is None
            made = pipeline.request_batch(gp.BatchRequest({coarse: gp.Roi((8, 8), (16, 16))}))
            assert "affinity_neighborhood" not in made[coarse].attrs
