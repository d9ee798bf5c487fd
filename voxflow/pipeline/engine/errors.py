"""Everything the engine raises.

::

    VoxflowError
    ├── PipelineSetupError        a node could not be set up
    ├── PipelineTeardownError     a node could not be torn down
    ├── BatchFilterError          a filter breaks the rules for filters     (also RuntimeError)
    └── BatchRequestError         a request could not be served
        └── PipelineRequestError
            ├── RequestRefused    the request cannot be served: all reasons (also ValueError)
            ├── BatchMismatch     a node delivered something else than asked (also RuntimeError)
            ├── SamplingError     no location meets the conditions          (also RuntimeError)
            └── UnhealthyBlock    voxels that something went wrong with     (also RuntimeError)
                └── UnhealthyStop     and nothing after them is to be made

    WorkerError (RuntimeError)    see `voxflow.pipeline.engine.workers.errors`

An error that comes from somewhere else (a node from outside, a library) keeps its type, its
traceback and its message. On its way through a pipeline it also becomes an instance of
`PipelineRequestError` or `PipelineSetupError`, so that either name catches it, and every node
that it passes adds a note.
"""

from __future__ import annotations

import copyreg
from contextlib import suppress
from types import MappingProxyType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voxflow.pipeline.geometry import Roi

E = TypeVar("E", bound=Exception)


