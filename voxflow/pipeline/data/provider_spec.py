"""Specs by key: what a provider offers, and the base of what a request asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from voxflow.pipeline.data.keys import ArrayKey, GraphKey
from voxflow.pipeline.data.spec import ArraySpec, GraphSpec, Spec
from voxflow.pipeline.geometry import Coordinate, Roi, lcm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Key = ArrayKey | GraphKey
"""Either kind of key."""


class ProviderSpec:
    """The specs of arrays and graphs by their keys.

    Parameters
    ----------
    array_specs
        Specs, or regions (anything with `offset` and `shape`), by key.
    graph_specs
        The same. Either mapping may hold both kinds of key.

    Examples
    --------
    >>> spec = ProviderSpec({ArrayKey("RAW"): ArraySpec(voxel_size=(4, 4))})
    >>> spec[ArrayKey("RAW")].voxel_size
    (4, 4)
    """

    __slots__ = ("array_specs", "graph_specs")

    array_specs: dict[ArrayKey, ArraySpec]
    graph_specs: dict[GraphKey, GraphSpec]

    def __init__(
        self,
        array_specs: Mapping[Any, Any] | None = None,
        graph_specs: Mapping[Any, Any] | None = None,
    ) -> None:
        self.array_specs = {}
        self.graph_specs = {}
        for specs in (array_specs, graph_specs):
            for key, spec in (specs or {}).items():
                self[key] = spec

    @overload
    def __getitem__(self, key: ArrayKey) -> ArraySpec: ...
    @overload
    def __getitem__(self, key: GraphKey) -> GraphSpec: ...
    def __getitem__(self, key: Key) -> Spec:
        try:
            if isinstance(key, ArrayKey):
                return self.array_specs[key]
            if isinstance(key, GraphKey):
                return self.graph_specs[key]
        except KeyError:
            known = ", ".join(str(k) for k, _ in self.items()) or "nothing"
            raise KeyError(f"no spec for {key} here; there is: {known}") from None
        raise _not_a_key(key)

    def __setitem__(self, key: Any, spec: Any) -> None:
        if isinstance(key, ArrayKey):
            self.array_specs[key] = _as_spec(key, spec, ArraySpec)
        elif isinstance(key, GraphKey):
            self.graph_specs[key] = _as_spec(key, spec, GraphSpec)
        else:
            raise _not_a_key(key)

    def __delitem__(self, key: Key) -> None:
        self[key]
        if isinstance(key, ArrayKey):
            del self.array_specs[key]
        else:
            del self.graph_specs[key]

    def __contains__(self, key: object) -> bool:
        if isinstance(key, ArrayKey):
            return key in self.array_specs
        if isinstance(key, GraphKey):
            return key in self.graph_specs
        raise _not_a_key(key)

    def __len__(self) -> int:
        return len(self.array_specs) + len(self.graph_specs)

    def __iter__(self) -> Iterator[Key]:
        yield from self.array_specs
        yield from self.graph_specs

    def keys(self) -> list[Key]:
        """All keys, arrays first."""
        return list(self)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """All keys with their specs, arrays first."""
        yield from self.array_specs.items()
        yield from self.graph_specs.items()

    def get(self, key: Key) -> Any:
        """The spec of a key, or None if there is none."""
        if isinstance(key, ArrayKey):
            return self.array_specs.get(key)
        if isinstance(key, GraphKey):
            return self.graph_specs.get(key)
        raise _not_a_key(key)

    @property
    def has_placeholders(self) -> bool:
        """Whether there are specs of which only the region matters."""
        for spec in (*self.array_specs.values(), *self.graph_specs.values()):
            if spec.placeholder:  # not by any(), as this is asked for every node
                return True
        return False

    def remove_placeholders(self) -> None:
        """Drop, in place, the specs of which only the region matters."""
        if not self.has_placeholders:
            return
        self.array_specs = {k: s for k, s in self.array_specs.items() if not s.placeholder}
        self.graph_specs = {k: s for k, s in self.graph_specs.items() if not s.placeholder}

    def get_total_roi(self) -> Roi | None:
        """The union of all regions, in world units; None if there is no region."""
        total: Roi | None = None
        for _, spec in self.items():
            if spec.roi is not None:
                total = spec.roi if total is None else total.union(spec.roi)
        return total

    def get_common_roi(self) -> Roi | None:
        """The intersection of all regions, in world units; None if there is no region."""
        common: Roi | None = None
        for _, spec in self.items():
            if spec.roi is not None:
                common = spec.roi if common is None else common.intersect(spec.roi)
        return common

    def get_lcm_voxel_size(self, array_keys: Iterable[ArrayKey] | None = None) -> Coordinate | None:
        """The smallest step that is a whole number of voxels of every array, in world units.

        Parameters
        ----------
        array_keys
            The arrays to look at; None: all.

        Returns
        -------
        Coordinate | None
            The least common multiple per axis, None if no array has a voxel size.

        Raises
        ------
        KeyError
            If there is no spec for a key.
        """
        keys = self.array_specs if array_keys is None else array_keys
        step: Coordinate | None = None
        for key in keys:
            voxel_size = getattr(self[key], "voxel_size", None)  # graphs have none
            if voxel_size is not None and voxel_size != step:
                step = voxel_size if step is None else lcm(step, voxel_size)
        return step

    def copy(self) -> Self:
        """A copy that can be changed without changing this one."""
        new = object.__new__(type(self))
        new.array_specs = {key: spec.copy() for key, spec in self.array_specs.items()}
        new.graph_specs = {key: spec.copy() for key, spec in self.graph_specs.items()}
        return new

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented if isinstance(self, type(other)) else False
        return self.array_specs == other.array_specs and self.graph_specs == other.graph_specs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "".join(f"\n\t{key}: {spec}" for key, spec in self.items())


def _as_spec(key: Key, spec: Any, kind: type[Any]) -> Any:
    if isinstance(spec, kind):
        return spec.copy()
    if hasattr(spec, "offset") and hasattr(spec, "shape"):
        return kind(roi=spec)
    wanted = "an ArraySpec" if kind is ArraySpec else "a GraphSpec"
    raise TypeError(
        f"{type(key).__name__} {key} takes {wanted} or a Roi, got {type(spec).__name__}"
    )


def _not_a_key(key: object) -> RuntimeError:
    return RuntimeError(f"only ArrayKey and GraphKey can be used here, got {key!r}")
