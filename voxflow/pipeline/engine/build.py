"""Set a pipeline up for the time of a ``with`` block."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.pipeline import Pipeline

if TYPE_CHECKING:
    from types import TracebackType


logger = logging.getLogger(__name__)


class build:  # noqa: N801 - used like a function
    """Set up a pipeline or a single node, and tear it down at the end, come what may.

    Parameters
    ----------
    pipeline
        A pipeline, or a node with nothing upstream.
    seed
        The seed of the run: the same seed gives the same batches. None: one is drawn,
        logged, and stored in every batch.

    Raises
    ------
    PipelineSetupError
        If a node cannot be set up.

    Examples
    --------
    >>> import numpy as np
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> image = gp.Array(
    ...     np.arange(16.0).reshape(4, 4), gp.ArraySpec(gp.Roi((0, 0), (4, 4)), (1, 1))
    ... )
    >>> request = gp.BatchRequest({raw: gp.Roi((1, 1), (1, 2))})
    >>> with gp.build(gp.ArraySource(raw, image), seed=1) as source:
    ...     source.request_batch(request)[raw].data
    array([[5., 6.]])
    """

    def __init__(self, pipeline: Any, *, seed: int | None = None) -> None:
        self.pipeline = pipeline
        self._seed = seed
        self._built = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)

    def __enter__(self) -> Any:
        self._built.check_not_set_up()
        try:
            self._built.setup(seed=self._seed)
        except BaseException:
            self._quiet_teardown()
            raise
        if self._built is not self.pipeline:
            self.pipeline._pipeline_run = self._built.run
        return self.pipeline

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"build has no {name!r}; use `with build(pipeline) as built:`, and built.{name} inside"
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._built is not self.pipeline:
            self.pipeline._pipeline_run = None
        try:
            self._built.internal_teardown()
        except Exception as failed:
            if error is None:
                raise
            # The error of the block is what the user has to see.
            error.add_note(f"then tearing down failed: {type(failed).__name__}: {failed}")

    def _quiet_teardown(self) -> None:
        # The setup error is what the user has to see, not what follows from it.
        if not self._built.initialized:
            return
        try:
            self._built.internal_teardown()
        except Exception as error:
            logger.warning("after a failed setup: %s", error)
