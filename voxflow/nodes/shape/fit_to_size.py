"""Whole images of a size that a network takes, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from voxflow.nodes.shape.pad import border_mean, check_fill
from voxflow.ops.resize import resize
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from voxflow.pipeline.data import ArraySpec

Mode = Literal["resize", "pad", "reflect", "symmetric", "edge", "border-mean", "crop", "reject"]


class FitToSize(BatchFilter):
    """Makes whole images of any size fit: their region becomes that of a fixed number of voxels.

    The centre stays. What is padded or cut off lies on both sides, one voxel more at the end if the
    number is odd. `FitBack` undoes it, on a prediction.

    Parameters
    ----------
    arrays
        The arrays. Each has to be offered in the region of its image.
    size
        Voxels, one number or one for each axis. Or what tells it from the size that is there: a
        `voxflow.models.Geometry` (the nearest valid input, not larger for "crop", else not
        smaller), or any function of a shape.
    mode
        "resize" shows the same region in larger or smaller voxels; arrays that are not
        interpolatable (labels) by their nearest voxel. "pad" fills with `value`, "reflect" and
        "symmetric" mirror at the border (with the border voxel repeated: "symmetric"), "edge"
        repeats it, "border-mean" fills with the mean of the border. "crop" takes the centre.
        "reject": another size is an error.
    value
        For "pad".

    Raises
    ------
    ValueError
        If the mode is unknown. At setup: if an array has no bounded region, its size cannot be had
        in this mode, its dtype cannot hold `value`, or labels are to have a mean.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> line = gp.ArraySource(raw, np.array([1, 2, 3]), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.FitToSize(raw, 6, mode="reflect")) as pipeline:
    ...     request = gp.BatchRequest({raw: pipeline.spec[raw].roi})
    ...     pipeline.request_batch(request)[raw].data
    array([2, 1, 2, 3, 2, 1])
    """

    def __init__(
        self,
        arrays: ArrayKey | Iterable[ArrayKey],
        size: Any,
        mode: Mode = "pad",
        *,
        value: float = 0,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode has to be one of {', '.join(get_args(Mode))}, got {mode!r}")
        self.arrays = [arrays] if isinstance(arrays, ArrayKey) else list(arrays)
        self.size = size
        self.mode: Mode = mode
        self.value = value
        self.places: dict[ArrayKey, tuple[Roi, Coordinate]] = {}

    def setup(self) -> None:
        """Offer the region that fits."""
        self.places = {}
        for key in self.arrays:
            spec = self.spec[key].copy()
            if spec.roi is None or spec.roi.unbounded or spec.voxel_size is None:
                raise ValueError(
                    f"{self.name()} needs {key} in the region of its image, got {spec}"
                )
            check_fill(self, key, spec, self.mode, self.value)
            self.places[key] = spec.roi, spec.voxel_size
            spec.roi, spec.voxel_size = self._fitted(key, spec)
            self.updates(key, spec)

    def _fitted(self, key: ArrayKey, spec: ArraySpec) -> tuple[Roi, Coordinate]:
        """Region and voxel size afterwards."""
        roi, there = spec.region, Coordinate(spec.region.shape / spec.grid)
        wanted = self._wanted(there)
        problem = {
            "reject": any(w != t for w, t in zip(wanted, there, strict=True)),
            "crop": any(w > t for w, t in zip(wanted, there, strict=True)),
            "resize": any(w < 1 for w in wanted),
        }.get(self.mode, any(w < t for w, t in zip(wanted, there, strict=True)))
        if problem:
            raise ValueError(
                f"{self.name()}: {key} has {there} voxels, and mode={self.mode!r} cannot make them "
                f"{wanted}; take another size or mode"
            )
        if self.mode == "resize":
            return roi, roi.shape / wanted
        before = (wanted - there) // 2 if self.mode != "crop" else -((there - wanted) // 2)
        return Roi(roi.begin - before * spec.grid, wanted * spec.grid), spec.grid

    def _wanted(self, there: Coordinate) -> Coordinate:
        size = self.size
        if hasattr(size, "valid_input_shape"):
            size = size.valid_input_shape(there, "<=" if self.mode == "crop" else ">=")
        elif callable(size):
            size = size(there)
        wanted = Coordinate(size if np.iterable(size) else (size,) * len(there))
        if len(wanted) != len(there):
            raise ValueError(f"{self.name()} got the size {wanted} for {len(there)} axes")
        return wanted

    def skip_node(self, request: BatchRequest) -> bool:
        """None is asked for; a placeholder has another region upstream, too."""
        return not any(key in request for key in self.arrays)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the whole image."""
        needed = BatchRequest()
        for key in self.arrays:
            if key in request:
                spec = request[key].copy()
                spec.roi, spec.voxel_size = self.places[key]
                # The fitted region must not go upstream with the rest of the request.
                request[key].roi, request[key].voxel_size = self.places[key]
                needed[key] = spec
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Make it fit."""
        made = Batch()
        for key in self.arrays:
            if key in batch:
                array, spec = batch[key], batch[key].spec.copy()
                spec.roi, spec.voxel_size = self.spec[key].roi, self.spec[key].voxel_size
                there, wanted = array.spec.region, spec.region
                if there == wanted and array.spec.voxel_size == spec.voxel_size:
                    made[key] = array.crop(request[key].region, copy=False)
                    continue
                if self.mode == "resize":
                    shape = [int(n) for n in wanted.shape / spec.grid]
                    data = resize(array.view, shape, linear=bool(spec.interpolatable))
                else:
                    data = moved(array.view, there, wanted, spec.grid, self.mode, self.value)
                made[key] = Array(data, spec, dict(array.attrs)).crop(request[key].region)
        return made


class FitBack(BatchFilter):
    """Undoes `FitToSize` for an array that was made from what it had made.

    What was padded is cut off, which is exact; what was cut off is filled with `value`; what was
    resized is resized back: arrays that are not interpolatable by their nearest voxel.

    Parameters
    ----------
    arrays
        The arrays, such as a prediction.
    fit
        The node upstream.
    of
        Which of its arrays they were made from; None: the first.
    value
        What is put where nothing was predicted.

    Raises
    ------
    ValueError
        If `fit` is no `FitToSize`, or has no such array. At setup: if it is not upstream, voxels
        are not those that it made, or a dtype cannot hold `value`.
    """

    def __init__(
        self,
        arrays: ArrayKey | Iterable[ArrayKey],
        fit: FitToSize,
        of: ArrayKey | None = None,
        *,
        value: float = 0,
    ) -> None:
        if not isinstance(fit, FitToSize) or (of is not None and of not in fit.arrays):
            raise ValueError(f"FitBack takes a FitToSize and one of its arrays, got {fit}, {of}")
        self.arrays = [arrays] if isinstance(arrays, ArrayKey) else list(arrays)
        self.fit = fit
        self.of = fit.arrays[0] if of is None else of
        self.value = value

    def setup(self) -> None:
        """Offer the region that the image had."""
        if self.of not in self.fit.places:
            raise ValueError(f"{self.name()}: its FitToSize is not upstream")
        for key in self.arrays:
            spec = self.spec[key].copy()
            if spec.voxel_size != self.fit.spec[self.of].voxel_size or spec.roi is None:
                raise ValueError(
                    f"{self.name()}: {key} has voxels of {spec.voxel_size}, and {self.of} was made "
                    f"to fit with voxels of {self.fit.spec[self.of].voxel_size} (world units)"
                )
            check_fill(self, key, spec, "pad", self.value)
            spec.roi, spec.voxel_size = self.fit.places[self.of]
            self.updates(key, spec)

    def skip_node(self, request: BatchRequest) -> bool:
        """None is asked for; a placeholder has another region upstream, too."""
        return not any(key in request for key in self.arrays)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all that was predicted."""
        needed = BatchRequest()
        upstream = self.get_upstream_provider().spec
        for key in self.arrays:
            if key in request:
                spec = request[key].copy()
                spec.roi, spec.voxel_size = upstream[key].roi, upstream[key].voxel_size
                request[key].roi, request[key].voxel_size = spec.roi, spec.voxel_size
                needed[key] = spec
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Undo it."""
        made = Batch()
        roi, size = self.fit.places[self.of]
        for key in self.arrays:
            if key not in batch:
                continue
            array, spec = batch[key], batch[key].spec.copy()
            there = array.spec.region
            data = array.view
            if array.spec.grid != size:
                # A region that is not that of the whole image is filled up first.
                fitted = self.fit.spec[self.of].region
                data = moved(data, there, fitted, array.spec.grid, "pad", self.value)
                shape = [int(n) for n in roi.shape / size]
                data = resize(data, shape, linear=bool(spec.interpolatable))
            else:
                data = moved(data, there, roi, size, "pad", self.value)
            spec.roi, spec.voxel_size = roi, size
            made[key] = Array(data, spec, dict(array.attrs)).crop(request[key].region)
        return made


def moved(
    data: NDArray[Any], there: Roi, wanted: Roi, size: Coordinate, mode: str, value: float
) -> NDArray[Any]:
    """What there is of a wanted region, and the rest of it filled."""
    begin = [int(n) for n in (there.begin - wanted.begin) / size]
    end = [int(n) for n in (wanted.end - there.end) / size]
    lead = data.ndim - len(begin)
    sides = zip(begin, end, data.shape[lead:], strict=True)
    cut: Any = (..., *(slice(max(0, -b), n - max(0, -e)) for b, e, n in sides))
    inside = data[cut]
    widths = [(0, 0)] * lead + [(max(0, b), max(0, e)) for b, e in zip(begin, end, strict=True)]
    if mode in ("reflect", "symmetric", "edge"):
        return np.pad(inside, widths, mode)  # type: ignore[call-overload, no-any-return]
    shape = tuple(n + b + e for n, (b, e) in zip(inside.shape, widths, strict=True))
    if mode == "border-mean":
        fill = border_mean(data, len(begin))[(..., *(None,) * len(begin))]
        filled = np.broadcast_to(fill, shape).copy()
    else:
        filled = np.full(shape, value, data.dtype)
    to = tuple(slice(b, n - e) for n, (b, e) in zip(shape, widths, strict=True))
    filled[to] = inside
    return filled
