"""Choose how affinities become instances: by what scores best on planes that were trained on.

    python examples/cremi/choose.py [--data FILE] [--planes BEGIN END]

predicts these planes into training.hdf, tries several methods on them, prints a table, and writes
the best one into method.json, for segment.py. All of it lies in runs/cremi.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from common import AFFINITIES, CHOSEN, FOLDER, LABELS, SAMPLES, load, setting
from evaluate import score
from predict import predict
from segment import MIN_SIZE, merge_small

import voxflow as vf
from voxflow.segmentation import MutexWatershed, Watershed, segment
from voxflow.torch import latest_checkpoint

# An affinity above its bias says "one object", one below says "two objects", the more so the
# further away; the mutex watershed believes the strongest first. The watershed makes fragments, and
# joins them while the mean affinity between them is above its threshold.
METHODS = [
    MutexWatershed(bias=0.4, long_bias=0.5),
    MutexWatershed(bias=0.5, long_bias=0.5),
    MutexWatershed(bias=0.5, long_bias=0.6),
    *(Watershed(threshold=threshold) for threshold in (0.2, 0.3, 0.4, 0.5, 0.6)),
]


def best_of(methods, affinities, neighborhood, labels):
    """The method whose instances of affinities have the lowest VOI; prints all."""
    found = {}
    for method in methods:
        instances = segment(affinities.data, method, neighborhood=neighborhood)
        instances = merge_small(instances, MIN_SIZE, affinities.spec.voxel_size)
        found[method] = score(vf.Array(instances, affinities.spec), labels)
        print(*(f"{name} {value:.3f}" for name, value in found[method].items()), method, sep="  ")
    return min(found, key=lambda method: found[method]["voi_sum"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLES[0])
    parser.add_argument("--planes", type=int, nargs=2, help="these only: begin, end")
    parser.add_argument("--mirror", action="store_true", help="continue raw at its border")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder, of train.py too")
    options = parser.parse_args()
    file = options.out / "training.hdf"
    checkpoint = latest_checkpoint(options.out / "model")
    predict(options.data, file, checkpoint, options.planes, options.mirror)
    affinities = load(file, AFFINITIES)
    neighborhood = setting(options.data).neighborhood
    method = best_of(METHODS, affinities, neighborhood, (options.data, LABELS))
    described = {"method": type(method).__name__, **asdict(method)}
    (options.out / CHOSEN).write_text(json.dumps(described, indent=2) + "\n")
    print(method)


if __name__ == "__main__":
    main()
