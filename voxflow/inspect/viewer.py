"""Files in neuroglancer, served to the browsers of this machine alone."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voxflow.inspect.describe import describe_one
from voxflow.inspect.find import Paths, find_all, find_containers, listed
from voxflow.inspect.graphs import drawn, read_graphs
from voxflow.inspect.read import open_pictures
from voxflow.inspect.webpage import choose_shown
from voxflow.nodes.sources.csv_points_source import CsvPointsSource
from voxflow.pipeline.data import BatchRequest, GraphKey
from voxflow.pipeline.engine import build
from voxflow.stores import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.find import Container
    from voxflow.pipeline.data import Graph

__all__ = ["Viewer", "view"]

_MAX_FILES = 12
_MAX_ARRAYS = 200  # of a file


class Viewer:
    """Files that are shown in neuroglancer, until it is closed.

    Made by `view`. In a ``with`` statement, it is closed at the end.

    Attributes
    ----------
    url
        For a browser on this machine. Whoever has it can look at what is shown, and at nothing
        else.
    notes
        What was left out.
    viewer
        That of neuroglancer, of which everything can be changed: ``with shown.viewer.txn() as s``.
    """

    def __init__(self, server: Any, viewer: Any, notes: list[str]) -> None:
        self._server = server
        self.viewer = viewer
        self.notes = notes
        self.url: str = viewer.get_viewer_url()

    def close(self) -> None:
        """Serve it no longer."""
        if self._server is not None:
            self._server.stop()
            self._server.executor.shutdown(cancel_futures=True)
            self._server = None

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Viewer {self.url}>"


def view(
    paths: Paths,
    *,
    graphs: Mapping[str, Graph] | Paths = (),
    port: int = 0,
    max_files: int = _MAX_FILES,
) -> Viewer:
    """Show all arrays and graphs of files in neuroglancer, at their places in the world.

    Voxels are read when they are looked at. The page comes from this process, and asks nothing of
    another network; it is served to this machine alone, to who has its link.

    Parameters
    ----------
    paths
        As for `voxflow.inspect.describe`.
    graphs
        More graphs: by their names, or files that hold some, as `Snapshot` writes them. Or text
        files (``.csv``), as `CsvPointsSource` reads them: the first columns are the location, in
        the order of the axes of the first array, in world units.
    port
        Of the server; 0: one that is free.
    max_files
        How many files are shown: the first, the last, the one of the highest loss, and others
        evenly spread.

    Returns
    -------
    Viewer
        With the link, ``url``.

    Raises
    ------
    ModuleNotFoundError
        If neuroglancer is not installed.
    StoreNotFound
        If there is nothing at a path.
    StoreError
        If there is nothing in it that can be shown.
    OSError
        If the port is taken.
    """
    try:
        from neuroglancer import ViewerState

        from voxflow.inspect.scene import Scene, units_of
        from voxflow.inspect.serve import serve
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'the viewer needs neuroglancer: pip install "voxflow[view]"', name=error.name
        ) from error
    found = find_all(paths)
    notes: list[str] = []
    containers = _chosen(found, max_files, notes)
    files = [(container, _arrays_of(container, notes)) for container in containers]
    units = (units_of(array) for _, arrays in files for array in arrays)
    scene = Scene(ViewerState(), next((unit[0] for unit in units if unit), None), notes)
    for number, (prefix, file) in enumerate(zip(_prefixes(containers), files, strict=True)):
        scene.add_file(*file, prefix, visible=number == 0)
    for graph in _graphs(graphs, scene.dims):
        scene.add_graph(graph)
    if not scene.look(os.path.basename(found[0].name.rstrip("/"))):
        names = ", ".join(container.name for container in found[:5])
        raise StoreError(f"{names}: there is no array in two or three dimensions to show")
    server, viewer = serve(port)
    viewer.set_state(scene.state)
    return Viewer(server, viewer, notes)


def _chosen(containers: Sequence[Container], most: int, notes: list[str]) -> list[Container]:
    """The files that are shown."""
    if len(containers) == 1:
        return list(containers)
    reports = [describe_one(container, max_bytes=0, max_arrays=0) for container in containers]
    shown = choose_shown(reports, most)
    broken = [report for report in reports if report.error is not None]
    notes += [f"{report.path} cannot be read: {report.error}" for report in broken]
    able = len(reports) - len(broken)
    if able > len(shown):
        notes.append(f"Of {able} files, {len(shown)} are shown.")
    return [containers[number] for number in shown]


def _arrays_of(container: Container, notes: list[str]) -> list[StoredArray]:
    arrays = open_pictures(container, math.inf, notes)
    if len(arrays) > _MAX_ARRAYS:
        left = len(arrays) - _MAX_ARRAYS
        notes.append(f"{container.name}: {left} of its arrays are not shown.")
    return arrays[:_MAX_ARRAYS]


def _prefixes(containers: Sequence[Container]) -> list[str]:
    """What stands before the names of arrays, where there are several files."""
    if len(containers) == 1:
        return [""]
    paths = [container.name.rstrip("/") for container in containers]
    names = [os.path.basename(path) for path in paths]
    return [f"{name}/" for name in (names if len(set(names)) == len(names) else paths)]


def _graphs(given: Mapping[str, Graph] | Paths, dims: int) -> Iterator[dict[str, Any]]:
    """What is shown of graphs, by name or from files."""
    if isinstance(given, Mapping):
        for name, graph in given.items():
            yield drawn(name, graph.ids, graph.locations, graph.edge_array)
        return
    for path in listed(given):
        if os.fspath(path).lower().endswith(".csv"):
            yield _points_of(path, dims)
            continue
        found = [graph for container in find_containers(path) for graph in read_graphs(container)]
        if not found:
            raise StoreError(
                f"{os.fspath(path)} has no graph: looked for tables X-ids and X-locations, as a "
                "snapshot has them; points of a text file have to be in one that ends in .csv"
            )
        yield from found


def _points_of(path: str | os.PathLike[str], dims: int) -> dict[str, Any]:
    key = GraphKey("POINTS")
    source = CsvPointsSource(path, key, range(dims))
    with build(source):
        points = source.request_batch(BatchRequest({key: source.spec[key]}))[key]
    name = os.path.basename(os.fspath(path))
    return drawn(name, points.ids, points.locations, points.edge_array)
