"""Files in the space of a viewer: all arrays and graphs at their places in the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import neuroglancer as ng
import numpy as np

from voxflow.inspect.arrays import names_in
from voxflow.inspect.graphs import read_graphs
from voxflow.inspect.layers import COARSEST, array_layer, graph_layer, is_coloured
from voxflow.inspect.volumes import levels_of
from voxflow.stores.metadata import NANOMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.find import Container

__all__ = ["Scene", "units_of"]

_PANEL = 400  # pixels


@dataclass
class Scene:
    """Layers, and the place that is looked at first.

    All of it has one unit: nanometers if one is known, else none. Arrays that state no length are
    taken to be in the unit of the scene.

    Parameters
    ----------
    state
        Of neuroglancer, to which layers are added.
    unit
        Of world positions, in nanometers; None: it is not known.
    notes
        What is left out is added to them.
    """

    state: Any
    unit: int | None
    notes: list[str] = field(default_factory=list)
    _axes: tuple[str, ...] = ()  # of the first array
    _voxel: dict[str, float] = field(default_factory=dict)  # the smallest
    _box: dict[str, tuple[float, float]] = field(default_factory=dict)  # what is seen first
    _coarsest: float = COARSEST

    def add_file(
        self,
        container: Container,
        arrays: Sequence[StoredArray],
        prefix: str = "",
        visible: bool = True,
    ) -> None:
        """Add the arrays of a file, and all its graphs.

        Parameters
        ----------
        container
            The file.
        arrays
            Of it, images first.
        prefix
            Before the names of its layers.
        visible
            Whether its first image, its first overlay and its graphs are seen at once.
        """
        names, taken = names_in(container), set()
        for array in arrays:
            over = array.guess != "image"
            layer = self._array(container, array, names)
            name = prefix + (array.name or "array")
            self.state.layers.append(name=name, layer=layer, visible=visible and over not in taken)
            taken.add(over)
        unit = next((units[0] for units in map(units_of, arrays) if units), None)
        for graph in read_graphs(container):
            self.add_graph(graph, prefix, visible, unit)

    def add_graph(
        self, graph: dict[str, Any], prefix: str = "", visible: bool = True, unit: Any = None
    ) -> None:
        """Add a graph, as `voxflow.inspect.graphs.read_graphs` gives it, in a unit of its file."""
        if not graph["points"]:
            return
        if graph["leftOut"]:
            self.notes.append(f"{graph['name']}: {graph['leftOut']} of the nodes are not shown.")
        dims = len(graph["points"][0])
        axes = self._axes if len(self._axes) == dims else _names(dims)
        scale = float(unit or self.unit or 1)
        space = ng.CoordinateSpace(names=axes, scales=[scale] * dims, units=self._unit_name)
        layer = graph_layer(graph, space)
        self.state.layers.append(name=prefix + graph["name"], layer=layer, visible=visible)
        if not self._box:
            points = np.array(graph["points"]) * scale
            self._reach(axes, [scale] * dims, points.min(axis=0), points.max(axis=0))

    @property
    def dims(self) -> int:
        """Axes of the world: those of the first array, three where there is none."""
        return len(self._axes) or 3

    @property
    def _unit_name(self) -> str:
        return "" if self.unit is None else "nm"

    def _array(self, container: Container, array: StoredArray, names: Sequence[str]) -> Any:
        geometry, region = array.geometry, array.region
        assert geometry is not None
        assert region is not None
        axes = _axes(array)
        self._axes = self._axes or axes
        units = units_of(array) or (self.unit or 1,) * len(axes)
        sizes = [float(n * unit) for n, unit in zip(geometry.voxel_size, units, strict=True)]
        begin, end = (
            [float(n * unit) for n, unit in zip(side, units, strict=True)]
            for side in (region.begin, region.end)
        )
        levels = levels_of(container, array, names)
        if not self._box:
            self._coarsest = COARSEST * levels[-1].factor ** (1 / len(axes))
        self._reach(axes, sizes, begin, end)
        lead = len(levels[0].data.shape) - len(axes)
        leading = [f"c{i}'" for i in range(lead)]
        if is_coloured(array):
            leading[-1] = "c^"
        space = ng.CoordinateSpace(
            names=[*leading, *axes],
            scales=[1.0] * lead + sizes,
            units=[""] * lead + [self._unit_name] * len(axes),
        )
        moved = [float(n) for n in geometry.offset / geometry.voxel_size]
        matrix = np.column_stack([np.eye(space.rank), [0.0] * lead + moved])
        return array_layer(array, levels, space, matrix, self.notes)

    def _reach(
        self,
        axes: Sequence[str],
        sizes: Sequence[float],
        begin: Sequence[float],
        end: Sequence[float],
    ) -> None:
        """Positions are counted in the smallest voxels; the first region is looked at."""
        for axis, size, low, high in zip(axes, sizes, begin, end, strict=True):
            self._voxel[axis] = min(size, self._voxel.get(axis, size))
            self._box.setdefault(axis, (low, high))

    def look(self, title: str) -> bool:
        """Look at the middle of what was added first, all of it or as much as is read quickly.

        Returns
        -------
        bool
            Whether there is anything.
        """
        axes = [axis for axis in "xyz" if axis in self._box]
        if not axes:
            return False
        scales = [self._voxel[axis] for axis in axes]
        self.state.dimensions = ng.CoordinateSpace(names=axes, scales=scales, units=self._unit_name)
        middle = [sum(self._box[axis]) / 2 for axis in axes]
        self.state.position = [n / scale for n, scale in zip(middle, scales, strict=True)]
        span = max(high - low for low, high in self._box.values()) / min(scales)
        self.state.cross_section_scale = min(max(span / _PANEL, 1 / 16), self._coarsest)
        self.state.projection_scale = 2 * _PANEL * self.state.cross_section_scale
        self.state.layout = "4panel" if len(axes) > 2 else "xy"
        self.state.title = title
        return True


def _names(dims: int) -> tuple[str, ...]:
    return ("z", "y", "x")[-dims:]


def _axes(array: StoredArray) -> tuple[str, ...]:
    """Names of the axes in space: x, y and z, as the file has them, or in the order z, y, x."""
    named = tuple(array.axes[axis].lower() for axis in array.spatial)
    usual = _names(len(named))
    return named if sorted(named) == sorted(usual) else usual


def units_of(array: StoredArray) -> tuple[int, ...]:
    """Nanometers of a unit along each axis in space; nothing where it is not a length."""
    units = (array.geometry.units if array.geometry is not None else None) or ()
    known = tuple(NANOMETERS.get(unit, 0) for unit in units)
    return known if all(known) else ()
