"""What the object of each voxel looks like from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.labels.label_target import LabelTarget
from voxflow.ops.descriptors import CHANNELS, descriptor_reach, local_shape_descriptors
from voxflow.pipeline.data.kinds import Descriptors
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey, ArraySpec


class AddDescriptors(LabelTarget):
    """Adds local shape descriptors: statistics of each voxel's object under a Gaussian window.

    Six channels for a plane, ten for a volume, see
    `voxflow.ops.descriptors.local_shape_descriptors`. Labels are asked for as far around as the
    window reaches, so that descriptors do not depend on where a block ends; beyond the end of the
    labels there are no objects.

    Parameters
    ----------
    labels
        The array of ids.
    descriptors
        The array to make, float32, with a leading channel axis.
    sigma
        Of the window, world units: a number, or one for each axis.
    background
        The label of background, where descriptors are 0.
    downsample
        Look at every n-th voxel only, counted from the begin of the labels: a number, or one for
        each axis. Faster, and coarser.

    Raises
    ------
    ValueError
        At setup: if the labels have not 2 or 3 spatial axes, or `sigma` or `downsample` do not fit.
    TypeError
        At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, shape = gp.ArrayKey("LABELS"), gp.ArrayKey("DESCRIPTORS")
    >>> ids = np.pad(np.full((9, 9), 7), 4)
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4, 4)))
    >>> with gp.build(line + gp.AddDescriptors(labels, shape, sigma=20)) as pipeline:
    ...     found = pipeline.request_batch(gp.BatchRequest({shape: gp.Roi((16, 16), (36, 36))}))
    >>> found[shape].data.shape, found[shape].data[:2, 4, 4].tolist()  # offset in the centre
    ((6, 9, 9), [0.5, 0.5])
    """

    dtype = np.dtype(np.float32)
    interpolatable = True

    def __init__(
        self,
        labels: ArrayKey,
        descriptors: ArrayKey,
        sigma: float | Sequence[float],
        background: int = 0,
        downsample: int | Sequence[int] = 1,
    ) -> None:
        self.labels = labels
        self.target = descriptors
        self.sigma = sigma
        self.kind = Descriptors(sigma)
        self.background = background
        self.downsample = downsample

    def check(self, spec: ArraySpec) -> None:
        """Raise if there are too few or too many axes, or lengths do not fit."""
        if len(spec.grid) not in CHANNELS:
            raise ValueError(
                f"{self.name()} describes labels with 2 or 3 spatial axes, {self.labels} has "
                f"{len(spec.grid)}"
            )
        self.reach(spec.grid)

    def reach(self, voxel_size: Coordinate) -> Coordinate:
        """As far as the window."""
        return Coordinate(descriptor_reach(self.sigma, _floats(voxel_size), self.downsample))

    def _around(self, roi: Roi) -> Roi:
        """From a voxel on that is looked at, whichever block it is."""
        spec = self.spec[self.labels]
        step = Coordinate((1,) * len(spec.grid)) * self._steps(len(spec.grid)) * spec.grid
        begin = _begin(spec)
        return super()._around((roi - begin).snap_to_grid(step) + begin)

    def _steps(self, dims: int) -> Coordinate:
        given = self.downsample
        return Coordinate((given,) * dims if isinstance(given, int) else tuple(given))

    def make(
        self, labels: np.ndarray[Any, Any], region: tuple[slice, ...], voxel_size: Coordinate
    ) -> np.ndarray[Any, Any]:
        """Describe."""
        return local_shape_descriptors(
            labels, self.sigma, _floats(voxel_size), self.background, region, self.downsample
        )


def _floats(voxel_size: Coordinate) -> list[float]:
    return [float(length) for length in voxel_size if length is not None]


def _begin(spec: ArraySpec) -> Coordinate:
    """Where labels begin; along axes where they do not, at 0."""
    if spec.roi is None:
        return Coordinate((0,) * len(spec.grid))
    return Coordinate(0 if begin is None else begin for begin in spec.roi.offset)
