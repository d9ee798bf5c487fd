"""What a model says of every batch that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from voxflow.nodes.flow.model_outputs import made_array, output_spec
from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate
from voxflow.torch.calls import (
    Name,
    arguments,
    capturing,
    checked_arguments,
    checked_names,
)
from voxflow.torch.checkpoint import load_checkpoint
from voxflow.torch.devices import choose_device
from voxflow.torch.modes import evaluating
from voxflow.torch.tensors import to_array, to_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Predict(BatchFilter):
    """Adds the outputs of a torch model to every batch that passes.

    The model is used in evaluation mode and without gradients. After each batch it is in the mode
    that it was in before, so a model may be trained and looked at in turns. It goes to its device
    at the first request, in the process that computes: the workers of a `Scan` have their own.

    Parameters
    ----------
    model
        The model. Its ``forward`` returns a tensor or a tuple of tensors.
    inputs
        Arrays that go into the model, by the position or name of the argument.
    outputs
        Arrays that come out of it, by the index in what ``forward`` returns or by the name of a
        submodule.
    array_specs
        Specs of the outputs, where they are not those of the inputs. A `roi` says where an output
        is provided.
    checkpoint
        A file of `Train`, or one with a state dict; None: the model is used as it is.
    device
        "auto" takes a GPU if there is one; any other device has to be there.
    spawn_subprocess
        Has no effect: use `Scan` with several workers.
    context
        How much of the input the model needs around its output, on each side: world units, one
        number for each axis. With it, outputs are provided wherever the inputs are, less the
        context, and the inputs need not be in the request.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If names, keys or the device are wrong.
    FileNotFoundError
        At setup, if the checkpoint is not there.
    ValueError
        At setup, if the checkpoint is of another model, or the context is no whole number of
        voxels or larger than the inputs.
    """

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset({"device", "spawn_subprocess"})

    def __init__(
        self,
        model: torch.nn.Module,
        inputs: Mapping[Name, ArrayKey],
        outputs: Mapping[Name, ArrayKey],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        checkpoint: str | Path | None = None,
        device: str | torch.device = "auto",
        spawn_subprocess: bool = False,
        *,
        context: Iterable[Any] | None = None,
    ) -> None:
        self.model = model
        self.inputs = checked_arguments("inputs", inputs)
        self.outputs = checked_names("outputs", outputs)
        self.array_specs = dict(array_specs or {})
        self.checkpoint = checkpoint
        self.device = choose_device(device)
        self.context = None if context is None else Coordinate(context)
        self._ready = False

    def setup(self) -> None:
        """Say what the model makes, and load the checkpoint."""
        self.enable_autoskip()
        inputs = [key for key in self.inputs.values() if not self.spec[key].nonspatial]
        self._check_context(inputs)
        for key in self.outputs.values():
            spec = output_spec(self, key, self.array_specs, inputs)
            if spec.roi is None and self.context is not None:
                spec.roi = self._covered(inputs, spec.voxel_size)
            self.provides(key, spec)
        if self.checkpoint is not None:
            self._load(self.checkpoint)

    def _load(self, path: str | Path) -> None:
        try:
            self.model.load_state_dict(load_checkpoint(path).model)
        except RuntimeError as error:
            raise ValueError(f"{path} is not from this model: {error}") from error

    def _check_context(self, inputs: list[ArrayKey]) -> None:
        if self.context is None:
            return
        for key in inputs:
            grid = self.spec[key].voxel_size
            if grid is None:
                continue
            if self.context.dims != grid.dims:
                raise ValueError(
                    f"{self.name()}: context={self.context} has {self.context.dims} numbers, "
                    f"{key} has {grid.dims} axes"
                )
            if any(self.context % grid):
                raise ValueError(
                    f"{self.name()}: context={self.context} is {self.context / grid} voxels of "
                    f"{key} (voxel size {grid}), and has to be a whole number of them. With half a "
                    "voxel more on each side, the output would lie half a voxel off the grid of "
                    "the input: take a network (kernels, poolings) that makes it whole, and give "
                    "world units"
                )

    def _covered(self, inputs: list[ArrayKey], voxel_size: Coordinate | None) -> Any:
        rois = [roi for key in inputs if (roi := self.spec[key].roi) is not None]
        if not rois or self.context is None:
            return None
        common = rois[0]
        for roi in rois[1:]:
            common = common.intersect(roi)
        small = [
            axis
            for axis, (extent, around) in enumerate(zip(common.shape, self.context, strict=True))
            if extent is not None and extent <= 2 * around
        ]
        if small:
            raise ValueError(
                f"{self.name()}: nothing is left of {common} (world units) after context="
                f"{self.context} on each side, in axes {small}; put Pad after the source"
            )
        covered = common.grow(-self.context, -self.context)
        return covered if voxel_size is None else covered.snap_to_grid(voxel_size, "shrink")

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all inputs of the model."""
        needed = BatchRequest()
        for key in self.inputs.values():
            if self.context is not None and not self.spec[key].nonspatial:
                needed[key] = ArraySpec(roi=self._around_outputs(request))
            elif key in request:
                needed[key] = request[key]
                needed[key].placeholder = False
            else:
                raise KeyError(
                    f"{self.name()} needs {key}, which is not in the request; ask for it with "
                    "the region that the model is to see, or give context=..."
                )
        return needed

    def _around_outputs(self, request: BatchRequest) -> Any:
        rois = {request[key].region for key in self.outputs.values() if key in request}
        if len(rois) != 1:
            raise ValueError(
                f"{self.name()}: all outputs have to be asked for in one region, got {rois}"
            )
        return rois.pop().grow(self.context, self.context)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Run the model."""
        self._start()
        values = {n: to_tensor(batch[k], self.device) for n, k in self.inputs.items()}
        positional, named = arguments(values)
        wanted = {name: key for name, key in self.outputs.items() if key in request}
        made = Batch()
        with (
            torch.no_grad(),
            evaluating(self.model),
            capturing(self.name(), self.model, wanted) as call,
        ):
            outputs = call(*positional, **named)
            for name, key in wanted.items():
                made[key] = made_array(self, key, to_array(outputs[name]), request)
        return made

    def _start(self) -> None:
        if not self._ready:
            self.model.to(self.device)
            self._ready = True

    def teardown(self) -> None:
        """The next pipeline puts the model in place again."""
        self._ready = False

    def __getstate__(self) -> dict[str, Any]:
        # A worker puts its own copy of the model in place.
        return {**self.__dict__, "_ready": False}
