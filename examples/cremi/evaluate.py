"""Score predictions and their segmentations against the labels, beside what needs no network.

    python examples/cremi/evaluate.py [FILE ...] [--data FILE]

Each file holds `volumes/predictions/affinities` and, from segment.py, `volumes/segmentation`.
Prints a table and writes scores.json. Lower is better, but for AUC. What needs no network is a
watershed of smoothed raw and, if the data have them, the `volumes/labels/fragments` of others.
"""

import argparse
import json
from math import isnan
from pathlib import Path

from common import (
    AFFINITIES,
    FRAGMENTS,
    HELD_OUT,
    LABELS,
    RAW,
    SEGMENTATION,
    TRAINED,
    UNTRAINED,
    load,
    setting,
)
from segment import watershed_of_raw

import voxflow as vf
from voxflow.evaluation import evaluate_scores
from voxflow.stores import list_datasets


def score(segmentation, labels):
    """VOI (bits) and adapted Rand error of a segmentation; voxels labelled 0 do not count."""
    found = vf.evaluation.evaluate(labels, segmentation, ignore=[0]).scores
    names = {"voi_split": "voi_split", "voi_merge": "voi_merge", "voi_sum": "voi", "arand": "arand"}
    return {title: found[name] for title, name in names.items()}


def auc_of_affinities(affinities, labels, neighborhood):
    """AUC over all pairs of direct neighbours of which both are labelled: these join voxels."""
    near = [c for c, offset in enumerate(neighborhood) if sum(map(abs, offset)) == 1]
    options = {"neighborhood": neighborhood, "channels": near, "thresholds": 1024}
    return evaluate_scores(labels, affinities, **options).roc_area


def evaluate(data, files):
    """Scores {name: {measure: value}} of prediction files, and of what needs no network."""
    labels, suited, scores = (data, LABELS), setting(data), {}
    for path in files:
        scores[path.stem] = score((path, SEGMENTATION), labels)
        affinities = path, AFFINITIES
        auc = auc_of_affinities(affinities, labels, suited.neighborhood)
        if not isnan(auc):  # without two objects that touch, there is none
            scores[path.stem]["auc"] = auc
    region = load(files[0], SEGMENTATION).spec.roi.intersect(load(data, LABELS).spec.roi)
    if FRAGMENTS in list_datasets(data):
        scores["fragments"] = score(load(data, FRAGMENTS).crop(region), labels)
    raw = load(data, RAW).crop(region)
    watersheds = [score(watershed_of_raw(raw, sigma), labels) for sigma in suited.blurs]
    scores["watershed of raw"] = min(watersheds, key=lambda found: found["voi_sum"])
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*", default=[TRAINED, UNTRAINED])
    parser.add_argument("--data", type=Path, default=HELD_OUT, help="raw and labels")
    parser.add_argument("--out", type=Path, help="scores.json (default: beside the first file)")
    options = parser.parse_args()
    scores = evaluate(options.data, options.files)
    names = ["voi_split", "voi_merge", "voi_sum", "arand", "auc"]
    print(f"{'':20}" + "".join(f"{name:>12}" for name in names))
    for title, row in scores.items():
        cells = (f"{row[name]:12.3f}" if name in row else f"{'-':>12}" for name in names)
        print(f"{title:20}" + "".join(cells))
    out = options.out or options.files[0].parent / "scores.json"
    out.write_text(json.dumps(scores, indent=2) + "\n")


if __name__ == "__main__":
    main()
