"""Voxels around others are put there when somebody looks at them."""

import itertools

import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.pipeline.data.test_deferred import Counted
from voxflow.nodes.shape.padded import Padded

RAW = gp.ArrayKey("RAW")
INSIDE = (slice(2, 8), slice(1, 5))
RAMP = np.arange(24).reshape(6, 4)
WHOLE = np.pad(RAMP, ((2, 1), (1, 3)), constant_values=7)
SPEC = gp.ArraySpec(gp.Roi((0, 0), WHOLE.shape), (1, 1))


def array(data, shape):
    return gp.Array(data, gp.ArraySpec(gp.Roi((0, 0), shape), (1, 1)))


def padded(middle=RAMP):
    return gp.Array(Padded(array(middle, RAMP.shape), WHOLE.shape, INSIDE, 7), SPEC)


def test_both_are_there():
    np.testing.assert_array_equal(padded().data, WHOLE)
    assert padded().dtype == RAMP.dtype


def test_put_where_it_is_wanted():
    out = np.full((9, 16), -1)
    padded().write_to(out[:, ::2])
    np.testing.assert_array_equal(out[:, ::2], WHOLE)
    assert (out[:, 1::2] == -1).all()


@pytest.mark.parametrize("copy", [True, False])
def test_parts_are_those_of_the_whole(copy):
    for top, left in itertools.product(range(0, 9, 2), range(0, 8, 3)):
        for height, width in itertools.product(range(1, 10 - top), range(1, 9 - left)):
            part = padded().crop(gp.Roi((top, left), (height, width)), copy=copy)
            wanted = WHOLE[top : top + height, left : left + width]
            np.testing.assert_array_equal(part.data, wanted)


def test_a_part_of_the_middle_needs_no_more_than_that():
    middle, roi = RAMP.copy(), gp.Roi((3, 1), (2, 4))
    whole = padded(middle)
    part = whole.crop(roi, copy=False)
    assert np.shares_memory(part.view, middle)
    assert whole.deferred is not None
    part.data[...] = 0
    whole.crop(roi).data[...] = 0
    np.testing.assert_array_equal(middle, RAMP)


def test_a_middle_that_is_deferred_is_made_in_its_place():
    deferred = Counted()
    whole = padded(deferred)
    assert deferred.made == 0
    np.testing.assert_array_equal(whole.data, WHOLE)
    assert deferred.made == 1


def test_a_sketch_is_of_what_is_known_of_the_middle():
    class Unread(Counted):
        def sketch(self, out):
            out[...] = 0
            return False

    out = np.empty_like(WHOLE)
    assert not padded(Unread()).deferred.sketch(out)
    np.testing.assert_array_equal(out[INSIDE], 0)
    assert out[0, 0] == 7
    assert padded().deferred.sketch(out)
    np.testing.assert_array_equal(out, WHOLE)


def test_pad_puts_nothing_around_what_is_cropped():
    class Crops(gp.BatchFilter):
        def process(self, batch, request):
            part = batch[RAW].crop(gp.Roi((0, 0), (4, 4)))
            seen.append((part.data.tolist(), batch[RAW].deferred is not None))

    seen = []
    source = gp.ArraySource(RAW, np.eye(4, dtype="u1"), spec=gp.ArraySpec(voxel_size=(1, 1)))
    with gp.build(source + gp.Pad(RAW, 4) + Crops()) as pipeline:
        pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((-4, -4), (12, 12))}))
    assert seen == [(np.eye(4).tolist(), True)]


@pytest.mark.parametrize(
    ("node", "region", "wanted"),
    [
        (gp.IntensityScaleShift(RAW, 2, 0), ((0,), (4,)), [2, 2, 2, 2]),
        (gp.Pad(RAW, 1), ((-1,), (6,)), [0, 1, 1, 1, 1, 0]),
    ],
)
def test_who_writes_into_what_is_shared_does_not_change_what_is_deferred(node, region, wanted):
    other, spec = gp.ArrayKey("OTHER"), gp.ArraySpec(gp.Roi((0,), (4,)), (1,))

    class Shares(gp.BatchProvider):
        def setup(self):
            for key in (RAW, other):
                self.provides(key, spec)

        def provide(self, request):
            batch, data = gp.Batch(), np.ones(4, np.float32)
            for key in (RAW, other):
                batch[key] = gp.Array(data, spec)
            return batch

    class Writes(gp.BatchFilter):
        def process(self, batch, request):
            batch[other].data[...] *= 7

    with gp.build(Shares() + node + Writes()) as pipeline:
        asked = gp.BatchRequest({RAW: gp.Roi(*region), other: spec.roi})
        batch = pipeline.request_batch(asked)
    assert batch[RAW].data.tolist() == wanted
    assert batch[other].data.tolist() == [7] * 4


class Keeps(gp.BatchFilter):
    """Keeps the arrays that come, for whoever writes to them later."""

    def __init__(self):
        self.kept = []

    def process(self, batch, request):
        self.kept.append(batch[RAW])


@pytest.mark.parametrize("node", [None, gp.SimpleAugment(mirror_probs=[1, 1]), gp.Unsqueeze([RAW])])
def test_who_writes_into_an_array_from_before_changes_nothing(tmp_path, node):
    class Writes(gp.BatchFilter):
        def process(self, batch, request):
            keeps.kept[0].data[...] = 7

    keeps = Keeps()
    zarr.create_array(tmp_path / "a.zarr", name="raw", data=np.ones((4, 4), "u1"))
    spec = {RAW: gp.ArraySpec(voxel_size=(1, 1))}
    nodes = gp.ZarrSource(tmp_path / "a.zarr", {RAW: "raw"}, spec)
    nodes = nodes if node is None else nodes + node
    with gp.build(nodes + keeps + gp.Pad(RAW, 2) + Writes()) as pipeline:
        batch = pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((-2, 0), (6, 4))}))
    assert np.unique(batch[RAW].data).tolist() == [0, 1]


@pytest.mark.parametrize("source", ["file", "volume"])
def test_what_was_just_read_is_padded_when_somebody_looks(tmp_path, source):
    class Writes(gp.BatchFilter):
        def process(self, batch, request):
            seen.append(batch[RAW].deferred is not None)
            keeps.kept[0].data[...] = 7

    keeps, seen, spec = Keeps(), [], gp.ArraySpec(voxel_size=(1, 1))
    data = zarr.create_array(tmp_path / "a.zarr", name="raw", data=np.eye(4, dtype="u1"))
    if source == "file":
        read = gp.ZarrSource(tmp_path / "a.zarr", {RAW: "raw"}, {RAW: spec})
    else:
        read = gp.ArraySource(RAW, data, spec=spec)
    with gp.build(read + keeps + gp.Pad(RAW, 2) + Writes()) as pipeline:
        batch = pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((-2, 0), (6, 4))}))
    assert seen == [True]
    assert batch[RAW].data.tolist() == [[0] * 4, [0] * 4, *np.eye(4).tolist()]
    assert (keeps.kept[0].data == 7).all()
