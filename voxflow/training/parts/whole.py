"""The image of a validation, predicted as a whole, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import voxflow
from voxflow.pipeline.data import ArraySpec, BatchRequest
from voxflow.pipeline.geometry import Roi
from voxflow.training.parts.feeds import targets_of
from voxflow.training.parts.regions import whole_image
from voxflow.training.region_validation import RegionValidation

if TYPE_CHECKING:
    import torch

    from voxflow.pipeline.geometry import Coordinate
    from voxflow.training.config.schema import Config, PairSection
    from voxflow.training.parts.feeds import Feed

__all__ = ["whole_validation"]


def whole_validation(
    config: Config, pair: PairSection, feed: Feed, model: torch.nn.Module, **options: Any
) -> RegionValidation:
    """What evaluates a network on an image and its labels, as far as both can be compared.

    Parameters
    ----------
    config
        The configuration.
    pair
        The image, and its labels.
    feed
        What goes into network and loss.
    model
        The network.
    **options
        Of a `RegionValidation`.

    Raises
    ------
    ValueError
        If the image is too small for the network, or does not fit it.
    """
    image = whole_image(config, feed, model, pair.raw, pair, "validation.pairs")
    made = [key for key in feed.loss_inputs.values() if key not in feed.outputs.values()]
    pipeline = image.pipeline + targets_of(config.data) + voxflow.Unsqueeze(made)  # samples
    size: Any = image.image.voxel_size
    block = image.block
    there = image.image.region.grow(-image.context, -image.context)
    with voxflow.build(pipeline, seed=0):
        for key in made:
            there = there.intersect(pipeline.spec[key].region)
    there = there.snap_to_grid(size, "shrink")
    _check(":".join(pair.raw), there, size, block)
    request, reference = BatchRequest(), BatchRequest()
    for key in [*feed.outputs.values(), *made]:
        request[key] = ArraySpec(there)
        reference[key] = ArraySpec(Roi(there.offset, block * size))
    return RegionValidation(pipeline, request, block=reference, context=image.context, **options)


def _check(place: str, there: Roi, size: Coordinate, block: Coordinate) -> None:
    voxels = there.shape / size
    if any(have < least for have, least in zip(voxels, block, strict=True)):
        raise ValueError(
            f"validation.whole: {place} can be predicted and compared with its labels in "
            f"{there} ({voxels} voxels), the network gives {block} voxels at once; take a larger "
            "image, or leave validation.whole out"
        )
