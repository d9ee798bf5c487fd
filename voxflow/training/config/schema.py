"""The schema: every option of a run, what it means, and who needs it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from voxflow.training.config.names import (
    AugmentName,
    Dotted,
    FilePath,
    LossName,
    ModelName,
    OptimizerName,
    Options,
)
from voxflow.training.config.options import Section, option

__all__ = ["Config"]

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Dataset = tuple[FilePath, str]


def _run_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(f"{name!r} should be the name of a folder: letters, digits, _ . + -")
    return name


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError(f"{name!r} should be auto, cpu, mps, cuda or cuda:N")
    return name


class EverySection(Section):
    """When something is due."""

    steps: Count | None = option(None, "After how many steps.")
    hours: Positive | None = option(None, "After how many hours of training.")

    @model_validator(mode="after")
    def _when(self) -> Self:
        if self.steps is None and self.hours is None:
            raise ValueError("give steps or hours; null in place of the section is never")
        return self


class ModelSection(Section):
    """The network."""

    name: ModelName = option(
        ...,
        "A network of voxflow.models, or what makes one: module:name or file.py:name.",
        "required",
    )
    options: Options = option(dict, "What it is called with.")
    start_from: FilePath | None = option(
        None, "A checkpoint whose weights a new run begins with.", "special"
    )
    start_mode: Literal["strict", "matching", "adapt"] = option(
        "strict",
        "Weights that do not fit: an error, left as they are, or cropped and padded.",
        "special",
    )
    freeze: list[str] = option(list, "Patterns of parameters that are not trained.", "special")


class LossSection(Section):
    """The loss."""

    name: LossName = option(
        ..., "A loss of torch.nn or voxflow.torch, module:name or file.py:name.", "required"
    )
    options: Options = option(dict, "What it is made with.")


class OptimizerSection(Section):
    """The optimizer."""

    name: OptimizerName = option(
        "Adam", "An optimizer of torch.optim, NonlinearCG, module:name or file.py:name."
    )
    lr: Positive = option(1e-3, "The learning rate.")
    weight_decay: float = option(
        0.0, "The factor of the weights' decay; biases and norms have none.", ge=0
    )
    options: Options = option(dict, "What else it is made with, such as momentum.")


class StepSection(Section):
    """How a step is made."""

    accumulate: Count = option(1, "How many batches go into a step.")
    clip_norm: Positive | None = option(None, "The largest norm of all gradients.")
    clip_value: Positive | None = option(None, "The largest value of a gradient.", "special")
    precision: Literal["bfloat16", "float16"] | None = option(None, "Of mixed precision.")
    compile: bool = option(False, "Whether the network is compiled.", "special")
    average: float | None = option(
        None, "The decay of a moving average of the weights.", "special", gt=0, lt=1
    )
    nonfinite: Literal["stop", "skip", "rollback", "console"] = option(
        "stop", "What is done about a loss that is infinite or not a number."
    )


class PairSection(Section):
    """An image and its labels."""

    raw: Dataset = option(..., "File and dataset of the image.", "required")
    labels: Dataset = option(..., "File and dataset of the labels.", "required")


class SourceSection(Section):
    """Where batches come from: a function of your own, or pairs of images and labels."""

    pipeline: Dotted | None = option(
        None, "A function that gives the pipeline and the request, in place of pairs.", "special"
    )
    options: Options = option(dict, "What that function is called with.", "special")
    pairs: list[PairSection] = option(list, "Images and their labels.")
    folders: list[FilePath] = option(
        list, "Folders of 2D images, in images/, and of their labels, in labels/, by name."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = [bool(self.pairs), bool(self.folders), self.pipeline is not None]
        if sum(given) != 1:
            raise ValueError("give one of pairs, folders and pipeline, and no more")
        if self.options and self.pipeline is None:
            raise ValueError("options are for a pipeline of your own, which is not given")
        return self


class DataSection(SourceSection):
    """What the network is trained on."""

    input_shape: list[Count] | None = option(
        None, "The size of a patch, in voxels; the next smaller size that the network takes."
    )
    batch_size: Count = option(1, "How many patches are in a batch.")
    target: Literal["classes", "values", "affinities"] = option(
        "classes",
        "What the loss compares with: labels as numbers of classes, as values, or affinities.",
    )
    neighborhood: list[list[int]] | None = option(None, "Of affinities: a shift for each channel.")
    balance: bool = option(False, "Whether the loss gets balanced weights of affinities.")
    normalize: Options | None = option(dict, "How Normalize is called; null: not at all.")
    augment: dict[AugmentName, Options] = option(
        dict, "Nodes that augment, in their order, and how they are called."
    )
    align: Literal["center"] | None = option(
        None, "Labels lie where their file says, or in the middle of the image.", "special"
    )
    voxel_size: Literal["error", "ones"] = option(
        "error", "What is done about a file that says none: an error, or voxels of size 1."
    )
    cache: Literal["ram"] | Annotated[int, Field(ge=0)] | None = option(
        None,
        "What is kept of each file in memory, for all workers together: ram is all of it, a number "
        "so many bytes; null shares a budget.",
    )
    min_labelled: float = option(
        0.0, "How much of a patch has to be labelled.", "special", ge=0, le=1
    )
    workers: int = option(0, "Processes that make batches; 0: this one.", ge=0)
    cache_size: Count = option(8, "How many batches are made ahead.", "special")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.pairs or self.folders) and self.input_shape is None:
            raise ValueError(f"{'pairs' if self.pairs else 'folders'} need input_shape")
        if (self.target == "affinities") != (self.neighborhood is not None):
            raise ValueError("neighborhood and target: affinities need each other")
        if self.balance and self.target != "affinities":
            raise ValueError("balance is for target: affinities")
        dims = len(self.input_shape or ())
        wrong = [shift for shift in self.neighborhood or () if dims and len(shift) != dims]
        if wrong:
            raise ValueError(f"neighborhood needs {dims} numbers for each shift, got {wrong[0]}")
        return self


class ValidationSection(SourceSection):
    """What the network is tried on, and never trained."""

    every: EverySection = option(lambda: EverySection(steps=1000), "When.")
    batches: Count = option(10, "How many batches.")
    metrics: list[str] = option(
        list, "What is measured beside the loss, by name, or module:name of a function."
    )
    training: bool = option(
        False, "Whether training data, not augmented, are evaluated as well, as training.loss."
    )
    whole: bool = option(
        False, "Whether the image of the one pair is predicted as a whole, in place of batches."
    )

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        if self.whole and len(self.pairs) != 1:
            raise ValueError(f"whole is for one image, given in pairs; there are {len(self.pairs)}")
        return self


class PlateauSection(Section):
    """A value falls when nothing becomes better."""

    metric: str = option("validation.loss", "What has to become better.")
    factor: float = option(0.1, "What the value is multiplied by.", ge=0, lt=1)
    patience: Count = option(10, "For how many validations it may not.")
    min_delta: float = option(0.0, "By how much it has to.", ge=0)
    mode: Literal["min", "max"] = option("min", "Whether less or more is better.")
    lowest: float = option(0.0, "Where it ends.", ge=0)


class ScheduleSection(Section):
    """How a value changes with the step."""

    decay: float | None = option(None, "A factor, every so many steps.", ge=0)
    linear: tuple[float, Count] | None = option(
        None, "A value, and the step at which it is reached."
    )
    every: Count | None = option(None, "Of decay and linear: after how many steps; 1000.")
    updates: list[tuple[Annotated[int, Field(ge=0)], float | list[float]]] | None = option(
        None, "Steps, and the values from then on; decay or linear between them."
    )
    plateau: PlateauSection | None = option(None, "Falls when nothing becomes better.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = {k for k in ("decay", "linear", "updates", "plateau") if getattr(self, k)}
        given |= {"decay"} if self.decay is not None else set()
        alone = given - {"updates"}
        if not given or len(alone) > 1 or ("plateau" in given and len(given) > 1):
            said = ", ".join(sorted(given)) or "none"
            raise ValueError(f"give one of decay, linear, updates and plateau, got {said}")
        if self.every is not None and not given & {"decay", "linear"}:
            raise ValueError("every is for decay and linear")
        steps = [step for step, _ in self.updates or ()]
        if len(set(steps)) < len(steps):
            raise ValueError("updates give two values to one step")
        return self


class EarlySection(Section):
    """When to give up."""

    metric: str = option("validation.loss", "What has to become better.")
    patience: Count = option(15, "For how many validations it may not.")
    min_delta: float = option(0.0, "By how much it has to.", ge=0)
    mode: Literal["min", "max"] = option("min", "Whether less or more is better.")


class StopSection(Section):
    """When the run ends."""

    steps: Count | None = option(None, "After how many steps.")
    hours: Positive | None = option(None, "After how many hours of training.")
    wall_hours: Positive | None = option(
        None, "After how many hours of this start, whatever it did meanwhile.", "special"
    )
    early: EarlySection | None = option(None, "If nothing becomes better any more.")

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("a run needs an end: give steps, hours or early")
        return self


class CheckpointSection(Section):
    """Which checkpoints are kept."""

    last: EverySection | None = option(
        lambda: EverySection(steps=500), "When the last one is replaced."
    )
    every: EverySection | None = option(
        lambda: EverySection(steps=2000), "When one is written that stays."
    )
    keep: Count | None = option(None, "How many of those are kept; null: all.")
    best: dict[str, Literal["min", "max"]] = option(
        dict, "Metrics whose best checkpoint is kept, and what is better of each."
    )


class PreviewEverySection(EverySection):
    """When pictures are made."""

    first_hours: Positive | None = option(
        None, "After how many hours the first; null: after as many as between others."
    )

    @model_validator(mode="after")
    def _first_of_hours(self) -> Self:
        if self.first_hours is not None and self.hours is None:
            raise ValueError("first_hours needs hours")
        return self


class PreviewSection(Section):
    """Pictures of what the network makes of fixed regions."""

    every: PreviewEverySection = option(lambda: PreviewEverySection(steps=1000), "When.")
    sources: list[Dataset] = option(list, "Files and datasets of images.")
    shape: list[Count] | None = option(
        None, "The size of the region, in voxels, in the middle of the image; null: up to 512."
    )
    training: bool = option(True, "Whether training data are drawn as well.")
    channels: Literal["all"] | list[Annotated[int, Field(ge=0)]] = option(
        "all", "Which channels of the output."
    )
    max_sections: Count = option(5, "How many sections of a volume, from its middle.")


class SnapshotSection(Section):
    """Batches as files, to be looked at and made again."""

    every: EverySection = option(lambda: EverySection(steps=1000), "When.")


class LogSection(Section):
    """What is told while it runs."""

    every: EverySection = option(
        lambda: EverySection(steps=100), "When a status line is printed and curves are drawn."
    )
    status: bool = option(True, "Whether status lines are printed.")
    loss_change: bool = option(
        False, "Whether they tell how much a step changes the loss of its batch: a pass more."
    )
    plots: bool = option(True, "Whether curves are drawn.")
    tensorboard: bool = option(True, "Whether TensorBoard's files are written.")
    tensorboard_folder: FilePath | None = option(
        None, "Where they go; null: tensorboard, in the run directory.", "special"
    )
    csv: bool = option(True, "Whether a table is written.")
    coverage: bool = option(
        True, "Whether it is counted which parts of the sources and which classes are seen."
    )
    regression: EverySection | None = option(
        None, "When predicted values are drawn against their targets; null: never."
    )
    histograms: EverySection | None = option(
        None, "When TensorBoard gets histograms of the weights; null: never."
    )
    filters: EverySection | None = option(
        None, "When the filters of the first convolution are drawn; null: never."
    )
    graph: bool = option(False, "Whether TensorBoard gets the graph of the network.")


class RunSection(Section):
    """Where the run keeps everything."""

    folder: FilePath = option("runs", "In which folder run directories are.", validate_default=True)
    exists: Literal["error", "new"] = option(
        "error", "A run directory that is there: an error, or a new one with a number."
    )
    scripts: list[FilePath] = option(list, "More files that are copied.", "special")
    source: bool = option(True, "Keep the source of voxflow, as it is, too.", "special")


class Config(Section):
    """All options of a run.

    Parameters
    ----------
    options
        See ``voxflow config explain``.
    """

    name: Annotated[str, AfterValidator(_run_name)] = option(
        ..., "Of the run, and of its directory; by default that of the file."
    )
    seed: int = option(0, "Of all that is drawn.", ge=0, lt=2**63)
    device: Annotated[str, AfterValidator(_device)] = option(
        "auto", "auto, cpu, mps, cuda or cuda:N."
    )
    model: ModelSection = option(..., "The network.", "required")
    loss: LossSection = option(..., "The loss.", "required")
    optimizer: OptimizerSection = option(OptimizerSection, "The optimizer.")
    step: StepSection = option(StepSection, "How a step is made.")
    data: DataSection = option(..., "What the network is trained on.", "required")
    validation: ValidationSection | None = option(None, "What the network is tried on.")
    schedules: dict[str, ScheduleSection] = option(
        dict, "How values change with the step, by their targets, such as optimizer.lr."
    )
    stop: StopSection = option(..., "When the run ends.", "required")
    checkpoints: CheckpointSection = option(CheckpointSection, "Which checkpoints are kept.")
    previews: PreviewSection = option(PreviewSection, "Pictures of fixed regions.")
    snapshots: SnapshotSection | None = option(
        None, "Batches of the training as files, with their loss; null: none."
    )
    log: LogSection = option(LogSection, "What is told while it runs.")
    run: RunSection = option(RunSection, "Where the run keeps everything.")

    @model_validator(mode="after")
    def _measured(self) -> Self:
        needed = [*self.checkpoints.best, *([self.stop.early.metric] if self.stop.early else [])]
        needed += [s.plateau.metric for s in self.schedules.values() if s.plateau is not None]
        unseen = [metric for metric in needed if metric.startswith("validation.")]
        if unseen and self.validation is None:
            raise ValueError(f"{unseen[0]} is measured only if there is a validation section")
        return self
