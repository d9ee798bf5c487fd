"""Objects that refuse attributes which they do not have yet."""

import pickle

import pytest

from voxflow.pipeline.data.freezable import Freezable


class Settings(Freezable):
    kind = "of the class"

    def __init__(self):
        self.sigma = 1
        self.freeze()

    @property
    def half(self):
        return self.sigma / 2

    @half.setter
    def half(self, value):
        self.sigma = 2 * value


def test_what_is_there_can_be_set_and_nothing_else():
    settings = Settings()
    settings.sigma = 3
    settings.kind = "own"
    settings.half = 4
    assert (settings.sigma, settings.kind) == (8, "own")
    with pytest.raises(TypeError, match="no attribute 'other'; it has: kind, sigma"):
        settings.other = 1
    assert not hasattr(settings, "other")


def test_thawed_it_takes_all_and_one_does_not_thaw_others():
    first, second = Settings(), Settings()
    first.thaw()
    first.other = 1
    first.freeze()
    first.other = 2
    with pytest.raises(TypeError, match="other"):
        second.other = 1


def test_a_copy_from_elsewhere_is_frozen_too():
    copy = pickle.loads(pickle.dumps(Settings()))
    copy.sigma = 2
    with pytest.raises(TypeError):
        copy.other = 1
