"""The names that a configuration may say, known without loading what they name."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from voxflow.pipeline.face import homes

__all__ = [
    "AUGMENTS",
    "LOSSES",
    "OPTIMIZERS",
    "AugmentName",
    "Dotted",
    "FilePath",
    "LossName",
    "ModelName",
    "OptimizerName",
    "Options",
    "Text",
    "known_name",
    "parse_dotted",
]

OPTIMIZERS = {
    "Adadelta": (),
    "Adagrad": (),
    "Adam": (),
    "AdamW": (),
    "Adamax": (),
    "LBFGS": (),
    "NAdam": (),
    "NonlinearCG": ("CG",),
    "RAdam": (),
    "RMSprop": (),
    "Rprop": ("RPORP",),
    "SGD": (),
}
"""Optimizers, with other names that they are known under."""

LOSSES = {
    "BCELoss": (),
    "BCEWithLogitsLoss": (),
    "ContourAwareLoss": (),
    "CrossEntropyLoss": ("nll",),
    "GaussianNLLLoss": (),
    "HuberLoss": (),
    "L1Loss": (),
    "MSELoss": ("regression",),
    "SmoothL1Loss": (),
    "absolute_deviation": (),
    "bernoulli_nll": (),
    "gaussian_nll": (),
    "lazy_nll": (),
    "squared_deviation": (),
}
"""Losses, with other names that they are known under."""

AUGMENTS = (
    "Blur",
    "DefectAugment",
    "DeformAugment",
    "ElasticAugment",
    "Erase",
    "GreyAugment",
    "IntensityAugment",
    "NoiseAugment",
    "ShiftAugment",
    "SimpleAugment",
    "Warp",
)
"""Nodes that `data.augment` takes."""

_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
_IN_FILE = re.compile(r"^(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)$")


def known_name(word: str, names: Mapping[str, tuple[str, ...]], what: str) -> str:
    """A name of a table, however it is written.

    Parameters
    ----------
    word
        What was written.
    names
        The names, with their other names.
    what
        What they name, for the error.

    Raises
    ------
    ValueError
        If there is no such name.

    Examples
    --------
    >>> known_name("sgd", OPTIMIZERS, "an optimizer"), known_name("RPORP", OPTIMIZERS, "")
    ('SGD', 'Rprop')
    """
    table = {w.lower(): name for name, more in names.items() for w in (name, *more)}
    if word.lower() in table:
        return table[word.lower()]
    near = difflib.get_close_matches(word.lower(), table, 1, 0.5)
    hint = f"; did you mean {table[near[0]]}?" if near else f"; there are {', '.join(names)}"
    raise ValueError(f"{word!r} is not {what}{hint}")


def parse_dotted(word: str) -> tuple[str, str]:
    """The module, or the file, and the name in it.

    Parameters
    ----------
    word
        ``module:name``, or ``path/to/file.py:name``.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> parse_dotted("package.module:function"), parse_dotted("nets/mine.py:make")
    (('package.module', 'function'), ('nets/mine.py', 'make'))
    """
    if found := _IN_FILE.match(word):
        return found["file"], found["name"]
    if not _DOTTED.match(word):
        raise ValueError(f"{word!r} should be module:name, or path/to/file.py:name")
    module, _, name = word.partition(":")
    return module, name


class Text(str):
    """Text of a layer, with the folder that its paths begin in."""

    __slots__ = ("folder",)

    def __new__(cls, text: str, folder: Path) -> Text:
        """The text."""
        made = super().__new__(cls, text)
        made.folder = folder
        return made

    folder: Path


def without_folders(value: Any) -> Any:
    """A value whose text is plain."""
    if isinstance(value, dict):
        return {without_folders(key): without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _dotted(word: Any) -> Any:
    if not isinstance(word, str):
        return word  # pydantic says what it should be
    place, name = parse_dotted(word)
    if not place.endswith(".py"):
        return str(word)
    file = Path(_absolute(Text(place, word.folder) if isinstance(word, Text) else place))
    if not file.is_file():
        raise ValueError(f"there is no file {file}")
    return f"{file}:{name}"


def _absolute(path: Any) -> Any:
    """Where a path leads from the folder of its file; addresses are left as they are.

    >>> _absolute("s3://bucket/a.zarr"), _absolute(Text("../b", Path("/data")))
    ('s3://bucket/a.zarr', '/b')
    """
    if not isinstance(path, str | Path):
        return path
    if "://" in str(path):
        return str(path)
    folder = path.folder if isinstance(path, Text) else Path.cwd()
    # Links are kept: one may be meant to lead elsewhere tomorrow.
    return os.path.abspath(folder / Path(str(path)).expanduser())


def _named(word: Any, names: Mapping[str, tuple[str, ...]], what: str) -> Any:
    if not isinstance(word, str) or ":" in word:
        return _dotted(word)
    return known_name(word, names, f"{what}, nor module:name")


def _model(word: Any) -> Any:
    own: dict[str, tuple[str, ...]] = {
        name: () for name in homes("voxflow.models") if name[0].isupper()
    }
    own.pop("Geometry", None)
    return _named(word, own, "a network of voxflow.models")


def _loss(word: Any) -> Any:
    return _named(word, LOSSES, "a loss")


def _optimizer(word: Any) -> Any:
    return _named(word, OPTIMIZERS, "an optimizer")


def _augment(name: str) -> str:
    return known_name(name, dict.fromkeys(AUGMENTS, ()), "a node that augments")


Dotted = Annotated[str, BeforeValidator(_dotted)]
"""``module:name`` or ``file.py:name``; the path is absolute then."""

FilePath = Annotated[str, BeforeValidator(_absolute)]
"""A path from the folder of its file, absolute then; or an address."""

Options = Annotated[dict[Any, Any], AfterValidator(without_folders)]
"""What something is called with."""

ModelName = Annotated[str, BeforeValidator(_model)]
LossName = Annotated[str, BeforeValidator(_loss)]
OptimizerName = Annotated[str, BeforeValidator(_optimizer)]
AugmentName = Annotated[str, AfterValidator(_augment)]
