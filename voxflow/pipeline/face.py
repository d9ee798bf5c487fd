"""Faces of rooms: names that are loaded at their first use, and say what they need for it."""

from __future__ import annotations

import ast
import importlib
from contextlib import contextmanager
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Face = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]
    """What a package calls `__getattr__`, `__dir__` and `__all__`."""

_EXTRAS = {"jax": "jax", "torch": "torch"}
_EXTRAS |= dict.fromkeys(("click", "pydantic", "pydantic_core", "yaml"), "train")


@cache
def homes(package: str) -> Mapping[str, str]:
    """The module of each name in the stub of a package, without loading any of them.

    >>> homes("voxflow.jax")["Train"]
    'voxflow.jax.train'
    """
    file = Path(__file__).parents[1].joinpath(*package.split(".")[1:], "__init__.pyi")
    return {
        name.name: resolve_name("." * line.level + line.module, package)
        for line in ast.parse(file.read_text()).body
        if isinstance(line, ast.ImportFrom) and line.module is not None
        for name in line.names
    }


def attach(package: str, places: Mapping[str, str]) -> Face:
    """The face of a package with names from beside it.

    Parameters
    ----------
    package
        The package.
    places
        The module of each name.
    """
    names = sorted(places)

    @needs_said()
    def look_up(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(places[name]), name)

    return look_up, lambda: list(names), names


def attach_stub(package: str, file: str) -> Face:
    """The face of a room that is not of use without a package which may be missing.

    Parameters
    ----------
    package
        The package.
    file
        Its ``__init__.py``, beside which its stub lies.
    """
    look_up, names, listed = lazy_loader.attach_stub(package, file)
    return needs_said()(look_up), names, listed


@contextmanager
def needs_said() -> Iterator[None]:
    """Let the error of a package that is missing say what to install.

    Raises
    ------
    ModuleNotFoundError
        As it was, with the name of the extra in its text.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise ModuleNotFoundError(
            f'{package} is not installed: pip install "voxflow[{_EXTRAS[package]}]"',
            name=error.name,
        ) from error
