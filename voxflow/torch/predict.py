"""What a model says of every batch that passes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from voxflow.nodes.flow.model_outputs import made_array, output_spec
from voxflow.pipeline.data import ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.torch.calls import Name, arguments, checked_arguments, checked_names
from voxflow.torch.checkpoint import load_checkpoint
from voxflow.torch.devices import check_device
from voxflow.torch.held import held_at_most
from voxflow.torch.modes import evaluating
from voxflow.torch.own_methods import refuse_own
from voxflow.torch.passes import HALVES, Passes
from voxflow.torch.turned_passes import TurnedPasses

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from voxflow.ops.symmetries import Symmetry


class Predict(BatchFilter):
    """Adds the outputs of a torch model to every batch that passes.

    The model is used in evaluation mode and without gradients. After each batch it is in the mode
    that it was in before, so a model may be trained and looked at in turns. It goes to its device
    at the first request, in the process that computes: the workers of a `Scan` have their own.
    Threads may ask at once; a device runs one pass at a time, while others read and copy.

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
        "auto" takes a GPU if there is one, in the process that computes. Any other device has to be
        there; where no GPU is seen at all, one that is asked for is looked for at the first
        request.
    spawn_subprocess
        Has no effect: use `Scan` with several workers.
    context
        How much of the input the model needs around its output, on each side: world units, one
        number for each axis. With it, outputs are provided wherever the inputs are, less the
        context, and the inputs need not be in the request. For networks of `voxflow.models` and any
        others it is ``analyse(model).context * voxel_size``.
    step
        How far apart blocks have to lie to agree, in a network with poolings: world units, one
        number for each axis; ``analyse(model).output_step * voxel_size``. With it, the model makes
        whole steps, counted from where outputs begin to be provided, and what was not asked for is
        cut off. So a block has the values of the whole, wherever it lies. Outputs are provided in
        whole steps only: pad the inputs by `context` and one step. Needs `context`.
    symmetries
        Mirrors and transpositions of the inputs (`voxflow.ops.symmetries.symmetries`). The model
        answers to each, the answers are put straight by the `kind` of the outputs, and merged.
        Needs `context`; where affinities are put straight, the inputs reach further than that (see
        `reach`), and a block that is to fit the network is smaller by as much.
    merge
        How: "mean", or "max".
    autocast
        "bfloat16" or "float16": compute in it what is safe to. Outputs are float32.
    compile
        Compile the model with ``torch.compile``, at the first request: True, or its arguments.
        Outputs are then named by their indices.
    blocks_per_pass
        How many blocks go through the model at once, along the first axis of all its inputs and
        outputs, which is of size 1 in each block. Blocks that wait for the device at the same time
        share a pass (threads of a `Scan`; the `symmetries` of one block); it is filled up with
        copies, so that a block's values do not depend on who shares its pass.

    Attributes
    ----------
    reach
        How far the inputs reach beyond what is asked for, on each side: world units; the context,
        and from setup on what `symmetries` need. None without context.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If names, keys, options or the device are wrong, or a class that inherits from this one
        brings a ``predict`` of its own, which ``GenericPredict`` is for.
    FileNotFoundError
        At setup, if the checkpoint is not there.
    ValueError
        At setup, if the checkpoint is of another model, the context is no whole number of voxels or
        larger than the inputs, or arrays cannot be turned as `symmetries` say.
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
        step: Iterable[Any] | None = None,
        symmetries: Iterable[Symmetry] | None = None,
        merge: Literal["mean", "max"] = "mean",
        autocast: Literal["bfloat16", "float16"] | None = None,
        compile: bool | Mapping[str, Any] = False,
        blocks_per_pass: int = 1,
    ) -> None:
        generic = "voxflow.nodes.flow.generic_predict.GenericPredict"
        refuse_own(self, generic, "start", "predict", "stop")
        self.model = model
        self.inputs = checked_arguments("inputs", inputs)
        self.outputs = checked_names("outputs", outputs)
        self.array_specs = dict(array_specs or {})
        self.checkpoint = checkpoint
        self.device = device
        self.context = None if context is None else Coordinate(context)
        self.step = None if step is None else Coordinate(step)
        self.symmetries = None if symmetries is None else list(symmetries)
        self.merge = merge
        self.autocast = autocast
        self.compile = dict(compile) if isinstance(compile, Mapping) else ({} if compile else None)
        self.blocks_per_pass = blocks_per_pass
        self._check_options()
        self.reach = self.context
        self._turns: TurnedPasses | None = None

    def _check_options(self) -> None:
        check_device(self.device)
        if self.autocast not in (None, *HALVES):
            raise ValueError(f"autocast is one of {', '.join(HALVES)} or None, got {self.autocast}")
        if self.merge not in ("mean", "max"):
            raise ValueError(f"merge is 'mean' or 'max', got {self.merge!r}")
        if self.blocks_per_pass < 1:
            raise ValueError(f"blocks_per_pass is at least 1, got {self.blocks_per_pass}")
        if self.symmetries is not None and self.context is None:
            raise ValueError("symmetries turn blocks about their middle: give context=... as well")
        if self.step is not None and self.context is None:
            raise ValueError("a step is counted from where outputs begin: give context=... as well")
        if self.step is not None and not all(n is not None and n > 0 for n in self.step):
            raise ValueError(f"step is positive along each axis, got {self.step}")
        named = [name for name in self.outputs if not str(name).isdecimal()]
        if self.compile is not None and named:
            raise ValueError(
                f"what submodules make is not to be seen in a compiled model: outputs {named}; "
                "give indices, or leave compile out"
            )

    def _new_passes(self) -> Passes:
        return Passes(
            self.name(), self.model, self.device, self.autocast, self.compile, self.blocks_per_pass
        )

    def setup(self) -> None:
        """Say what the model makes, and load the checkpoint."""
        self.enable_autoskip()
        self._passes = self._new_passes()
        inputs = [key for key in self.inputs.values() if not self.spec[key].nonspatial]
        self._check_context(inputs)
        specs = {
            name: output_spec(self, key, self.array_specs, inputs)
            for name, key in self.outputs.items()
        }
        self._turn(specs)
        for name, key in self.outputs.items():
            spec = specs[name]
            self._check_step(key, spec.voxel_size)
            if spec.roi is None and self.reach is not None:
                spec.roi = self._covered(inputs, spec.voxel_size)
            self.provides(key, spec)
        if self.checkpoint is not None:
            self._load(self.checkpoint)

    def _turn(self, outputs: dict[Name, ArraySpec]) -> None:
        if self.symmetries is None or self.context is None:
            return
        inputs = {name: self.spec[key] for name, key in self.inputs.items()}
        self._turns = TurnedPasses(
            self.name(), self.symmetries, self.merge, inputs, outputs, self.context
        )
        self.reach = self.context + self._turns.margin

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

    def _check_step(self, key: ArrayKey, grid: Coordinate | None) -> None:
        if self.step is None or grid is None:
            return
        if self.step.dims != grid.dims or not self.step.is_multiple_of(grid):
            raise ValueError(
                f"{self.name()}: step={self.step} has to be a whole number of voxels of {key} "
                f"along each axis (voxel size {grid})"
            )

    def _covered(self, inputs: list[ArrayKey], voxel_size: Coordinate | None) -> Any:
        rois = [roi for key in inputs if (roi := self.spec[key].roi) is not None]
        if not rois or self.reach is None:
            return None
        common = rois[0]
        for roi in rois[1:]:
            common = common.intersect(roi)
        small = [
            axis
            for axis, (extent, around) in enumerate(zip(common.shape, self.reach, strict=True))
            if extent is not None and extent <= 2 * around
        ]
        if small:
            raise ValueError(
                f"{self.name()}: nothing is left of {common} (world units) after "
                f"{self.reach} on each side, in axes {small}; put Pad after the source"
            )
        covered = common.grow(-self.reach, -self.reach)
        if voxel_size is not None:
            covered = covered.snap_to_grid(voxel_size, "shrink")
        if self.step is None:
            return covered
        self._origin = Coordinate(0 if n is None else n for n in covered.begin)
        return self._in_steps(covered, "shrink")

    def _in_steps(self, roi: Roi, mode: Literal["grow", "shrink"] = "grow") -> Roi:
        """What the model makes of a region, or for it: whole steps, if they are known."""
        if self.step is None:
            return roi
        return (roi - self._origin).snap_to_grid(self.step, mode) + self._origin

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all inputs of the model."""
        needed = BatchRequest()
        for key in self.inputs.values():
            if self.reach is not None and not self.spec[key].nonspatial:
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
        return self._in_steps(rois.pop()).grow(self.reach, self.reach)

    def working_bytes(
        self, request: BatchRequest, given: Mapping[Any, int], made: Mapping[Any, int]
    ) -> int | None:
        """What the model holds while it computes, on a CPU, as far as that can be known."""
        if self._turns is not None or self.autocast is not None or self.compile is not None:
            return None
        if str(self.device) != "cpu" and (self.device != "auto" or torch.cuda.is_available()):
            return None
        inputs = self._empty_inputs(self.prepare(request.clone()), given)
        if inputs is None:
            return None
        with evaluating(self.model):
            held = held_at_most(self.model, *arguments(inputs))
        # What the model answers is there twice for a moment.
        answer = sum(made.values())
        return None if held is None else max(held - answer, answer)

    def _empty_inputs(
        self, needed: BatchRequest, given: Mapping[Any, int]
    ) -> dict[Name, torch.Tensor] | None:
        """Inputs without values; one axis of samples and one of channels are taken for granted."""
        inputs = {}
        for name, key in self.inputs.items():
            spec = self.spec[key]
            if needed[key].roi is None or spec.voxel_size is None or spec.dtype is None:
                return None
            shape = [int(n) for n in needed[key].region.shape / spec.voxel_size]
            channels = given[key] // (prod(shape) * spec.dtype.itemsize)
            dtype = torch.from_numpy(np.empty(0, spec.dtype)).dtype
            inputs[name] = torch.empty(
                (self.blocks_per_pass, channels, *shape), dtype=dtype, device="meta"
            )
        return inputs

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Run the model."""
        wanted = {name: key for name, key in self.outputs.items() if key in request}
        outputs = self._answers(batch, list(wanted))
        made, asked = Batch(), request.clone()
        for name, key in wanted.items():
            roi = request[key].roi
            asked[key].roi = None if roi is None else self._in_steps(roi)
            array = made_array(self, key, outputs[name], asked)
            made[key] = array if roi is None else array.crop(roi, copy=False)
        return made

    def _answers(self, batch: Batch, names: list[Name]) -> dict[Name, NDArray[Any]]:
        if self._turns is None:
            return self._passes([{n: batch[k] for n, k in self.inputs.items()}], names)[0]
        values = {n: batch[k].view for n, k in self.inputs.items()}
        return self._turns(self._passes, values, names, self.blocks_per_pass)

    def __getstate__(self) -> dict[str, Any]:
        # A worker puts its own copy of the model in place.
        return {name: value for name, value in self.__dict__.items() if name != "_passes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._passes = self._new_passes()
