"""Values of any kind as plain ones, which are the same in every process."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
import math
import os
import re
import sys
import types
from collections.abc import Mapping
from collections.abc import Set as AnySet
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Graph, GraphKey, GraphSpec
from voxflow.pipeline.data.provider_spec import ProviderSpec
from voxflow.pipeline.engine.arguments import UNKNOWN
from voxflow.pipeline.geometry import Roi

_DEEPEST = 12
_PIECE = 1 << 24  # bytes that are hashed at once
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Values:
    """Describes values: numbers, text, lists and dicts stay, others become dicts that say what.

    Parameters
    ----------
    weights
        Whether the weights of a model are looked at.

    Examples
    --------
    >>> Values().of({"size": (Fraction(49, 5), 4), "where": Path("a") / "b"})
    {'size': [{'exact': '49/5'}, 4], 'where': 'a/b'}
    """

    def __init__(self, weights: bool = True) -> None:
        self._weights = weights
        self._within: list[int] = []

    def of(self, value: Any) -> Any:
        """Describe a value."""
        plain = _plain(value)
        if plain is not _OTHER:
            return plain
        kind = class_name(type(value))
        if id(value) in self._within:
            return {"class": kind, "seen": True}
        if len(self._within) >= _DEEPEST:
            return {"class": kind, "opaque": True}
        self._within.append(id(value))
        try:
            return self._composed(value)
        except Exception:
            return {"class": kind, "opaque": True}
        finally:
            self._within.pop()

    def _composed(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {_name(self.of(k)): self.of(v) for k, v in value.items()}
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            return [self.of(each) for each in value]
        if isinstance(value, AnySet):
            return sorted((self.of(each) for each in value), key=_as_json)
        if isinstance(value, type):
            return {"class": class_name(value), "hash": code_hash(value)}
        if isinstance(value, functools.partial):
            parts = {"args": value.args, "keywords": value.keywords}
            return {"partial": self.of(value.func), **{k: self.of(v) for k, v in parts.items()}}
        function = _function(value)
        if function is not None:
            return self._of_function(value, function)
        if _is_tensor(value):
            return _of_tensor(value)
        if callable(getattr(value, "state_dict", None)):
            return self._of_model(value)
        return self._of_object(value)

    def _of_function(self, value: Any, function: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"function": f"{_module(function)}.{function.__qualname__}"}
        code = getattr(function, "__code__", None)
        if code is not None:
            said["hash"] = _digest(_of_code(code))
            cells = function.__closure__ or ()
            sees = dict(zip(code.co_freevars, map(_content, cells), strict=True))
            for name, held in (
                ("sees", sees),
                ("defaults", function.__defaults__),
                ("keyword_defaults", function.__kwdefaults__),
            ):
                if held:
                    said[name] = self.of(held)
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            said["of"] = self.of(owner)
        return said

    def _of_model(self, value: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"class": class_name(type(value))}
        if "__repr__" in _names(type(value)):
            said["repr"] = _ADDRESS.sub("", repr(value))
        if self._weights:
            said["hash"] = _digest(_as_json(self.of(value.state_dict())).encode())
        return said

    def _of_object(self, value: Any) -> dict[str, Any]:
        kind = {"class": class_name(type(value))}
        if isinstance(value, Array):
            parts = {"data": value.view, "spec": value.spec, "attrs": value.attrs}
        elif isinstance(value, Graph):
            parts = {"ids": np.asarray(value.ids), "spec": value.spec}
            parts["locations"] = np.asarray(value.locations)
            parts["edges"] = [(edge.u, edge.v) for edge in value.edges]
        elif isinstance(value, ProviderSpec):
            parts = dict(value.items())
        elif hasattr(value, "_engine_arguments"):
            parts = _given(value)
        else:
            parts = _attributes(value)
            if not parts and getattr(value, "__dict__", True):
                return {**kind, "opaque": True}
        return {**kind, **{_name(self.of(k)): self.of(v) for k, v in parts.items()}}


def parameters(node: Any) -> dict[str, Any]:
    """Describe the parameters of the constructor of a node, but for those that change no result."""
    found = {}
    for name, value in _given(node).items():
        # Weights that a checkpoint replaces say nothing.
        weights = name != "model" or vars(node).get("checkpoint") is None
        found[name] = Values(weights=weights).of(value)
        if name == "checkpoint":
            found[name] = _of_file(value) or found[name]
    return found


def _given(node: Any) -> dict[str, Any]:
    """What a node keeps under the names of its parameters, else what it was given."""
    if node.changes_no_result is True:
        return {}
    kept, given = vars(node), node._engine_arguments.by_name(type(node))
    values = {name: kept.get(name, value) for name, value in given.items()}
    left_out = node.changes_no_result
    return {n: v for n, v in values.items() if n not in left_out and v is not UNKNOWN}


def class_name(kind: type) -> str:
    """The name of a class with its module."""
    return f"{_module(kind)}.{kind.__qualname__}"


# -- what is plain ------------------------------------------------------------------------------

_OTHER = object()


def _plain(value: Any) -> Any:
    """What needs no look inside; else `_OTHER`."""
    if value is None or (isinstance(value, bool | str) and not isinstance(value, enum.Enum)):
        return value if type(value) in (bool, type(None)) else str(value)
    if isinstance(value, enum.Enum):
        return {"enum": f"{class_name(type(value))}.{value.name}"}
    if isinstance(value, np.ndarray):
        return _of_array(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufSU":
        value = value.item()
    if isinstance(value, bool | int):
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    return _of_ours(value)


def _of_ours(value: Any) -> Any:
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else {"exact": str(Fraction(value))}
    if isinstance(value, complex):
        return {"complex": str(value)}
    if isinstance(value, ArrayKey | GraphKey):
        return {type(value).__name__: value.identifier}
    if isinstance(value, Roi):
        return {name: [_plain(n) for n in getattr(value, name)] for name in ("offset", "shape")}
    if isinstance(value, ArraySpec | GraphSpec):
        return Values().of({n: getattr(value, n) for n in _FIELDS if hasattr(value, n)})
    if isinstance(value, np.dtype):
        return {"dtype": str(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bytes | bytearray):
        return {"bytes": len(value), "hash": _digest(bytes(value))}
    return _OTHER


_FIELDS = (
    "roi", "voxel_size", "interpolatable", "nonspatial", "directed", "dtype", "placeholder", "kind"
)  # fmt: skip


def _of_array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    if isinstance(array, np.memmap) and array.filename is not None:
        # As of other files, what it holds is not looked at.
        return {**said, "file": os.fspath(array.filename), "offset": array.offset}
    if array.dtype.hasobject:
        return {**said, "values": Values().of(array.tolist())}
    return {**said, "hash": _hash_of_array(array)}


def _hash_of_array(array: np.ndarray[Any, Any]) -> str:
    digest: Any = _new()
    if array.ndim == 0 or array.flags.c_contiguous:
        flat = np.ascontiguousarray(array).reshape(-1)
        for piece in np.array_split(flat, max(1, math.ceil(array.nbytes / _PIECE))):
            digest.update(piece.view(np.uint8))
        return str(digest.hexdigest())
    step = max(1, _PIECE * len(array) // max(1, array.nbytes))
    for begin in range(0, len(array), step):
        piece = np.ascontiguousarray(array[begin : begin + step])
        digest.update(piece.reshape(-1).view(np.uint8))
    return str(digest.hexdigest())


# -- code ---------------------------------------------------------------------------------------


def _function(value: Any) -> Any:
    """The function that a value is, or is made of; None for others."""
    for name in ("__func__", "py_func", "__wrapped__"):
        value = getattr(value, name, value)
    kinds = (types.FunctionType, types.BuiltinFunctionType, np.ufunc)
    return value if isinstance(value, kinds) else None


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


def _of_code(code: types.CodeType) -> bytes:
    """What a function does, without where it is written."""
    parts = [code.co_code, repr((code.co_names, code.co_varnames, code.co_freevars)).encode()]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            parts.append(_of_code(constant))
        elif isinstance(constant, frozenset):
            parts.append(repr(sorted(map(repr, constant))).encode())
        else:
            parts.append(repr(constant).encode())
    return b"\0".join(parts)


@functools.cache
def code_hash(kind: type) -> str:
    """A hash of the methods that a class defines itself."""
    codes = []
    for name, member in sorted(vars(kind).items()):
        found = member.fget if isinstance(member, property) else member
        code = getattr(_function(found), "__code__", None)
        if code is not None:
            codes.append(name.encode() + b"\0" + _of_code(code))
    return _digest(b"\0".join(codes))


def _module(thing: Any) -> str:
    name = getattr(thing, "__module__", None) or "builtins"
    return "__main__" if name == "__mp_main__" else str(name)


# -- models -------------------------------------------------------------------------------------


def _is_tensor(value: Any) -> bool:
    ours = type(value).__module__.partition(".")[0] in ("torch", "jax", "jaxlib")
    return ours and hasattr(value, "dtype") and hasattr(value, "shape")


def _of_tensor(value: Any) -> dict[str, Any]:
    said = {"dtype": str(value.dtype), "shape": list(value.shape)}
    if hasattr(value, "detach"):
        # Some types of torch are none of numpy.
        value = value.detach().cpu().contiguous().flatten().view(sys.modules["torch"].uint8).numpy()
    return {**said, "hash": _hash_of_array(np.asarray(value))}


# -- files --------------------------------------------------------------------------------------


def _of_file(path: Any) -> dict[str, Any] | None:
    """The path of a file and a hash of its content; None if there is no such file."""
    if not isinstance(path, str | os.PathLike) or not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return {"path": os.fspath(path), "hash": hashlib.file_digest(file, _new).hexdigest()}


def _names(kind: type) -> set[str]:
    """What a class has that not every object has by itself."""
    return {name for each in kind.__mro__ if each is not object for name in vars(each)}


# -- objects ------------------------------------------------------------------------------------


def _attributes(value: Any) -> dict[str, Any]:
    """What is public of an object, without asking it anything that it would have to work out."""
    found: dict[str, Any] = {}
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        # An array in a file.
        found = {"shape": tuple(value.shape), "dtype": str(value.dtype)}
        name = getattr(value, "name", None)
        found.update({"name": name} if isinstance(name, str) else {})
    if dataclasses.is_dataclass(value):
        found.update((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
    if hasattr(value, "_fields"):
        found.update(value._asdict())
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                found[name] = getattr(value, name)
    found.update(getattr(value, "__dict__", {}))
    return {name: held for name, held in found.items() if not name.startswith("_")}


def _name(described: Any) -> str:
    if isinstance(described, str):
        return described
    if isinstance(described, dict) and len(described) == 1:
        (only,) = described.values()
        return str(only)
    return _as_json(described)


def _as_json(described: Any) -> str:
    return json.dumps(described, sort_keys=True)


def _new() -> Any:
    return hashlib.sha256()  # for which processors have instructions


def _digest(data: bytes) -> str:
    digest = _new()
    digest.update(data)
    return str(digest.hexdigest())
