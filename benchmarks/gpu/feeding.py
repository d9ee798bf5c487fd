"""A training that is fed by workers: does the device wait for its batches?"""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

import voxflow as gp
from benchmarks.gpu.clock import Busy
from benchmarks.harness.measure import Row
from benchmarks.harness.volumes import volume
from voxflow.models import UNet, analyse
from voxflow.pipeline.engine.workers import available_cpus
from voxflow.torch import Train

TITLE = "an iteration of a training (U-Net, bfloat16) on the CREMI tutorial's batches, from workers"
NEIGHBORHOOD = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
RAW, LABELS, AFFINITIES, SCALE, OUT = (
    gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFINITIES", "SCALE", "OUT")
)


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    volume: tuple[int, int, int]
    patch: tuple[int, int, int]
    fmaps: int
    warm: int
    per_round: int
    workers: tuple[int, ...]


SMALL = Size((24, 160, 160), (1, 1, 1), 2, 1, 1, (1,))  # the smallest that the network takes
WORKERS = tuple(sorted({2, available_cpus()}))
# It is warm once the memory of all batches that workers make is pinned.
FULL = Size((128, 1024, 1024), (84, 268, 268), 12, 20 + 3 * max(WORKERS), 5, WORKERS)


class Mixed(torch.nn.Module):
    """Computes in bfloat16 what is safe to."""

    def __init__(self, net: torch.nn.Module, device: torch.device) -> None:
        super().__init__()
        self.net = net
        self.kind = device.type

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.kind, torch.bfloat16):
            return self.net(x).float()


class Again(gp.BatchProvider):
    """Has one batch, which it gives again and again."""

    def __init__(self, batch: gp.Batch) -> None:
        self.batch = batch

    def setup(self) -> None:
        for key, array in self.batch.arrays.items():
            self.provides(key, array.spec)

    def provide(self, request: gp.BatchRequest) -> gp.Batch:
        batch = gp.Batch()
        for key in request.array_specs:
            batch[key] = self.batch[key]
        return batch


def run(device: torch.device, rounds: int) -> list[Row]:
    """Beside the step alone, which has its batch at once: the fastest that it can be."""
    size = FULL if device.type == "cuda" else SMALL
    request, inputs, voxels = asked(size)
    with gp.build(batches(size)) as pipeline:
        batch = pipeline.request_batch(inputs)
    alone, _ = iteration(Again(batch), request, size, device, rounds)
    rows = []
    for workers in size.workers:
        took, busy = iteration(from_workers(size, workers), request, size, device, rounds)
        rates = {"iterations/s": 1 / took, "voxels/s": voxels / took, "idle": 1 - busy / took}
        name = f"{workers} worker{'s' * (workers > 1)}"
        note = (
            f"{name}: {rates['iterations/s']:.2f} iterations/s, {voxels / took / 1e6:.2f} million "
            f"voxels/s (input), the device is idle for {100 * rates['idle']:.0f} % of the time"
        )
        rows.append(Row(name, "the step alone", took, alone, alone / took, note=note, more=rates))
    return rows


def asked(size: Size) -> tuple[gp.BatchRequest, gp.BatchRequest, int]:
    """What is asked of the training and of what feeds it, and how many voxels go in."""
    before, after = analyse(network(size)).fit(size.patch)
    voxel_size, inputs = gp.Coordinate(40, 4, 4), gp.BatchRequest()
    inputs.add(RAW, before * voxel_size)
    for key in (AFFINITIES, SCALE):
        inputs.add(key, after * voxel_size)
    return inputs.copy(), inputs, math.prod(before)


def network(size: Size) -> torch.nn.Module:
    """One that says of each voxel with which neighbours it is of one object."""
    steps, flat = [(1, 3, 3), (1, 3, 3)], {0: [(1, 3, 3), (1, 3, 3)]}
    return UNet(1, 3, fmaps=size.fmaps, fmap_factor=3, downsample=steps, level_kernels=flat)


def batches(size: Size) -> Any:
    """The training pipeline of the CREMI tutorial."""
    names = {RAW: "volumes/raw", LABELS: "volumes/labels/neuron_ids"}
    specs = {key: gp.ArraySpec(interpolatable=key == RAW) for key in names}
    return (
        gp.Hdf5Source(str(volume(size.volume)), names, specs, cache=4 << 30)
        + gp.Normalize(RAW)
        + gp.RandomLocation()
        + gp.ElasticAugment(
            [4, 40, 40], [0, 2, 2], [0, math.pi / 2], prob_slip=0.05, prob_shift=0.05,
            max_misalign=10,
        )
        + gp.SimpleAugment(transpose_only=[1, 2])
        + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1, z_section_wise=True)
        + gp.GrowBoundary(LABELS, steps=3, only_xy=True)
        + gp.AddAffinities(NEIGHBORHOOD, LABELS, AFFINITIES, dtype="float32")
        + gp.BalanceLabels(AFFINITIES, SCALE)
        + gp.Unsqueeze([RAW])
        + gp.Stack(1)
    )  # fmt: skip


def from_workers(size: Size, workers: int) -> Any:
    """The same, made ahead of time."""
    return batches(size) + gp.PreCache(workers, workers)


@contextmanager
def training(feed: Any, size: Size, device: torch.device) -> Any:
    """A trainer and its pipeline; nothing of it is kept."""
    torch.manual_seed(0)
    net, busy = Mixed(network(size), device), Busy(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    busy.watch(net, optimizer)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Train(
            net,
            torch.nn.functional.binary_cross_entropy_with_logits,
            optimizer,
            inputs={0: RAW},
            outputs={0: OUT},
            loss_inputs={0: OUT, 1: AFFINITIES, 2: SCALE},
            checkpoint_basename=f"{folder}/model",
            save_every=1 << 30,
            device=device,
        )
        with gp.build(feed + trainer, seed=0) as pipeline:
            yield busy, pipeline


def iteration(
    feed: Any, request: gp.BatchRequest, size: Size, device: torch.device, rounds: int
) -> tuple[float, float]:
    """Seconds of an iteration, and how long the device is busy in it; means."""
    count = rounds * size.per_round
    with training(feed, size, device) as (busy, pipeline):
        for _ in range(size.warm):
            pipeline.request_batch(request)
        busy.total()
        busy.clear()
        start = time.perf_counter()
        for _ in range(count):
            pipeline.request_batch(request)
        worked = busy.total()
        return (time.perf_counter() - start) / count, worked / count
