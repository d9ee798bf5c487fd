"""Draw raw, labels, affinities and segmentation of one section side by side, as PNG.

python examples/cremi/picture.py [FILE] [--data FILE]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from common import AFFINITIES, HELD_OUT, LABELS, RAW, SEGMENTATION, TRAINED, load, overlap


def colours(labels):
    """RGB of ids, the same for an id in every picture; 0 is black."""
    mixed = labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # spreads near ids; wraps
    channels = [(mixed >> np.uint64(shift)) & np.uint64(255) for shift in (56, 48, 40)]
    return (np.stack(channels, axis=-1) * (labels != 0)[..., None]).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prediction", type=Path, nargs="?", default=TRAINED)
    parser.add_argument("--data", type=Path, default=HELD_OUT, help="raw and labels")
    parser.add_argument("--out", type=Path, help="PNG (default: picture.png beside the prediction)")
    parser.add_argument("--section", type=int, help="default: the middle one")
    options = parser.parse_args()
    parts = [load(options.data, RAW), load(options.data, LABELS)]
    parts += [load(options.prediction, AFFINITIES), load(options.prediction, SEGMENTATION)]
    raw, labels, affinities, segmentation = overlap(*parts)
    section = len(raw) // 2 if options.section is None else options.section
    top = 255 if affinities.dtype == np.uint8 else 1
    panels = {
        "raw": raw[section],
        "labels": colours(labels[section]),
        "affinities (z, y, x as red, green, blue)": np.moveaxis(
            affinities[:3, section].astype(float) / top, 0, -1
        ),
        "segmentation": colours(segmentation[section]),
    }
    figure, axes = plt.subplots(1, 4, figsize=(20, 5.4), layout="constrained")
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        axis.imshow(panel, cmap="gray", interpolation="nearest")
        axis.set_title(title)
        axis.axis("off")
    out = options.out or options.prediction.with_name("picture.png")
    figure.savefig(out, dpi=100)
    print(out)


if __name__ == "__main__":
    main()
