"""A configuration that is a Python file."""

from __future__ import annotations

import inspect
import runpy
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from voxflow.training.config.mistakes import ConfigError, Mistake

__all__ = ["read_python"]

_NAME = "voxflow_config"


def read_python(path: Path) -> dict[str, Any]:
    """The public values of a file that is run.

    Modules, functions and classes are left out, and names that begin with an underscore. In values,
    a function or class stands for where it is defined: ``file.py:name``, or ``module:name``.

    Parameters
    ----------
    path
        The file. It is run: give only files that you would run.

    Raises
    ------
    ConfigError
        If it cannot be read, or fails.
    """
    try:
        found = runpy.run_path(str(path), run_name=_NAME)
    except OSError as error:
        raise ConfigError([Mistake(str(path), "", f"cannot be read: {error}")]) from error
    except (Exception, SystemExit) as error:
        raise ConfigError([_failure(path, error)]) from error
    return {
        name: _plain(value, path)
        for name, value in found.items()
        if not name.startswith("_") and not _is_code(value)
    }


def _failure(path: Path, error: BaseException) -> Mistake:
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[-1]
    where = f"{path}:{line}" if line else str(path)
    return Mistake(where, "", f"fails with {type(error).__name__}: {error}")


def _is_code(value: Any) -> bool:
    imported = type(value).__module__ == "__future__"  # annotations, of `from __future__ import`
    return imported or isinstance(value, ModuleType) or _is_definition(value)


def _is_definition(value: Any) -> bool:
    return inspect.isroutine(value) or inspect.isclass(value)


def _plain(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item, path) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, path) for item in value]
    if isinstance(value, Path):
        return str(value)
    if _is_definition(value):
        place = str(path.absolute()) if value.__module__ == _NAME else value.__module__
        return f"{place}:{value.__qualname__}"
    return value
