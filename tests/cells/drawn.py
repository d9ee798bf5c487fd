"""Drawn cells: bright ellipses on a dark ground, with some noise, that may touch."""

import imageio.v3 as imageio
import numpy as np
import tifffile

from voxflow.cells import read_cell_options


def cells(shape=(48, 40), number=5, seed=0, dtype=np.uint8):
    """An image, and its labels, which begin at 2."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    place = np.indices(shape)
    for label in range(2, number + 2):
        centre = rng.uniform(0, shape)
        size = rng.uniform(4, 8, 2)
        inside = sum(((p - c) / s) ** 2 for p, c, s in zip(place, centre, size, strict=True)) < 1
        labels[inside & (labels == 0)] = label
    top = np.iinfo(dtype).max
    image = (labels > 0) * 0.6 + 0.1 + rng.uniform(-0.08, 0.08, shape)
    return (image.clip(0, 1) * top).astype(dtype), labels


def folder(path, count=4, shapes=((48, 40),), *, first=0, channels=0, **options):
    """A folder of PNG files; their sizes come by turns."""
    for part in ("images", "labels"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, labels = cells(shapes[number % len(shapes)], seed=first + number, **options)
        if channels:
            image = np.stack([image, *[image // 2] * (channels - 1)], -1)
        imageio.imwrite(path / "images" / f"cell_{number}.png", image)
        imageio.imwrite(path / "labels" / f"cell_{number}.png", labels)
    return str(path)


def tiffs(path):
    """Two images and a stack of five, as TIFF; labels are 1, too hard to annotate, and 2, 3, 4."""
    for part in ("images", "labels"):
        (path / part).mkdir(parents=True)
    for name, pages in (("a", [0]), ("b", [1]), ("stack", range(2, 7))):
        drawn = [cells((200, 200), 4, seed) for seed in pages]
        image = np.squeeze([one for one, _ in drawn])
        labels = np.squeeze([np.where(ids > 0, ids - 1, 0) for _, ids in drawn]).astype(np.uint8)
        for part, data in (("images", image), ("labels", labels)):
            tifffile.imwrite(path / part / f"{name}.tif", data, photometric="minisblack")
    return str(path)


def options(path, train=None, **more):
    """Options of a small training."""
    train = train or folder(path / "train")
    given = {
        "architecture": "unet",
        "epochs": 1,
        "batch": 2,
        "augments": 0,
        "trim_method": "padding",
        "train_data": train,
        "val_data": train,
        "model": str(path / "models" / "cells.pt"),
        "fmaps": 2,
        "im_dim": 32,
        "device": "cpu",
        **more,
    }
    return read_cell_options(given=given)
