"""Pipelines for training on cells: whole images that fit, their copies, and their targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import voxflow
from voxflow.cells.images import CellImage, cell_pairs
from voxflow.cells.parts import Copies, Parts
from voxflow.cells.targets import Targets
from voxflow.nodes.values.fit_statistics import Statistics
from voxflow.pipeline.data import ArrayKey, BatchRequest
from voxflow.training.parts.feeds import Feed
from voxflow.training.previews import PreviewRegion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["fitted", "training_feed", "validation_feed"]

RAW, LABELS = ArrayKey("RAW"), ArrayKey("LABELS")
CLASSES, MASK = ArrayKey("CLASSES"), ArrayKey("MASK")
PREDICTED = ArrayKey("PREDICTED")

Trim = Literal["resize", "padding", "reflect"]
Blobs = Literal["ignore", "remove", "object"]
Normalize = Literal["dtype", "image"]

# Percentiles that become 0 and 1. Cells may be few and bright, so that not much is cut off.
_PERCENTILES = (1.0, 99.8)
_SHOWN = 5


def training_feed(
    model: Any,
    folders: Sequence[str],
    *,
    im_dim: int,
    batch: int,
    augments: int = 0,
    elastic: bool = False,
    workers: int = 0,
    shown: Sequence[str] = (),
    **how: Any,
) -> Feed:
    """Each image once as it is and in so many augmented copies, in every epoch.

    Parameters
    ----------
    model
        The network, which nothing depends on: images are of the size of `im_dim`.
    folders
        With ``images`` and ``labels``.
    im_dim
        Width and height. Of what is larger, and not resized, a part is drawn.
    batch
        How many images are in a batch.
    augments
        How many copies.
    elastic
        Whether copies are deformed as well.
    workers
        Processes that make batches.
    shown
        Folders whose first images are predicted for pictures.
    how
        ``channels``, ``trim_method``, ``blobs``, ``normalize``: see `CellOptions`.

    Raises
    ------
    StoreNotFound, StoreUnusable, ValueError
        If images cannot be trained on.
    """
    sources = _sources(_pairs(folders, im_dim, **how), im_dim, **how)
    parts = Parts((im_dim, im_dim), augments, per_batch=batch)
    pipeline: Any = tuple(sources) + parts
    if augments:
        pipeline += Copies.imgaug(parts=parts, elastic=elastic)
    pipeline += _targets(how["blobs"]) + voxflow.Stack(batch)
    if workers:
        pipeline += voxflow.PreCache(2 * workers, workers)
    return _feed(pipeline, im_dim, how["blobs"], _regions(shown, im_dim, **how))


def validation_feed(
    model: Any, folders: Sequence[str], *, im_dim: int, batch: int, **how: Any
) -> Feed:
    """Each image once, as it is, in their order; the same parts each time."""
    sources = _sources(_pairs(folders, im_dim, **how), im_dim, **how)
    parts = Parts((im_dim, im_dim), shuffle=False, per_batch=batch)
    pipeline = tuple(sources) + parts + _targets(how["blobs"]) + voxflow.Stack(batch)
    return _feed(pipeline, im_dim, how["blobs"])


def _feed(pipeline: Any, im_dim: int, blobs: Blobs, regions: Any = None) -> Feed:
    keys = [CLASSES, *([MASK] if blobs == "ignore" else [])]
    loss_inputs: dict[int | str, ArrayKey] = dict(enumerate([PREDICTED, *keys]))
    return Feed(pipeline, _request(RAW, *keys, size=im_dim), loss_inputs=loss_inputs,
                regions=regions or {})  # fmt: skip


def _request(*keys: ArrayKey, size: int) -> BatchRequest:
    request = BatchRequest()
    for key in keys:
        request.add(key, (size, size))
    return request


def _pairs(
    folders: Sequence[str], im_dim: int, *, channels: int, trim_method: Trim, **_: Any
) -> list[tuple[CellImage, CellImage]]:
    return cell_pairs(folders, channels, im_dim if trim_method == "resize" else None)


def _sources(
    pairs: Sequence[tuple[CellImage, CellImage]],
    im_dim: int,
    *,
    trim_method: Trim,
    normalize: Normalize,
    **_: Any,
) -> Iterator[Any]:
    """Each image and its labels, of at least the size that is trained on."""
    for image, labels in pairs:
        yield fitted(image, trim_method, im_dim, normalize, labels=labels)[0]


def fitted(
    image: CellImage,
    trim_method: Trim,
    im_dim: int,
    normalize: Normalize,
    *,
    labels: CellImage | None = None,
    period: int = 1,
) -> tuple[Any, voxflow.FitToSize]:
    """The source of an image, and the node that makes it fit.

    Parameters
    ----------
    image
        The image, in world units of its size after it is resized.
    trim_method, im_dim, normalize
        See `CellOptions`.
    labels
        Labels that go with it.
    period
        What is larger than `im_dim`, and not resized, becomes a multiple of it.
    """
    keys = {RAW: image, **({} if labels is None else {LABELS: labels})}
    sources = [
        # Not by their type: images may be of 16 bits, and labels of 8.
        voxflow.DatasetSource(
            one,
            {key: one.plane.name},
            {key: voxflow.ArraySpec(interpolatable=key == RAW)},
            cache=0,
        )
        for key, one in keys.items()
    ]
    made = sources[0] if labels is None else tuple(sources) + voxflow.MergeProvider()
    made += voxflow.Normalize(RAW, **_normalization(image, normalize))
    size = [max(im_dim, -(-n // period) * period) for n in image.shape[-2:]]
    if trim_method == "resize":
        size = [im_dim, im_dim]
    mode: Any = "pad" if trim_method == "padding" else trim_method
    fit = voxflow.FitToSize(list(keys), size, mode)
    return made + fit, fit


def _normalization(image: CellImage, normalize: Normalize) -> dict[str, Any]:
    if normalize == "dtype":
        return {}
    pixels = image.pixels
    low, high = (float(value) for value in np.percentile(pixels, _PERCENTILES))
    # An image of one intensity has nothing to be seen.
    high = high if high > low else low + 1
    found = Statistics(float(pixels.mean()), float(pixels.std()), low, high)
    return {"mode": "percentiles", "statistics": found}


def _targets(blobs: Blobs) -> Any:
    """What turns labels into classes."""
    if blobs == "remove":
        return voxflow.HandleBlobs(LABELS, blobs, raw=RAW) + Targets(LABELS, CLASSES)
    return Targets(LABELS, CLASSES, MASK if blobs == "ignore" else None)


def _regions(folders: Sequence[str], im_dim: int, **how: Any) -> dict[str, PreviewRegion]:
    """Some images whose prediction is shown."""
    regions: dict[str, PreviewRegion] = {}
    pairs = _pairs(folders, im_dim, **how)[:_SHOWN] if folders else []
    for number, image in enumerate(_sources(pairs, im_dim, **how)):
        image = (image,) + Parts((im_dim, im_dim)) + _targets(how["blobs"]) + voxflow.Stack(1)
        request = _request(RAW, CLASSES, PREDICTED, size=im_dim)
        regions[f"validation-{number}"] = PreviewRegion(image, request)
    return regions