class VoxflowError(Exception):
    """The base of voxflow's own errors."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), None, self.args, _state(self))


class PipelineSetupError(VoxflowError):
    """A node could not be set up.

    Attributes
    ----------
    provider
        The node.
    """

    provider: Any = None


class PipelineTeardownError(VoxflowError):
    """A node could not be torn down.

    Attributes
    ----------
    provider
        The node.
    """

    provider: Any = None


class BatchFilterError(VoxflowError, RuntimeError):
    """A filter breaks the rules for filters."""

    def __init__(self, batch_filter: Any, msg: str) -> None:
        super().__init__(f"Error in {batch_filter.name()}: {msg}")


class BatchRequestError(VoxflowError):
    """A request could not be served.

    Attributes
    ----------
    provider
        The outermost node, where the request came in.
    pipeline
        The pipeline, if there is one.
    request
        The request that failed.
    batch
        The batch as far as it got, if at all.
    token
        What it takes to make the same request again, see `Pipeline.replay`; None if it was refused
        before it had a seed.
    original_traceback
        Not used: the error keeps its own traceback.
    """

    provider: Any = None
    pipeline: Any = None
    request: Any = None
    batch: Any = None
    token: Any = None
    original_traceback: Any = None


class PipelineRequestError(BatchRequestError):
    """A request to a pipeline could not be served."""


class RequestRefused(PipelineRequestError, ValueError):
    """A request cannot be served, which can be known without reading data.

    Attributes
    ----------
    problems
        Every mistake that was found, each with its node and its remedy.
    """

    problems: tuple[str, ...]

    def __init__(self, problems: Iterable[object]) -> None:
        # Whoever makes an error again from its text, as torch's DataLoader does, has one problem.
        several = (problems,) if isinstance(problems, str) else problems
        self.problems = tuple(map(str, several))
        many = len(self.problems) > 1
        head = f"the request cannot be served, for {len(self.problems)} reasons:\n" if many else ""
        lines = [f"  {i}. {p}" if many else p for i, p in enumerate(self.problems, 1)]
        super().__init__(head + "\n".join(lines))


class BatchMismatch(PipelineRequestError, RuntimeError):
    """A node delivered something else than it was asked for."""


class SamplingError(PipelineRequestError, RuntimeError):
    """No location was found that meets the conditions."""


class UnhealthyBlock(PipelineRequestError, RuntimeError):
    """Voxels look as if something went wrong with them.

    An engine that serves many blocks records this one as failed, does not try it again, and goes
    on with the others.

    Attributes
    ----------
    worth_retrying
        False: the same voxels would come again.
    stops
        Whether no other block is to be made either.
    array
        The name of the array.
    roi
        Where its voxels were looked at, in world units; None for an array without a place.
    findings
        What was found: numbers and text by name, as in ``attrs["health"]``.
    """

    worth_retrying: ClassVar[bool] = False
    stops: ClassVar[bool] = False

    array: str = ""
    roi: Roi | None = None
    findings: Mapping[str, Any] = MappingProxyType({})


class UnhealthyStop(UnhealthyBlock):
    """Voxels look as if something went wrong with them, and the run is to end."""

    stops: ClassVar[bool] = True


def marked(error: E, kind: type[VoxflowError], **attributes: Any) -> E:
    """The same error, which is also an instance of `kind`.

    Type (by `isinstance` and by name), arguments, notes, cause and traceback stay.

    Parameters
    ----------
    error
        Any exception.
    kind
        What it has to be as well.
    attributes
        Set on the result.
    """
    if not isinstance(error, kind):
        error = _rebuilt(error, kind)
    for name, value in attributes.items():
        if getattr(error, name, None) is None:
            with suppress(Exception):  # what refuses, a frozen dataclass for one, stays as it is
                setattr(error, name, value)
    return error


def _rebuilt(error: E, kind: type[VoxflowError]) -> E:
    try:
        both = _both(type(error), kind)
        new = _blank(both, error.args)
        _restore(new, error.args, _members(error) | error.__dict__)
    except Exception:
        # It cannot be derived from or made again: keep the text, name the type in it.
        other = kind(f"{type(error).__name__}: {error}")
        other.__dict__.update(error.__dict__)
        other.__cause__ = error
        return cast("E", other)
    new.__cause__ = error.__cause__
    new.__context__ = error.__context__
    new.__suppress_context__ = error.__suppress_context__
    return cast("E", new.with_traceback(error.__traceback__))


_made: dict[tuple[Any, Any], type[Exception]] = {}


def _both(original: type[Exception], kind: type[VoxflowError]) -> type[Exception]:
    """A class that is both kinds, and goes by the name of the original."""
    if (original, kind) not in _made:
        names = {
            "__module__": original.__module__,
            "__qualname__": original.__qualname__,
            "__doc__": original.__doc__,
            "__str__": original.__str__,
            "__reduce__": _reduce,
            "_origin": (original, kind),
        }
        # `Exception` itself is a base of every kind and may not come before it.
        bases = (kind,) if issubclass(kind, original) else (original, kind)
        meta: Any = _Both if type(original) is type else type(original)
        _made[original, kind] = meta(original.__name__, bases, names)
    return _made[original, kind]


class _Both(type):
    """The class of such classes, by which they are pickled: what they are made of, not a name."""


def _reduce_class(cls: Any) -> tuple[Any, ...]:
    return _both, cls._origin


copyreg.pickle(_Both, _reduce_class)


def _reduce(self: Any) -> tuple[Any, ...]:
    return _unpickled, (*self._origin, self.args, _state(self))


def _state(error: Any) -> dict[str, Any]:
    """What makes an error what it is, without the nodes, which may be large or not picklable."""
    state = _members(error) | error.__dict__
    return {k: v for k, v in state.items() if k not in ("pipeline", "provider", "batch")}


def _members(error: Any) -> dict[str, Any]:
    """What an error keeps outside of its `__dict__`, such as the file name of an `OSError`."""
    names = {
        name
        for cls in type(error).__mro__
        for name, member in vars(cls).items()
        if isinstance(member, MemberDescriptorType) and not name.startswith("__")
    }
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


def _blank(kind: type[Exception], args: tuple[Any, ...]) -> Any:
    """An instance that no constructor has seen, which could want other arguments."""
    try:
        return kind.__new__(kind, *args)
    except TypeError:
        return Exception.__new__(kind, *args)


def _restore(error: Any, args: tuple[Any, ...], state: dict[str, Any]) -> None:
    error.args = args
    for name, value in state.items():
        # Some members that say nothing yet cannot be set to that.
        if value is not None or getattr(error, name, None) is not None:
            with suppress(AttributeError, TypeError):  # read only: set by __new__
                setattr(error, name, value)


def _unpickled(
    original: type[Exception],
    kind: type[VoxflowError] | None,
    args: tuple[Any, ...],
    state: dict[str, Any],
) -> Exception:
    both = original if kind is None else _both(original, kind)
    new: Exception = _blank(both, args)
    _restore(new, args, state)
    return new
