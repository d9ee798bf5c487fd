"""Sections without an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.pipeline.data import Array, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey


class ZeroOutConstSections(BatchFilter):
    """Makes sections 0 that hold a single value: missing ones that were filled with something.

    A section is a plane of the last two of three spatial axes, as far as it is in the batch; each
    channel is looked at by itself.

    Parameters
    ----------
    intensities
        The array, changed in place.

    Raises
    ------
    ValueError
        At setup: if the array does not have three spatial axes.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> image = np.array([[[9, 9]], [[8, 9]]], np.uint8)
    >>> line = gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(40, 4, 4)))
    >>> with gp.build(line + gp.contrib.ZeroOutConstSections(raw)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0, 0, 0), (80, 4, 8))}))[raw].data
    array([[[0, 0]],
           [[8, 9]]], dtype=uint8)
    """

    def __init__(self, intensities: ArrayKey) -> None:
        self.intensities = intensities

    def setup(self) -> None:
        """Say that the array changes."""
        self.enable_autoskip()
        spec = self.spec[self.intensities].copy()
        if len(spec.grid) != 3:
            raise ValueError(
                f"{self.name()} works on sections of three axes, {self.intensities} has "
                f"{len(spec.grid)}"
            )
        self.updates(self.intensities, spec)

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Look at each section."""
        array = batch[self.intensities].crop(request[self.intensities].region)
        data = array.data
        if data.size:
            sections = data.reshape(-1, *data.shape[-2:])
            first = sections[:, :1, :1]
            # Most sections are told from a constant one by their first row.
            maybe = np.flatnonzero((sections[:, 0] == first[:, 0]).all(axis=1))
            constant = (sections[maybe] == first[maybe]).all(axis=(1, 2))
            sections[maybe[constant]] = 0
        batch[self.intensities] = Array(data, array.spec, dict(array.attrs))
