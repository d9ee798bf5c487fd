"""Sources of pairs of files: an image, and its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.flow.merge_provider import MergeProvider
from voxflow.nodes.shape.align_center import AlignCenter
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.stores.base import parse_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.engine import Pipeline
    from voxflow.stores.cache import Cache


def paired_sources(
    images: Sequence[tuple[Any, str]],
    labels: Sequence[tuple[Any, str]],
    image_key: ArrayKey,
    label_key: ArrayKey,
    *,
    align: Literal["center"] | None = None,
    default_voxel_size: Literal["error", "ones"] = "error",
    cache: Cache = None,
) -> tuple[Pipeline, ...]:
    """A source of both for each pair of an image and its labels.

    Parameters
    ----------
    images
        File and dataset of each image; any store that `voxflow.stores.open_dataset` takes.
    labels
        The same of the labels, in the same order.
    image_key, label_key
        The names under which they are offered.
    align
        None: labels lie where their file says. "center": in the middle of the image, see
        `AlignCenter`.
    default_voxel_size, cache
        See `Hdf5Source`.

    Raises
    ------
    ValueError
        If there is no pair, or there are more images than labels, or fewer.

    Examples
    --------
    >>> from voxflow import ArrayKey, RandomLocation, RandomProvider
    >>> raw, labels = ArrayKey("RAW"), ArrayKey("LABELS")
    >>> pairs = paired_sources(
    ...     [("a.h5", "raw"), ("b.h5", "raw")],
    ...     [("a_labels.h5", "lab"), ("b_labels.h5", "lab")],
    ...     raw,
    ...     labels,
    ... )
    >>> pipeline = tuple(pair + RandomLocation() for pair in pairs) + RandomProvider(weights="size")
    """
    parse_choice("align", align, (None, "center"))
    if len(images) != len(labels) or not images:
        raise ValueError(
            f"images and labels come in pairs: got {len(images)} images and {len(labels)} labels"
        )
    pairs = []
    for image, label in zip(images, labels, strict=True):
        image_source, label_source = (
            DatasetSource(store, {key: dataset}, default_voxel_size=default_voxel_size, cache=cache)
            for key, (store, dataset) in ((image_key, image), (label_key, label))
        )
        pair = (image_source, label_source) + MergeProvider()
        pairs.append(pair if align is None else pair + AlignCenter(label_key, image_key))
    return tuple(pairs)
