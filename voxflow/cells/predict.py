"""Predict cells: maps of objects and boundaries, and instances, of the size of each image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import voxflow
from voxflow.cells.feed import RAW, fitted
from voxflow.cells.images import CellImage, cell_images
from voxflow.cells.network import Probabilities, make_network
from voxflow.cells.options import PERIODS, TILE, parts
from voxflow.cells.saving import refuse_same_names
from voxflow.cells.tiles import tiled
from voxflow.cells.training import checkpoints, network_of, weights
from voxflow.pipeline.data import ArrayKey, ArraySpec, BatchRequest
from voxflow.segmentation import fill_holes, segment_maps
from voxflow.stores import image_planes
from voxflow.torch import Predict, load_checkpoint
from voxflow.torch.devices import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from voxflow.cells.options import CellOptions
    from voxflow.pipeline.data import Array
    from voxflow.stores import ImagePlane

__all__ = ["CellPrediction", "load_network", "predict_cells"]

_BATCH, _MAPS = ArrayKey("BATCH"), ArrayKey("MAPS")


@dataclass(frozen=True, eq=False)
class CellPrediction:
    """What was predicted of one image, all of its size, (y, x)."""

    image: CellImage
    objects: NDArray[np.float32]
    """Probability of being inside of an object."""
    boundaries: NDArray[np.float32]
    """Probability of being boundary."""
    labels: NDArray[np.int64]
    """The number of an object, counted from 1, without holes; 0: none."""


def load_network(options: CellOptions, which: str = "best-val-loss") -> Probabilities:
    """The trained network, whose output is probabilities.

    Parameters
    ----------
    options
        Those of the training.
    which
        "best-val-loss", "objects-iou", "boundaries-iou": the best ones; or "final".

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    ValueError
        If the weights are of another network.
    """
    places = [checkpoints(options)[which], weights(options, which)]
    there = next((place for place in places if place.exists()), None)
    if there is None:
        raise FileNotFoundError(
            f"there are no weights {which} of {options.model}: looked for "
            f"{', '.join(map(str, places))}. Train first, or keep the weights beside the YAML file"
        )
    network = make_network(**network_of(options))
    try:
        network.load_state_dict(load_checkpoint(there).model)
    except RuntimeError as error:
        raise ValueError(
            f"{there} holds the weights of another network than a {options.architecture} of "
            f"{options.fmaps} feature maps for {options.channels} channels ({error})"
        ) from error
    return Probabilities(network, options.architecture).eval()


def predict_cells(
    options: CellOptions,
    folder: str,
    *,
    weights: str = "best-val-loss",
    device: str = "auto",
    grow: float = 2.0,
    distinct: bool = False,
    tile: int = TILE,
    **segmentation: Any,
) -> Iterator[CellPrediction]:
    """Predict the images of a folder, one after another.

    Parameters
    ----------
    options
        Those of the training.
    folder
        Images, or a folder with ``images``; several are joined by +. Pages of a stack are images.
    weights
        See `load_network`.
    device
        Of the network.
    grow
        By how many pixels an object grows back over its boundary, at the size that was trained on.
        Boundaries are one pixel on each side, but weigh more than the rest, so that they are found
        thicker.
    distinct
        Whether images of the same name are refused: they cannot be saved into one folder.
    tile
        Images that are larger are predicted in tiles of so many pixels along each axis, and what
        the network sees around them, so that their maps are those of the whole.
    segmentation
        More options of `voxflow.segmentation.segment_maps`.

    Raises
    ------
    StoreNotFound, StoreUnusable, FileNotFoundError, ValueError
        If images cannot be predicted, or there are no weights: before the first prediction.
    """
    if tile < 1:
        raise ValueError(f"a tile is of 1 pixel or more, got {tile}")
    network = load_network(options, weights)
    planes = [plane for one in parts(folder) for plane in _planes(one)]
    if distinct:
        refuse_same_names(plane.file for plane in planes)
    images = cell_images(planes, options.channels, options.size)[::-1]
    chosen = choose_device(device)
    segmentation["grow"] = grow
    # What was predicted is not held: its pixels are in memory.
    return (
        _predicted(images.pop(), options, network, chosen, tile, segmentation)
        for _ in range(len(images))
    )


def _planes(folder: str) -> list[ImagePlane]:
    inside = os.path.join(folder, "images")
    return image_planes(inside if os.path.isdir(inside) else folder)


def _predicted(
    image: CellImage,
    options: CellOptions,
    network: Probabilities,
    device: torch.device,
    tile: int,
    segmentation: dict[str, Any],
) -> CellPrediction:
    period = PERIODS[options.architecture]
    source, fit = fitted(
        image, options.trim_method, options.im_dim, options.normalize, period=period
    )
    with voxflow.build(source, seed=0):
        # Fitting takes the whole image: it is done once for all tiles.
        whole = _requested(source, RAW)
        pipeline = voxflow.ArraySource(RAW, whole) + voxflow.Unsqueeze([RAW])
        pipeline += Predict(network, {0: RAW}, {0: _MAPS}, device=device, context=(0, 0))
        pipeline += voxflow.Squeeze([_MAPS])
        pipeline = tiled(pipeline, _MAPS, options.architecture, whole.spec, tile)
        pipeline += voxflow.FitBack(_MAPS, fit)
        with voxflow.build(pipeline, seed=0):
            objects, boundaries = _requested(pipeline, _MAPS).data
    if options.size is not None:
        scale = max(1.0, max(n / options.size for n in image.shape[-2:]))
        segmentation = {**segmentation, "grow": segmentation["grow"] * scale}
    labels = fill_holes(segment_maps(objects, boundaries, **segmentation))
    return CellPrediction(image, objects, boundaries, labels)


def _requested(pipeline: Any, key: ArrayKey) -> Array:
    """All that there is of an array."""
    request = BatchRequest({key: ArraySpec(pipeline.spec[key].roi)})
    found: Array = pipeline.request_batch(request)[key]
    return found
