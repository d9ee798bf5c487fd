"""Pickling with large buffers kept apart from the stream, for results and for the work itself."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import dill  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from voxflow.pipeline.data.copying import copy_voxels
from voxflow.pipeline.data.deferred import Deferred

SMALL = 64 * 1024
"""Buffers below this many bytes travel in the stream."""

_DEEP = 20_000

Writer = Callable[[memoryview], None]


class Packed:
    """A pickle stream, and writers for the buffers that do not stand in it."""

    def __init__(self) -> None:
        self.stream = b""
        self.sizes: list[int] = []
        self.writers: list[Writer] = []
        self._tokens: dict[int, tuple[object, npt.NDArray[Any] | Deferred]] = {}

    def keep(self, buffer: pickle.PickleBuffer) -> bool:
        """Pickle's buffer callback: True puts the buffer into the stream."""
        raw = buffer.raw()
        if raw.nbytes < SMALL:
            return True
        _, source = self._tokens.get(id(raw.obj), (None, None))
        self.sizes.append(raw.nbytes)
        self.writers.append(_plain_writer(raw) if source is None else _array_writer(source))
        return False

    def reduce_array(self, array: npt.NDArray[Any]) -> Any:
        """Reduce an array so that it is writable afterwards and copied once.

        numpy's own reduction keeps read-only arrays read-only, and copies views (crops, mirrored
        arrays) into the stream. For those a token of their size stands in, memory that is
        reserved but never touched, and the values are written straight to their place.
        """
        plain = array.flags.c_contiguous or array.flags.f_contiguous
        if plain and array.flags.writeable:
            return array.__reduce_ex__(5)
        if array.nbytes < SMALL:
            return np.array(array).__reduce_ex__(5)
        return self._reduce_to_token(array, array.nbytes)

    def reduce_deferred(self, deferred: Deferred) -> Any:
        """Reduce voxels that are not made yet, so that they are made in their place."""
        nbytes = math.prod(deferred.shape) * deferred.dtype.itemsize
        if nbytes < SMALL or deferred.dtype.hasobject:
            return np.asarray, (np.array(deferred.make()),)
        return self._reduce_to_token(deferred, nbytes)

    def _reduce_to_token(self, source: npt.NDArray[Any] | Deferred, nbytes: int) -> Any:
        token: Any = np.empty(nbytes, np.uint8)
        self._tokens[id(token)] = (token, source)
        return _restore_array, (pickle.PickleBuffer(token), source.dtype, source.shape)


def pack_result(obj: Any) -> Packed:
    """Pickle a result in a worker. Raises whatever pickling raises.

    Examples
    --------
    >>> import numpy as np
    >>> packed = pack_result({"raw": np.zeros(10**6)})
    >>> packed.sizes, len(packed.stream) < 1000
    ([8000000], True)
    """
    packed = Packed()
    file = io.BytesIO()
    try:
        _ResultPickler(file, packed).dump(obj)
    except Exception:  # lambdas, local classes: slower, by value
        return pack_by_value(obj)
    packed.stream = file.getvalue()
    return packed


def pack_by_value(obj: Any) -> Packed:
    """Pickle with dill: what lives in ``__main__`` or in a function goes by value."""
    packed = Packed()
    file = io.BytesIO()
    pickler = dill.Pickler(file, 5, buffer_callback=packed.keep, recurse=True, byref=False)

    def reduce(obj: Any) -> Any:
        if type(obj) is np.ndarray and obj.size and not obj.dtype.hasobject:
            return packed.reduce_array(obj)
        if isinstance(obj, Deferred):
            return packed.reduce_deferred(obj)
        return _reduce(obj)

    # Not a subclass: dill recognises its picklers by the module that their class lives in.
    pickler.reducer_override = reduce
    with _deep():
        pickler.dump(obj)
    packed.stream = file.getvalue()
    return packed


def pack_task(task: Any) -> tuple[bytes | None, bytes | None]:
    """Pickle a task by reference and, if that may not be enough, by value.

    A worker knows the classes of the user's script only as far as they came with the work. So
    what refers to them is sent both ways, and the worker takes the first that it can read.
    """
    file = io.BytesIO()
    pickler = _ResultPickler(file, Packed(), apart=False)
    try:
        pickler.dump(task)
        by_reference = file.getvalue()
        if not pickler.saw_main:
            return by_reference, None
    except Exception:
        by_reference = None
    file = io.BytesIO()
    by_value = dill.Pickler(file, 5, recurse=True, byref=False)
    by_value.reducer_override = _reduce
    with _deep():
        by_value.dump(task)
    return by_reference, file.getvalue()


