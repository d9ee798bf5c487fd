"""What the network of a run is worth on all of its images."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import voxflow
from voxflow.evaluation import ScoreHistogram, evaluate_scores
from voxflow.pipeline.data import ArraySpec, BatchRequest
from voxflow.pipeline.data.kinds import Affinities
from voxflow.pipeline.engine import build
from voxflow.stores import open_dataset
from voxflow.torch.checkpoint import load_checkpoint
from voxflow.torch.predict import Predict
from voxflow.torch.warm_start import load_weights
from voxflow.training.config import load_config
from voxflow.training.keeping import load_newest_checkpoint
from voxflow.training.parts.feeds import LABELS, PREDICTED, RAW, make_feed
from voxflow.training.parts.network import make_model
from voxflow.training.parts.regions import whole_image
from voxflow.training.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.nodes.scanning.callback import ScanCallback
    from voxflow.torch.checkpoint import Checkpoint
    from voxflow.training.config import Config
    from voxflow.training.config.schema import PairSection
    from voxflow.training.parts.regions import WholeImage

__all__ = ["RunEvaluation", "evaluate_run"]


@dataclass(frozen=True)
class RunEvaluation:
    """What the network of a run is worth.

    Attributes
    ----------
    checkpoint, step
        Whose weights, and after how many steps.
    threshold
        Where scores are counted as positive.
    scores
        Of "training" and, if the run has it, "validation": by name, as
        `voxflow.evaluation.evaluate_scores` calls them.
    predictions
        Stores with what the network made of each image: its dataset "scores".
    file
        All of this as JSON.
    """

    checkpoint: Path
    step: int
    threshold: float
    scores: dict[str, dict[str, float]]
    predictions: tuple[Path, ...]
    file: Path

    def to_json(self) -> dict[str, Any]:
        """All of it as numbers and texts; None is not a number."""
        return {
            "checkpoint": str(self.checkpoint),
            "step": self.step,
            "threshold": self.threshold,
            "scores": {
                part: {name: value if math.isfinite(value) else None for name, value in row.items()}
                for part, row in self.scores.items()
            },
            "predictions": [str(path) for path in self.predictions],
        }


def evaluate_run(
    run_dir: str | Path,
    *,
    checkpoint: str | Path | None = None,
    threshold: float | None = None,
    device: str | None = None,
    progress: ScanCallback | None = None,
) -> RunEvaluation:
    """Predict all images of a run, and compare what comes out with their labels.

    The threshold is chosen on the images of the training, and used for those of the validation.
    Scores are probabilities: of classes, that it is none of class 0; of other targets, what the
    network gives, through a sigmoid if the loss takes logits (its name ends in ``WithLogitsLoss``).
    Labels above 0 are positive; of affinities, pairs of voxels of one object.

    What was predicted is kept in the run directory, in ``evaluation``, by checkpoint. A second call
    predicts only what is not there. The labels of one image at a time are in memory.

    Parameters
    ----------
    run_dir
        What `train` left, or is filling.
    checkpoint
        A file, or the name of one of the run such as ``"best-validation.loss"``; None: the one
        after the most steps.
    threshold
        None: that of the best accuracy on the images of the training.
    device
        Where the network computes; None: as the configuration says.
    progress
        Told about each image; None: progress bars.

    Raises
    ------
    NoRunDir
        If it is no run directory.
    FileNotFoundError
        If there is no such checkpoint, or no configuration.
    ValueError
        If its data are not pairs of images and labels, or an image does not fit the network.
    """
    run = RunDir(run_dir)
    if run.config is None:
        raise FileNotFoundError(f"{run.path} has no config.yaml: it is not a run of voxflow train")
    config = load_config(run.config).config
    path, saved = _checkpoint(run.path / "checkpoints", checkpoint)
    model = make_model(config.model, config.seed)
    load_weights(model, saved.model)
    feed = make_feed(config.data, config.data, model, train=False)
    folder = run.path / "evaluation" / f"{path.stem}-{saved.iteration}"
    histograms: dict[str, ScoreHistogram] = {}
    predictions = []
    for part, pairs in _parts(config).items():
        histograms[part] = ScoreHistogram()
        for number, pair in enumerate(pairs):
            image = whole_image(config, feed, model, pair.raw, pair, "data.pairs")
            store = folder / f"{part}-{number}.zarr"
            _predict(image, config, model, store, device or config.device, progress)
            histograms[part].merge(_compared(image, store))
            predictions.append(store)
    at = histograms["training"].best() if threshold is None else threshold
    scores = {part: _scores(histogram, at) for part, histogram in histograms.items()}
    file = folder / "scores.json"
    found = RunEvaluation(path, saved.iteration, at, scores, tuple(predictions), file)
    run.write_text(file.relative_to(run.path), json.dumps(found.to_json(), indent=2) + "\n")
    return found


def _checkpoint(folder: Path, name: str | Path | None) -> tuple[Path, Checkpoint]:
    if name is None:
        newest = load_newest_checkpoint(folder)
        if newest is None:
            raise FileNotFoundError(f"the run has no checkpoint yet: there is none in {folder}")
        return newest
    places = [Path(name), folder / name, folder / f"{name}.pt"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        there = ", ".join(sorted(place.stem for place in folder.glob("[!.]*.pt"))) or "none"
        raise FileNotFoundError(f"there is no checkpoint {name}; in {folder} there is: {there}")
    return path, load_checkpoint(path)


def _parts(config: Config) -> dict[str, Sequence[PairSection]]:
    """The images of the training, and those of the validation if there are some."""
    sections = {"training": config.data, "validation": config.validation}
    for name, section in sections.items():
        if section is not None and not section.pairs:
            raise ValueError(
                f"the {name} data of this run are not given as pairs of images and labels: predict "
                "them by a pipeline, and compare files"
            )
    return {name: section.pairs for name, section in sections.items() if section is not None}


class _Scores(torch.nn.Module):
    """A network whose output is made probabilities."""

    def __init__(self, model: torch.nn.Module, config: Config) -> None:
        super().__init__()
        self.model = model
        self.classes = config.data.target == "classes"
        self.logits = config.loss.name.endswith("WithLogitsLoss")

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Compute."""
        out = self.model(*inputs)
        out = out if isinstance(out, torch.Tensor) else out[0]
        if self.classes:
            return 1 - out.softmax(dim=1)[:, :1]
        return out.sigmoid() if self.logits else out


