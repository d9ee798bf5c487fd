"""The geometry of a network: field of view, context, stride and valid sizes, per axis.

`analyse` runs any ``torch.nn.Module`` on torch's meta device, where tensors have a shape and no
values, so it costs neither memory nor a GPU. Which sizes are valid is found by trying them; what
follows from the sizes is arithmetic.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from voxflow.models.probe import ShapeProbe
from voxflow.pipeline.geometry.coordinate import Coordinate

__all__ = ["Geometry", "analyse"]

Mode = Literal["<=", ">="]

LARGEST_DIAGONAL = 1024
LATTICE = 16
LARGEST_STEP = 512


@dataclass(frozen=True)
class Geometry:
    """What sizes a network takes and gives, axis by axis, in voxels.

    Valid input sizes are ``smallest_input + k * input_step`` for k = 0, 1, 2 ..., and give
    ``smallest_output + k * output_step``. A size that a network only takes by ignoring its last
    voxels does not count as valid: its output would not lie in the middle of its input.

    Parameters
    ----------
    smallest_input, smallest_output
        The smallest valid input, and its output.
    input_step, output_step
        From one valid size to the next. Moving the input by `input_step` moves the output by
        `output_step`, so that two blocks agree where they overlap if they are a multiple of the
        step apart.

    Examples
    --------
    >>> geometry = analyse(nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)), dims=2)
    >>> print(geometry)
    field of view 4, 4
    context       1, 1
    stride        2, 2
    valid inputs  4 + 2k, 4 + 2k
    >>> geometry.fit((101, 50))
    ((100, 50), (49, 24))
    """

    smallest_input: Coordinate
    smallest_output: Coordinate
    input_step: Coordinate
    output_step: Coordinate

    @property
    def dims(self) -> int:
        """Number of spatial axes."""
        return len(self.smallest_input)

    @property
    def stride(self) -> Coordinate:
        """Size of an output voxel in input voxels."""
        return self.input_step / self.output_step

    @property
    def field_of_view(self) -> Coordinate:
        """Input size that one output voxel needs: ``input - (output - 1) * stride``.

        What the sizes promise: in a network with several resolutions not every output voxel looks
        that far, and zero padding hides how far it looks.
        """
        return self.smallest_input - (self.smallest_output - 1) * self.stride

    @property
    def context(self) -> Coordinate:
        """Input voxels that the output does not cover, on each side.

        Exactly half of ``input - output * stride``, the same for all valid sizes. Not whole if
        the output's voxel grid lies half a voxel off the input's. Times the voxel size it is how
        far to grow an output ROI to get the input ROI.
        """
        return (self.smallest_input - self.smallest_output * self.stride) / 2

    def output_shape(self, input_shape: Sequence[int]) -> Coordinate:
        """Output size for a valid input size.

        Raises
        ------
        ValueError
            The size is not valid; the text names the nearest ones that are.
        """
        shape = self._shape(input_shape)
        more = shape - self.smallest_input
        if min(more) < 0 or any(more % self.input_step):
            raise ValueError(
                f"the network does not take an input of {shape} voxels; valid are "
                f"{self._sizes()} (k = 0, 1, 2, ...), the nearest "
                f"{self.valid_input_shape(shape, '<=')} and {self.valid_input_shape(shape, '>=')}"
            )
        return self.smallest_output + more / self.input_step * self.output_step

    def valid_input_shape(self, near: int | Sequence[int], mode: Mode = "<=") -> Coordinate:
        """Nearest valid input size that is not larger (or not smaller) than `near`, per axis.

        Where nothing valid is as small as `near`, the smallest valid size is taken.

        Parameters
        ----------
        near
            Voxels, one number for all axes or one per axis.
        mode
            "<=" for not larger, ">=" for not smaller.
        """
        if mode not in ("<=", ">="):
            raise ValueError(f"mode is '<=' or '>='; got {mode!r}")
        more = self._shape(near) - self.smallest_input
        steps = more // self.input_step if mode == "<=" else more.ceil_division(self.input_step)
        counts = Coordinate([max(0, count) for count in steps])
        return self.smallest_input + counts * self.input_step

    def fit(self, near: int | Sequence[int], mode: Mode = "<=") -> tuple[Coordinate, Coordinate]:
        """Valid input size near the one wished for, and the output size that belongs to it."""
        input_shape = self.valid_input_shape(near, mode)
        return input_shape, self.output_shape(input_shape)

    def __str__(self) -> str:
        rows = {
            "field of view": self.field_of_view,
            "context": self.context,
            "stride": self.stride,
        }
        lines = [f"{name:<13} {str(values)[1:-1].rstrip(',')}" for name, values in rows.items()]
        return "\n".join([*lines, f"valid inputs  {self._sizes()}"])

    def _sizes(self) -> str:
        pairs = zip(self.smallest_input, self.input_step, strict=True)
        return ", ".join(f"{size} + {step}k" for size, step in pairs)

    def _shape(self, near: int | Sequence[int]) -> Coordinate:
        shape = Coordinate((near,) * self.dims if isinstance(near, int) else near)
        if len(shape) != self.dims:
            raise ValueError(f"the network has {self.dims} spatial axes; got the size {shape}")
        return shape


def analyse(
    model: nn.Module,
    in_channels: int | None = 1,
    dims: int = 3,
    near: Sequence[int] | None = None,
    output: int | str = 0,
    device: str = "meta",
) -> Geometry:
    """Find the geometry of a network by trying sizes.

    The axes are taken to be independent of each other, as they are in convolutional networks.
    The model itself is left alone: a copy without values is tried.

    Parameters
    ----------
    model
        Takes one tensor (sample, channel, \\*spatial) and gives a tensor, or a tuple, list or
        dict of them, with spatial axes last.
    in_channels
        Channels of the input; None if it has no channel axis.
    dims
        Number of spatial axes.
    near
        A valid input size, if you know one. Needed only where the search does not find any.
    output
        Which output, if there are several: a position or a key.
    device
        "cpu" for a model that looks at values in its forward pass; slow for large networks.

    Raises
    ------
    ValueError
        No valid size was found, the output does not grow with the input (a classifier), or the
        sizes follow no regular pattern.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv3d(1, 8, 3), nn.Conv3d(8, 1, (1, 3, 3)))
    >>> analyse(net).context
    (1, 2, 2)
    """
    with ShapeProbe(model, in_channels, dims, output, device) as probe:
        start = _first_valid(probe, near)
        axes = [_analyse_axis(probe, start, axis) for axis in range(dims)]
        columns = [Coordinate(column) for column in zip(*axes, strict=True)]
        geometry = Geometry(*columns)
        for shape in (geometry.smallest_input, geometry.smallest_input + geometry.input_step):
            expected = geometry.output_shape(shape)
            if probe(shape) != expected:
                raise ValueError(
                    f"the network's axes depend on each other: an input of {shape} gives "
                    f"{probe(shape)}, where each axis by itself promises {expected}"
                )
    return geometry


def _first_valid(probe: ShapeProbe, near: Sequence[int] | None) -> Coordinate:
    """Any input size that the network takes."""
    for shape in _candidates(probe.dims, near):
        if probe(shape) is not None:
            return Coordinate(shape)
    raise ValueError(
        f"found no input size that the network takes: tried equal sizes up to {LARGEST_DIAGONAL} "
        f"voxels and all sizes between {4 * LATTICE} and {5 * LATTICE}. Give a valid one as "
        f"`near`, and check in_channels and dims. The network said: {probe.refusal!r}"
    ) from probe.refusal


def _candidates(dims: int, near: Sequence[int] | None) -> Iterator[tuple[int, ...]]:
    if near is not None:
        yield tuple(near)
    yield from ((size,) * dims for size in range(1, LARGEST_DIAGONAL + 1))
    yield from itertools.product(range(4 * LATTICE, 5 * LATTICE), repeat=dims)


def _analyse_axis(probe: ShapeProbe, start: Coordinate, axis: int) -> tuple[int, int, int, int]:
    """Smallest input and output size along one axis, and the steps of both."""

    def out(size: int) -> int | None:
        shape = probe((*start[:axis], size, *start[axis + 1 :]))
        return None if shape is None else shape[axis]

    sizes = list(itertools.islice(_growing(out, start[axis], axis), 4))
    outputs = [out(size) or 0 for size in sizes]
    steps = {b - a for a, b in itertools.pairwise(sizes)}
    output_steps = {b - a for a, b in itertools.pairwise(outputs)}
    if len(steps) != 1 or len(output_steps) != 1:
        raise ValueError(
            f"the valid sizes of axis {axis} follow no regular pattern: inputs {sizes} give "
            f"outputs {outputs}"
        )
    step, output_step = steps.pop(), output_steps.pop()
    smallest, output = sizes[0], outputs[0]
    while smallest > step and out(smallest - step) == output - output_step:
        smallest, output = smallest - step, output - output_step
    return smallest, output, step, output_step


def _growing(out: Any, start: int, axis: int) -> Iterator[int]:
    """The sizes above `start` at which the output grows: a voxel less would give less."""
    last = out(start)
    since = start
    for size in itertools.count(start + 1):
        now = out(size)
        if now is not None and now > last:
            last, since = now, size
            yield size
        elif size - since > LARGEST_STEP:
            raise ValueError(
                f"the output does not grow with the input along axis {axis}: it stays {last} for "
                f"inputs from {since} to {size} voxels. A classifier has no geometry; analyse its "
                "convolutional part (a submodule)"
            )
