"""A value for each image of a stack."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.errors import RequestRefused
from voxflow.stores import StoredDataset


class ItemValues(BatchFilter):
    """Offers a value for each image of a stack: its class, or a vector of its own.

    Put it after the source of the stack, upstream of nodes that choose locations. The value of a
    patch is that of the image which it comes from; of a patch through several images, one for each
    along a new first axis.

    Parameters
    ----------
    key
        A nonspatial array that holds the values.
    values
        One for each image, along the first axis: anything array-like, also a dataset that
        `voxflow.stores.open_dataset` gave. It is read at setup.
    stack
        The array of images. It has to be in the request; a placeholder will do.
    axis
        The spatial axis along which the images lie.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    ValueError
        At setup, if there are more or fewer values than images, or the stack is unbounded.

    Examples
    --------
    >>> images, classes = ArrayKey("IMAGES"), ArrayKey("CLASSES")
    >>> stack = ArraySpec(voxel_size=(1, 1, 1))
    >>> from voxflow import ArraySource, RandomLocation
    >>> source = ArraySource(images, np.zeros((3, 8, 8)), spec=stack)
    >>> pipeline = source + ItemValues(classes, [4, 0, 1], images) + RandomLocation()
    """

    def __init__(self, key: ArrayKey, values: Any, stack: ArrayKey, axis: int = 0) -> None:
        for given in (key, stack):
            if not isinstance(given, ArrayKey):
                raise TypeError(f"ItemValues takes ArrayKeys, got {given!r}")
        self.key = key
        self.values = values
        self.stack = stack
        self.axis = axis

    def setup(self) -> None:
        """Read the values, and offer them."""
        self.enable_autoskip()
        is_stored = isinstance(self.values, StoredDataset)
        self._values = self.values.read() if is_stored else np.asarray(self.values)
        roi = self.spec[self.stack].region
        if roi.unbounded or not 0 <= self.axis < roi.dims:
            raise ValueError(
                f"{self.name()}: the images of {self.stack} have to lie along axis {self.axis} of "
                f"a bounded region, which is {roi} (put it upstream of nodes that choose locations)"
            )
        there = int(roi.shape[self.axis] // self.spec[self.stack].grid[self.axis])
        if len(self._values) != there:
            raise ValueError(
                f"{self.name()}: {len(self._values)} values for {there} images of {self.stack} "
                f"along axis {self.axis}; give one for each"
            )
        self.provides(self.key, ArraySpec(nonspatial=True, dtype=self._values.dtype))

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Nothing more is needed than the place of the patch."""
        if self.stack not in request:
            raise RequestRefused(
                [
                    f"{self._who()}: {self.key} follows from the region that is asked of "
                    f"{self.stack}, which is not in the request. Add it: "
                    f"request.add({self.stack}, size), with placeholder=True if you do not need it."
                ]
            )
        self.plan(request)
        return BatchRequest()

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> slice:
        """Which images the patch comes from: nothing is random here, but placeholders go later."""
        spec = self.spec[self.stack]
        region = (request[self.stack].region - spec.region.offset) / spec.grid
        return region.to_slices()[self.axis]

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Look up the value of the image that was asked for."""
        found = self._values[self.plan(request)]
        made = Batch()
        spec = self.spec[self.key].copy()
        made[self.key] = Array(np.array(found[0] if len(found) == 1 else found), spec)
        return made
