"""Prediction in blocks: does the device wait for copies, and what do the options bring?"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.clock import seconds
from benchmarks.harness.measure import Row
from voxflow.models import UNet, analyse
from voxflow.torch.passes import Passes

TITLE = "blocks through a U-Net by Predict: threads, shared passes, bfloat16, compiled"


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    block: tuple[int, int, int]
    fmaps: int
    blocks: int


SMALL = Size((1, 1, 1), 2, 4)  # the smallest that the network takes
FULL = Size((84, 268, 268), 12, 32)

#: How many threads ask, and the options.
WAYS: dict[str, tuple[int, dict[str, Any]]] = {
    "one thread": (1, {}),
    "three threads": (3, {}),
    "five threads, four blocks a pass": (5, {"blocks_per_pass": 4}),
    "three threads, bfloat16": (3, {"autocast": "bfloat16"}),
    "three threads, bfloat16, compiled": (3, {"autocast": "bfloat16", "compiled": {}}),
}
#: How far values may be apart, in parts of the largest: torch convolves in TF32, with ten bits
#: behind the point, if it is not told otherwise; bfloat16 has seven.
EXACT, HALF = 2e-3, 3e-2


def run(device: torch.device, rounds: int) -> list[Row]:
    """Beside the passes alone, with blocks that lie on the device already."""
    size = FULL if device.type == "cuda" else SMALL
    net = network(size)
    shape, _ = analyse(net).fit(size.block)
    rng = np.random.default_rng(0)
    blocks = [rng.random((1, 1, *shape), np.float32) for _ in range(min(size.blocks, 8))]
    blocks = [blocks[i % len(blocks)] for i in range(size.blocks)]
    ways = WAYS if device.type == "cuda" else dict(list(WAYS.items())[:4])
    alone, expected = passes_alone(net, blocks, device)
    largest = max(float(np.abs(values).max()) for values in expected)
    rows = []
    for name, (threads, options) in ways.items():
        took, found = fed(net, blocks, device, threads, options, max(1, rounds // 10))
        apart = max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
        apart /= largest
        if apart > (HALF if "autocast" in options else EXACT):
            raise RuntimeError(
                f"{name}: other values than by the passes alone, by {apart} of the largest"
            )
        rate = {"voxels/s": size.blocks * math.prod(shape) / took, "greatest difference": apart}
        if "blocks_per_pass" in options:
            rate["difference by company"] = company(net, blocks[:4], device)
        note = f"{name}: {rate['voxels/s'] / 1e6:.2f} million voxels/s (input), "
        note += f"apart by {apart:.2g} of the largest value"
        rows.append(Row(name, "passes alone", took, alone, alone / took, note=note, more=rate))
    return rows


def network(size: Size) -> torch.nn.Module:
    """That of the CREMI tutorial."""
    torch.manual_seed(0)
    steps, flat = [(1, 3, 3), (1, 3, 3)], {0: [(1, 3, 3), (1, 3, 3)]}
    net = UNet(1, 3, fmaps=size.fmaps, fmap_factor=3, downsample=steps, level_kernels=flat)
    return net.eval()


def passes_alone(
    net: torch.nn.Module, blocks: list[np.ndarray], device: torch.device
) -> tuple[float, list[np.ndarray]]:
    """Seconds of all passes one after another, and what comes out."""
    net.to(device)
    there = {id(block): torch.from_numpy(block).to(device) for block in blocks}
    with torch.no_grad():
        expected = {key: net(tensor).cpu().numpy() for key, tensor in there.items()}
        took = seconds(lambda: [net(there[id(block)]) for block in blocks], device, 3)
    return took, [expected[id(block)] for block in blocks]


def fed(
    net: torch.nn.Module,
    blocks: list[np.ndarray],
    device: torch.device,
    threads: int,
    options: dict[str, Any],
    rounds: int,
) -> tuple[float, list[np.ndarray]]:
    """The same by threads, from arrays to arrays; the fastest round."""
    options = {"autocast": None, "compiled": None, "blocks_per_pass": 1, **options}
    passes = Passes("Predict", net, device, **options)
    found: list[Any] = [None] * len(blocks)

    def work(first: int) -> None:
        for i in range(first, len(blocks), threads):
            found[i] = passes([{0: blocks[i]}], [0])[0][0]

    times = []
    for _ in range(rounds + 1):  # the first is for the compiler
        start = time.perf_counter()
        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        times.append(time.perf_counter() - start)
    return min(times[1:]), found


def company(net: torch.nn.Module, blocks: list[np.ndarray], device: torch.device) -> float:
    """How far a block's values depend on who shares its pass."""
    passes = Passes("Predict", net, device, None, None, 4)
    alone = [passes([{0: block}], [0])[0][0] for block in blocks]
    apart = 0.0
    for count in (2, 3, 4):
        together = passes([{0: block} for block in blocks[:count]], [0])
        pairs = zip(together, alone, strict=False)
        apart = max(apart, *(float(np.abs(a[0] - b).max()) for a, b in pairs))
    return apart
