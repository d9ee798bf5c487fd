"""Predictions in blocks are the same, whoever makes which block and when, in part and in whole."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.helpers import left_behind
from voxflow.nodes.scanning.job import Job
from voxflow.stores import open_dataset

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
VOXEL = gp.Coordinate(40, 4, 9.8)
SHAPE = (11, 26, 31)
WHOLE = gp.Roi(VOXEL * gp.Coordinate(3, -2, 7), VOXEL * gp.Coordinate(SHAPE))
BLOCK, TILE, OVERLAP = (5, 9, 8), (6, 10, 9), (2, 4, 3)
CONTEXT = VOXEL * gp.Coordinate(2, 2, 2)
BLOCKS = 3 * 3 * 4
VALUE = 0.3


class Net(torch.nn.Module):
    """Two valid convolutions for inputs without channels; of one that is constant, the last bias
    is all that is left.
    """

    def __init__(self, constant=False):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Conv3d(1, 3, 3), torch.nn.ReLU(), torch.nn.Conv3d(3, 1, 3)
        )
        if constant:
            torch.nn.init.zeros_(self.net[2].weight)
            torch.nn.init.constant_(self.net[2].bias, VALUE)

    def forward(self, x):
        time.sleep(float(os.environ.get("SCAN_PAUSE", "0")))
        return self.net(x[None, None].float())[0, 0]


def predicting(blend, mode="reflect", constant=False):
    """Predictions that cover what there is, up to its borders."""
    data = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    spec = gp.ArraySpec(WHOLE, VOXEL, interpolatable=True)
    predict = gp.torch.Predict(Net(constant), {"x": RAW}, {0: OUT}, device="cpu", context=CONTEXT)
    nodes = gp.ArraySource(RAW, gp.Array(data, spec)) + gp.Pad(RAW, CONTEXT, mode) + predict
    return nodes + gp.Blend(asked(TILE), VOXEL * gp.Coordinate(OVERLAP)) if blend else nodes


def asked(size):
    return gp.BatchRequest({OUT: gp.Roi((0, 0, 0), VOXEL * gp.Coordinate(size))})


class EndAt(gp.ScanCallback):
    """Kills this process and all that it started, as soon as so many blocks are done."""

    def __init__(self, blocks):
        self.blocks = blocks

    def update(self, num_processed):
        if num_processed >= self.blocks:
            os.killpg(0, signal.SIGKILL)


def fill(folder, blend, workers=1, progress=None, **options):
    nodes = predicting(blend, **options) + gp.ZarrWrite({OUT: "pred"}, folder, "out.zarr")
    progress = gp.ScanCallback() if progress is None else progress
    return gp.scan(nodes, asked(BLOCK), num_workers=workers, progress=progress)


def shuffle(seed):
    """Have scans do their blocks in any order; also those of workers, which are not daisy's then.

    Gives back what was there.
    """
    import voxflow.nodes.scanning.scan as module

    pending, obstacle = Job.pending, module.obstacle

    def shuffled(self):
        numbers = list(pending(self))
        random.Random(seed).shuffle(numbers)
        return iter(numbers)

    Job.pending, module.obstacle = shuffled, lambda *_: "shuffled"
    return pending, obstacle


KILLED = """
import sys
from pathlib import Path
from tests.integration import test_scan_same as test

folder, blend, workers, order, blocks = sys.argv[1:]
if order == "shuffled":
    test.shuffle(1)
test.fill(Path(folder), blend == "blend", int(workers), test.EndAt(int(blocks)))
"""


def kill_one(folder, blend, workers, order, blocks=10):
    """Begin a scan in a process of its own, and kill all of it on its way."""
    # Of daisy's workers it is known now and then only how far they are.
    pause = {"SCAN_PAUSE": "0.1"} if order == "daisy" else {}
    words = [folder, "blend" if blend else "plain", workers, order, blocks]
    command = [sys.executable, "-c", KILLED, *map(str, words)]
    ended = subprocess.run(
        command,
        start_new_session=True,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **pause},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "out.zarr").rglob("*")
        if path.is_file() and ".scan" not in path.parts
    }


def differing(folder, other):
    """The files that are not the same, with what they hold."""
    here, there = contents(folder), contents(other)
    names = sorted(here.keys() | there.keys())
    return {n: (here.get(n), there.get(n)) for n in names if here.get(n) != there.get(n)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of scans that nothing disturbed, with and without blending."""
    found = {}
    for blend in (False, True):
        folder = tmp_path_factory.mktemp("whole")
        assert fill(folder, blend).blocks == BLOCKS
        found[blend] = folder
    return found


@pytest.mark.parametrize(
    ("workers", "order", "blend"),
    [
        pytest.param(1, "shuffled", True, marks=pytest.mark.slow),
        pytest.param(1, "shuffled", False, marks=pytest.mark.slow),
        pytest.param(2, "shuffled", False, marks=pytest.mark.slow),
        pytest.param(2, "shuffled", True, marks=pytest.mark.slow),
        pytest.param(2, "daisy", False, marks=pytest.mark.slow),
        pytest.param(2, "daisy", True, marks=pytest.mark.slow),
    ],
)
def test_any_order_and_workers_and_a_kill_give_the_same_files(
    tmp_path, whole, monkeypatch, workers, order, blend
):
    kill_one(tmp_path, blend, workers, order)
    assert contents(tmp_path) != contents(whole[blend])
    if order == "shuffled":
        import voxflow.nodes.scanning.scan as module

        # So that both are put back at the end.
        monkeypatch.setattr(Job, "pending", Job.pending)
        monkeypatch.setattr(module, "obstacle", module.obstacle)
        shuffle(2)
    report = fill(tmp_path, blend, workers)
    assert report.blocks == BLOCKS
    assert 10 <= report.done_before < BLOCKS
    assert differing(tmp_path, whole[blend]) == {}
    assert left_behind() == []


@pytest.mark.parametrize("blend", [False, True])
def test_a_part_of_a_prediction_is_that_part_of_the_whole(whole, blend):
    predicted = open_dataset(whole[blend] / "out.zarr", "pred").read()
    rng = np.random.default_rng(5)
    scan = gp.Scan(asked(BLOCK), progress_callback=gp.ScanCallback())
    with gp.build(predicting(blend) + scan) as pipeline:
        assert pipeline.spec[OUT].roi == WHOLE
        for _ in range(6):
            low = [int(rng.integers(0, n)) for n in SHAPE]
            high = [int(rng.integers(b, n)) + 1 for b, n in zip(low, SHAPE, strict=True)]
            begin, end = gp.Coordinate(low), gp.Coordinate(high)
            part = gp.Roi(WHOLE.begin + VOXEL * begin, VOXEL * (end - begin))
            found = pipeline.request_batch(gp.BatchRequest({OUT: part}))[OUT]
            assert found.spec.roi == part
            inside = tuple(slice(b, e) for b, e in zip(low, high, strict=True))
            np.testing.assert_array_equal(found.data, predicted[inside])


@pytest.mark.parametrize("blend", [False, True])
@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "edge", "border-mean"])
def test_a_constant_model_gives_the_constant_up_to_the_borders(tmp_path, mode, blend):
    fill(tmp_path, blend, mode=mode, constant=True)
    with gp.build(gp.ZarrSource(tmp_path / "out.zarr", {OUT: "pred"})) as source:
        assert (source.spec[OUT].roi, source.spec[OUT].voxel_size) == (WHOLE, VOXEL)
        found = source.request_batch(gp.BatchRequest({OUT: WHOLE}))[OUT].data
    np.testing.assert_array_equal(found, np.full(SHAPE, VALUE, np.float32))
