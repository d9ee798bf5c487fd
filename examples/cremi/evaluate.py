"""Score predictions and their segmentations against the labels, beside a watershed of raw.

    python examples/cremi/evaluate.py [FILE ...] [--data FILE]

Each file holds `volumes/predictions/affinities` and, from segment.py, `volumes/segmentation`.
Prints a table and writes scores.json. Lower is better, but for AUC.
"""

import argparse
import json
from pathlib import Path

from common import (
    AFFINITIES,
    HELD_OUT,
    LABELS,
    NEIGHBORHOOD,
    RAW,
    SEGMENTATION,
    TRAINED,
    UNTRAINED,
    load,
)
from segment import watershed_of_raw

import voxflow as vf
from voxflow.evaluation import evaluate_scores

# Only pairs of direct neighbours: these are what joins voxels.
NEAR = [c for c, offset in enumerate(NEIGHBORHOOD) if sum(map(abs, offset)) == 1]


def score(segmentation, labels):
    """VOI (bits) and adapted Rand error of a segmentation; voxels labelled 0 do not count."""
    found = vf.evaluation.evaluate(labels, segmentation, ignore=[0]).scores
    names = {"voi_split": "voi_split", "voi_merge": "voi_merge", "voi_sum": "voi", "arand": "arand"}
    return {title: found[name] for title, name in names.items()}


def auc_of_affinities(affinities, labels, neighborhood=NEIGHBORHOOD, channels=NEAR):
    """AUC over all pairs of direct neighbours of which both are labelled."""
    options = {"neighborhood": neighborhood, "channels": channels, "thresholds": 1024}
    return evaluate_scores(labels, affinities, **options).roc_area


def evaluate(data, files):
    """Scores {name: {measure: value}} of prediction files and of the watershed of raw."""
    labels, scores = (data, LABELS), {}
    for path in files:
        scores[path.stem] = score((path, SEGMENTATION), labels)
        scores[path.stem]["auc"] = auc_of_affinities((path, AFFINITIES), labels)
    region = load(files[0], SEGMENTATION).spec.roi
    raw = load(data, RAW).crop(region.intersect(load(data, LABELS).spec.roi))
    basins = vf.Array(watershed_of_raw(raw.data), raw.spec)
    scores["watershed of raw"] = score(basins, labels)
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
