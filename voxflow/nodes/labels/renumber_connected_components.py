"""An id for each connected component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.nodes.labels.label_target import by_channel, id_spec
from voxflow.ops.components import connected_components
from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from typing import Any

    from voxflow.pipeline.data import ArrayKey


class RenumberConnectedComponents(BatchFilter):
    """Gives every connected component of a label an id of its own, such as after a crop.

    Voxels are connected through their faces. Ids count from 1, in the order in which the components
    begin; background stays 0. What is connected outside of the batch is not known to it, so ids
    hold for one batch.

    Parameters
    ----------
    labels
        The array of ids, changed in place.

    Raises
    ------
    TypeError
        At setup: if the labels are not integers.
    ValueError
        At a request: if there are more components than the dtype can number.

    Examples
    --------
    >>> import voxflow as gp
    >>> labels = gp.ArrayKey("LABELS")
    >>> ids = np.array([7, 7, 0, 7, 5, 5])
    >>> line = gp.ArraySource(labels, ids, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.RenumberConnectedComponents(labels)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({labels: gp.Roi((0,), (24,))}))[labels].data
    array([1, 1, 0, 2, 3, 3])
    """

    def __init__(self, labels: ArrayKey) -> None:
        self.labels = labels

    def setup(self) -> None:
        """Say that the labels change."""
        self.enable_autoskip()
        self.updates(self.labels, id_spec(self, self.labels))

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Renumber what is asked for."""
        labels = batch[self.labels].crop(request[self.labels].region, copy=False)

        def renumber(ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return connected_components(ids)[0]

        data = by_channel(labels.spec.region.dims, renumber, labels.view)
        batch[self.labels] = Array(data, labels.spec, dict(labels.attrs))
