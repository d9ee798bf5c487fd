"""The answers of a model to mirrored and transposed inputs, put straight and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.ops.actions import act, context, obstacle
from voxflow.pipeline.data.kinds import Descriptors, Vectors
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from voxflow.ops.symmetries import Symmetry
    from voxflow.pipeline.data import ArraySpec
    from voxflow.torch.calls import Name

Values = dict[Any, Any]


class TurnedPasses:
    """Turns what goes into a model, and puts straight what comes out of it.

    Sums are float64, so that their order changes at most a last bit: the merged answer to a turned
    input is the turned answer.

    Parameters
    ----------
    node
        Who asks, for messages.
    symmetries
        What is done, one after another.
    merge
        "mean" or "max".
    inputs, outputs
        Specs by the names of arguments and outputs.
    around
        How much larger inputs are than outputs, on each side: world units.

    Attributes
    ----------
    margin
        How much more outputs have to show on each side, so that affinities can be put straight:
        world units.

    Raises
    ------
    ValueError
        If the arrays cannot be turned so.
    """

    def __init__(
        self,
        node: str,
        symmetries: Iterable[Symmetry],
        merge: str,
        inputs: Mapping[Name, ArraySpec],
        outputs: Mapping[Name, ArraySpec],
        around: Coordinate,
    ) -> None:
        self._node = node
        self._symmetries = list(symmetries)
        self._merge = merge
        self._inputs = inputs
        self._outputs = outputs
        if not self._symmetries:
            raise ValueError(f"{node}: symmetries is empty; None: the input as it is")
        self._check(around)
        margins = [self._margin(spec) for spec in outputs.values()]
        self.margin = Coordinate(map(max, zip(*margins, strict=True)))

    def _check(self, around: Coordinate) -> None:
        for symmetry in self._symmetries:
            if symmetry.ndim != around.dims:
                raise ValueError(
                    f"{self._node}: {symmetry} is of {symmetry.ndim} axes, the context of "
                    f"{around.dims}"
                )
            self._check_order("context", around, symmetry)
            for name, spec in self._inputs.items():
                if spec.nonspatial:
                    continue
                self._check_order(f"the voxel size of input {name!r}", spec.grid, symmetry)
                self._check_kind(f"input {name!r}", spec, symmetry)
                if any(map(any, context(spec.kind, symmetry))):
                    raise ValueError(
                        f"{self._node}: input {name!r} holds affinities, of which some would be "
                        "read from beyond the block; make them of the input within the model"
                    )
            for name, spec in self._outputs.items():
                if spec.nonspatial or spec.voxel_size is None:
                    raise ValueError(
                        f"{self._node}: output {name!r} has no place, so it cannot be put straight"
                    )
                self._check_order(f"the voxel size of output {name!r}", spec.grid, symmetry)
                self._check_kind(f"output {name!r}", spec, symmetry.inverse)
                if self._merge == "max" and isinstance(spec.kind, Vectors | Descriptors):
                    raise ValueError(
                        f"{self._node}: output {name!r} holds {spec.kind}, of which there is no "
                        "greatest whatever way one looks; take merge='mean'"
                    )

    def _check_order(self, what: str, numbers: Coordinate, symmetry: Symmetry) -> None:
        if tuple(numbers) != tuple(numbers[axis] for axis in symmetry.order):
            raise ValueError(
                f"{self._node}: {what} is {numbers}, so axes cannot change places as in "
                f"{symmetry}; leave out what transposes axes that differ: symmetries(ndim, "
                "transpose_only=[...])"
            )

    def _check_kind(self, what: str, spec: ArraySpec, symmetry: Symmetry) -> None:
        problem = obstacle(spec.kind, symmetry, spec.dtype)
        if problem is not None:
            raise ValueError(f"{self._node}: {what}: {problem}")

    def _margin(self, spec: ArraySpec) -> Coordinate:
        sides = [side for s in self._symmetries for side in context(spec.kind, s.inverse)]
        return Coordinate(map(max, zip(*sides, strict=True))) * spec.grid

    def __call__(
        self,
        run: Callable[[Sequence[Values], Sequence[Name]], list[Values]],
        values: Mapping[Name, NDArray[Any]],
        names: Sequence[Name],
        at_once: int,
    ) -> dict[Name, NDArray[Any]]:
        """The merged outputs, smaller by the `margin` than what the model makes of the inputs.

        Parameters
        ----------
        run
            Gives for several inputs of the model its outputs.
        values
            What goes into it, not turned.
        names
            Which outputs.
        at_once
            How many inputs `run` is given.
        """
        merged: dict[Name, NDArray[Any]] = {}
        types: dict[Name, np.dtype[Any]] = {}
        for first in range(0, len(self._symmetries), at_once):
            some = self._symmetries[first : first + at_once]
            turned = [self._turned(values, symmetry) for symmetry in some]
            for symmetry, outputs in zip(some, run(turned, names), strict=True):
                for name, output in outputs.items():
                    types[name] = output.dtype
                    self._add(merged, name, self._straight(name, output, symmetry))
        return {name: self._finished(total, types[name]) for name, total in merged.items()}

    def _turned(self, values: Mapping[Name, NDArray[Any]], symmetry: Symmetry) -> Values:
        return {
            name: value
            if self._inputs[name].nonspatial
            else np.ascontiguousarray(act(symmetry, value, self._inputs[name].kind))
            for name, value in values.items()
        }

    def _straight(self, name: Name, output: NDArray[Any], symmetry: Symmetry) -> NDArray[Any]:
        spec = self._outputs[name]
        if self._merge == "mean" and output.dtype.kind != "f":
            raise TypeError(
                f"{self._node}: output {name!r} is {output.dtype}, which has no mean; let the "
                "model say probabilities, or take merge='max'"
            )
        below, above = context(spec.kind, symmetry.inverse)
        straight = act(symmetry.inverse, output, spec.kind)
        margin = self.margin / spec.grid
        lead = straight.ndim - symmetry.ndim
        sides = zip(margin, below, above, straight.shape[lead:], strict=True)
        where: Any = (..., *(slice(int(m - b), n - int(m - a)) for m, b, a, n in sides))
        part: NDArray[Any] = straight[where]
        return part

    def _add(self, merged: dict[Name, NDArray[Any]], name: Name, more: NDArray[Any]) -> None:
        if name not in merged:
            merged[name] = more.astype(np.float64) if self._merge == "mean" else more.copy()
            return
        if more.shape != merged[name].shape:
            raise ValueError(
                f"{self._node}: output {name!r} of a turned block has the shape {more.shape}, and "
                f"not {merged[name].shape}: the model makes another size along other axes. Leave "
                "out what transposes these: symmetries(ndim, transpose_only=[...])"
            )
        if self._merge == "mean":
            merged[name] += more
        else:
            np.maximum(merged[name], more, out=merged[name])

    def _finished(self, total: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        if self._merge == "mean":
            total /= len(self._symmetries)
        return total.astype(dtype, copy=False)
