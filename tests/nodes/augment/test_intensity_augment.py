import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")
DATA = np.random.default_rng(0).uniform(0.4, 0.6, (2, 4, 8, 8)).astype(np.float32)
ALL = asking(RAW=((0, 0, 0), (4, 8, 8)))


def augmented(*args, data=DATA, seed=1, **kwargs):
    return served(
        source(RAW, data, (1, 1, 1)) + gp.IntensityAugment(RAW, *args, **kwargs), ALL, seed
    )[RAW].data


def moments(data, axes):
    return data.mean(axes, np.float64), data.std(axes, dtype=np.float64)


def changes(data, axes):
    """By how much the means moved, and by what the deviations were scaled."""
    mean, std = moments(data, axes)
    old_mean, old_std = moments(DATA, axes)
    return mean - old_mean, std / old_std


def test_fixed_shift_and_scale_about_the_mean():
    shift, scale = changes(augmented(1.5, 1.5, 0.1, 0.1, clip=False), (0, 1, 2, 3))
    assert shift == pytest.approx(0.1, abs=1e-6)
    assert scale == pytest.approx(1.5, abs=1e-5)


def test_one_change_for_all_without_slabs():
    data = augmented(0.9, 1.1, -0.1, 0.1)
    slope = (data - data.mean(dtype=np.float64)) / (DATA - DATA.mean(dtype=np.float64))
    np.testing.assert_allclose(np.median(slope), slope, rtol=0.1)
    assert 0.9 <= np.median(slope) <= 1.1


@pytest.mark.parametrize("kwargs", [{"z_section_wise": True}, {"slab": (-1, 1, -1, -1)}])
def test_each_section_by_itself(kwargs):
    shift, scale = changes(augmented(0.5, 1.5, -0.2, 0.2, clip=False, **kwargs), (0, 2, 3))
    assert len(set(shift.round(4))) == len(set(scale.round(4))) == 4
    assert (np.abs(shift) <= 0.2).all()
    assert ((scale >= 0.5) & (scale <= 1.5)).all()
    # the mean of a section moves by the shift alone
    shift, _ = changes(augmented(0.5, 1.5, 0.125, 0.125, clip=False, **kwargs), (0, 2, 3))
    np.testing.assert_allclose(shift, 0.125, atol=1e-6)


def test_slabs_need_not_divide_the_array():
    data = augmented(1, 1, -0.2, 0.2, slab=(1, 3, -1, -1))
    shift, _ = changes(data, (2, 3))
    assert len(set(shift.round(4).ravel())) == 4
    np.testing.assert_allclose(shift[:, 0], shift[:, 2], atol=1e-5)


def test_the_draws_are_uniform():
    shifts = [changes(augmented(1, 1, -0.2, 0.2, seed=s), (0, 1, 2, 3))[0] for s in range(60)]
    assert np.abs(np.mean(shifts)) < 0.06
    assert np.ptp(shifts) > 0.3


def test_clips():
    data = augmented(3, 3, 0.3, 0.3)
    assert data.max() == 1
    assert data.min() >= 0
    assert augmented(3, 3, 0.3, 0.3, clip=False).max() > 1


@pytest.mark.parametrize("bad", [1.5, -0.5, np.nan])
def test_values_have_to_lie_in_0_to_1(bad):
    data = DATA.copy()
    data[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"clips to \[0, 1\], but RAW.*Normalize"):
        augmented(1, 1, 0, 0, data=data)
    assert augmented(1, 1, 0, 0, data=data, clip=False).shape == DATA.shape


def test_integers_are_refused():
    with pytest.raises(
        gp.PipelineSetupError, match=r"floating point values of RAW, which is uint8.*Normalize"
    ):
        augmented(1, 1, 0, 0, data=DATA.astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_the_dtype_stays(dtype):
    assert augmented(1.1, 1.1, 0, 0, data=DATA.astype(dtype)).dtype == dtype


def test_the_source_and_views_are_left_alone():
    data = DATA.copy()
    pipeline = (
        source(RAW, data, (1, 1, 1))
        + gp.SimpleAugment(mirror_probs=[1, 1, 1], transpose_only=[])
        + gp.IntensityAugment(RAW, 2, 2, 0, 0, z_section_wise=True)
    )
    result = served(pipeline, ALL)[RAW].data
    np.testing.assert_array_equal(data, DATA)
    assert result.flags.c_contiguous


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"slab": (1, -1), "z_section_wise": True}, "not both"),
        ({"slab": (0, -1)}, r"1 or more, or -1 for all; got \(0, -1\)"),
        ({"p": 1.5}, "p is a probability"),
    ],
)
def test_arguments_are_checked_at_once(kwargs, text):
    with pytest.raises(ValueError, match=text):
        gp.IntensityAugment(RAW, 1, 1, 0, 0, **kwargs)
    with pytest.raises(ValueError, match="from low to high"):
        gp.IntensityAugment(RAW, 1, 0.9, 0, 0)


def test_a_slab_needs_all_axes_of_the_data():
    with pytest.raises(
        ValueError, match=r"each of the 4 axes of RAW, whose shape is \(2, 4, 8, 8\)"
    ):
        augmented(1, 1, 0, 0, slab=(1, -1, -1))


class ChannelByChannel(gp.IntensityAugment):
    """As nodes that were written for gunpowder."""

    def process(self, batch, request):
        array = batch.arrays[self.array]
        for channel in array.data:
            channel *= np.random.uniform(low=self.scale_min, high=self.scale_max)
            channel += np.random.uniform(low=self.shift_min, high=self.shift_max)


def test_a_node_that_inherits_finds_the_ranges():
    pipeline = source(RAW, DATA, (1, 1, 1)) + ChannelByChannel(RAW, 0.5, 0.5, -0.1, -0.1)
    np.testing.assert_allclose(served(pipeline, ALL)[RAW].data, DATA * 0.5 - 0.1, rtol=1e-5)
