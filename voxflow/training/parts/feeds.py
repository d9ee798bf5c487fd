"""Pipelines of a configuration: pairs of images and labels, or what a function makes."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import voxflow
from voxflow.models import analyse
from voxflow.pipeline.data import ArrayKey, BatchRequest
from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.stores import open_dataset, paired_images, read_geometry
from voxflow.training.parts.named import called, load_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from voxflow.training.config.schema import DataSection, SourceSection
    from voxflow.training.previews import PreviewRegion

__all__ = ["Feed", "make_feed", "targets_of"]

logger = logging.getLogger(__name__)

RAW, LABELS = ArrayKey("RAW"), ArrayKey("LABELS")
AFFINITIES, WEIGHTS = ArrayKey("AFFINITIES"), ArrayKey("WEIGHTS")
PREDICTED = ArrayKey("PREDICTED")


@dataclass(frozen=True)
class Feed:
    """Where batches come from, and what of them goes where.

    A function that ``data.pipeline`` names is called with the network and ``data.options``, and
    returns one.

    Parameters
    ----------
    pipeline
        Gives the batches.
    request
        What is asked of it.
    inputs
        Arrays that go into the network, by position or name.
    outputs
        Arrays that come out of it, by index or name of a submodule.
    loss_inputs
        Arrays that go into the loss, by position or name.
    regions
        What previews show beside ``previews.sources``, by name.
    """

    pipeline: Any
    request: BatchRequest
    inputs: Mapping[int | str, ArrayKey] = field(default_factory=lambda: {0: RAW})
    outputs: Mapping[int | str, ArrayKey] = field(default_factory=lambda: {0: PREDICTED})
    loss_inputs: Mapping[int | str, ArrayKey] = field(
        default_factory=lambda: {0: PREDICTED, 1: LABELS}
    )
    regions: Mapping[str, PreviewRegion] = field(default_factory=dict)


def make_feed(
    source: SourceSection, data: DataSection, model: torch.nn.Module, *, train: bool
) -> Feed:
    """The feed of training, or that of validation, which is not augmented.

    Parameters
    ----------
    source
        What it is made of.
    data
        How training is fed: validation has patches of the same size, and the same targets.
    model
        The network, which says how large its output is.
    train
        Whether it is for training.

    Raises
    ------
    TypeError
        If a function makes something else.
    ValueError
        If the network and the data do not fit together.
    """
    if source.pipeline is not None:
        made = called("data.pipeline", load_named(source.pipeline), model, **source.options)
        if not isinstance(made, Feed):
            raise TypeError(
                f"{source.pipeline} gave a {type(made).__name__}; it should give a "
                "voxflow.training.Feed of a pipeline and a request"
            )
        return made
    dims = len(data.input_shape or ())
    images, labels = _pairs(source)
    voxel_size, channels = _first_image(images[0], data, dims)
    shapes = _shapes(data, model, dims, channels)
    pipeline = _sources(images, labels, data)
    for name, options in data.augment.items() if train else ():
        pipeline += _augment(name, options, dims)
    pipeline += _targets(data, channels)
    if train and data.workers:
        pipeline += voxflow.PreCache(data.cache_size, data.workers)
    target = AFFINITIES if data.target == "affinities" else LABELS
    request = BatchRequest()
    request.add(RAW, shapes[0] * voxel_size)
    request.add(target, shapes[1] * voxel_size)
    loss_inputs: dict[int | str, ArrayKey] = {0: PREDICTED, 1: target}
    if data.balance:
        request.add(WEIGHTS, shapes[1] * voxel_size)
        loss_inputs[2] = WEIGHTS
    return Feed(pipeline, request, loss_inputs=loss_inputs)


def _pairs(source: SourceSection) -> tuple[list[tuple[Any, str]], list[tuple[Any, str]]]:
    """Where images are, and their labels."""
    if source.folders:
        return paired_images(*source.folders)
    return [pair.raw for pair in source.pairs], [pair.labels for pair in source.pairs]


def _first_image(
    name: tuple[Any, str], data: DataSection, dims: int
) -> tuple[Coordinate, int | None]:
    """The voxel size, and how many channels there are; None without an axis of channels."""
    stored = open_dataset(*name)
    voxel_size = read_geometry(stored, default=data.voxel_size, ndim=dims).voxel_size
    if len(stored.shape) - dims not in (0, 1):
        raise ValueError(
            f"{stored.uri} has the shape {tuple(stored.shape)}; with input_shape "
            f"{data.input_shape} an image has {dims} axes, or one more of channels before them"
        )
    return voxel_size, stored.shape[0] if len(stored.shape) > dims else None


def _shapes(
    data: DataSection, model: torch.nn.Module, dims: int, channels: int | None
) -> tuple[Coordinate, Coordinate]:
    geometry = analyse(model, 1 if channels is None else channels, dims)
    if any(step != 1 for step in geometry.stride):
        raise ValueError(
            f"the network's output has voxels of {geometry.stride} voxels of its input; targets of "
            "that size need a pipeline of your own: data.pipeline"
        )
    wanted = Coordinate(data.input_shape or ())
    shapes = geometry.fit(wanted)
    if shapes[0] != wanted:
        logger.warning(
            "data.input_shape: the network takes no %s voxels; patches have %s", wanted, shapes[0]
        )
    return shapes


def _sources(
    images: list[tuple[Any, str]], labels: list[tuple[Any, str]], data: DataSection
) -> Any:
    pairs = voxflow.paired_sources(
        images,
        labels,
        RAW,
        LABELS,
        align=data.align,
        default_voxel_size=data.voxel_size,
        cache=data.cache,
    )
    made: list[Any] = []
    for pair in pairs:
        if data.normalize is not None:
            pair += called("data.normalize", voxflow.Normalize, RAW, **data.normalize)
        counted = LABELS if data.min_labelled else None
        made.append(pair + voxflow.RandomLocation(min_labelled=data.min_labelled, labels=counted))
    return tuple(made) + voxflow.RandomProvider() if len(made) > 1 else made[0]


def _augment(name: str, options: dict[Any, Any], dims: int) -> Any:
    kind = getattr(voxflow, name)
    takes = inspect.signature(kind).parameters
    options = dict(options)
    if "spatial_dims" in takes:
        options.setdefault("spatial_dims", dims)
    arrays = [RAW] if takes.keys() & {"array", "intensities"} else []
    return called(f"data.augment.{name}", kind, *arrays, **options)


def _targets(data: DataSection, channels: int | None) -> Any:
    """What turns labels into what the loss wants, and patches into a batch."""
    made = targets_of(data)
    if channels is None:
        made += voxflow.Unsqueeze([RAW])
    return made + voxflow.Stack(data.batch_size)


def targets_of(data: DataSection) -> Any:
    """What turns labels into what the loss wants, of a patch or of a whole image."""
    if data.target == "affinities":
        made: Any = voxflow.AddAffinities(
            data.neighborhood or [], LABELS, AFFINITIES, dtype=np.float32
        )
        return made + voxflow.BalanceLabels(AFFINITIES, WEIGHTS) if data.balance else made
    if data.target == "values":
        return voxflow.AsType(LABELS, np.float32) + voxflow.Unsqueeze([LABELS])  # channels
    return voxflow.AsType(LABELS, np.int64)
