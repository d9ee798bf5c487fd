import random

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

pytest.importorskip("skimage")

RAW = gp.ArrayKey("RAW")
DATA = np.full((2, 50, 50), 0.5, np.float32)
ALL = asking(RAW=((0, 0), (50, 50)))


def noisy(*args, data=DATA, seed=1, **kwargs):
    return served(source(RAW, data, (1, 1)) + gp.NoiseAugment(RAW, *args, **kwargs), ALL, seed)[
        RAW
    ].data


def test_gaussian_noise_has_its_variance():
    data = noisy(var=0.01)
    assert data.dtype == np.float32
    assert data.std() == pytest.approx(0.1, rel=0.05)
    assert data.mean() == pytest.approx(0.5, abs=0.01)


def test_the_same_seed_gives_the_same_noise():
    np.testing.assert_array_equal(noisy(seed=3), noisy(seed=3))
    assert (noisy(seed=3) != noisy(seed=4)).any()


def test_other_noise():
    data = noisy("s&p", amount=0.2)
    assert sorted(set(data.ravel().tolist())) == [0, 0.5, 1]
    assert (data != 0.5).mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_the_dtype_stays(dtype):
    assert noisy(data=DATA.astype(dtype)).dtype == dtype


def test_clips_unless_told_not_to():
    assert noisy(var=1.0).max() == 1
    assert noisy(var=1.0).min() == 0
    assert noisy(var=1.0, clip=False).max() > 1
    assert noisy(var=1.0, data=-DATA).min() == -1


def test_p():
    np.testing.assert_array_equal(noisy(p=0), DATA)


def test_values_have_to_lie_in_minus_1_to_1():
    with pytest.raises(ValueError, match=r"clips to \[-1, 1\], but RAW.*Normalize"):
        noisy(data=DATA * 4)
    assert noisy(data=DATA * 4, clip=False).max() > 1


def test_integers_are_refused():
    with pytest.raises(
        gp.PipelineSetupError, match=r"floating point values of RAW, which is uint8.*Normalize"
    ):
        noisy(data=DATA.astype(np.uint8))


@pytest.mark.parametrize(
    ("mode", "kwargs"), [("no such noise", {}), ("gaussian", {"amount": 0.1}), ("s&p", {"var": 1})]
)
def test_mistakes_in_arguments_are_found_at_once(mode, kwargs):
    with pytest.raises((ValueError, TypeError), match=r"noise|keyword|amount|var|mode"):
        gp.NoiseAugment(RAW, mode, **kwargs)


def test_no_global_generator_is_touched():
    before = random.getstate(), np.random.get_state()[1].tolist()
    noisy()
    assert before == (random.getstate(), np.random.get_state()[1].tolist())
