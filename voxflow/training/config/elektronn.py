"""Configurations of ELEKTRONN, ELEKTRONN2 and clb: what became of each of their keys.

Source of the keys: the documentation of ELEKTRONN 1.0 (configuration), of elektronn2.training
(ExperimentConfig), and the command line of clb. Nothing was taken from their code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.training.config.mistakes import ConfigError, Mistake
from voxflow.training.config.python import read_python
from voxflow.training.config.text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OLD_KEYS", "Old", "read_elektronn", "what_became_of"]


@dataclass(frozen=True)
class Old:
    """What became of a key.

    Parameters
    ----------
    key
        The key here; None: there is none.
    advice
        What to do, if it is not to be copied, or more is to be known.
    convert
        Its value here. Raises ValueError or TypeError, if it is none.
    """

    key: str | None = None
    advice: str = ""
    convert: Callable[[Any], Any] = lambda value: value


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)


def _workers(value: Any) -> int:
    return 2 if value is True else int(value)


def _device(value: Any) -> str:
    if value in (False, None) or str(value).lower() == "auto":
        return "auto"
    return f"cuda:{int(value)}"


def _hours(seconds: Any) -> float:
    return float(seconds) / 3600


def _updates(entries: Any) -> list[list[Any]]:
    return sorted([int(step), value] for step, value in entries)


def _shape(value: Any) -> Any:
    """ELEKTRONN counts x y z, and clb has squares; axes are z y x here."""
    return list(reversed(value)) if isinstance(value, list | tuple) else value


def _square(value: Any) -> list[int]:
    return [int(value), int(value)]


def _labelled(threshold: Any) -> float:
    return 1 - float(threshold) if threshold else 0.0


def _warp(value: Any) -> dict[str, Any] | None:
    chance = float(value)  # True: always
    return {"chance": chance} if chance else None


def _schedule(value: Any) -> dict[str, Any]:
    if "dec" in value:
        return {"decay": float(value["dec"])}
    if "lindec" in value:
        return {"linear": [0.0, int(value["lindec"][0])]}
    if "updates" in value:
        return {"updates": _updates(value["updates"])}
    raise ValueError(f"{value!r} is none of dec, lindec and updates")


def _architecture(value: Any) -> str:
    known = {"unet": "UNet", "dcan": "DCAN"}
    if str(value).lower() not in known:
        raise ValueError(f"{value!r} is not there; give what makes it, as module:name")
    return known[str(value).lower()]


_PATHS = "give data.pairs: [{raw: [file, dataset], labels: [file, dataset]}, ...]"
_OWN = "make the pipeline yourself, and name it in data.pipeline"
_NET = "networks are made by what model.name says, with model.options"
_RETIRED = "there is no such thing any more; leave it out"
_LR = "schedules.optimizer.lr"

OLD_KEYS: Mapping[str, Old] = {
    # ELEKTRONN: the run
    "save_path": Old("run.folder"),
    "save_name": Old("name"),
    "overwrite": Old(None, "nothing is ever deleted; see run.exists"),
    "plot_on": Old("log.plots", convert=bool),
    "print_status": Old("log.status", convert=bool),
    "param_file": Old("model.start_from"),
    "param_save_h": Old("checkpoints.every.hours", convert=float),
    "initial_prev_h": Old(None, "previews.every.first_hours, beside previews.every.hours"),
    "prev_save_h": Old("previews.every.hours", convert=float),
    "n_steps": Old("stop.steps", convert=int),
    "max_runtime": Old("stop.hours", "was in seconds, and is in hours", _hours),
    "history_freq": Old("log.every.steps", convert=_first),
    "monitor_batch_size": Old("validation.batches", "counts batches", int),
    # ELEKTRONN: the network
    "n_dim": Old(None, _NET),
    "n_lab": Old(None, f"{_NET}: the number of classes is that of its outputs"),
    "filters": Old(None, _NET),
    "pool": Old(None, _NET),
    "nof_filters": Old(None, _NET),
    "activation_func": Old(None, _NET),
    "pooling_mode": Old(None, _NET),
    "MLP_layers": Old(None, _NET),
    "rnn_layer_kwargs": Old(None, _NET),
    "MFP": Old(None, "no network needs it to predict all voxels; leave it out"),
    "dropout_rates": Old(None, f"{_NET}; schedules may change model.dropout"),
    "target": Old("loss.name"),
    # ELEKTRONN: the data
    "mode": Old(None, f"dense targets are what there is; for others {_OWN}"),
    "data_path": Old(None, _PATHS),
    "label_path": Old(None, _PATHS),
    "d_files": Old(None, _PATHS),
    "l_files": Old(None, _PATHS),
    "cube_prios": Old(None, f"RandomProvider takes probabilities: {_OWN}"),
    "valid_cubes": Old(None, "give those pairs as validation.pairs, and not as data.pairs"),
    "batch_size": Old("data.batch_size", convert=int),
    "desired_input": Old("data.input_shape", "was in x y z, and is in z y x", _shape),
    "background_processes": Old("data.workers", convert=_workers),
    "example_ignore_threshold": Old("data.min_labelled", "is 1 minus it now", _labelled),
    "zchxy_order": Old(None, "axes are as the file says: channels first, then z y x"),
    "border_mode": Old(None, f"Pad and FitToSize do it: {_OWN}"),
    "pre_process": Old(None, "data.normalize: {mode: standardise}"),
    "downsample_xy": Old(None, f"DownSample does it: {_OWN}"),
    "flip_data": Old(None, "data.augment.SimpleAugment: {}"),
    "upright_x": Old(None, "data.augment.SimpleAugment with mirror_only and transpose_only"),
    "anisotropic_data": Old(None, "data.augment.SimpleAugment: {transpose_only: [1, 2]}"),
    "grey_augment_channels": Old(
        "data.augment.GreyAugment", convert=lambda c: {"channels": list(c)} if c else None
    ),
    "warp_on": Old("data.augment.Warp", "give its ranges, too", _warp),
    "lazy_labels": Old(None, f"loss.name: lazy_nll, with masks of each cube: {_OWN}"),
    "use_example_weights": Old(None, f"a loss may take weights: {_OWN}"),
    "label_prop_thresh": Old(None, "loss.options.pseudo_label_threshold, of loss.name: lazy_nll"),
    "data_class_name": Old(None, _OWN),
    "data_load_kwargs": Old(None, "data.options, which data.pipeline is called with"),
    "data_batch_kwargs": Old(None, "data.options, which data.pipeline is called with"),
    "preview_data_path": Old(None, "previews.sources: [[file, dataset], ...]"),
    "preview_kwargs": Old(None, "previews.channels and previews.max_sections"),
    # ELEKTRONN: the optimizer
    "optimizer": Old("optimizer.name"),
    "weight_decay": Old("optimizer.weight_decay", convert=float),
    "class_weights": Old("loss.options.weight"),
    "LR_decay": Old(f"{_LR}.decay", convert=float),
    "LR_schedule": Old(f"{_LR}.updates", convert=_updates),
    "CG_params": Old(None, "optimizer.options of NonlinearCG, with the same names"),
    "RPROP_params": Old(None, "optimizer.options of Rprop: etas and step_sizes"),
    "LBFGS_params": Old(
        None, "optimizer.options of LBFGS: maxiter is max_iter, maxfun max_eval, m history_size"
    ),
    # ELEKTRONN2
    "create_model": Old("model.name"),
    "model_load_path": Old("model.start_from"),
    "model_load_args": Old(None, _NET),
    "data_class": Old(None, _OWN),
    "data_init_kwargs": Old(None, "data.options, which data.pipeline is called with"),
    "data_batch_args": Old(None, "data.options, which data.pipeline is called with"),
    "optimiser": Old("optimizer.name"),
    "lr_schedule": Old(_LR, convert=_schedule),
    "wd_schedule": Old("schedules.optimizer.weight_decay", convert=_schedule),
    "mom_schedule": Old("schedules.optimizer.momentum", convert=_schedule),
    "dropout_schedule": Old("schedules.model.dropout", convert=_schedule),
    "gradnet_schedule": Old(None, _RETIRED),
    "sequence_training": Old(None, _RETIRED),
    # clb
    "architecture": Old(
        "model.name",
        "voxflow train cells --args-load-path FILE takes all of such a file as it is",
        _architecture,
    ),
    "epochs": Old(None, "stop.steps: batches in an epoch, times epochs"),
    "batch": Old("data.batch_size", convert=int),
    "augments": Old(None, "data.augment says how; stop.steps for how long"),
    "trim_method": Old(None, f"FitToSize does it: {_OWN}"),
    "train_data": Old(None, _PATHS),
    "val_data": Old(None, _PATHS.replace("data.", "validation.")),
    "channels": Old("model.options.in_channels", convert=int),
    "lr": Old("optimizer.lr", convert=float),
    "im_dim": Old("data.input_shape", convert=_square),
    "dropout": Old(None, _NET),
    "bnd_weight": Old(None, "loss.options, of a loss that weighs its parts"),
    "obj_weight": Old(None, "loss.options, of a loss that weighs its parts"),
    "dcan_final_act": Old(None, _NET),
    "tb_dir": Old(None, "TensorBoard's files are in the run directory; log.tensorboard: false"),
    "csv_log": Old(None, "the log of events in the run directory is written as CSV on request"),
    "args_load_path": Old(None, "give the file itself: voxflow train FILE"),
}
"""Keys of ELEKTRONN, ELEKTRONN2 and clb."""

_PARAMETERS = {
    "LR": "optimizer.lr",
    "lr": "optimizer.lr",
    "momentum": "optimizer.options.momentum",
    "mom": "optimizer.options.momentum",
    "wd": "optimizer.weight_decay",
}
_SAME = {"seed", "device"}


def what_became_of(name: str) -> str | None:
    """A line about a key of old that is no option here, or None if it is not known.

    >>> what_became_of("LR_decay")
    'its place is schedules.optimizer.lr.decay'
    """
    if name in ("SGD_params", "Adam_params", "optimiser_params"):
        return "its places are optimizer.lr, optimizer.weight_decay and optimizer.options"
    if name == "lr":
        return None  # what is near says it
    old = OLD_KEYS.get(name)
    if old is None:
        return None
    more = f" ({old.advice})" if old.key and old.advice else old.advice
    return f"its place is {old.key}{more}" if old.key else more


def read_elektronn(file: str | Path) -> tuple[dict[str, Any], list[str]]:
    """Read a configuration of ELEKTRONN or ELEKTRONN2 (a Python file), or of clb (YAML).

    Parameters
    ----------
    file
        The file. A Python file is run: give only files that you would run.

    Returns
    -------
    tuple
        What could be taken over, as for a file of voxflow; and a line about every other key.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    path = Path(file)
    found = read_python(path) if path.suffix == ".py" else read_yaml(path)[0]
    values: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in found.items():
        try:
            _take_over(name, value, values, notes)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise ConfigError([Mistake(str(path), name, f"{value!r}: {error}")]) from error
    _pair_up(found, values, notes, path)
    return values, notes


