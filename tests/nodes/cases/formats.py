"""Nodes for whatever format there is, and for channels that come from several files."""

import voxflow as gp
from tests.nodes.cases.flow import stored, written
from tests.nodes.cases.world import FOLDER, MASK, RAW, Case

CHANNELS = gp.ArrayKey("CHANNELS")

CASES = {
    "DatasetSource": Case(lambda w: gp.DatasetSource(*stored(w, "n5")), promises=("local",)),
    "DatasetWrite": Case(
        lambda w: gp.DatasetWrite({w.raw: "raw"}, FOLDER / written("n5")), (RAW, MASK)
    ),
    "StackChannels": Case(
        lambda w: gp.StackChannels([w.raw, w.raw], CHANNELS), (CHANNELS,), promises=("local",)
    ),
}
