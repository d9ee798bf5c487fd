"""Score predictions and their segmentations against the labels, beside a watershed of raw.

    python examples/cremi/evaluate.py [FILE ...] [--data FILE]

Each file holds `volumes/predictions/affinities` and, from segment.py, `volumes/segmentation`.
Prints a table and writes scores.json. Lower is better, but for AUC.
"""

import argparse
import json
from pathlib import Path

import numpy as np
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
    overlap,
)
from segment import watershed_of_raw
from skimage.metrics import adapted_rand_error, variation_of_information


def score(segmentation, labels):
    """VOI (bits) and adapted Rand error of a segmentation; voxels labelled 0 do not count."""
    truth = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + 1
    truth[labels == 0] = 0
    found = np.unique(segmentation, return_inverse=True)[1].reshape(labels.shape) + 1
    split, merge = variation_of_information(truth, found, ignore_labels=(0,))
    error = adapted_rand_error(truth, found, ignore_labels=(0,))[0]
    scores = {"voi_split": split, "voi_merge": merge, "voi_sum": split + merge, "arand": error}
    return {name: float(value) for name, value in scores.items()}


def auc(truth, prediction):
    """Area under the ROC curve: how often a positive is above a negative (a tie counts half)."""
    _, rank, counts = np.unique(prediction, return_inverse=True, return_counts=True)
    positive = np.bincount(rank.ravel()[truth.ravel()], minlength=len(counts))
    negative = counts - positive
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")


def auc_of_affinities(affinities, labels, neighborhood=NEIGHBORHOOD):
    """AUC over all pairs of voxels whose two ends are labelled, the three direct ones alone."""
    truths, predictions = [], []
    for channel, offset in zip(affinities, neighborhood, strict=True):
        if sum(map(abs, offset)) > 1:
            continue
        sizes = list(zip(offset, labels.shape, strict=True))
        here = tuple(slice(max(0, -o), min(n, n - o)) for o, n in sizes)
        there = tuple(slice(max(0, o), min(n, n + o)) for o, n in sizes)
        known = (labels[here] != 0) & (labels[there] != 0)
        truths.append((labels[here] == labels[there])[known])
        predictions.append(channel[here][known])
    return auc(np.concatenate(truths), np.concatenate(predictions))


def evaluate(data, files):
    """Scores {name: {measure: value}} of prediction files and of the watershed of raw."""
    labels, scores = load(data, LABELS), {}
    for path in files:
        affinities, segmentation = load(path, AFFINITIES), load(path, SEGMENTATION)
        truth, affinities, segmentation = overlap(labels, affinities, segmentation)
        scores[path.stem] = score(segmentation, truth)
        scores[path.stem]["auc"] = auc_of_affinities(affinities, truth)
    region = load(files[0], SEGMENTATION)
    truth, raw, _ = overlap(labels, load(data, RAW), region)
    scores["watershed of raw"] = score(watershed_of_raw(raw), truth)
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
