"""Regions of a configuration that are predicted again and again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import voxflow
from voxflow.models import analyse
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.pipeline.data import ArrayKey, ArraySpec, BatchRequest
from voxflow.pipeline.engine import Pipeline
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.stores import open_dataset
from voxflow.training.parts.named import called
from voxflow.training.previews import PreviewRegion

if TYPE_CHECKING:
    import torch

    from voxflow.training.config.schema import Config, PairSection
    from voxflow.training.parts.feeds import Feed

    Source = tuple[str, str]

__all__ = ["WholeImage", "make_regions", "whole_image"]

LABELS = ArrayKey("LABELS")

LARGEST = 512  # voxels, of a region whose size nobody gives


def make_regions(config: Config, feed: Feed, model: torch.nn.Module) -> dict[str, PreviewRegion]:
    """The regions of the feed, and of ``previews.sources``, by names that say where they are from.

    An image that has labels, for training or validation, is shown with them.

    Raises
    ------
    ValueError
        If an image is too small for the network, or does not fit it.
    """
    pairs = [*config.data.pairs, *(config.validation.pairs if config.validation else ())]
    regions = dict(feed.regions)
    for source in config.previews.sources:
        labels = next((pair for pair in pairs if pair.raw == source), None)
        name = f"{Path(source[0]).stem}-{source[1].replace('/', '.')}"
        if name in regions:
            name = f"{name}-{len(regions) + 1}"
        regions[name] = _region(config, feed, model, source, labels)
    return regions


@dataclass(frozen=True)
class WholeImage:
    """An image that a network can predict, and how."""

    pipeline: Any
    """Gives the image as the network takes it, and its labels if it has some."""
    image: ArraySpec
    labels: ArraySpec | None
    context: Coordinate
    """How much the network needs on each side, in world units."""
    block: Coordinate
    """What it predicts at once, in voxels."""


def whole_image(
    config: Config,
    feed: Feed,
    model: torch.nn.Module,
    source: Source,
    pair: PairSection | None,
    named: str,
) -> WholeImage:
    """An image, made ready for the network; `named` says where the configuration names it.

    Raises
    ------
    ValueError
        If it does not fit the network.
    """
    raw, place = next(iter(feed.inputs.values())), ":".join(source)
    pipeline, image, labels = _image(config, source, raw, pair)
    size, shape = image.voxel_size, open_dataset(*source).shape
    patch = feed.request[raw].region.shape / size
    if len(shape) - patch.dims not in (0, 1):
        raise ValueError(
            f"{named}: {place} has the shape {tuple(shape)}; an image has {patch.dims} "
            "axes, or one more of channels before them"
        )
    channels = shape[0] if len(shape) > patch.dims else None
    geometry = analyse(model, 1 if channels is None else channels, patch.dims)
    if any(step != 1 for step in geometry.stride):
        raise ValueError(
            f"{named}: the network's output has voxels of {geometry.stride} voxels of its "
            f"input, which are not put together here; leave {named} out"
        )
    if config.data.normalize is not None:
        pipeline += called("data.normalize", voxflow.Normalize, raw, **config.data.normalize)
    for _ in range(2 if channels is None else 1):  # channels, samples
        pipeline += voxflow.Unsqueeze([raw])
    context, block = geometry.context * size, geometry.fit(patch)[1]
    return WholeImage(pipeline, image, labels, context, block)


def _region(
    config: Config, feed: Feed, model: torch.nn.Module, source: Source, pair: PairSection | None
) -> PreviewRegion:
    raw = next(iter(feed.inputs.values()))
    whole = whole_image(config, feed, model, source, pair, "previews.sources")
    size = whole.image.voxel_size
    place, region = ":".join(source), whole.image.region
    shown = _shown(config, place, region, size, whole.context, whole.block)
    keys = [raw, *feed.outputs.values()]
    if whole.labels is not None and whole.labels.region.contains(shown):
        keys.insert(1, LABELS)
    request, reference = BatchRequest(), BatchRequest()
    for key in keys:
        request[key] = ArraySpec(shown)
        reference[key] = ArraySpec(Roi(shown.offset, whole.block * size))
    return PreviewRegion(whole.pipeline, request, whole.context, reference)


def _image(
    config: Config, source: Source, raw: ArrayKey, pair: PairSection | None
) -> tuple[Any, ArraySpec, ArraySpec | None]:
    """What gives an image, and its labels if it has some; and where both lie."""
    if pair is None:
        default = config.data.voxel_size
        made: Any = DatasetSource(source[0], {raw: source[1]}, default_voxel_size=default)
        made = Pipeline(made)
    else:
        (made,) = voxflow.paired_sources(
            [pair.raw],
            [pair.labels],
            raw,
            LABELS,
            align=config.data.align,
            default_voxel_size=config.data.voxel_size,
        )
    with voxflow.build(made, seed=0):
        spec = made.spec
        return made, spec[raw].copy(), None if pair is None else spec[LABELS].copy()


def _shown(
    config: Config, place: str, image: Roi, size: Any, context: Coordinate, block: Coordinate
) -> Roi:
    """The region that is shown: in the middle of what the network can predict."""
    there = image.grow(-context, -context).snap_to_grid(size, "shrink")
    voxels = there.shape / size
    few = block.dims - 2  # of a volume, no more sections than are shown
    wanted = (config.previews.max_sections,) * few + (LARGEST,) * min(2, block.dims)
    if config.previews.shape is not None:
        wanted = tuple(config.previews.shape)
        if len(wanted) != block.dims:
            raise ValueError(f"previews.shape: the network has {block.dims} axes, got {wanted}")
    if any(have < least for have, least in zip(voxels, block, strict=True)):
        raise ValueError(
            f"previews.sources: {place} has {image.shape / size} voxels, the network needs "
            f"{block + context / size * 2} for a patch of training; take another image"
        )
    chosen = Coordinate(
        min(have, max(want, least)) for have, want, least in zip(voxels, wanted, block, strict=True)
    )
    begin = there.offset + (voxels - chosen) // 2 * size
    return Roi(begin, chosen * size)
