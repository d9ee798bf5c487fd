"""Train a network on cells: options become a configuration, which is run as any other."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.cells.epochs import EpochTable
from voxflow.cells.images import cell_pairs
from voxflow.stores import StoreUnusable
from voxflow.torch.checkpoint import link_checkpoint
from voxflow.training.config import Config, Settings
from voxflow.training.run_dir import RunDirTaken

if TYPE_CHECKING:
    from voxflow.cells.images import CellImage
    from voxflow.cells.options import CellOptions
    from voxflow.training.result import RunReport
    from voxflow.training.session import Session

__all__ = ["cell_settings", "train_cells"]

logger = logging.getLogger(__name__)

# What of the checkpoints of a run lies beside the model, under which name.
_BEST = {
    "validation.loss": ("min", "best-val-loss"),
    "validation.objects_iou": ("max", "objects-iou"),
    "validation.boundaries_iou": ("max", "boundaries-iou"),
}
_MEASURES = ("iou", "recall", "precision")
_WORKS_LIKE = ("channels", "trim_method", "blobs", "normalize")


def cell_settings(options: CellOptions) -> Settings:
    """The configuration of a training on cells.

    All images are read, so that what is wrong with them is told here.

    Raises
    ------
    StoreNotFound, StoreUnusable
        If images cannot be trained on.
    """
    number, held_out = _counted(options)
    steps = math.ceil(number * (1 + options.augments) / options.batch)
    # Each image of validation counts once.
    together = max(n for n in range(1, options.batch + 1) if held_out % n == 0)
    epoch = {"steps": steps}
    named = [f"voxflow.cells.metrics:{c}_{m}" for c in ("objects", "boundaries") for m in _MEASURES]
    values: dict[str, Any] = {
        "name": options.run_dir.name,
        "seed": options.seed,
        "device": options.device,
        "model": {"name": "voxflow.cells.network:make_network", "options": network_of(options)},
        "loss": {
            "name": "voxflow.cells.network:CellLoss",
            "options": {
                "architecture": options.architecture,
                "obj_weight": options.obj_weight,
                "bnd_weight": options.bnd_weight,
            },
        },
        "optimizer": {"name": "Adam", "lr": options.lr},
        "data": _training_data(options),
        "validation": {
            "pipeline": "voxflow.cells.feed:validation_feed",
            "options": {"folders": options.folders("val_data"), "batch": together, **_how(options)},
            "every": epoch,
            "batches": held_out // together,
            "metrics": named,
        },
        "schedules": {
            "optimizer.lr": {
                "plateau": {"metric": "validation.loss", "patience": 8, "lowest": 1e-12}
            }
        },
        "stop": {
            "steps": options.epochs * steps,
            "early": {"metric": "validation.loss", "patience": 15, "min_delta": 1e-4},
        },
        "checkpoints": {
            "last": epoch,
            "every": None,
            "best": {metric: mode for metric, (mode, _) in _BEST.items()},
        },
        "previews": {"every": epoch},
        "log": {
            "every": epoch,
            "graph": True,
            "plots": False,  # TensorBoard and the table have the curves
            "tensorboard_folder": options.tb_dir,
        },
        "run": {"folder": str(options.run_dir.parent)},
    }
    return Settings(Config.model_validate(values))


def network_of(options: CellOptions) -> dict[str, Any]:
    """What the network is made with."""
    return {
        "architecture": options.architecture,
        "channels": options.channels,
        "fmaps": options.fmaps,
        "dropout": options.dropout,
        "final_activation": options.dcan_final_act,
    }


def _pairs(options: CellOptions) -> list[list[tuple[CellImage, CellImage]]]:
    """The images of training, and those of validation."""
    folders = [options.folders(of) for of in ("train_data", "val_data")]
    return [cell_pairs(one, options.channels, options.size) for one in folders]


def _counted(options: CellOptions) -> tuple[int, int]:
    """How many images there are, for training and for validation."""
    pairs = _pairs(options)
    for given, there in zip((options.train_data, options.val_data), pairs, strict=True):
        if options.blobs != "object" and not any(labels.pixels.max() > 1 for _, labels in there):
            raise StoreUnusable(
                f"no label of {given} is above 1, and 1 is what is too hard to annotate: give each "
                "object a number from 2 on, or --blobs object"
            )
    return len(pairs[0]), len(pairs[1])


def _how(options: CellOptions) -> dict[str, Any]:
    return {"im_dim": options.im_dim, **{name: getattr(options, name) for name in _WORKS_LIKE}}


def _training_data(options: CellOptions) -> dict[str, Any]:
    return {
        "pipeline": "voxflow.cells.feed:training_feed",
        "options": {
            "folders": options.folders("train_data"),
            "batch": options.batch,
            "augments": options.augments,
            "elastic": options.elastic,
            "workers": options.workers,
            "shown": options.folders("val_data"),
            **_how(options),
        },
    }


def train_cells(options: CellOptions, *, resume: bool = False) -> RunReport:
    """Train on cells.

    The run directory is the model without its suffix. Beside it lie, at the end, the weights: the
    model, and with ``-best-val-loss``, ``-objects-iou`` and ``-boundaries-iou`` in their names
    those that were best; and all options, as YAML.

    Parameters
    ----------
    options
        What is trained, on what.
    resume
        Whether an earlier run goes on.

    Returns
    -------
    RunReport
        How far it got, and why it ended.

    Raises
    ------
    StoreNotFound, StoreUnusable
        If images cannot be trained on.
    RunDirTaken
        If there was a run of this name, or a file that it writes, and it is not resumed.
    """
    import voxflow.training

    if not resume and int(os.environ.get("RANK", "0")) == 0:  # of several processes, one writes
        _refuse_what_is_there(options)
    held = _pairs(options)  # so that pipelines need not read them again
    settings = cell_settings(options)
    table = options.run_dir / "log.csv" if options.csv_log is None else Path(options.csv_log)
    steps = settings.config.checkpoints.last
    hooks = [_Written(options), EpochTable(table, steps.steps)]  # type: ignore[union-attr, arg-type]
    report = voxflow.training.train(settings, resume=resume, run_dir=options.run_dir, hooks=hooks)
    del held
    return report


def _refuse_what_is_there(options: CellOptions) -> None:
    places = [options.yaml, *(weights(options, name) for name in checkpoints(options))]
    if options.csv_log is not None:
        places.append(Path(options.csv_log))
    there = [str(place) for place in dict.fromkeys(places) if place.exists()]
    if there:
        raise RunDirTaken(
            f"a training of {options.model} would write over {', '.join(there)}; nothing was "
            "changed. Give another name, or take away what is there"
        )


class _Written:
    """Puts options and weights beside the model: a hook."""

    def __init__(self, options: CellOptions) -> None:
        self.options = options

    def begin(self, session: Session) -> None:
        """Write the options, when the run directory is this run's."""
        self.options.yaml.write_text(self.options.dump(), encoding="utf-8")
        count = sum(p.numel() for p in session.model.parameters())
        logger.info("%s: %d parameters", self.options.architecture, count)

    def end(self, session: Session) -> None:
        """Give the weights their names."""
        for name, kept in checkpoints(self.options).items():
            if kept.exists():
                link_checkpoint(kept, weights(self.options, name))


def checkpoints(options: CellOptions) -> dict[str, Path]:
    """The checkpoints in the run directory, by what they are the best of; and the newest one."""
    folder = options.run_dir / "checkpoints"
    best = {name: folder / f"best-{metric}.pt" for metric, (_, name) in _BEST.items()}
    # The final one of an earlier part is older than the last one of a run that broke off.
    newest = max((folder / "final.pt", folder / "last.pt"), key=_time_of)
    return {**best, "final": newest}


def _time_of(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else -1


def weights(options: CellOptions, name: str) -> Path:
    """Where weights lie beside the model."""
    model = Path(options.model)
    if name == "final":
        return model
    return model.with_name(f"{model.stem}-{name}{model.suffix}")
