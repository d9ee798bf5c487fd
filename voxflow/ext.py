"""Optional packages by name, as `gunpowder.ext` has them, each loaded at its first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGES = {
    name: name
    for name in (
        "augment",
        "daisy",
        "dvision",
        "h5py",
        "haiku",
        "jax",
        "malis",
        "optax",
        "pyklb",
        "tensorboardX",
        "tensorflow",
        "torch",
        "zarr",
    )
} | {"jnp": "jax.numpy"}

__all__ = ["NoSuchModule", "ZarrFile", *sorted(_PACKAGES)]


class NoSuchModule:
    """Stands for a package that is not installed: any use raises the error of its import.

    Parameters
    ----------
    name
        Of the package.

    Examples
    --------
    >>> from voxflow import ext
    >>> isinstance(ext.h5py, NoSuchModule)
    False
    >>> NoSuchModule("nowhere").open
    Traceback (most recent call last):
    ...
    ModuleNotFoundError: No module named 'nowhere'
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._error: ImportError = ModuleNotFoundError(f"No module named {name!r}", name=name)

    def __getattr__(self, item: str) -> NoReturn:
        if item.startswith("__") and item != "__version__":  # what Python itself looks for
            raise AttributeError(item)
        raise self._error.with_traceback(None)

    def __repr__(self) -> str:
        return f"NoSuchModule({self._name!r})"


class ZarrFile:
    """A Zarr store for the time of a ``with`` block.

    Parameters
    ----------
    store
        A path, or a zarr store.
    mode
        As of `zarr.open`.
    """

    def __init__(self, store: Any, mode: str = "a") -> None:
        self.store = store
        self.mode = mode

    def __enter__(self) -> Any:
        import zarr

        return zarr.open(self.store, mode=self.mode)  # type: ignore[arg-type]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing: zarr keeps nothing open."""


def __getattr__(name: str) -> Any:
    if name not in _PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: Any
    try:
        found = importlib.import_module(_PACKAGES[name])
    except ImportError as error:
        found = NoSuchModule(_PACKAGES[name])
        found._error = error
    globals()[name] = found
    return found
