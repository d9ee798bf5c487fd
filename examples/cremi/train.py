"""Train a network to say of each voxel with which neighbours it is of one object.

    python examples/cremi/train.py [--data FILE ...] [--planes BEGIN END] [--mirror]

leaves checkpoints, a TensorBoard log and snapshots in runs/cremi. Where checkpoints are, it goes
on from the latest one.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from common import FOLDER, LABELS, RAW, SAMPLES, THICK, place, setting, source
from network import make_network
from tqdm import tqdm

import voxflow as vf
from voxflow.models import analyse
from voxflow.torch import Train


def train(files, planes=None, mirror=False, out=FOLDER, iterations=500, workers=1, seed=0):
    """Train on the labelled planes (begin, end; None: all) of files."""
    torch.manual_seed(seed)
    suited = setting(files[0])
    network = make_network(suited)
    raw, labels = vf.ArrayKey("RAW"), vf.ArrayKey("LABELS")
    affinities, weights = vf.ArrayKey("AFFINITIES"), vf.ArrayKey("WEIGHTS")
    predicted = vf.ArrayKey("PREDICTED")

    voxel_size = place(files[0], RAW).voxel_size
    geometry = analyse(network)
    largest = room(files, planes, suited) + 2 * np.array(geometry.context)
    input_shape, output_shape = geometry.fit(np.minimum(suited.crop, largest))
    padding = geometry.context * voxel_size if mirror else 0
    request = vf.BatchRequest()
    request.add(raw, input_shape * voxel_size)
    request.add(affinities, output_shape * voxel_size)
    request.add(weights, output_shape * voxel_size)
    in_snapshots = vf.BatchRequest()
    in_snapshots.add(labels, output_shape * voxel_size)
    in_snapshots.add(predicted, output_shape * voxel_size)

    trainer = Train(
        network,
        torch.nn.functional.binary_cross_entropy,
        torch.optim.Adam(network.parameters(), lr=1e-3),
        inputs={0: raw},
        outputs={0: predicted},
        loss_inputs={0: predicted, 1: affinities, 2: weights},
        checkpoint_basename=str(out / "model"),
        save_every=min(100, iterations),
        log_dir=out / "log",
    )
    pipeline = (
        tuple(
            source(file, {raw: RAW, labels: LABELS}, planes)
            + vf.Normalize(raw)
            + vf.Pad(raw, padding, mode="reflect")
            + vf.RandomLocation()
            for file in files
        )
        + vf.RandomProvider()
        + vf.SimpleAugment(transpose_only=suited.alike)
        + vf.IntensityAugment(raw, 0.85, 1.15, -0.08, 0.08, z_section_wise=suited is THICK)
        + vf.IntensityScaleShift(raw, 2, -1)
        + vf.GrowBoundary(labels, only_xy=suited is THICK)
        + vf.AddAffinities(suited.neighborhood, labels, affinities, dtype="float32")
        + vf.BalanceLabels(affinities, weights, slab=(1, -1, -1, -1))
        + vf.Unsqueeze([raw])
        + vf.Stack(1)
        + vf.PreCache(cache_size=8, num_workers=workers)
        + trainer
        + vf.Snapshot(
            {
                raw: RAW,
                labels: LABELS,
                affinities: "volumes/affinities",
                predicted: "volumes/predicted",
            },
            output_dir=out / "snapshots",
            output_filename="batch_{iteration}.hdf",
            every=100,
            additional_request=in_snapshots,
            compression_type="gzip",
        )
        + vf.PrintProfilingStats(every=100)
    )
    with vf.build(pipeline, seed=seed), tqdm(total=iterations) as progress:
        while trainer.iteration < iterations:
            batch = pipeline.request_batch(request)
            progress.update(batch.iteration - progress.n)
            progress.set_postfix(loss=f"{batch.loss:.3f}")


def room(files, planes, setting):
    """How large affinities can be (z y x) that fit into the labels, mirrored and transposed."""
    sizes = [place(file, LABELS, planes) for file in files]
    sizes = np.min([spec.roi.shape / spec.voxel_size for spec in sizes], axis=0)
    sizes = sizes - 2 * np.abs(setting.neighborhood).max(axis=0) - 1
    sizes[setting.alike] = sizes[setting.alike].min()
    return sizes.astype(int)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=SAMPLES[:2])
    parser.add_argument("--planes", type=int, nargs=2, help="train on these only: begin, end")
    parser.add_argument("--mirror", action="store_true", help="continue raw at its border")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder")
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    logging.basicConfig(level=logging.INFO)
    train(options.pop("data"), **options)


if __name__ == "__main__":
    main()