def _reduce(obj: Any) -> Any:
    """Reduce a module to its name, an array of no voxels to its shape, and a lock to a new one.

    dill would copy the whole content of a module that lies outside site-packages, as this one does
    where it is installed for development. And as it is written in Python, it takes all empty
    buffers for one object, and fails at the second. A lock would be taken where it arrives: one
    that was held here, as nobody there holds it; an RLock always, by a thread that there is not.
    """
    if isinstance(obj, ModuleType) and obj is sys.modules.get(obj.__name__):
        return importlib.import_module, (obj.__name__,)
    if type(obj) is np.ndarray and not obj.size:
        return np.empty, (obj.shape, obj.dtype)
    if type(obj) in _LOCKS:
        return _LOCKS[type(obj)], ()
    return NotImplemented


_LOCKS: dict[type, Any] = {type(make()): make for make in (threading.Lock, threading.RLock)}


@contextlib.contextmanager
def _deep() -> Iterator[None]:
    """Let the calls nest deeply: dill's do ten times for every node of a chain."""
    global _deep_ones, _usual_limit
    with _limit_lock:  # it is the limit of all threads
        if not _deep_ones:
            _usual_limit = sys.getrecursionlimit()
            sys.setrecursionlimit(max(_usual_limit, _DEEP))
        _deep_ones += 1
    try:
        yield
    finally:
        with _limit_lock:
            _deep_ones -= 1
            if not _deep_ones:
                sys.setrecursionlimit(_usual_limit)


_limit_lock = threading.Lock()
_deep_ones = _usual_limit = 0


def load_task(by_reference: bytes | None, by_value: bytes | None) -> Any:
    """Rebuild what `pack_task` made."""
    if by_reference is not None:
        try:
            return pickle.loads(by_reference)
        except AttributeError:
            if by_value is None:
                raise
    return dill.loads(by_value)


def adopt_main_classes() -> None:
    """Enter classes that came by value from the user's script into this process's ``__main__``.

    Then instances can be pickled by reference, and are of the script's own class again in the
    parent.
    """
    main = sys.modules["__main__"]
    todo, seen = [object], set()
    while todo:
        cls = todo.pop()
        for sub in type.__subclasses__(cls):
            if sub not in seen:
                seen.add(sub)
                todo.append(sub)
                if sub.__module__ == "__main__" and "." not in sub.__qualname__:
                    vars(main).setdefault(sub.__qualname__, sub)


class _ResultPickler(pickle.Pickler):
    """The fast pickler, with arrays apart and names of the script by reference."""

    def __init__(self, file: io.BytesIO, packed: Packed, *, apart: bool = True) -> None:
        super().__init__(file, 5, buffer_callback=packed.keep if apart else None)
        self._packed = packed
        self._apart = apart
        self.saw_main = False

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray:
            if self._apart and not obj.dtype.hasobject:
                return self._packed.reduce_array(obj)
        elif isinstance(obj, Deferred):
            if self._apart:
                return self._packed.reduce_deferred(obj)
        elif (
            isinstance(obj, (type, FunctionType))
            and obj.__module__ == "__main__"
            and "<locals>" not in obj.__qualname__
        ):
            # pickle would compare with this process's own __main__, which is not the script.
            self.saw_main = True
            return _main_attribute, (obj.__qualname__,)
        return NotImplemented


def _main_attribute(qualname: str) -> Any:
    found: Any = sys.modules["__main__"]
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


def _restore_array(buffer: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.frombuffer(buffer, dtype).reshape(shape)


def _plain_writer(raw: memoryview) -> Writer:
    def write(target: memoryview) -> None:
        np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(raw, np.uint8))

    return write


def _array_writer(source: npt.NDArray[Any] | Deferred) -> Writer:
    def write(target: memoryview) -> None:
        place = np.frombuffer(target, source.dtype).reshape(source.shape)
        if isinstance(source, Deferred):
            source.make(place)
        else:
            copy_voxels(place, source)

    return write
