"""Scripts that say ``import gunpowder``, run as they are on voxflow.

::

    python -m voxflow.as_gunpowder script.py arguments...
    python -m voxflow.as_gunpowder -m package.module arguments...

In a process of one's own, `install` does the same before the first ``import gunpowder``.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import os
import re
import sys
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType, TracebackType
from typing import Any

import voxflow
from voxflow.pipeline.face import homes, needs_said

NAME = "gunpowder"
VERSION = "1.4.4"
"""The version of gunpowder whose interface this is."""

_USAGE = f"usage: python -m {__name__} (script.py | -m module) [arguments ...]"

_DATA, _ENGINE = "voxflow.pipeline.data", "voxflow.pipeline.engine"

# Where what stands in a module of gunpowder stands here. Of nodes, the module follows from the
# name. What is not in the module that is named here is looked up in `voxflow`.
_PLACES = {
    "": "voxflow",
    "array": f"{_DATA}.array",
    "array_spec": f"{_DATA}.spec",
    "batch": f"{_DATA}.batch",
    "batch_request": f"{_DATA}.request",
    "build": f"{_ENGINE}.build",
    "contrib": "voxflow.contrib",
    "contrib.nodes": "voxflow.contrib",
    "coordinate": "voxflow.pipeline.geometry.coordinate",
    "ext": "voxflow.ext",
    "ext.zarr_file": "voxflow.ext",
    "freezable": f"{_DATA}.freezable",
    "graph": f"{_DATA}.graph",
    "graph_spec": f"{_DATA}.spec",
    "jax": "voxflow.jax",
    "jax.generic_jax_model": "voxflow.jax.generic_jax_model",
    "jax.nodes": "voxflow.jax",
    "jax.nodes.predict": "voxflow.jax.predict",
    "jax.nodes.train": "voxflow.jax.train",
    "morphology": "voxflow.ops.morphology",
    "ndarray": "voxflow.ops.replace",
    "nodes": "voxflow",
    "nodes.batch_filter": f"{_ENGINE}.filter",
    "nodes.batch_provider": f"{_ENGINE}.provider",
    "nodes.generic_predict": "voxflow.nodes.flow.generic_predict",
    "nodes.generic_train": "voxflow.nodes.flow.generic_train",
    "nodes.hdf5like_source_base": "voxflow.nodes.sources.hdf5like_source",
    "nodes.hdf5like_write_base": "voxflow.nodes.sinks.hdf5like_write",
    "pipeline": f"{_ENGINE}.pipeline",
    "producer_pool": f"{_ENGINE}.workers.producer_pool",
    "profiling": f"{_DATA}.profiling",
    "provider_spec": f"{_DATA}.provider_spec",
    "roi": "voxflow.pipeline.geometry.roi",
    "tensorflow": "voxflow.tensorflow",
    "tensorflow.local_server": "voxflow.tensorflow",
    "tensorflow.nodes": "voxflow.tensorflow",
    "tensorflow.nodes.predict": "voxflow.tensorflow",
    "tensorflow.nodes.train": "voxflow.tensorflow",
    "torch": "voxflow.torch",
    "torch.nodes": "voxflow.torch",
    "torch.nodes.predict": "voxflow.torch.predict",
    "torch.nodes.train": "voxflow.torch.train",
    "version_info": "voxflow.version_info",
    "zoo": "voxflow.zoo",
    "zoo.tensorflow": "voxflow.zoo.tensorflow",
    "zoo.tensorflow.unet": "voxflow.zoo.tensorflow",
}

_ONE_WORD = {"AsType", "DownSample", "PreCache", "UpSample"}  # astype.py, and not as_type.py


def install() -> None:
    """Let ``import gunpowder``, and of everything in it, give what voxflow has by that name.

    It holds for this process and for the workers that voxflow starts. Nothing is loaded before it
    is used. A gunpowder that is installed is not found any more. Loggers that are named after
    gunpowder's modules are those of ours. Calling it twice does no harm.

    Raises
    ------
    RuntimeError
        If another gunpowder has been imported already.

    Examples
    --------
    >>> install()  # doctest: +SKIP
    >>> from gunpowder.nodes.batch_filter import BatchFilter  # doctest: +SKIP
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if NAME in sys.modules:
        raise RuntimeError(
            f"{NAME} has been imported already, from {getattr(sys.modules[NAME], '__file__', '?')};"
            f" call {__name__}.install() before its first import"
        )
    from voxflow.pipeline.engine.workers import launch

    sys.meta_path.insert(0, _Finder())
    launch.installed_in_workers.append(__name__)
    _name_loggers()


# -- names ----------------------------------------------------------------------------------------


@cache
def _node_files() -> dict[str, str]:
    """Our module for each file of gunpowder that holds a node: ``random_location``, ..."""
    places = {**homes("voxflow.contrib"), **homes("voxflow")}
    return {
        _file_of(name): home for name, home in places.items() if home.startswith("voxflow.nodes.")
    }


def _file_of(node: str) -> str:
    if node in _ONE_WORD:
        return node.lower()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", node).lower()


