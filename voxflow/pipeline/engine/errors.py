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
            └── SamplingError     no location meets the conditions          (also RuntimeError)

    WorkerError (RuntimeError)    see `voxflow.pipeline.engine.workers.errors`

An error that comes from somewhere else (a node from outside, a library) keeps its type, its
traceback and its message. On its way through a pipeline it also becomes an instance of
`PipelineRequestError` or `PipelineSetupError`, so that either name catches it, and every node
that it passes adds a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

E = TypeVar("E", bound=Exception)


class VoxflowError(Exception):
    """The base of voxflow's own errors."""


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

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        many = len(self.problems) > 1
        head = f"the request cannot be served, for {len(self.problems)} reasons:\n" if many else ""
        lines = [f"  {i}. {p}" if many else p for i, p in enumerate(self.problems, 1)]
        super().__init__(head + "\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,), self.__dict__


class BatchMismatch(PipelineRequestError, RuntimeError):
    """A node delivered something else than it was asked for."""


class SamplingError(PipelineRequestError, RuntimeError):
    """No location was found that meets the conditions."""


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
            setattr(error, name, value)
    return error


def _rebuilt(error: E, kind: type[VoxflowError]) -> E:
    both = _both(type(error), kind)
    try:
        new = both.__new__(both, *error.args)
    except Exception:
        # An exception with a constructor of its own: keep the text, name the type in it.
        new = kind(f"{type(error).__name__}: {error}")
        new.__cause__ = error
        return cast("E", new)
    new.args = error.args
    new.__dict__.update(error.__dict__)
    new.__cause__ = error.__cause__
    new.__context__ = error.__context__
    new.__suppress_context__ = error.__suppress_context__
    return cast("E", new.with_traceback(error.__traceback__))


_made: dict[tuple[Any, Any], type[Exception]] = {}


def _both(original: type[Exception], kind: type[VoxflowError]) -> type[Exception]:
    if (original, kind) in _made:
        return _made[original, kind]
    names = {
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "__str__": original.__str__,
        "__reduce__": _reduce,
        "_origin": (original, kind),
    }
    both = type(original.__name__, (original, kind), names)
    return _made.setdefault((original, kind), both)


def _reduce(self: Any) -> tuple[Any, ...]:
    state = {k: v for k, v in self.__dict__.items() if k not in ("pipeline", "provider", "batch")}
    return _unpickled, (*self._origin, self.args, state)


def _unpickled(
    original: type[Exception], kind: type[VoxflowError], args: Any, state: dict[str, Any]
) -> Exception:
    both = _both(original, kind)
    new = both.__new__(both, *args)
    new.args = args
    new.__dict__.update(state)
    return new
