"""Voxels that are not made yet: seen through a map, then changed in value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxflow.pipeline.data import Array
from voxflow.pipeline.data.deferred import Deferred
from voxflow.pipeline.geometry import Coordinate, Roi

from .maps import Affine, Compose, Map
from .mirrored import mirrored
from .resampling.borders import Mirror
from .resampling.resample import Order, check, finished, joint_order, resample
from .values.changes import (
    Change,
    Piecewise,
    Pointwise,
    Range,
    Round,
    Scale,
    applied,
    fused,
    range_after,
    segments,
)
from .values.make import changed, finish, work_type

__all__ = ["Recipe"]


@final
@dataclass(frozen=True, eq=False)
class Recipe(Deferred):
    """What is to be done to voxels: one map, and changes of their values after it.

    A node that moves voxels or changes values adds its part and hands the recipe on. All of it is
    done in one pass over the voxels, when somebody looks at them.

    Attributes
    ----------
    data
        The voxels that there are, spatial axes last.
    owned
        Whether they belong to the batch, so that a view of them may be handed out.
    place
        Where they begin, and the voxel size, in world units; both empty for what has no place.
    warp
        The map from positions of the result to those of `data`; None if these are the same.
    offset
        Where the result begins (world).
    extent
        The spatial shape of the result, in voxels.
    order
        How the map resamples: "linear", "nearest" or "majority".
    changes
        What is done to the values, in this order.
    type
        The type of the result.
    before
        How many of the changes came before the last map: what it finds outside of the data is 0
        after these.
    partial
        Whether `data` hold only what another map will show of the result, which therefore must not
        be made by itself.
    mirror
        How the data are mirrored at their borders, where the result shows more than there is of
        them; None: it shows 0.
    fixed
        Whether nobody can write to `data`.

    Examples
    --------
    >>> from voxflow.ops.values import Clip, Scale
    >>> recipe = Recipe.of(Array(np.array([0, 100, 200], np.uint8)))
    >>> recipe.changed([Scale(0.01), Clip(0.0, 1.5)], np.float32).make()
    array([0. , 1. , 1.5], dtype=float32)
    """

    data: NDArray[Any]
    owned: bool
    place: tuple[Sequence[Any], Sequence[Any]] = ((), ())
    warp: Map | None = None
    offset: Sequence[Any] = ()
    extent: tuple[int, ...] = ()
    order: Order = "nearest"
    changes: tuple[Change, ...] = ()
    type: np.dtype[Any] | None = None
    before: int = 0
    partial: bool = False
    mirror: Mirror | None = None
    fixed: bool = False

    @classmethod
    def of(cls, array: Array) -> Recipe:
        """The recipe of an array; for one whose voxels are there, to do nothing."""
        deferred = array.deferred
        if isinstance(deferred, Recipe):
            return deferred
        lent = array.lent()
        fixed = lent is not None
        data, owned = array.data if lent is None else lent, not fixed
        roi, voxel_size = array.spec.roi, array.spec.voxel_size
        if roi is None or voxel_size is None:
            return cls(data, owned, fixed=fixed)
        extent, place = data.shape[data.ndim - roi.dims :], (roi.offset, voxel_size)
        return _BARE._with(
            data=data, owned=owned, fixed=fixed, place=place, offset=roi.offset, extent=extent
        )

    @property
    def lead(self) -> tuple[int, ...]:
        """The axes before the spatial ones."""
        return self.data.shape[: self.data.ndim - len(self.extent)]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the voxels will have."""
        return (*self.lead, *self.extent)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that they will have."""
        return self.data.dtype if self.type is None else self.type

    @property
    def range(self) -> Range:
        """Between which numbers all values will lie, as far as that is known."""
        kind = self.data.dtype
        known = (-math.inf, math.inf)
        if kind.kind in "ui":
            limits = np.iinfo(kind)
            known = (int(limits.min), int(limits.max))
        elif kind.kind == "b":
            known = (0, 1)
        return range_after(self.changes, known, work_type(kind, self.dtype))

    def _with(self, **parts: Any) -> Recipe:
        """The same with other parts: as `dataclasses.replace`, which takes ten times as long."""
        new = object.__new__(Recipe)
        new.__dict__.update(self.__dict__, **parts)
        return new

    # -- adding to it ---------------------------------------------------------------------------

    def changed(self, changes: Sequence[Change], dtype: DTypeLike) -> Recipe:
        """With more changes of values, to a type of floating point."""
        rounds = self.warp is not None and self.order == "linear" and self.type is None
        first: tuple[Change, ...] = ()
        if rounds and self.data.dtype.kind in "ui" and not self.changes:
            first = (Round(),)  # what would be there, was it made before
        return self._with(changes=(*self.changes, *first, *changes), type=np.dtype(dtype))

    def seen_through(
        self, warp: Map, here: Sequence[Any], offset: Sequence[Any], extent: tuple[int, ...],
        order: Order, partial: bool = False, *, mirror: Mirror | None = None, within: bool = False,
    ) -> Recipe:  # fmt: skip
        """Seen through another map, which comes last.

        Parameters
        ----------
        warp
            from positions of the new result to those of the old one.
        here
            where the old result begins now, in world units: it may have been put elsewhere.
        offset
            where the new result begins.
        extent
            its spatial shape, in voxels.
        order
            how to resample; if one of two maps that become one takes the majority, both do.
        partial
            whether only what yet another map shows will be there.
        mirror
            how data are mirrored at their borders where the map finds nothing.
        within
            whether it is known that the map finds something everywhere.

        Raises
        ------
        ValueError
            If that cannot be done with such data.
        """
        check(self.data, self.data.dtype, here, self.place[1], offset, extent, warp.ndim, order)
        joint = order if self.warp is None else joint_order(self.order, order)
        # A mirror image is that of what was made, unless all that is read is there.
        shown = self.mirror is not None or (self.warp is not None and mirror is not None)
        ends = shown and not self.partial and not within
        if joint is None or ends or not self._can_be_moved(warp, joint):
            made = Recipe(self.make(), True, (here, self.place[1]), None, here, self.extent)
            return made.seen_through(warp, here, offset, extent, order, partial, mirror=mirror)
        # Rounding before interpolating once more would only lose something.
        changes = tuple(c for c in self.changes if not isinstance(c, Round))
        if self.warp is None:
            place, whole = self._put(here), warp
        else:
            place, steps = self._seen_from(here)
            whole = Compose([warp, *steps, self.warp])
        return self._with(
            place=place, warp=whole, offset=offset, extent=extent, order=joint,
            changes=changes, before=len(changes), partial=partial,
            mirror=self.mirror or (mirror if self.warp is None else None),
        )  # fmt: skip

    def _put(self, here: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The place of the data if what is seen without a map begins here."""
        begin, voxel_size = self.place
        if self.mirror is None:
            return here, voxel_size
        moved = zip(begin, self.offset, here, strict=True)
        return [b - offset + to for b, offset, to in moved], voxel_size

    def part(self, begin: Sequence[int], extent: Sequence[int], offset: Sequence[Any]) -> Recipe:
        """The same of a region, mirrored at the borders where it reaches beyond.

        Parameters
        ----------
        begin, extent
            The region, in voxels of this one. The voxel at the border is not repeated.
        offset
            Where it is to lie (world).
        """
        shown = self.warp is not None or self.mirror is not None
        if shown or any(isinstance(c, Piecewise) for c in self.changes):
            whole = Recipe(self.make(), True, self.place, None, self.offset, self.extent)
            return whole.part(begin, extent, offset)
        voxel_size, there = self.place[1], tuple(extent)
        ends = zip(begin, extent, self.extent, strict=True)
        if all(b >= 0 and b + n <= size for b, n, size in ends):
            data = mirrored(self.data, begin, extent)
            place = offset, voxel_size
            return self._with(data=data, owned=False, place=place, offset=offset, extent=there)
        first = [to - b * size for to, b, size in zip(offset, begin, voxel_size, strict=True)]
        return self._with(place=(first, voxel_size), offset=offset, extent=there, mirror="reflect")

    def with_axis(self, axis: int) -> Recipe:
        """With one more axis of length 1, before the spatial ones."""
        changes = tuple(c.with_axis(axis) if isinstance(c, Piecewise) else c for c in self.changes)
        return self._with(data=np.expand_dims(self.data, axis), changes=changes)

    def without_axis(self, axis: int) -> Recipe:
        """Without an axis of length 1 that is before the spatial ones."""
        changes = tuple(
            c.without_axis(axis) if isinstance(c, Piecewise) else c for c in self.changes
        )
        return self._with(data=np.squeeze(self.data, axis), changes=changes)

    def _can_be_moved(self, warp: Map, order: Order) -> bool:
        """Whether changes and a map can change places, and two maps be one."""
        if warp.ndim > 3:
            return self.warp is None and not self.changes
        if self.warp is not None and self.warp.ndim > 3:
            return False
        if order != "linear":
            return not any(isinstance(c, Piecewise) for c in self.changes)
        # Interpolation and what is linear can.
        return all(isinstance(c, Scale | Round) for c in self.changes)

    def _seen_from(self, here: Sequence[Any]) -> tuple[Any, list[Map]]:
        """The place of the data, and the step to where the old result was made for.

        Along axes that its map leaves alone, the data are taken to where it begins now.
        """
        steps = [a - b for a, b in zip(self.offset, here, strict=True)]
        lead = len(steps) - (0 if self.warp is None else self.warp.ndim)
        begin, voxel_size = self.place
        begin = [
            b - step if axis < lead else b
            for axis, (b, step) in enumerate(zip(begin, steps, strict=True))
        ]
        own = [float(step) for step in steps[lead:]]
        moves: list[Map] = [Affine(np.eye(len(own)), [0.0] * len(own), own)] if any(own) else []
        return (begin, voxel_size), moves

    # -- doing it -------------------------------------------------------------------------------

    def make(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Do it all; see `Deferred.make`.

        Raises
        ------
        RuntimeError
            If the result is `partial`.
        """
        self.check_whole()
        (_, first), *rest = segments(self.changes)
        dtype = self.dtype
        if not rest:
            return self._made(first, dtype, out)
        work = work_type(self.data.dtype, dtype)
        usable = out is not None and out.dtype == work and out.flags.c_contiguous
        made = out if usable and out is not None else np.empty(self.shape, work)
        self._made(first, work, made)
        finish(made, rest)
        if out is None:
            return made.astype(dtype, copy=False)
        if made is not out:
            np.copyto(out, made, casting="same_kind")
        return out

    def sketch(self, out: NDArray[Any]) -> bool:
        """Make what is there, to look at it, also of what is `partial`; whether it is not."""
        self._with(partial=False).make(out)
        return not self.partial

    def check_whole(self) -> None:
        """Raise `RuntimeError` if the result is `partial`."""
        if self.partial:
            raise RuntimeError(
                "voxels were looked at of which only what another map shows was read: a node that "
                "says looks_at_nothing looked at them"
            )

    def view(self) -> NDArray[Any] | None:
        """The voxels, where they only are to be looked at in another order."""
        if self.partial or self.changes or self.type not in (None, self.data.dtype):
            return None
        if self.warp is None:
            return self.data if self.mirror is None else None
        seen = self._resampled((), self.data.dtype, None) if self._only_moves else None
        if seen is None or not np.may_share_memory(seen, self.data):
            return None
        seen = seen.view()
        seen.flags.writeable = False
        return seen

    @property
    def _only_moves(self) -> bool:
        """Whether the map mirrors and transposes, and no more."""
        if self.warp is None:
            return True
        return all(
            stage.is_linear and all(entry.is_integer() for entry in stage.matrix.ravel().tolist())
            for stage in self.warp.stages()
        )

    def _made(
        self, changes: Sequence[Pointwise], dtype: np.dtype[Any], out: NDArray[Any] | None
    ) -> NDArray[Any]:
        if self.warp is not None:
            made = self._resampled(changes, dtype, out)
        else:
            data, _ = self.mirrored()
            if changes or dtype != data.dtype:
                made = changed(data, changes, dtype, out)
            elif out is not None:
                np.copyto(out, data)
                return out
            else:
                made = data
        if out is None and not self.owned and np.may_share_memory(made, self.data):
            return made.copy()
        return made

    def mirrored(self) -> tuple[NDArray[Any], Sequence[Any]]:
        """The data and where they begin (world), mirrored as far as they are looked at."""
        begin, voxel_size = self.place
        if self.mirror is None:
            return self.data, begin
        size = Coordinate(voxel_size)
        shown = Roi(self.offset, Coordinate(self.extent) * size)
        low: Sequence[Any] = shown.begin
        high: Sequence[Any] = shown.end
        if self.warp is not None:
            low, high = self.warp.source(shown, size, self.order)
        first = [round(float((a - b) / n)) for a, b, n in zip(low, begin, size, strict=True)]
        shape = [round(float((b - a) / n)) for a, b, n in zip(low, high, size, strict=True)]
        return mirrored(self.data, first, shape, repeated=self.mirror == "symmetric"), low

    def _resampled(
        self, changes: Sequence[Pointwise], dtype: np.dtype[Any], out: NDArray[Any] | None
    ) -> NDArray[Any]:
        warp, (begin, voxel_size), data = self.warp, self.place, self.data
        if warp is None:
            raise ValueError("there is no map to resample through")
        if warp.ndim > 3:
            data, begin = self.mirrored()
            moved = warp.resample(data, begin, voxel_size, self.offset, self.extent)
            return finished(moved, changes, dtype, out)
        if self.order != "linear" and not changes and dtype != self.data.dtype:
            return finished(self._resampled((), self.data.dtype, None), (), dtype, out)
        return resample(
            warp.stages(), warp.ndim, data, begin, voxel_size, self.offset, self.extent,
            order=self.order, fill=applied(changes[self.before :], 0.0), dtype=dtype,
            changes=fused(changes), out=out, mirror=self.mirror,
        )  # fmt: skip


_BARE = Recipe(np.empty(0), owned=False)