def _place(tail: str) -> str | None:
    """Our module for a module of gunpowder, named without the first word; None: there is none."""
    if tail in _PLACES:
        return _PLACES[tail]
    package, _, file = tail.rpartition(".")
    return _node_files().get(file) if package in ("nodes", "contrib.nodes") else None


@cache
def _submodules(tail: str) -> frozenset[str]:
    """The modules right below one of gunpowder's."""
    above = f"{tail}." if tail else ""
    below = {
        name.removeprefix(above).partition(".")[0] for name in _PLACES if name.startswith(above)
    }
    nodes = _node_files() if tail in ("nodes", "contrib.nodes") else ()
    return frozenset({*below, *nodes} - {""})


def _name_loggers() -> None:
    known = logging.Logger.manager.loggerDict
    known[NAME] = logging.getLogger("voxflow")
    for tail, place in [*_PLACES.items(), *((f"nodes.{f}", p) for f, p in _node_files().items())]:
        if place != "voxflow":
            known[f"{NAME}.{tail}"] = logging.getLogger(place)


# -- modules --------------------------------------------------------------------------------------


class _Finder(MetaPathFinder, Loader):
    """Finds gunpowder and everything in it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        first, _, tail = fullname.partition(".")
        if first != NAME or _place(tail) is None:
            return None
        is_package = bool(_submodules(tail))
        return ModuleSpec(fullname, self, origin=_place(tail), is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: names are looked up when they are used."""


class _Module(ModuleType):
    """A module by gunpowder's name, with what ours holds."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return dir(self)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = self.__dict__[name] = self._found(name)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system enters `gunpowder.build`, the module, where the function has to stay.
        if isinstance(value, _Module) and self._tail == "" and name in homes("voxflow"):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        names = set(_submodules(self._tail))
        if self._tail == "":
            names |= _submodules("nodes")
        place = _PLACES.get(self._tail)
        names |= set(homes("voxflow") if place == "voxflow" else dir(self._ours()))
        return sorted(name for name in names if not name.startswith("_"))

    def __reduce__(self) -> tuple[Any, ...]:
        # As part of what a node refers to, it travels to workers.
        return importlib.import_module, (self.__name__,)

    @property
    def _tail(self) -> str:
        return self.__name__.partition(".")[2]

    def _ours(self) -> ModuleType:
        with needs_said():
            return importlib.import_module(_place(self._tail) or "voxflow")

    def _found(self, name: str) -> Any:
        if self._tail == "" and name == "version":
            from voxflow.version_info import Version

            return Version(VERSION)
        hidden = self._tail == "" and name in homes("voxflow")
        if name in _submodules(self._tail) and not hidden:
            return importlib.import_module(f"{self.__name__}.{name}")
        try:
            return getattr(self._ours(), name)
        except AttributeError:
            if self._tail == "" and name in _submodules("nodes"):
                return importlib.import_module(f"{NAME}.nodes.{name}")
            if name in homes("voxflow"):
                return getattr(voxflow, name)
            raise AttributeError(
                f"module {self.__name__!r} has no attribute {name!r} (this is voxflow, in the "
                f"place of gunpowder {VERSION})"
            ) from None


# -- running --------------------------------------------------------------------------------------


def main() -> None:
    """Run the script or module that the command line names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(_USAGE, file=sys.stdout if arguments[:1] in (["-h"], ["--help"]) else sys.stderr)
        sys.exit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)
    install()
    run = _run_module if arguments[0] == "-m" else _run_script
    run(arguments[1:] if arguments[0] == "-m" else arguments)


def _run_script(argv: list[str]) -> None:
    """Run a file as ``python file`` does."""
    script = ModuleType("__main__")
    try:
        with io.open_code(os.path.abspath(argv[0])) as file:
            text = file.read()
    except OSError as error:
        sys.exit(f"{sys.executable}: can't open file {argv[0]!r}: {error.strerror}")
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(argv[0]))
    script.__file__ = argv[0]
    sys.argv = argv
    _show_from(argv[0])
    _execute(compile(text, argv[0], "exec", dont_inherit=True), script)


def _run_module(argv: list[str]) -> None:
    """Run a module as ``python -m module`` does."""
    spec = _runnable(argv[0])
    loader: Any = spec.loader
    module = ModuleType("__main__")
    module.__spec__, module.__loader__ = spec, loader
    module.__package__ = spec.parent
    module.__file__ = spec.origin
    sys.argv = [spec.origin or argv[0], *argv[1:]]
    _show_from(spec.origin or "")
    _execute(loader.get_code(spec.name), module)


def _runnable(name: str) -> ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something else
        spec = None
    if spec is None or not hasattr(spec.loader, "get_code"):
        sys.exit(f"{sys.executable}: No module named {name!r}, or none that can be run")
    return spec


def _execute(code: CodeType, module: ModuleType) -> None:
    # As it is when Python runs it: the interpreter, pickle and debuggers look here.
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def _show_from(file: str) -> None:
    """Let tracebacks begin in a file, and not here."""
    before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        shown = trace
        while shown is not None and shown.tb_frame.f_code.co_filename != file:
            shown = shown.tb_next
        before(kind, error.with_traceback(shown), shown)

    sys.excepthook = show


if __name__ == "__main__":
    # Not in this copy, which goes by another name.
    importlib.import_module("voxflow.as_gunpowder").main()
