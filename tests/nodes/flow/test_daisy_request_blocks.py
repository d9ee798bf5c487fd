"""Blocks that a daisy scheduler hands out, to this process or to several."""

import sys

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.nodes.flow.daisy_request_blocks import DaisyRequestBlocks

daisy = pytest.importorskip("daisy")

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
DATA = np.arange(16 * 12, dtype=np.float32).reshape(16, 12)


class Sum3(gp.BatchFilter):
    """Each voxel with its neighbours along the first axis: needs a voxel of context."""

    def setup(self):
        spec = self.spec[RAW].copy()
        spec.roi = spec.roi.grow((-2, 0), (-2, 0))
        self.provides(OUT, spec)

    def process(self, batch, request):
        raw = batch[RAW].data
        spec = self.spec[OUT].copy()
        spec.roi = request[OUT].roi
        batch[OUT] = gp.Array(raw[:-2] + raw[1:-1] + raw[2:], spec)


def work(folder, num_workers, fail_at=None):
    """What a worker of daisy does, in a process of its own."""

    def done(block, start, seconds):
        assert seconds >= 0
        assert start > 1e9
        name = f"{block.block_id[1]} {block.write_roi.offset[0]}"
        with open(folder / "done.txt", "a") as file:
            file.write(name + "\n")
        if block.write_roi.offset[0] == fail_at:
            raise ArithmeticError("mine")

    reference = asking(RAW=((0, 0), (1, 1)), OUT=((0, 0), (1, 1)))
    rois = {RAW: "read_roi", OUT: "write_roi"}
    pipeline = (
        source(RAW, DATA, (2, 3))
        + Sum3()
        + gp.ZarrWrite({OUT: "out"}, str(folder), "out.zarr")
        + DaisyRequestBlocks(reference, rois, num_workers, block_done_callback=done)
    )
    with gp.build(pipeline, seed=1):
        assert len(pipeline.request_batch(gp.BatchRequest())) == 0


def task(folder, num_workers, **options):
    return daisy.Task(
        "sum3",
        total_roi=daisy.Roi((0, 0), (32, 36)),
        read_roi=daisy.Roi((0, 0), (8, 36)),
        write_roi=daisy.Roi((2, 0), (4, 36)),
        process_function=lambda: work(folder, num_workers, **options),
        read_write_conflict=False,
        fit="shrink",
        max_workers=1,
        max_retries=0,
    )


@pytest.fixture(autouse=True)
def logs(tmp_path):
    daisy.logging.set_log_basedir(tmp_path / "logs")
    daisy.set_tracking_basedir(None)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_all_blocks_are_done_once(tmp_path, num_workers):
    expected = DATA[:-2] + DATA[1:-1] + DATA[2:]
    if num_workers > 1:
        # Blocks that are written at once have to find the dataset there.
        geometry = gp.stores.Geometry((2, 3), (2, 0))
        gp.stores.create_dataset(
            str(tmp_path / "out.zarr"),
            "out",
            (14, 12),
            np.float32,
            geometry=geometry,
            chunks=(2, 12),
        )
    assert daisy.run_blockwise([task(tmp_path, num_workers)])
    blocks = sorted(
        int(line.split()[1]) for line in (tmp_path / "done.txt").read_text().splitlines()
    )
    assert blocks == [2, 6, 10, 14, 18, 22, 26]
    made = gp.stores.open_dataset(tmp_path / "out.zarr", "out")
    np.testing.assert_array_equal(made.read(), expected)


def test_a_block_that_fails_is_reported(tmp_path):
    assert not daisy.run_blockwise([task(tmp_path, 1, fail_at=10)])
    assert "mine" in "".join(path.read_text() for path in (tmp_path / "logs").rglob("*.err"))


def test_mistakes_are_told(monkeypatch):
    reference = asking(RAW=((0, 0), (2, 3)))
    with pytest.raises(RuntimeError, match="'read_roi' or 'write_roi' for RAW"):
        DaisyRequestBlocks(reference, {})
    with pytest.raises(RuntimeError, match="it says 'roi'"):
        DaisyRequestBlocks(reference, {RAW: "roi"})
    with pytest.raises(ValueError, match="num_workers"):
        DaisyRequestBlocks(reference, {RAW: "read_roi"}, 0)
    node = DaisyRequestBlocks(reference, {RAW: "read_roi"})
    with pytest.raises(RuntimeError, match="takes an empty request"):
        served(source(RAW, DATA, (2, 3)) + node, reference)
    monkeypatch.setitem(sys.modules, "daisy", None)
    with pytest.raises(ImportError, match=r'pip install "voxflow\[scan\]"'):
        DaisyRequestBlocks(reference, {RAW: "read_roi"})
