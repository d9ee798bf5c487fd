"""What the next block of a scan needs is read while the one before is worked on."""

from collections import Counter

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking
from tests.nodes.scanning.test_scan import Quiet, foreign
from voxflow.stores import create_dataset, open_dataset
from voxflow.stores.zarr_fast import QuickArray
from voxflow.testing.stores import ramp

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
SHAPE = (40, 37)


@pytest.fixture
def guesses(monkeypatch):
    """How often a region was read that was guessed, and how often another."""
    found, read = Counter(), QuickArray.read

    def counted(self, region):
        found["right" if self._ahead[0] == region else "other"] += self._keeps is not None
        return read(self, region)

    monkeypatch.setattr(QuickArray, "read", counted)
    return found


class Same(gp.BatchFilter):
    def process(self, batch, request):
        batch[RAW].data = batch[RAW].data + 0.0


@pytest.mark.parametrize("voxel_size", [(1, 1), (2, 0.5)])
@pytest.mark.parametrize("node", [Same, lambda: foreign("none")])
def test_blocks_are_what_they_would_be(tmp_path, guesses, node, voxel_size):
    data = ramp(SHAPE, np.float64)
    dataset = create_dataset(tmp_path / "in.zarr", "raw", SHAPE, np.float64, chunks=(8, 8))
    dataset.write((), data)
    dataset.attrs["resolution"], dataset.attrs["offset"] = voxel_size, (10, 20)
    size = gp.Coordinate(voxel_size)
    pipeline = gp.ZarrSource(tmp_path / "in.zarr", {RAW: "raw"})
    pipeline += gp.Pad(RAW, size * gp.Coordinate(2, 3))
    pipeline += node()
    pipeline += gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
    pipeline += gp.Scan(asking(RAW=((0, 0), size * gp.Coordinate(8, 9))), progress_callback=Quiet())
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest())
    written = open_dataset(tmp_path / "out.zarr", "raw").read()
    np.testing.assert_array_equal(written, np.pad(data, ((2, 2), (3, 3))))
    # The first one is not guessed; how large blocks are that no border cuts off is learned then,
    # along each axis.
    assert guesses["right"] > 0
    assert guesses["other"] <= 1 + len(SHAPE)


class Successor(gp.BatchFilter):
    """A block is the one before it, as that was written, and one more."""

    def setup(self):
        self.provides(OUT, self.spec[RAW].copy())

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[RAW] = gp.ArraySpec(request[OUT].roi.shift(-8))
        return needed

    def process(self, batch, request):
        made, spec = gp.Batch(), self.spec[OUT].copy()
        spec.roi = request[OUT].roi
        made[OUT] = gp.Array(batch[RAW].data + np.uint8(1), spec)
        return made


def test_what_a_block_writes_the_next_one_may_read(tmp_path):
    dataset = create_dataset(tmp_path / "x.zarr", "raw", (48,), np.uint8, chunks=(8,))
    dataset.write((), np.ones(48, np.uint8))
    dataset.attrs["resolution"], dataset.attrs["offset"] = (1,), (0,)
    pipeline = gp.ZarrSource(tmp_path / "x.zarr", {RAW: "raw"}) + Successor()
    pipeline += gp.ZarrWrite({OUT: "raw"}, tmp_path, "x.zarr")
    pipeline += gp.Scan(asking(OUT=((8,), (8,))), progress_callback=Quiet())
    request = asking(OUT=((8,), (40,)))
    with gp.build(pipeline):
        pipeline.request_batch(request)
    assert dataset.read()[::8].tolist() == [1, 2, 3, 4, 5, 6]


def test_arrays_may_have_other_axes_than_the_scan(tmp_path):
    flat = gp.ArrayKey("FLAT")
    for name, shape in (("raw", (16, 8)), ("flat", (8,))):
        dataset = create_dataset(
            tmp_path / "in.zarr", name, shape, np.uint8, chunks=(8,) * len(shape)
        )
        dataset.write((), np.ones(shape, np.uint8))
        dataset.attrs["resolution"], dataset.attrs["offset"] = (1,) * len(shape), (0,) * len(shape)

    class Adds(gp.BatchFilter):
        def prepare(self, request):
            needed, roi = gp.BatchRequest(), request[RAW].roi
            needed[RAW] = request[RAW].copy()
            needed[flat] = gp.ArraySpec(gp.Roi(roi.begin[1:], roi.shape[1:]))
            return needed

        def process(self, batch, request):
            batch[RAW].data = batch[RAW].data + batch[flat].data

    pipeline = gp.ZarrSource(tmp_path / "in.zarr", {RAW: "raw", flat: "flat"}) + Adds()
    pipeline += gp.Scan(asking(RAW=((0, 0), (4, 8))), progress_callback=Quiet())
    with gp.build(pipeline):
        batch = pipeline.request_batch(asking(RAW=((0, 0), (16, 8))))
    assert (batch[RAW].data == 2).all()
