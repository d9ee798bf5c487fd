"""Nodes that write images with pyramids."""

import voxflow as gp
from tests.nodes.cases.flow import written
from tests.nodes.cases.world import FOLDER, RAW, Case

CASES = {
    "OmeZarrWrite": Case(
        lambda w: gp.OmeZarrWrite({w.raw: "image"}, FOLDER / written("ome.zarr")),
        (RAW,),
        axes=("yx", "zyx", "czyx"),
        why="OME-Zarr has at most three spatial axes",
    ),
}