def _predict(
    image: WholeImage,
    config: Config,
    model: torch.nn.Module,
    store: Path,
    device: str,
    progress: ScanCallback | None,
) -> None:
    """Fill a store, or what is missing of it."""
    spec = ArraySpec()
    if config.data.neighborhood is not None:
        spec.kind = Affinities(config.data.neighborhood)
    scores, specs = _Scores(model, config), {PREDICTED: spec}
    pipeline = (
        image.pipeline
        + Predict(scores, {0: RAW}, {0: PREDICTED}, specs, device=device, context=image.context)
        + voxflow.Squeeze([PREDICTED])  # samples
        + voxflow.ZarrWrite({PREDICTED: "scores"}, store=store)
    )
    reference = BatchRequest()
    reference.add(PREDICTED, image.block * image.image.voxel_size)
    voxflow.scan(pipeline, reference, seed=config.seed, progress=progress)


def _compared(image: WholeImage, store: Path) -> ScoreHistogram:
    with build(image.pipeline):
        request = BatchRequest({LABELS: image.pipeline.spec[LABELS].roi})
        labels = image.pipeline.request_batch(request)[LABELS]
    return evaluate_scores(labels, open_dataset(store, "scores")).histogram


def _scores(histogram: ScoreHistogram, threshold: float) -> dict[str, float]:
    counts = histogram.at(threshold)
    areas = {"roc_area": histogram.roc_area(), "pr_area": histogram.pr_area()}
    return {**areas, **counts.measures(), **counts._asdict()}
