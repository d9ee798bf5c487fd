"""A training session on a device: what it costs beside a bare loop, and whether workers feed it."""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch.nn import functional

import voxflow as gp
from benchmarks.gpu.clock import Busy, finished
from benchmarks.gpu.feeding import (
    AFFINITIES,
    FULL,
    OUT,
    RAW,
    SCALE,
    SMALL,
    Again,
    Size,
    asked,
    batches,
    from_workers,
    network,
)
from benchmarks.harness.measure import Row
from voxflow.torch import StepOptions, ToDevice, to_tensor
from voxflow.training import Session

TITLE = "a step of a session (U-Net, bfloat16): beside a bare loop, and fed by workers"
LOSS = functional.binary_cross_entropy_with_logits


class Turns:
    """A hook: after each step of the session one of the bare loop; seconds of both."""

    def __init__(self, device: torch.device) -> None:
        self.bare: Any = None
        self.device = device
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self._since: float | None = None

    def after_step(self, session: Session, step: Any) -> None:
        finished(self.device)
        now = time.perf_counter()
        if self._since is not None:
            self.ours.append(now - self._since)
        self.bare()
        finished(self.device)
        self._since = time.perf_counter()
        if len(self.ours) > len(self.theirs):
            self.theirs.append(self._since - now)


def run(device: torch.device, rounds: int) -> list[Row]:
    """The bare loop has its tensors on the device at once."""
    size = FULL if device.type == "cuda" else SMALL
    request, inputs, voxels = asked(size)
    with gp.build(batches(size)) as pipeline:
        batch = pipeline.request_batch(inputs)
    with gp.build(Again(batch) + ToDevice(device=device)) as pipeline:
        there = pipeline.request_batch(inputs)
    rows = []
    for name, given, goal in (
        ("a step, its batch on the device", there, 0.97),
        ("a step, its batch in memory", batch, None),
    ):
        ours, theirs = in_turn(given, inputs, size, device, rounds)
        ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
        rows.append(Row(name, "bare loop", median(ours), median(theirs), ratio, goal=goal))
    alone, _ = iteration(Again(batch), request, size, device, rounds)
    for workers in size.workers:
        took, busy = iteration(from_workers(size, workers), request, size, device, rounds)
        rates = {"steps/s": 1 / took, "voxels/s": voxels / took, "idle": 1 - busy / took}
        name = f"fed by {workers} worker{'s' * (workers > 1)}"
        note = (
            f"{name}: {rates['steps/s']:.2f} steps/s, {voxels / took / 1e6:.2f} million voxels/s "
            f"(input), the device is idle for {100 * rates['idle']:.0f} % of the time"
        )
        rows.append(Row(name, "the session alone", took, alone, alone / took, note=note,
                        more=rates))  # fmt: skip
    return rows


def count(size: Size, rounds: int) -> int:
    """How many steps are made."""
    return size.warm + rounds * size.per_round


@contextmanager
def session(
    feed: Any, request: gp.BatchRequest, size: Size, device: torch.device, hook: Any, steps: int
) -> Any:
    """A session; nothing of it is kept."""
    torch.manual_seed(0)
    net = network(size).to(device)
    with tempfile.TemporaryDirectory() as folder:
        yield Session(
            net,
            LOSS,
            torch.optim.Adam(net.parameters(), lr=1e-4),
            feed,
            request,
            inputs=RAW,
            outputs=OUT,
            loss_inputs=[OUT, AFFINITIES, SCALE],
            options=StepOptions(precision="bfloat16"),
            hooks=[hook],
            run_dir=folder,
            stop_after=steps,
            device=device,
            seed=0,
        )


def in_turn(
    batch: gp.Batch, request: gp.BatchRequest, size: Size, device: torch.device, rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of steps of the session and of the bare loop, on one model and the same tensors."""
    tensors = {key: to_tensor(batch[key], device) for key in (RAW, AFFINITIES, SCALE)}
    turns = Turns(device)
    with session(Again(batch), request, size, device, turns, count(size, rounds)) as one:
        model, optimizer = one.model, one.optimizer

        def bare() -> float:
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16):
                value = LOSS(model(tensors[RAW]), tensors[AFFINITIES], tensors[SCALE])
            value.backward()
            optimizer.step()
            return value.item()

        turns.bare = bare
        one.run()
    return turns.ours[size.warm - 1 :], turns.theirs[size.warm - 1 :]


class Watch:
    """A hook that times the steps after some: all of them, and how long the device is busy."""

    def __init__(self, warm: int, last: int, device: torch.device) -> None:
        self.busy = Busy(device)
        self.means = math.nan, math.nan
        self._warm, self._last = warm, last
        self._start = 0.0

    def begin(self, session: Session) -> None:
        self.busy.watch(session.model, session.optimizer)

    def after_step(self, session: Session, step: Any) -> None:
        if step.number == self._warm:
            self.busy.total()
            self.busy.clear()
            self._start = time.perf_counter()
        elif step.number == self._last:
            count, busy = self._last - self._warm, self.busy.total()
            self.means = (time.perf_counter() - self._start) / count, busy / count


def iteration(
    feed: Any, request: gp.BatchRequest, size: Size, device: torch.device, rounds: int
) -> tuple[float, float]:
    """Seconds of a step of a session, and how long the device is busy in it; means."""
    watch = Watch(size.warm, count(size, rounds), device)
    with session(feed, request, size, device, watch, count(size, rounds)) as one:
        one.run()
    return watch.means
