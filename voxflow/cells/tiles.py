"""Large images in tiles: what a network says of each is what it says of the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import voxflow
from voxflow.cells.options import PERIODS
from voxflow.pipeline.data import ArraySpec, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey

__all__ = ["HALOS", "tiled"]

HALOS = {"unet": 48, "dcan": 160}
"""How far a network looks beyond a tile that lies on the grid of its poolings, at most: pixels."""


def tiled(predicted: Any, key: ArrayKey, architecture: str, whole: ArraySpec, tile: int) -> Any:
    """Ask for a prediction tile by tile, if it is larger than one.

    Parameters
    ----------
    predicted
        The pipeline that predicts.
    key
        What of it is asked for.
    architecture
        Of the network.
    whole
        Of the image, whose size is a multiple of the network's period.
    tile
        How large a tile is, without what is around it: pixels, rounded up to a multiple of the
        period.
    """
    period, pixel = PERIODS[architecture], whole.grid
    side = -(-tile // period) * period
    size = Coordinate(min(a, b) for a, b in zip(whole.region.shape, pixel * side, strict=True))
    if size == whole.region.shape:
        return predicted
    reference = BatchRequest()
    reference.add(key, size)
    scan = voxflow.Scan(reference, progress_callback=voxflow.ScanCallback())
    return predicted + _Around(key, pixel * HALOS[architecture]) + scan


class _Around(BatchFilter):
    """Asks for more around what is wanted, where there is more, and cuts it off again."""

    def __init__(self, key: ArrayKey, halo: Coordinate) -> None:
        self.key, self.halo = key, halo

    def setup(self) -> None:
        """Other keys pass."""
        self.enable_autoskip()
        self.updates(self.key, self.spec[self.key])

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need what the network looks at; at the border of the image it sees the border."""
        whole, wanted = self.spec[self.key].region, request[self.key].region
        around = wanted.grow(self.halo, self.halo).intersect(whole)
        return BatchRequest({self.key: ArraySpec(around)})

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Cut off what was around."""
        made = Batch()
        made[self.key] = batch[self.key].crop(request[self.key].region)
        return made
