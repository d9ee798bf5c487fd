"""Scores of folders of 2D images, of any sizes, each against its truth."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxflow.evaluation.contingency import check_labels, contingency
from voxflow.evaluation.evaluate import Background, scores_of
from voxflow.stores import ImagePlane, StoreUnusable, image_planes

__all__ = ["ImagesEvaluation", "evaluate_images"]

_COUNTS = ("objects_truth", "objects_found", "voxels")


@dataclass(frozen=True, eq=False)
class ImagesEvaluation:
    """What segmentations of images are worth."""

    scores: dict[str, float]
    """The mean over images of each of their scores, where it is a number; of counts, the sum."""
    images: dict[str, dict[str, float]]
    """The scores of each image, by name; see `scores_of`."""

    def to_json(self) -> dict[str, Any]:
        """All as numbers; None is not a number."""
        return {
            "scores": _finite(self.scores),
            "images": {name: _finite(scores) for name, scores in self.images.items()},
        }


def _finite(scores: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def evaluate_images(
    truth: str | os.PathLike[str],
    segmentation: str | os.PathLike[str],
    *,
    ignore: Sequence[int] = (),
    background: Background = "ignore",
    thresholds: Sequence[float] = (0.5, 0.75),
) -> ImagesEvaluation:
    """Score each image of a folder against the one of its name in another, and take the mean.

    Parameters
    ----------
    truth, segmentation
        Folders of labels, or with such in ``labels``. Names count without their suffix; pages of a
        TIFF file are images.
    ignore, background, thresholds
        See `evaluate`.

    Raises
    ------
    StoreNotFound
        If there is no such folder, or no image in it.
    StoreUnusable
        If images have no partner, or one of another size, or cannot be read.
    TypeError
        If ids are not integers.
    """
    there = [_by_name(folder) for folder in (truth, segmentation)]
    _check_partners(there, (truth, segmentation))
    images = {}
    for name, plane in there[0].items():
        pixels = [np.asarray(one[(slice(None), slice(None))]) for one in (plane, there[1][name])]
        images[name] = scores_of(contingency(*pixels).without(ignore), background, thresholds)
    return ImagesEvaluation(_mean(images), images)


def _by_name(folder: str | os.PathLike[str]) -> dict[str, ImagePlane]:
    inside = Path(folder) / "labels"
    found = {}
    for plane in image_planes(inside if inside.is_dir() else folder):
        check_labels(plane.dtype, plane.name)
        if plane.channels is not None:
            raise StoreUnusable(f"{plane.name} has {plane.channels} channels: labels have none")
        found[Path(plane.file).stem + plane.name.removeprefix(plane.file)] = plane
    return found


def _check_partners(
    there: Sequence[dict[str, ImagePlane]], folders: Sequence[str | os.PathLike[str]]
) -> None:
    wrong = []
    for mine, others, folder in zip(there, reversed(there), reversed(folders), strict=True):
        wrong += [f"{plane.name} has no partner in {folder}" for name, plane in mine.items()
                  if name not in others]  # fmt: skip
    for name in there[0].keys() & there[1].keys():
        one, other = there[0][name], there[1][name]
        if one.shape != other.shape:
            wrong.append(f"{other.name} has {other.shape} pixels, {one.name} {one.shape}")
    if wrong:
        told = "\n".join(f"- {line}" for line in sorted(wrong))
        raise StoreUnusable(f"images cannot be compared:\n{told}")


def _mean(images: dict[str, dict[str, float]]) -> dict[str, float]:
    gathered: dict[str, list[float]] = defaultdict(list)
    for scores in images.values():
        for name, value in scores.items():
            gathered[name].append(value)
    return {name: _one(name, values) for name, values in gathered.items()}


def _one(name: str, values: Sequence[float]) -> float:
    if name in _COUNTS:
        return sum(values)
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
