"""Voxels that something went wrong with, found before they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from voxflow.nodes.sinks.sink import writers_upstream
from voxflow.ops.health import can_be_counted, health, repeated_sections
from voxflow.pipeline.data import Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter, UnhealthyBlock, UnhealthyStop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.data import Array, ArrayKey
    from voxflow.pipeline.geometry import Roi

Check = Literal["nan", "saturated", "empty", "repeated"]
Policy = Literal["mark", "skip", "stop"]
Findings = dict[str, Any]


class CheckHealth(BatchFilter):
    """Looks for voxels that something went wrong with, in every batch that passes.

    There are four checks. What they find are numbers under these names:

    - "nan": values that are not a number, or infinite. ``"nan"`` and ``"inf"``: how many.
    - "saturated": more than a share of all voxels is at the lowest value of an integer type, or at
      the highest. ``"lowest"`` and ``"highest"``: the shares. Not looked for in bool.
    - "empty": all voxels are the same. ``"empty"``: their value.
    - "repeated": sections (planes across the first spatial axis, with all channels) that are the
      same as the next one, and not of a single value in each channel. ``"repeated"``: how many;
      ``"repeated_at"``: where the first of them begins along this axis, in world units. Sections
      of different batches are not compared.

    Only voxels that are asked for are looked at; in a scan, only those that the block is to leave
    in files. Put the node before the writer: what it refuses is not written.

    Parameters
    ----------
    array
        The array that is looked at. It is not changed.
    policy
        What to do with findings. "mark": they are in ``array.attrs["health"]``, a dict, which is
        not there if there are none. What a scan puts together has those of all its blocks, also
        beyond what was asked for: counts added up, of all else what was found first. "skip": raise
        `UnhealthyBlock`; a scan records the block as failed, and goes on with the next one. "stop":
        raise `UnhealthyStop`, which ends a scan.
    saturation
        The share of voxels, from 0 to 1, above which they count as saturated.
    value_range
        The lowest and the highest value, where they are not those of the integer type. Floats are
        looked at for saturation only if it is given. Values beyond count as well.
    checks
        Which checks are made.

    Raises
    ------
    ValueError
        If an argument is out of range or unknown. At setup, if the policy is "skip" or "stop", and
        a writer of the array is upstream.
    TypeError
        If `array` is of complex or other values, at setup where that is known then.
    UnhealthyBlock, UnhealthyStop
        At a request, see `policy`.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> image = np.array([[1, 2], [1, 2], [0, 3]], np.uint8)
    >>> source = gp.ArraySource(raw, image, spec=gp.ArraySpec(voxel_size=(40, 4)))
    >>> with gp.build(source + gp.CheckHealth(raw)) as pipeline:
    ...     batch = pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0, 0), (120, 8))}))
    >>> batch[raw].attrs["health"]
    {'repeated': 1, 'repeated_at': 0}
    """

    def __init__(
        self,
        array: ArrayKey,
        policy: Policy = "mark",
        *,
        saturation: float = 0.9,
        value_range: tuple[float, float] | None = None,
        checks: Iterable[Check] = ("nan", "saturated", "empty", "repeated"),
    ) -> None:
        if policy not in get_args(Policy):
            raise ValueError(f"policy has to be 'mark', 'skip' or 'stop', got {policy!r}")
        if not 0 <= saturation <= 1:
            raise ValueError(f"saturation is a share of voxels, from 0 to 1, got {saturation}")
        if value_range is not None and not value_range[0] < value_range[1]:
            raise ValueError(f"value_range is (lowest, highest), got {value_range}")
        self.array = array
        self.policy = policy
        self.saturation = saturation
        self.value_range = value_range
        self.checks = tuple(checks)
        known = get_args(Check)
        if not self.checks or any(check not in known for check in self.checks):
            raise ValueError(f"checks are some of {', '.join(known)}, got {self.checks}")

    def setup(self) -> None:
        """Check that the array can be looked at, and is not written before."""
        self.enable_autoskip()
        self.updates(self.array, self.spec[self.array].copy())
        dtype = self.spec[self.array].dtype
        if dtype is not None and not can_be_counted(dtype):
            raise TypeError(
                f"{self._who()} cannot look at {self.array}, which is {dtype}: only at bool, "
                "integers, and floats of up to 64 bits; put AsType before it"
            )
        for writer in () if self.policy == "mark" else writers_upstream(self):
            if self.array in getattr(writer, "dataset_names", ()):
                raise ValueError(
                    f"{writer.label} is upstream of {self.label}, so that {self.array} is written "
                    f"before it is looked at; move it downstream, or take policy='mark'"
                )

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Look."""
        array = batch[self.array]
        roi, data = _own_part(array, (request.write_rois or {}).get(self.array))
        found = self._findings(data, roi, array)
        if not found:
            return
        if self.policy == "mark":
            # In an array of our own: a node from outside may use its own again for another block.
            batch[self.array] = marked = array.placed(array.spec)
            marked.attrs["health"] = {**array.attrs.get("health", {}), **found}
            return
        kind = UnhealthyStop if self.policy == "stop" else UnhealthyBlock
        error = kind(self._text(found, roi))
        error.array, error.roi, error.findings = str(self.array), roi, found
        raise error

    def _findings(
        self, data: np.ndarray[Any, Any], roi: Roi | None, array: Array
    ) -> dict[str, Any]:
        found: Findings = {}
        if data.size == 0:
            return found
        counted = health(data, self.value_range)
        if "nan" in self.checks:
            found.update((n, c) for n in ("nan", "inf") if (c := getattr(counted, n)))
        if "saturated" in self.checks and data.dtype.kind != "b":
            for name in ("lowest", "highest"):
                share = getattr(counted, name) / counted.voxels
                if share > self.saturation:
                    found[name] = share
        if "empty" in self.checks and counted.constant:
            value = data.flat[0].item()
            found["empty"] = value if np.isfinite(value) else str(value)
        grid = array.spec.voxel_size
        if "repeated" in self.checks and roi is not None and grid is not None:
            repeated = repeated_sections(data, data.ndim - roi.dims)
            if repeated:
                at = roi.offset[0] + repeated[0] * grid[0]
                found["repeated"] = len(repeated)
                found["repeated_at"] = at if type(at) is int else float(at)
        return found

    def _text(self, found: Findings, roi: Roi | None) -> str:
        where = "" if roi is None else f" in {roi} (world units)"
        what = "; ".join(
            _SAYS[name].format(value, at=found.get("repeated_at"))
            for name, value in found.items()
            if name in _SAYS
        )
        then = "The block is left out" if self.policy == "skip" else "Nothing more is made"
        return (
            f"{self._who()}: {self.array}{where} looks as if something went wrong: {what}. {then} "
            f"(policy={self.policy!r}). Look at what is upstream there; policy='mark' notes it and "
            "goes on, checks=... leaves a check out, saturation=... is the share that is allowed"
        )


_SAYS = {
    "nan": "{} voxels are not a number",
    "inf": "{} voxels are infinite",
    "lowest": "{:.1%} of the voxels are at the lowest value",
    "highest": "{:.1%} of the voxels are at the highest value",
    "empty": "all voxels are {}",
    "repeated": "{} sections are the same as the next one, the first of them at {at}",
}


def _own_part(array: Array, own: Roi | None) -> tuple[Roi | None, np.ndarray[Any, Any]]:
    """What is looked at: of what came, what the request is to leave in files."""
    whole = array.spec.roi
    if whole is None or own is None:
        return whole, array.view
    roi = whole.intersect(own)
    if roi.empty:
        return roi, np.empty(0, array.dtype)
    return roi, (array if roi == whole else array.crop(roi, copy=False)).view
