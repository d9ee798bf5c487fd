"""Voxels that are made when somebody looks at them."""

import copy
import pickle

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.data.deferred import Borrowed, Deferred, Fresh

SPEC = gp.ArraySpec(gp.Roi((0, 0), (6, 4)), (1, 1))


class Counted(Deferred):
    """A ramp, and how often it was made."""

    def __init__(self, shape=(6, 4)):
        self.made = 0
        self._shape = shape

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return np.dtype(np.int64)

    def make(self, out=None):
        self.made += 1
        ramp = np.arange(np.prod(self._shape)).reshape(self._shape)
        if out is None:
            return ramp
        np.copyto(out, ramp)
        return out


RAMP = np.arange(24).reshape(6, 4)


def test_made_once_and_not_before():
    voxels = Counted()
    array = gp.Array(voxels, SPEC)
    assert (array.shape, array.dtype, array.deferred) == ((6, 4), np.int64, voxels)
    assert array.placed(SPEC).deferred is voxels
    assert array.crop(SPEC.roi, copy=False) is array
    assert voxels.made == 0
    np.testing.assert_array_equal(array.data, RAMP)
    assert array.data is array.data
    assert array.view is array.data
    assert array.deferred is None
    assert voxels.made == 1


def test_the_shape_is_checked_before_anything_is_made():
    with pytest.raises(ValueError, match="do not fit"):
        gp.Array(Counted((5, 4)), SPEC)


def test_a_part_of_what_is_deferred():
    voxels = Counted()
    array = gp.Array(voxels, SPEC)
    for copied in (False, True):
        part = array.crop(gp.Roi((2, 1), (2, 2)), copied)
        np.testing.assert_array_equal(part.data, RAMP[2:4, 1:3])
        assert np.shares_memory(part.data, array.data) is not copied
    assert voxels.made == 1


def test_written_where_it_is_wanted():
    for data in (Counted(), RAMP, Borrowed(RAMP)):
        out = np.zeros((6, 4), np.int64)
        gp.Array(data, SPEC).write_to(out)
        np.testing.assert_array_equal(out, RAMP)


def test_a_batch_makes_all():
    batch = gp.Batch()
    parts = {gp.ArrayKey(name): Counted() for name in "AB"}
    for key, voxels in parts.items():
        batch[key] = gp.Array(voxels, SPEC)
    batch.make()
    batch.make()
    assert [voxels.made for voxels in parts.values()] == [1, 1]


@pytest.mark.parametrize("data", [Counted, lambda: Borrowed(RAMP)])
def test_what_is_sent_or_kept_are_voxels(data):
    array = gp.Array(data(), SPEC, {"a": [1]})
    for there in (pickle.loads(pickle.dumps(array)), copy.deepcopy(array)):
        assert there.deferred is None
        assert (there.spec, there.attrs) == (SPEC, {"a": [1]})
        np.testing.assert_array_equal(there.data, RAMP)
        there.data[0, 0] = 7
    assert RAMP[0, 0] == 0


def test_what_is_borrowed_is_copied_for_whoever_may_change_it():
    volume = RAMP.copy()
    array = gp.Array(Borrowed(volume), SPEC)
    assert np.shares_memory(array.view, volume)
    assert not array.view.flags.writeable
    part = array.crop(gp.Roi((2, 1), (2, 2)), copy=False)
    assert np.shares_memory(part.view, volume)
    part.data[:] = -1
    array.data[:] = -1
    np.testing.assert_array_equal(volume, RAMP)
    assert volume.flags.writeable


def test_what_is_fresh_is_handed_out_as_it_is():
    volume = RAMP.copy()
    array = gp.Array(Fresh(volume), SPEC)
    assert np.shares_memory(array.view, volume)
    assert array.deferred is not None
    assert array.data is volume
    assert not array.settle()
    out = np.empty_like(RAMP)
    gp.Array(Fresh(volume), SPEC).write_to(out)
    np.testing.assert_array_equal(out, RAMP)


def test_what_is_settled_is_copied_for_whoever_may_change_it():
    for given in (Fresh(RAMP.copy()), Borrowed(RAMP.copy())):
        array = gp.Array(given, SPEC)
        assert array.settle()
        kept = array.view
        array.data[...] = 7
        np.testing.assert_array_equal(kept, RAMP)
    assert not gp.Array(RAMP, SPEC).settle()


def test_what_is_lent_stays_as_it_is():
    class Fixed(Counted):
        fixed = True

    for given in (Fresh(RAMP.copy()), Borrowed(RAMP.copy()), Fixed()):
        array = gp.Array(given, SPEC)
        lent = array.lent()
        assert not lent.flags.writeable
        assert array.lent() is not None
        array.data[...] = 7
        np.testing.assert_array_equal(lent, RAMP)
        assert array.lent() is None
    for unknown in (RAMP, Counted()):
        assert gp.Array(unknown, SPEC).lent() is None


def test_what_would_change_is_made_when_a_batch_is_fixed():
    class Fixed(Counted):
        fixed = True

    class Elsewhere(Counted):
        elsewhere = True

    batch, made = gp.Batch(), [Counted(), Fixed(), Elsewhere()]
    for name, given in zip("ABC", made, strict=True):
        batch[gp.ArrayKey(name)] = gp.Array(given, SPEC)
    batch.fix()
    assert [given.made for given in made] == [1, 0, 0]


@pytest.mark.parametrize(
    "share",
    [
        lambda array: array.placed(SPEC),
        lambda array: array.crop(gp.Roi((2, 1), (2, 2)), copy=False),
        copy.copy,
    ],
)
def test_what_two_arrays_have_is_not_fresh(share):
    array = gp.Array(Fresh(RAMP.copy()), SPEC)
    other = share(array)
    assert not array.settle()
    assert not other.settle()


def test_pipelines_hand_out_voxels():
    class Lends(gp.BatchProvider):
        def setup(self):
            self.provides(gp.ArrayKey("RAW"), SPEC)

        def provide(self, request):
            batch = gp.Batch()
            batch[gp.ArrayKey("RAW")] = gp.Array(Borrowed(RAMP), SPEC)
            return batch

    source = Lends()
    with gp.build(source):
        batch = source.request_batch(gp.BatchRequest({gp.ArrayKey("RAW"): SPEC.roi}))
    assert batch[gp.ArrayKey("RAW")].deferred is None
