"""From the memory of this machine to the device."""

from __future__ import annotations

from math import nan

import numpy as np
import torch

from benchmarks.gpu.clock import finished, seconds
from benchmarks.harness.measure import Row
from voxflow.pipeline.engine.workers import WorkerPool
from voxflow.pipeline.engine.workers.slots import slot_of
from voxflow.torch.pinned import upload

TITLE = "copies to the device"


def run(device: torch.device, rounds: int) -> list[Row]:
    """Beside a copy from ordinary memory."""
    nbytes = 256 << 20 if device.type == "cuda" else 1 << 20
    array = np.random.default_rng(0).integers(0, 256, nbytes, np.uint8)
    target = torch.empty(nbytes, dtype=torch.uint8, device=device)
    pinned = torch.empty(nbytes, dtype=torch.uint8, pin_memory=device.type == "cuda")
    pinned.copy_(torch.from_numpy(array))
    slot = from_worker(array)
    ways = {
        "from ordinary memory": lambda: target.copy_(torch.from_numpy(array)),
        "from pinned memory": lambda: target.copy_(pinned, non_blocking=True),
        "ordinary memory, by way of pinned memory": lambda: upload(array, device),
        "a worker's slot, pinned where it is": lambda: upload(slot, device),
    }
    for name, way in ways.items():
        same(name, way(), array, device)
    times = {name: seconds(way, device, rounds) for name, way in ways.items()}
    pageable = next(iter(times.values()))
    rows = []
    for name, took in times.items():
        first = not rows
        rate = {"GB/s": nbytes / took / 1e9}
        baseline = "" if first else "ordinary memory"
        note = f"{name}: {rate['GB/s']:.1f} GB/s"
        ratio = nan if first else pageable / took
        theirs = nan if first else pageable
        rows.append(Row(name, baseline, took, theirs, ratio, note=note, more=rate))
    return rows


def from_worker(array: np.ndarray) -> np.ndarray:
    """The same array in the memory that a worker hands it over in."""
    with WorkerPool(lambda _: array, 1, ahead=1, name="transfer") as pool:
        pool.submit(0)
        result: np.ndarray = pool.result()
    if slot_of(result) is None:
        raise RuntimeError("the array of the worker lies in no slot")
    return result


def same(name: str, made: torch.Tensor, array: np.ndarray, device: torch.device) -> None:
    """Nothing is timed that does not arrive."""
    finished(device)
    if not np.array_equal(made.cpu().numpy(), array):
        raise RuntimeError(f"{name}: other bytes arrived than were sent")
