"""The training pipeline of the CREMI example, on tiny samples; as a script it trains.

    python training.py SAMPLES FOLDER ITERATIONS NUM_WORKERS METHOD SAVE_EVERY PAUSE

writes a line for each step: its iteration, its loss, the hash of its batch; then it pauses, so that
whoever wants to kill it has the time.
"""

import hashlib
import math
import sys
import time
from pathlib import Path

import numpy as np

import voxflow as gp

RAW, LABELS, AFFINITIES, WEIGHTS, PREDICTED = (
    gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFINITIES", "WEIGHTS", "PREDICTED")
)
VOXEL_SIZE = gp.Coordinate((40, 4, 4))


def pipeline(folder, num_workers=0, method="forkserver", insert=()):
    """Everything upstream of the training.

    Parameters
    ----------
    insert
        Nodes that are put between the augmentations.
    """
    made = (
        tuple(
            gp.Hdf5Source(
                str(Path(folder) / f"sample_{name}.hdf"),
                {RAW: "volumes/raw", LABELS: "volumes/labels/neuron_ids"},
                {
                    RAW: gp.ArraySpec(interpolatable=True),
                    LABELS: gp.ArraySpec(interpolatable=False),
                },
            )
            + gp.Normalize(RAW)
            + gp.RandomLocation()
            for name in "AB"
        )
        + gp.RandomProvider()
    )
    made = made + gp.ElasticAugment(
        [2, 8, 8], [0, 1, 1], [0, math.pi / 2], prob_slip=0.1, prob_shift=0.1, max_misalign=2
    )
    for node in insert:
        made = made + node
    made = (
        made
        + gp.SimpleAugment(transpose_only=[1, 2])
        + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1, z_section_wise=True)
        + gp.NoiseAugment(RAW)
        + gp.GrowBoundary(LABELS, only_xy=True)
        + gp.AddAffinities([(-1, 0, 0), (0, -1, 0), (0, 0, -1)], LABELS, AFFINITIES)
        + gp.BalanceLabels(AFFINITIES, WEIGHTS)
        + gp.Unsqueeze([RAW])
        + gp.Stack(2)
    )
    return made + gp.PreCache(4, num_workers, method=method)


def request():
    """What one batch of the training asks for."""
    asked = gp.BatchRequest()
    asked.add(RAW, gp.Coordinate((5, 20, 20)) * VOXEL_SIZE)
    for key in (AFFINITIES, WEIGHTS):
        asked.add(key, gp.Coordinate((3, 16, 16)) * VOXEL_SIZE)
    return asked


def digest(batch):
    """The hash of the values and the places of a batch."""
    hashed = hashlib.sha256()
    for key in (RAW, AFFINITIES, WEIGHTS):
        array = batch[key]
        hashed.update(repr((key, array.spec.roi, array.data.dtype, array.data.shape)).encode())
        hashed.update(np.ascontiguousarray(array.data).tobytes())
    return hashed.hexdigest()


def trainer(folder, save_every):
    """Trains a network in which dropout draws from torch's generator."""
    import torch

    torch.manual_seed(3)
    net = torch.nn.Sequential(
        torch.nn.Conv3d(1, 4, (1, 3, 3)),
        torch.nn.BatchNorm3d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout3d(0.3),
        torch.nn.Conv3d(4, 3, 3),
        torch.nn.Sigmoid(),
    )
    return gp.torch.Train(
        net,
        lambda p, target, weight: (weight * (p - target) ** 2).mean(),
        torch.optim.Adam(net.parameters(), lr=1e-3),
        inputs={0: RAW},
        outputs={0: PREDICTED},
        loss_inputs={0: PREDICTED, 1: AFFINITIES, 2: WEIGHTS},
        checkpoint_basename=str(Path(folder) / "model"),
        save_every=save_every,
        device="cpu",
    )


def main(samples, folder, iterations, num_workers, method, save_every, pause):
    """Train up to an iteration, from the latest checkpoint if there is one."""
    train = trainer(folder, int(save_every))
    whole = pipeline(samples, int(num_workers), method) + train
    # The seed of a run that goes on is in the checkpoint.
    seed = None if any(Path(folder).glob("model_checkpoint_*")) else 21
    with gp.build(whole, seed=seed):
        while train.iteration < int(iterations):
            batch = whole.request_batch(request())
            print(batch.iteration, float(batch.loss).hex(), digest(batch), flush=True)
            time.sleep(float(pause))


if len(sys.argv) == 8 and sys.argv[0].endswith("training.py"):
    main(*sys.argv[1:])
