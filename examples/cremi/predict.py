"""Predict the affinities of a volume, block by block, with the trained and an untrained network.

    python examples/cremi/predict.py [--data FILE] [--planes BEGIN END] [--mirror]

writes `volumes/predictions/affinities` into trained.hdf and untrained.hdf in runs/cremi. The
network needs raw around what it predicts: without --mirror the prediction is smaller than raw.
"""

import argparse
from pathlib import Path

import torch
from common import (
    AFFINITIES,
    FOLDER,
    HELD_OUT,
    RAW,
    TRAINED,
    UNTRAINED,
    place,
    setting,
    source,
)
from network import make_network

import voxflow as vf
from voxflow.models import analyse
from voxflow.torch import Predict, latest_checkpoint


def predict(data, file, checkpoint=None, planes=None, mirror=False):
    """Predict what can be, or only these planes, into a file; without checkpoint: untrained."""
    torch.manual_seed(0)
    suited = setting(data)
    network = make_network(suited).eval()
    raw, predicted = vf.ArrayKey("RAW"), vf.ArrayKey("PREDICTED")

    geometry, voxel_size = analyse(network), place(data, RAW).voxel_size
    context = geometry.context * voxel_size
    region = place(data, RAW).roi
    if not mirror:
        region = region.grow(-context, -context)
    if planes:
        region = region.intersect(place(data, RAW, planes).roi)
    largest = region.shape / voxel_size + 2 * geometry.context
    input_shape, output_shape = geometry.fit(
        [min(*sizes) for sizes in zip(suited.block, largest, strict=True)]
    )
    block = vf.BatchRequest()
    block.add(raw, input_shape * voxel_size)
    block.add(predicted, output_shape * voxel_size)

    # The file will say which voxels its channels compare.
    specs = {predicted: vf.ArraySpec(kind=vf.Affinities(suited.neighborhood))}
    pipeline = (
        source(data, {raw: RAW})
        + vf.Normalize(raw)
        + vf.IntensityScaleShift(raw, 2, -1)
        + vf.Pad(raw, context, mode="reflect")
        + vf.Unsqueeze([raw])
        + vf.Unsqueeze([raw])
        + Predict(network, {0: raw}, {0: predicted}, specs, checkpoint=checkpoint, context=context)
        + vf.Squeeze([predicted])
        + vf.Crop(predicted, region)
        + vf.Hdf5Write({predicted: AFFINITIES}, file.parent, file.name, "gzip")
        + vf.Scan(block)
    )
    file.unlink(missing_ok=True)
    with vf.build(pipeline):
        pipeline.request_batch(vf.BatchRequest())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HELD_OUT)
    parser.add_argument("--planes", type=int, nargs=2, help="predict these only: begin, end")
    parser.add_argument("--mirror", action="store_true", help="continue raw at its border")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder, of train.py too")
    options = parser.parse_args()
    checkpoint = latest_checkpoint(options.out / "model")
    if checkpoint is None:
        raise SystemExit(f"there is no checkpoint of train.py in {options.out}")
    how = options.planes, options.mirror
    predict(options.data, options.out / TRAINED.name, checkpoint, *how)
    predict(options.data, options.out / UNTRAINED.name, None, *how)


if __name__ == "__main__":
    main()
