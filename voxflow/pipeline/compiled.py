"""Functions that are compiled: once, for this version of the package, and then read from disk."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

from numba import njit
from numba.core.caching import FunctionCache

__all__ = ["kernel"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parents[1]
_SHARED = "ops"  # the room whose kernels those of others may call


@overload
def kernel(function: _Function) -> _Function: ...
@overload
def kernel(**options: Any) -> Callable[[_Function], _Function]: ...
def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function at its first call; release the lock of the interpreter while it runs.

    The machine code is kept where numba keeps it: in the folder that ``NUMBA_CACHE_DIR`` names,
    else beside the source, else in the user's cache folder; where none can be written to, in a
    temporary folder of this process, with a warning. It is used again until a source file of the
    same room changes, or one of `voxflow.ops`: a kernel contains the ones that it calls, which are
    of these two rooms.

    Parameters
    ----------
    function
        what is compiled; indices are not checked, a division by zero gives inf or nan.
    **options
        of ``numba.njit``, such as ``fastmath``.

    Examples
    --------
    >>> @kernel
    ... def total(values):
    ...     found = 0.0
    ...     for value in values:
    ...         found += value
    ...     return found
    >>> total((1.0, 2.0, 3.0))
    6.0
    """
    options = {"cache": True, "nogil": True, "error_model": "numpy", **options}
    if function is not None and not _is_ours(Path(function.__code__.co_filename)):
        options["cache"] = False  # in a console or a test there is no room to look at
    return njit(**options) if function is None else njit(**options)(function)


class _Place:
    """Where numba keeps the code of one function, and from which sources it was made."""

    def __init__(self, path: str, stamp: bytes, line: int) -> None:
        self._path, self._stamp, self._line = path, stamp, line

    @classmethod
    def from_function(cls, function: Any, file: str) -> _Place | None:
        """The place of a function of this package; None for those of others."""
        if not _is_ours(Path(file)):
            return None
        path = _folder(function, file)
        return cls(path, _stamp_of_room(Path(file)), function.__code__.co_firstlineno)

    def ensure_cache_path(self) -> None:
        Path(self._path).mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> bytes:
        return self._stamp

    def get_disambiguator(self) -> str:
        return str(self._line)


_locators: list[Any] = FunctionCache._impl_class._locator_classes
_elsewhere = list(_locators)
_locators.insert(0, _Place)


def _folder(function: Any, file: str) -> str:
    for locator in _elsewhere:
        found = locator.from_function(function, file)
        if found is not None:
            return str(found.get_cache_path())
    return _temporary()


@cache
def _temporary() -> str:
    folder = tempfile.mkdtemp(prefix="voxflow-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    warnings.warn(
        f"each process compiles its kernels anew, which takes a while: neither {_PACKAGE} nor the "
        "user's cache folder can be written to. Set NUMBA_CACHE_DIR to a folder that can.",
        RuntimeWarning,
        stacklevel=2,
    )
    return folder


def _is_ours(file: Path) -> bool:
    return _PACKAGE in file.resolve().parents


def _stamp_of_room(file: Path) -> bytes:
    return _stamp(file.resolve().relative_to(_PACKAGE).parts[0])


@cache
def _stamp(room: str) -> bytes:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for part in sorted({_SHARED, room}):
        for source in sorted((_PACKAGE / part).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.digest()