def _take_over(name: str, value: Any, values: dict[str, Any], notes: list[str]) -> None:
    if name in ("SGD_params", "Adam_params", "optimiser_params"):
        for parameter, number in value.items():
            key = _PARAMETERS.get(parameter, f"optimizer.options.{parameter}")
            _set(values, key.split("."), number)
    elif name == "schedules":
        for parameter, schedule in value.items():
            target = _PARAMETERS.get(parameter, parameter)
            target = target.replace("optimizer.options.", "optimizer.")
            _set(values, ["schedules", target], _schedule(schedule))
    elif name in _SAME:
        values[name] = _device(value) if name == "device" else value
    elif name == "model" and isinstance(value, str):
        notes.append("model: checkpoints are in the run directory; see run.folder and name")
    elif name not in OLD_KEYS:
        notes.append(f"{name}: is no key of ELEKTRONN or clb; it was left out")
    else:
        _convert(name, OLD_KEYS[name], value, values, notes)


def _convert(name: str, old: Old, value: Any, values: dict[str, Any], notes: list[str]) -> None:
    if value is None:
        return
    if old.advice:
        place = f"is {old.key} now; " if old.key else ""
        notes.append(f"{name}: {place}{old.advice}")
    converted = None if old.key is None else old.convert(value)
    if old.key is None or converted is None:
        return
    first, _, rest = old.key.partition(".")
    if first != "schedules":
        _set(values, old.key.split("."), converted)
    elif isinstance(converted, dict):
        _set(values, [first, rest], converted)
    else:
        target, _, kind = rest.rpartition(".")
        _set(values, [first, target, kind], converted)


