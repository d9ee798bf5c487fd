"""Background, interior and boundary as classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.labels.labels_to_boundary import EdgeTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Coordinate

_CLASSES = 3


class LabelsToClasses(EdgeTarget):
    """Adds a class for every voxel: 0 background, 1 interior of an object, 2 boundary.

    The boundary is that of `LabelsToBoundary`. Each voxel is of one class.

    Parameters
    ----------
    labels
        The array of ids.
    classes
        The array to make, uint8.
    thickness
        Voxels of boundary on each side of a change of labels.
    axes
        The spatial axes that count, see `LabelsToBoundary`.
    touching_only
        A boundary only where two objects touch.
    one_hot
        A channel for each class instead, which is 1 where the voxel is of it. Channels 1 and 2 are
        objects without boundary, and boundary.
    background_value
        The label of background.

    Raises
    ------
    ValueError
        If `thickness` is not in 1 ... 255. At setup: if there are no such axes.
    TypeError
        If `thickness` is not whole. At setup: if the labels are not integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels, classes = gp.ArrayKey("LABELS"), gp.ArrayKey("CLASSES")
    >>> ids = np.array([7, 7, 7, 5, 5, 5, 0, 0])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.LabelsToClasses(labels, classes)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({classes: gp.Roi((0,), (32,))}))[classes].data
    array([1, 1, 2, 2, 1, 2, 2, 0], dtype=uint8)
    """

    def __init__(
        self,
        labels: ArrayKey,
        classes: ArrayKey,
        thickness: int = 1,
        axes: Sequence[int] | None = None,
        touching_only: bool = False,
        one_hot: bool = False,
        background_value: int = 0,
    ) -> None:
        values = (1, 0, 2, 0 if touching_only else 2)
        super().__init__(labels, classes, values, thickness, axes, touching_only, background_value)
        self.one_hot = one_hot

    def make(
        self, labels: np.ndarray[Any, Any], region: tuple[slice, ...], voxel_size: Coordinate
    ) -> np.ndarray[Any, Any]:
        """Tell the voxels apart."""
        classes = super().make(labels, region, voxel_size)
        if not self.one_hot:
            return classes
        channels = np.empty((_CLASSES, *classes.shape), np.uint8)
        for number, channel in enumerate(channels):
            np.equal(classes, number, out=channel, casting="unsafe")
        return channels
