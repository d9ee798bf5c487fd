"""Graphs, drawn into an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.labels.masks import labels_in
from voxflow.ops.rasterize import Ball, draw_balls, draw_peaks, lines, peak_reach, voxels_of
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest, GraphSpec
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import ArrayKey, Graph, GraphKey

Voxels = np.ndarray[Any, Any]


class RasterizationSettings:
    """How nodes and edges are drawn by `RasterizeGraph`.

    Parameters
    ----------
    radius
        World units, one for all axes or one for each.
    mode
        "ball": all voxels within the radius. "peak": a Gaussian with the radius as its standard
        deviation, scaled such that the highest value in and around what is asked for is 1.
    mask
        An array of labels. What is drawn for a node stays in the label that the node lies in, and
        a line in the labels of its two ends. Nothing is drawn on label 0.
    inner_radius_fraction
        Balls are hollow up to this part of the radius, between 0 and 1. It is kept as 1 minus it:
        the part that is not hollow. None: they are full.
    fg_value
        What is drawn.
    bg_value
        What is around it.
    edges
        Whether edges are drawn, too: as lines as thick as the balls.
    color_attr
        The attribute of nodes and edges whose value is drawn instead of `fg_value`. Those that
        have none are not drawn, nor are those with 0; 1 stands for `fg_value`. Where colours meet
        the larger one stays; a node on an edge with a colour is part of that edge.

    Raises
    ------
    ValueError
        If the radius is not above zero, the fraction not between 0 and 1, or peaks are to be
        hollow or coloured.

    Examples
    --------
    >>> RasterizationSettings((40, 8), inner_radius_fraction=0.25).radius
    array([40.,  8.])
    """

    __slots__ = (
        "bg_value",
        "color_attr",
        "edges",
        "fg_value",
        "inner_radius_fraction",
        "mask",
        "mode",
        "radius",
    )

    def __init__(
        self,
        radius: float | Sequence[float],
        mode: Literal["ball", "peak"] = "ball",
        mask: ArrayKey | None = None,
        inner_radius_fraction: float | None = None,
        fg_value: float = 1,
        bg_value: float = 0,
        edges: bool = True,
        color_attr: str | None = None,
    ) -> None:
        self.radius = np.atleast_1d(np.array(radius, np.float64))
        self.mode = mode
        self.mask = mask
        self.inner_radius_fraction = inner_radius_fraction
        self.fg_value = fg_value
        self.bg_value = bg_value
        self.edges = edges
        self.color_attr = color_attr
        if not (self.radius.ndim == 1 and ((self.radius > 0) & np.isfinite(self.radius)).all()):
            raise ValueError(
                f"the radius is above zero, in world units, got {radius}; for single voxels take "
                "half a voxel"
            )
        if mode == "peak" and not (inner_radius_fraction is None and color_attr is None):
            raise ValueError(
                "peaks are neither hollow nor coloured; inner_radius_fraction and color_attr are "
                'for mode="ball"'
            )
        if inner_radius_fraction is not None:
            if not 0 < inner_radius_fraction < 1:
                raise ValueError(
                    "inner_radius_fraction lies between 0 and 1, excluding both, got "
                    f"{inner_radius_fraction}"
                )
            self.inner_radius_fraction = 1 - inner_radius_fraction


class RasterizeGraph(BatchFilter):
    """Draws a graph into an array: its nodes as balls or peaks, its edges as lines.

    A node lies in the voxel ``floor(location / voxel_size)``. A voxel is drawn if its centre is no
    further from that of the node's voxel than the radius. Lines lead from voxel to voxel. What
    reaches into the region from around is drawn, too: the node asks for the graph there. Edges
    with both ends beyond that are not known. Temporary nodes are only ends of lines.

    Parameters
    ----------
    graph
        What is drawn.
    array
        The array to make.
    array_spec
        Its `voxel_size` (1 if not given), `dtype` (uint8 for balls, float32 for peaks), `roi` (that
        of the graph), and `interpolatable` (peaks are, balls are not).
    settings
        How it is drawn. None: balls of radius 1.

    Raises
    ------
    RuntimeError
        At setup, if the mode is not known.
    ValueError
        At setup, if radius, voxel size and region differ in their number of dimensions, a value
        does not fit the dtype, or the mask has other voxels.
    TypeError
        At setup, if peaks are to be drawn as integers, or the mask does not hold labels.

    Examples
    --------
    >>> import voxflow as gp
    >>> points, drawn = gp.GraphKey("POINTS"), gp.ArrayKey("DRAWN")
    >>> spec = gp.GraphSpec(gp.Roi((0, 0), (6, 12)))
    >>> graph = gp.Graph([gp.Node(1, (3, 3)), gp.Node(2, (3, 9))], [(1, 2)], spec)
    >>> pipeline = gp.GPGraphSource(points, graph) + gp.RasterizeGraph(
    ...     points, drawn, gp.ArraySpec(voxel_size=(2, 2)), gp.RasterizationSettings(2)
    ... )
    >>> with gp.build(pipeline):
    ...     pipeline.request_batch(gp.BatchRequest({drawn: spec.roi}))[drawn].data
    array([[0, 1, 1, 1, 1, 0],
           [1, 1, 1, 1, 1, 1],
           [0, 1, 1, 1, 1, 0]], dtype=uint8)
    """

    def __init__(
        self,
        graph: GraphKey,
        array: ArrayKey,
        array_spec: ArraySpec | None = None,
        settings: RasterizationSettings | None = None,
    ) -> None:
        self.graph = graph
        self.array = array
        self.array_spec = ArraySpec() if array_spec is None else array_spec.copy()
        self.settings = RasterizationSettings(1) if settings is None else settings

    def setup(self) -> None:
        """Offer the array where the graph is, or where its spec says."""
        self.enable_autoskip()
        if self.settings.mode not in ("ball", "peak"):
            raise RuntimeError(f"unknown raster mode {self.settings.mode!r}; use 'ball' or 'peak'")
        spec = self._completed(self.array_spec.copy())
        self._check_values(np.dtype(spec.dtype))
        self._radius = self.settings.radius / [float(size) for size in spec.grid]
        if self.settings.mask is not None:
            self._check_mask(self.settings.mask, spec.grid)
        self._context = Coordinate(self._reach()) * spec.grid
        self.provides(self.array, spec)

    def _completed(self, spec: ArraySpec) -> ArraySpec:
        there = self.spec[self.graph].roi
        known = spec.roi or there
        if spec.voxel_size is None:
            if known is None:
                raise ValueError(
                    f"{self.name()}: {self.graph} is unbounded; give an array_spec with the "
                    f"voxel_size of {self.array}"
                )
            spec.voxel_size = Coordinate((1,) * known.dims)
        dims = len(spec.grid)
        if len(self.settings.radius) not in (1, dims) or (known is not None and known.dims != dims):
            raise ValueError(
                f"{self.name()}: the radius {self.settings.radius.tolist()}, the voxel size "
                f"{spec.grid} and the region {known} differ in their number of dimensions"
            )
        if spec.roi is None and there is not None:
            spec.roi = there.snap_to_grid(spec.grid, "shrink")
        if spec.dtype is None:
            spec.dtype = "uint8" if self.settings.mode == "ball" else "float32"
        if spec.interpolatable is None:
            spec.interpolatable = self.settings.mode == "peak"
        return spec

    def _check_values(self, dtype: np.dtype[Any]) -> None:
        settings = self.settings
        if settings.mode == "peak" and dtype.kind != "f":
            raise TypeError(f"{self.name()}: peaks are floating point numbers, not {dtype}")
        for value in (settings.fg_value, settings.bg_value):
            if _as_dtype(np.array([value]), dtype) is None:
                raise ValueError(f"{self.name()}: {value} does not fit into {dtype}")

    def _check_mask(self, mask: ArrayKey, voxel_size: Coordinate) -> None:
        spec = self.spec[mask]
        if spec.voxel_size != voxel_size:
            raise ValueError(
                f"{self.name()} needs a mask for each voxel of {self.array}, which are of "
                f"{voxel_size}, but those of {mask} are of {spec.voxel_size}"
            )
        if spec.dtype is not None and spec.dtype.kind not in "uib":
            raise TypeError(
                f"{self.name()} compares labels, but {mask} is {spec.dtype}; put AsType upstream"
            )

    def _reach(self) -> tuple[int, ...]:
        """How many voxels around a node are drawn."""
        return Ball.of(self._radius).reach if self.settings.mode == "ball" else self._peaks()

    def _peaks(self) -> tuple[int, ...]:
        return peak_reach(self._radius)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the graph, and the mask, as far as what is drawn reaches."""
        needed = BatchRequest()
        around = request[self.array].region.grow(self._context, self._context)
        graph_roi = self._known(self.graph, around)
        if not graph_roi.empty:
            needed[self.graph] = GraphSpec(roi=graph_roi)
        mask = self.settings.mask
        if mask is not None and not self._known(mask, around).empty:
            needed[mask] = ArraySpec(roi=self._known(mask, around))
        return needed

    def _known(self, key: ArrayKey | GraphKey, roi: Roi) -> Roi:
        there: Roi | None = self.spec[key].roi
        return roi if there is None else roi.intersect(there)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Draw."""
        spec = self.spec[self.array].copy()
        spec.roi = request[self.array].roi
        around = spec.region.grow(self._context, self._context)
        shape = tuple(int(n) for n in around.shape / spec.grid)
        mask = self.settings.mask
        labels = None if mask is None else labels_in(batch, mask, around, shape)
        if self.graph in batch:
            drawn = self._drawn(batch[self.graph], around, shape, labels)
        else:
            drawn = np.full(shape, self.settings.bg_value, spec.dtype)
        made = Batch()
        whole = ArraySpec(around, spec.voxel_size, spec.interpolatable, dtype=spec.dtype)
        made[self.array] = Array(drawn, whole).crop(spec.region)
        return made

    def _drawn(
        self, graph: Graph, around: Roi, shape: tuple[int, ...], labels: Voxels | None
    ) -> Voxels:
        settings, spec = self.settings, self.spec[self.array]
        dtype = np.dtype(spec.dtype)
        voxels, values, ends = self._marks(graph, around, shape, dtype)
        if labels is not None:
            own = labels[tuple(voxels.T)]
            held = (own != 0) & (_looked_up(labels, ends) == own[:, None]).any(axis=1)
            voxels, values = voxels[held], values[held]
        if settings.mode == "ball":
            out = np.full(shape, settings.bg_value, dtype)
            thickness = settings.inner_radius_fraction
            inner = None if thickness is None else 1 - thickness
            draw_balls(out, voxels, values, self._radius, inner, labels)
            return out
        peaks = np.zeros(shape, np.float32)
        draw_peaks(peaks, voxels, self._radius, labels)
        if (settings.bg_value, settings.fg_value) != (0, 1):
            peaks = settings.bg_value + (settings.fg_value - settings.bg_value) * peaks
        return peaks.astype(dtype, copy=False)

    def _marks(
        self, graph: Graph, around: Roi, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Voxels, Voxels, Voxels]:
        """The voxels of nodes and lines, the value of each, and the nodes whose it is.

        The nodes are given as voxels, shape (K, 2, dims): a line has two.
        """
        voxel_size = self.spec[self.array].grid
        origin = np.array([int(o) for o in around.offset / voxel_size])
        places = voxels_of(graph.locations, voxel_size) - origin
        rows = graph.edge_rows
        nodes, node_values = self._colors(graph, graph.num_vertices(), "node", dtype)
        nodes &= ~graph.temporary
        voxels, values, ends = [], [], []
        if self.settings.edges:
            edges, edge_values = self._colors(graph, len(rows), "edge", dtype)
            rows, edge_values = rows[edges], edge_values[edges]
            inside, which = lines(places[rows[:, 0]], places[rows[:, 1]], 0 * origin, shape)
            voxels, values, ends = [inside], [edge_values[which]], [places[rows[which]]]
            nodes[rows] = False  # they are on the lines
        nodes &= ((places >= 0) & (places < shape)).all(axis=1)
        voxels.append(places[nodes])
        values.append(node_values[nodes])
        ends.append(places[nodes][:, None].repeat(2, axis=1))
        return np.concatenate(voxels), np.concatenate(values), np.concatenate(ends)

    def _colors(
        self, graph: Graph, count: int, kind: Literal["node", "edge"], dtype: np.dtype[Any]
    ) -> tuple[Voxels, Voxels]:
        """Which nodes or edges are drawn, and with what."""
        name, settings = self.settings.color_attr, self.settings
        if name is None:
            return np.ones(count, np.bool_), np.full(count, settings.fg_value, dtype)
        names = graph.node_attributes if kind == "node" else graph.edge_attributes
        if name not in names:
            return np.zeros(count, np.bool_), np.zeros(count, dtype)
        read = graph.node_values if kind == "node" else graph.edge_values
        colors = _as_dtype(read(name, 0), dtype)
        if colors is None:
            raise ValueError(
                f"{self.name()}: the attribute {name!r} of {self.graph} has values that "
                f"{dtype} cannot hold; give array_spec another dtype"
            )
        drawn = colors != 0
        colors[colors == 1] = settings.fg_value
        return drawn, colors


def _as_dtype(values: Voxels, dtype: np.dtype[Any]) -> Voxels | None:
    """Values in a dtype; None if it cannot hold one."""
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            cast: Voxels = values.astype(dtype)
    except (OverflowError, TypeError, ValueError):
        return None
    if dtype.kind == "f":
        return cast if np.isfinite(cast).all() else None
    return cast if bool((cast == values).all()) else None


def _looked_up(labels: Voxels, voxels: Voxels) -> Voxels:
    """The labels at voxels; 0 outside."""
    inside = ((voxels >= 0) & (voxels < labels.shape)).all(axis=-1)
    found = np.zeros(inside.shape, labels.dtype)
    found[inside] = labels[tuple(voxels[inside].T)]
    return found