def _pair_up(found: dict[str, Any], values: dict[str, Any], notes: list[str], path: Path) -> None:
    """Make pairs of ELEKTRONN's four lists."""
    images, labels = found.get("d_files"), found.get("l_files")
    if not images or not labels:
        return
    if len(images) != len(labels):
        text = f"d_files names {len(images)} images, and l_files {len(labels)} labels"
        raise ConfigError([Mistake(str(path), "", text)])
    folders = Path(found.get("data_path") or ""), Path(found.get("label_path") or "")
    pairs = [
        {
            "raw": [str((folders[0] / raw[0]).expanduser()), raw[1]],
            "labels": [str((folders[1] / label[0]).expanduser()), label[1]],
        }
        for raw, label in zip(images, labels, strict=True)
    ]
    held_out = set(found.get("valid_cubes") or ())
    _set(values, ["data", "pairs"], [p for i, p in enumerate(pairs) if i not in held_out])
    if held_out:
        _set(values, ["validation", "pairs"], [p for i, p in enumerate(pairs) if i in held_out])
    taken = ("data_path", "label_path", "d_files", "l_files", "valid_cubes")
    notes[:] = [note for note in notes if note.partition(":")[0] not in taken]


def _set(values: dict[str, Any], key: list[str], value: Any) -> None:
    for name in key[:-1]:
        values = values.setdefault(name, {})
    values[key[-1]] = value
