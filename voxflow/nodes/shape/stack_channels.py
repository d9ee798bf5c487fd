"""Several arrays as the channels of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class StackChannels(BatchFilter):
    """Makes one array of several, along a new first axis.

    Channels that lie in files of their own become one image:
    ``(source_of_a, source_of_b) + MergeProvider() + StackChannels([A, B], IMAGE)``.

    Parameters
    ----------
    arrays
        The channels, in their order: arrays of one voxel size and dtype.
    output
        The name of the new array. It is there where all channels are.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    ValueError
        If there are no arrays; at setup, if they differ in voxel size, dtype, or whether they are
        `interpolatable`, or have no common region.
    """

    def __init__(self, arrays: Sequence[ArrayKey], output: ArrayKey) -> None:
        self.arrays, self.output = list(arrays), output
        for key in (*self.arrays, output):
            if not isinstance(key, ArrayKey):
                raise TypeError(f"StackChannels takes ArrayKeys, got {key!r}")
        if not self.arrays:
            raise ValueError("StackChannels needs at least one array")

    def setup(self) -> None:
        """Offer the new array where all channels are."""
        specs = [self.spec[key] for key in self.arrays]
        for name in ("voxel_size", "dtype", "interpolatable"):
            found = [getattr(spec, name) for spec in specs]
            if any(value != found[0] for value in found):
                raise ValueError(
                    f"{self.name()}: channels are alike, but their {name} differs: "
                    + ", ".join(f"{k}: {v}" for k, v in zip(self.arrays, found, strict=True))
                )
        self.provides(self.output, self._common(specs))
        self.enable_autoskip()

    def _common(self, specs: list[ArraySpec]) -> ArraySpec:
        spec = specs[0].copy()
        if not spec.nonspatial:
            for other in specs[1:]:
                spec.roi = spec.region.intersect(other.region)
            if spec.region.empty:
                raise ValueError(
                    f"{self.name()}: the channels have no region in common: "
                    + ", ".join(f"{k}: {s.roi}" for k, s in zip(self.arrays, specs, strict=True))
                )
        return spec

    def values_per_voxel(self, key: Any, upstream: Mapping[Any, int]) -> int | None:
        """Those of all channels together."""
        if key != self.output or not all(each in upstream for each in self.arrays):
            return None
        return sum(upstream[each] for each in self.arrays)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need every channel where the new array is wanted."""
        needed = BatchRequest()
        for key in self.arrays:
            nonspatial = self.spec[key].nonspatial
            needed[key] = ArraySpec(roi=request[self.output].roi, nonspatial=nonspatial)
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Stack."""
        made = Batch()
        spec = self.spec[self.output].copy()
        spec.roi = request[self.output].roi
        arrays = [batch[key] for key in self.arrays]
        if spec.roi is not None:  # others may want more of a channel
            arrays = [array.crop(spec.roi) for array in arrays]
        made[self.output] = Array(np.stack([array.view for array in arrays]), spec)
        return made
