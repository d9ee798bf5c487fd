"""What `voxflow train cells` can be told, and the YAML that it reads and writes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from voxflow.training.config.environment import interpolate
from voxflow.training.config.mistakes import ConfigError, Mistake, nearest
from voxflow.training.config.options import Section, option
from voxflow.training.config.text import read_yaml, write_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PERIODS", "TILE", "CellOptions", "parts", "read_cell_options"]

Count = Annotated[int, Field(ge=1)]

# Of each architecture: its input is a multiple of it.
PERIODS = {"unet": 8, "dcan": 32}
# How large images go through a network in prediction: larger ones in tiles, in pixels.
TILE = 1024
# Keys of clb that say nothing about the run, or what is always so here.
_RETIRED = {"args_load_path", "test_data", "output", "plot", "optimizer"}
_PATHS = ("model", "tb_dir", "csv_log")


class CellOptions(Section):
    """All options of a training on cells, with the names of clb."""

    architecture: Literal["unet", "dcan"] = option(..., "The network.", "required")
    epochs: Count = option(..., "How often all images are gone through.", "required")
    batch: Count = option(..., "How many images are in a batch.", "required")
    augments: int = option(
        ..., "How many augmented copies of each image are in an epoch.", "required", ge=0
    )
    trim_method: Literal["resize", "padding", "reflect"] = option(
        ..., "How images get the size of im_dim: resized, padded with 0, mirrored.", "required"
    )
    train_data: str = option(
        ..., "Folder with images/ and labels/; several are joined with +.", "required"
    )
    val_data: str = option(..., "The same, for validation.", "required")
    model: str = option(..., "Where the weights go; all else goes beside them.", "required")
    channels: Count = option(
        1, "Input channels: of the images, or of neighbouring pages of a stack; 1: the largest."
    )
    lr: float = option(0.001, "The learning rate.", gt=0)
    im_dim: Count = option(256, "Width and height of what the network is trained on, in pixels.")
    dropout: float = option(0.5, "How likely a value is left out in training.", ge=0, lt=1)
    bnd_weight: float = option(0.5, "How much boundaries count in the loss.", ge=0)
    obj_weight: float = option(0.5, "How much objects count in the loss.", ge=0)
    dcan_final_act: Literal["tanh", "sigmoid", "logistic"] = option(
        "tanh", "The last activation of a DCAN; logistic: maps are not cut off at 0 before it."
    )
    tb_dir: str | None = option(
        None, "Folder for TensorBoard.  [default: tensorboard/ in the run directory]"
    )
    csv_log: str | None = option(None, "Table of epochs.  [default: log.csv in the run directory]")
    seed: int = option(48, "Of all that is drawn.", ge=0, lt=2**63)
    blobs: Literal["ignore", "remove", "object"] = option(
        "ignore", "Label 1, too hard to annotate: no part of the loss, made black, or an object."
    )
    normalize: Literal["dtype", "image"] = option(
        "dtype", "Intensities by the largest of their type, or by those of each image."
    )
    elastic: bool = option(False, "Whether copies are deformed as well.")
    fmaps: Count = option(64, "Feature maps of the topmost level: fewer are faster.")
    workers: int = option(0, "Processes that make batches; 0: this one.", ge=0)
    device: str = option("auto", "auto, cpu, mps, cuda or cuda:N.")

    @field_validator("train_data", "val_data")
    @classmethod
    def _folders(cls, text: str) -> str:
        return "+".join(_absolute(folder) for folder in parts(text))

    @field_validator(*_PATHS)
    @classmethod
    def _path(cls, text: str | None) -> str | None:
        return None if text is None else _absolute(text)

    @field_validator("model")
    @classmethod
    def _names_of_files(cls, text: str) -> str:
        # All that lies beside the weights has their name and another suffix, or none.
        suffix = Path(text).suffix
        if not re.fullmatch(r"\.[A-Za-z]\w*", suffix) or suffix.lower() == ".yaml":
            raise ValueError("the name of the weights ends with a suffix such as .pt, not .yaml")
        return text

    @model_validator(mode="after")
    def _size(self) -> Self:
        period = PERIODS[self.architecture]
        if self.im_dim % period:
            near = -(-self.im_dim // period) * period
            raise ValueError(
                f"im_dim: a {self.architecture} takes images whose size is a multiple of {period}; "
                f"got {self.im_dim}, take {near}"
            )
        if not self.obj_weight + self.bnd_weight:
            raise ValueError("obj_weight and bnd_weight are both 0: nothing would be learned")
        return self

    @property
    def run_dir(self) -> Path:
        """Beside the weights, without their suffix."""
        return Path(self.model).with_suffix("")

    @property
    def yaml(self) -> Path:
        """Beside the weights."""
        return Path(self.model).with_suffix(".yaml")

    @property
    def size(self) -> int | None:
        """What images are resized to; None: they stay as they are."""
        return self.im_dim if self.trim_method == "resize" else None

    def folders(self, of: Literal["train_data", "val_data"]) -> list[str]:
        """The folders of data, one by one."""
        return parts(getattr(self, of))

    def dump(self) -> str:
        """All options as YAML, which reads back as the same beside the model, wherever that is.

        What lies in the folder of the model is told from there, so that the folder can be moved.
        """
        values = {name: value for name, value in self.model_dump().items() if value is not None}
        beside = Path(self.model).parent
        for name in _PATHS:
            if name in values and Path(values[name]).is_relative_to(beside):
                values[name] = Path(values[name]).relative_to(beside).as_posix()
        return write_yaml(
            {k: v.replace("${", "$${") if isinstance(v, str) else v for k, v in values.items()}
        )


def parts(text: str) -> list[str]:
    """Folders joined with +; one whose name has a + is one."""
    return [text] if os.path.isdir(text) else [part for part in text.split("+") if part]


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def read_cell_options(
    file: str | Path | None = None, given: Mapping[str, Any] | None = None
) -> CellOptions:
    """Options of a file, and those that win over it.

    Parameters
    ----------
    file
        A YAML file, of an earlier training or of clb. Its paths begin where it lies;
        ``${VAR:-default}`` is a variable of the environment.
    given
        Explicit options by name. Their paths begin at the current folder.

    Raises
    ------
    ConfigError
        With a line for each mistake.

    Examples
    --------
    >>> given = {"architecture": "unet", "epochs": 9, "batch": 4, "augments": 1, "lr": 0.01}
    >>> folders = {"train_data": "/data/a", "val_data": "/data/b", "model": "/models/cells.pt"}
    >>> options = read_cell_options(given={**given, **folders, "trim_method": "padding"})
    >>> options.lr, options.im_dim, str(options.yaml)
    (0.01, 256, '/models/cells.yaml')
    """
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    if file is not None:
        found, lines = read_yaml(Path(file))
        for name, value in found.items():
            if name not in _RETIRED:
                values[name] = _of_file(name, value, Path(file).absolute().parent)
                where[name] = f"{file}:{lines.get((name,), 0)}"
    for name, value in (given or {}).items():
        values[name], where[name] = value, "command line"
    try:
        return CellOptions.model_validate(values)
    except ValidationError as error:
        place = "command line" if file is None else str(file)
        raise ConfigError([_told(e, where, place) for e in error.errors()]) from error


def _of_file(name: str, value: Any, folder: Path) -> Any:
    if not isinstance(value, str):
        return value
    value = interpolate(value, os.environ)
    if name in _PATHS:
        return str(folder / Path(value).expanduser())
    if name in ("train_data", "val_data"):
        return "+".join(str(folder / Path(part).expanduser()) for part in parts(value))
    return value


def _told(found: Any, where: Mapping[str, str], place: str) -> Mistake:
    name = str(found["loc"][0]) if found["loc"] else ""
    at = where.get(name, place)
    if found["type"] == "missing":
        return Mistake(at, name, f"is missing: {CellOptions.model_fields[name].description}")
    if found["type"] == "extra_forbidden":
        hint = nearest(name, list(CellOptions.model_fields))
        return Mistake(at, name, f"is no option{hint}")
    text = found["msg"].removeprefix("Value error, ")
    said = f", got {found['input']!r}" if name else ""
    return Mistake(at, name, f"{text[0].lower()}{text[1:]}{said}")
