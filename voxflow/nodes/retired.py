"""Nodes whose names exist, as scripts import them, but that gunpowder's own API has outgrown."""

from __future__ import annotations

from typing import Any, ClassVar

from voxflow.pipeline.engine import BatchFilter, BatchProvider


class _Retired:
    """Says at its first use what to take instead."""

    instead: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} was written for points and requests as gunpowder had them "
            f"before version 1, and fails there at any use; instead, {self.instead}"
        )


class AddBlobsFromPoints(_Retired, BatchFilter):
    """Not available. `voxflow.RasterizeGraph` draws points as balls.

    Raises
    ------
    NotImplementedError
        Always.
    """

    instead = (
        "draw the points with RasterizeGraph(graph, array, settings=RasterizationSettings("
        'radius, mask=labels, color_attr="id"))'
    )


class AddGtMaskExclusiveZone(_Retired, BatchFilter):
    """Not available. `voxflow.RasterizeGraph` draws zones around points.

    Raises
    ------
    NotImplementedError
        Always.
    """

    instead = (
        "draw a zone around each point with RasterizeGraph(graph, array, settings="
        "RasterizationSettings(radius, fg_value=0, bg_value=1)), and give it as a mask, such as to "
        "BalanceLabels"
    )


class AddNonsymmetricAffinities(_Retired, BatchFilter):
    """Not available. `voxflow.AddAffinities` compares the labels of one array.

    Raises
    ------
    NotImplementedError
        Always.
    """

    instead = (
        "make affinities of each array with AddAffinities, or draw vectors from points to their "
        "partners with contrib.AddVectorMap"
    )


class DvidPartnerAnnotationSource(_Retired, BatchProvider):
    """Not available. `voxflow.GraphSource` asks any object for the graph in a region.

    Raises
    ------
    NotImplementedError
        Always.
    """

    instead = (
        "fetch the annotations once and offer them with GPGraphSource(key, Graph.from_arrays(ids, "
        "locations, edges, spec)), or by region with GraphSource"
    )


class Hdf5PointsSource(_Retired, BatchProvider):
    """Not available. `voxflow.GPGraphSource` offers points that are in memory.

    Raises
    ------
    NotImplementedError
        Always.
    """

    instead = (
        "read ids and locations with h5py and offer them with GPGraphSource(key, "
        "Graph.from_arrays(ids, locations, edges, spec)), or export them for CsvPointsSource"
    )
