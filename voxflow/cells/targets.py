"""What a network learns of labels of cells: classes, and where the loss looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from voxflow.nodes.labels.label_target import check_ids, id_spec, region_around
from voxflow.ops.affinities import as_integers
from voxflow.ops.pointers import pointer, unlocked
from voxflow.pipeline.compiled import kernel
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.deferred import Deferred
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.same_objects import SameObjects
from voxflow.pipeline.geometry import Coordinate, voxel_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArrayKey
    from voxflow.pipeline.geometry import Roi

__all__ = ["Targets"]

BLOB = 1


class Targets(BatchFilter):
    """Classes of pixels: 0 background, 1 interior, 2 boundary, one pixel wide on each side.

    The same as `HandleBlobs` and `LabelsToClasses`, at once, and written where a batch needs it.

    Parameters
    ----------
    labels
        The array of ids.
    classes
        The array to make, int64.
    mask
        Where the loss looks, uint8: 0 where the label is 1, too hard to annotate, which then is
        background and has no boundary. None: 1 is an object as any other.
    """

    def __init__(self, labels: ArrayKey, classes: ArrayKey, mask: ArrayKey | None = None) -> None:
        self.labels = labels
        self.classes = classes
        self.mask = mask

    def setup(self) -> None:
        """Offer targets where labels are."""
        self.enable_autoskip()
        # As losses of torch take them.
        self._offer(self.classes, np.dtype(np.int64))
        if self.mask is not None:
            self._offer(self.mask, np.dtype(np.uint8))

    def _offer(self, key: ArrayKey, dtype: np.dtype[Any]) -> None:
        spec = id_spec(self, self.labels)
        spec.dtype, spec.interpolatable = dtype, False
        self.provides(key, spec)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the labels, and for classes those next to them, as far as there are any."""
        classes, mask = (
            request[key].region if key is not None and key in request else None
            for key in (self.classes, self.mask)
        )
        needed = BatchRequest()
        needed[self.labels] = ArraySpec(roi=_labelled(classes, mask, self.spec[self.labels]))
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Say what will be made of the labels."""
        labels, made = batch[self.labels], Batch()
        check_ids(self, self.labels, labels.dtype)
        if self.labels in request:
            labels = Array(labels.view, labels.spec)  # others may put something else into theirs
        for key in (self.classes, self.mask):
            if key is not None and key in request:
                spec = self.spec[key].copy()
                spec.roi = request[key].region
                where = _where(spec.region, labels.spec.region, labels.spec.grid)
                blob = 0 if self.mask is None else BLOB
                made[key] = Array(_Target(labels, where, blob, spec.dtype), spec)
        return made


@SameObjects
def _labelled(classes: Any, mask: Any, spec: Any) -> Roi:
    """Where labels are looked at for regions of classes and of a mask, one of which may be None."""
    if classes is None:
        return region_around(mask, Coordinate((0,) * mask.dims), spec)
    around = region_around(classes, Coordinate((1,) * classes.dims), spec)
    return around if mask is None else around.union(mask)


@SameObjects
def _where(roi: Any, there: Any, grid: Any) -> tuple[slice, ...]:
    """A region in voxels of an array that is there."""
    return voxel_slices(roi, there.offset, grid)


@final
class _Target(Deferred):
    """Classes, or a mask, of a region of labels, which are made when the first target is."""

    def __init__(self, labels: Array, where: tuple[slice, ...], blob: int, dtype: Any) -> None:
        self._labels, self._where, self._blob, self._dtype = labels, where, blob, dtype
        self._shape = tuple([part.stop - part.start for part in where])

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] = self._dtype
        return found

    def make(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        if out is not None and not out.flags.c_contiguous:
            np.copyto(out, self.make())
            return out
        made = np.empty(self.shape, self.dtype) if out is None else out
        ids = unlocked(as_integers(self._labels.view))
        blob = ids.dtype.type(self._blob)
        if self.dtype == np.uint8:
            np.not_equal(ids[self._where], blob, out=made.view(bool))
        else:
            begin = self._where[0].start, self._where[1].start
            _classes(ids, *begin, blob, made, np.empty(self.shape[1], np.uint8))
        return made


@kernel
def _classes(ids: Any, y: int, x: int, blob: Any, out: Any, edge: Any) -> None:
    """Write classes of the region of 2D labels that begins at y, x; `edge` is room for a row.

    What is `blob` is background. Beyond the labels nothing changes.
    """
    rows, columns = ids.shape
    width = out.shape[1]
    first, last = max(0, 1 - x), min(width, columns - 1 - x)
    source, target, differs = pointer(ids), pointer(out), pointer(edge)
    none = blob - blob
    for i in range(out.shape[0]):
        here = (y + i) * columns + x
        above, below = max(y + i - 1, 0) * columns + x, min(y + i + 1, rows - 1) * columns + x
        for k in range(width):
            own, up, down = source[here + k], source[above + k], source[below + k]
            own = none if own == blob else own
            up = none if up == blob else up
            down = none if down == blob else down
            differs[k] = np.uint8(own != up) | np.uint8(own != down)
        for k in range(first, width):
            own, left = source[here + k], source[here + k - 1]
            own = none if own == blob else own
            left = none if left == blob else left
            differs[k] |= np.uint8(own != left)
        for k in range(last):
            own, right = source[here + k], source[here + k + 1]
            own = none if own == blob else own
            right = none if right == blob else right
            differs[k] |= np.uint8(own != right)
        for k in range(width):
            own = source[here + k]
            inside = np.uint8(own != blob) & np.uint8(own != none)
            differs[k] = np.uint8(2) if differs[k] != 0 else inside
        for k in range(width):
            target[i * width + k] = differs[k]
