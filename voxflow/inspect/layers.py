"""Layers of neuroglancer: arrays by what they hold, and graphs."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any

import neuroglancer as ng
import numpy as np
from neuroglancer.chunks import encode_npz
from neuroglancer.local_volume import InvalidObjectIdForMesh, MeshesNotSupportedForVolume

from voxflow.inspect.values import SAMPLE_BYTES, summarise
from voxflow.inspect.volumes import read_coarse
from voxflow.pictures import value_range
from voxflow.pictures.ids import BACKGROUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.volumes import Level
    from voxflow.pictures import Style

__all__ = ["COARSEST", "Volume", "array_layer", "graph_layer", "is_coloured"]

logger = logging.getLogger(__name__)

COARSEST = 4
"""How much larger voxels become where there is no pyramid: 64 are read to show one."""

_LIMITS_BYTES = 1 << 23  # that are read to find from which value to which an image goes
_GREY = """#uicontrol invlerp shown
void main() {
  emitGrayscale(shown());
}
"""
_COLOURED = """#uicontrol invlerp shown(channel=0)
void main() {
  emitRGB(vec3(%s));
}
"""
_CYAN = "#00dcff"


class Volume(ng.LocalVolume):
    """An array that is read chunk by chunk, as the viewer asks for it.

    Surfaces are made of labels of up to 128 MiB, which are read whole when the first is wanted.

    Parameters
    ----------
    levels
        Of the array, finest first.
    space
        Names, scales and units of the axes.
    is_labels
        Whether values are ids.
    """

    def __init__(self, levels: Sequence[Level], space: Any, is_labels: bool) -> None:
        data = levels[0].data
        super().__init__(
            data,
            space,
            volume_type="segmentation" if is_labels else "image",
            max_downsampling=math.ceil(COARSEST**3 * levels[-1].factor),
        )
        self.levels = levels
        self.has_surfaces = is_labels and len(data.shape) == 3 and data.nbytes <= SAMPLE_BYTES
        self._making_surfaces = threading.Lock()

    def get_encoded_subvolume(
        self, data_format: str, start: Any, end: Any, scale_key: str
    ) -> tuple[bytes, str]:
        """Read a region, of a coarser level where there is one that is fine enough."""
        try:
            factors = [int(factor) for factor in scale_key.split(",")]
            if len(self.levels) > 1 and max(factors) > 1:
                data = read_coarse(self.levels, factors, start, end)
                return encode_npz(data), "application/octet-stream"
            read: tuple[bytes, str] = super().get_encoded_subvolume(
                data_format, start, end, scale_key
            )
            return read
        except Exception as error:  # each format and codec has errors of its own
            logger.warning("a region cannot be shown: %s", " ".join(str(error).split()))
            raise ValueError("cannot be read") from error

    def get_object_mesh(self, object_id: int) -> bytes:
        """Make the surface of an object; one at a time."""
        with self._making_surfaces:
            if not self.has_surfaces:
                raise MeshesNotSupportedForVolume
            try:
                mesh: bytes = super().get_object_mesh(object_id)
            except InvalidObjectIdForMesh:
                raise
            except Exception as error:
                self.has_surfaces = False  # after that neuroglancer would wait for ever
                logger.warning("no surfaces can be made: %s", " ".join(str(error).split()))
                raise MeshesNotSupportedForVolume from error
            return mesh


def is_coloured(array: StoredArray) -> bool:
    """Whether three channels are red, green and blue: of affinities, and of images of three."""
    channels = _channels(array)
    return channels == 3 if array.guess == "image" else array.guess == "affinities" and channels > 0


def _channels(array: StoredArray) -> int:
    """Entries along the last axis that does not lie in space; 0 if all do."""
    shape = array.dataset.shape
    return next((n for i, n in reversed(list(enumerate(shape))) if i not in array.spatial), 0)


def array_layer(
    array: StoredArray, levels: Sequence[Level], space: Any, matrix: Any, notes: list[str]
) -> Any:
    """The layer of an array: an image, in grey or colours, or a segmentation.

    Parameters
    ----------
    array
        The array.
    levels
        It and its coarser levels.
    space
        Names, scales and units of the axes of what ``levels`` read.
    matrix
        From voxels to places in that space, without the last row.
    notes
        What is odd is added to them.
    """
    is_labels = array.guess == "labels"
    volume = Volume(levels, space, is_labels)
    place = ng.CoordinateSpaceTransform(output_dimensions=space, matrix=matrix)
    source = ng.LayerDataSource(url=volume, transform=place)
    if is_labels:
        if not volume.has_surfaces:
            source.subsources["meshes"] = False
        empty = {np.uint64(BACKGROUNDS[1]): "#000000"}
        return ng.SegmentationLayer(source=source, selected_alpha=0.4, segment_colors=empty)
    limits = _limits(array, notes)
    return ng.ImageLayer(
        source=source,
        shader=_shader(array),
        shader_controls={} if limits is None else {"shown": {"range": limits}},
        opacity=1.0 if array.guess == "image" else 0.5,
    )


def _shader(array: StoredArray) -> str:
    if not is_coloured(array):
        return _GREY
    there = min(3, _channels(array))
    parts = [f"shown(getDataValue({i}))" for i in range(there)] + ["0.0"] * (3 - there)
    return _COLOURED % ", ".join(parts)


def _limits(array: StoredArray, notes: list[str]) -> list[float] | None:
    """From which value to which an image goes; None: of all that its type holds."""
    dtype = array.dataset.dtype
    if dtype == np.uint8:
        return None
    if dtype.kind == "b":
        return [0, 1]
    try:
        values = summarise(array, _LIMITS_BYTES)
    except Exception as error:  # each format and codec has errors of its own
        notes.append(f"{array.name} cannot be read: {' '.join(str(error).split())}")
        return None
    if values is None or values.low is None or values.high is None:
        return None
    style: Style = "affinities" if is_coloured(array) else "image"
    low, high = value_range(np.array([values.low, values.high]), style, clipped=0)
    return [low, high if high > low else low + 1]


def graph_layer(graph: dict[str, Any], space: Any) -> Any:
    """The layer of a graph: its nodes as points, its edges as lines.

    Parameters
    ----------
    graph
        As `voxflow.inspect.graphs.read_graphs` gives it.
    space
        Names, scales and units of the axes of its points.
    """
    points, ids = graph["points"], graph["ids"]
    nodes = [
        ng.PointAnnotation(id=node, description=node, point=point)
        for node, point in zip(ids, points, strict=True)
    ]
    lines = [
        ng.LineAnnotation(id=f"{ids[a]}-{ids[b]}", point_a=points[a], point_b=points[b])
        for a, b in graph["edges"]
    ]
    return ng.LocalAnnotationLayer(space, annotations=nodes + lines, annotation_color=_CYAN)
