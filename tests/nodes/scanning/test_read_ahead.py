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

RAW = gp.ArrayKey("RAW")
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
    # At the ends of lines, blocks have other sizes than is guessed.
    assert guesses["right"] > 0.5 * guesses.total() > 0
