"""What nodes that train and nodes that predict have in common: a model, here or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from voxflow.nodes.flow.model_outputs import array_inputs, inputs_needed, output_spec, spatial
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voxflow.nodes.flow.model_process import ModelProcess
    from voxflow.pipeline.data import ArrayKey, ArraySpec, BatchRequest


class ModelNode(BatchFilter):
    """A filter around a model, which is started once, in this process or in one of its own."""

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset({"spawn_subprocess"})

    def __init__(
        self,
        inputs: Mapping[Any, Any],
        outputs: Mapping[Any, ArrayKey],
        array_specs: Mapping[ArrayKey, ArraySpec] | None,
        spawn_subprocess: bool,
    ) -> None:
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self.array_specs = dict(array_specs or {})
        self.spawn_subprocess = spawn_subprocess
        self.initialized = False
        self._process: ModelProcess | None = None

    def start(self) -> None:
        """Make the model ready; called once, in the process that computes."""

    def stop(self) -> None:
        """Let go of what `start` took."""

    def _provide(self, keys: Iterable[ArrayKey]) -> None:
        inputs = spatial(self, array_inputs(self.inputs))
        for key in keys:
            self.provides(key, output_spec(self, key, self.array_specs, inputs))

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all inputs."""
        return inputs_needed(self, array_inputs(self.inputs), request)

    def teardown(self) -> None:
        """Stop, if it was started."""
        if not self.initialized:
            return
        self.initialized = False
        if self._process is None:
            self.stop()
        else:
            process, self._process = self._process, None
            process.stop()
