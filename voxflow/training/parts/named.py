"""What a dotted name of a configuration stands for."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import reduce
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.training.config.names import parse_dotted

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["called", "load_named"]


def load_named(word: str) -> Any:
    """The function or class of a name.

    Parameters
    ----------
    word
        ``module:name``, or ``path/to/file.py:name``. A file is loaded once, under a name of its
        own, so that what is defined in it can be sent to workers by that name.

    Raises
    ------
    ValueError
        If there is no such file, module or name.

    Examples
    --------
    >>> load_named("math:sqrt")(4.0)
    2.0
    """
    place, name = parse_dotted(word)
    module = _of_file(Path(place)) if place.endswith(".py") else _of_name(place, word)
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError as error:
        there = ", ".join(n for n in vars(module) if not n.startswith("_"))
        raise ValueError(f"there is no {name} in {place}, which has: {there}") from error


def _of_name(place: str, word: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise ValueError(
                f"there is no module {error.name} for {word!r}; install it, or give "
                "path/to/file.py:name"
            ) from error
        raise


def _of_file(path: Path) -> ModuleType:
    path = path.absolute()
    name = f"voxflow_script_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def called(key: str, what: Any, *arguments: Any, **options: Any) -> Any:
    """Call what a section names with its options, and say of which section an error is.

    Raises
    ------
    TypeError, ValueError
        As it was, with a note.
    """
    try:
        return what(*arguments, **options)
    except (TypeError, ValueError) as error:
        error.add_note(f"{key} calls {getattr(what, '__name__', what)} with {options}")
        raise
