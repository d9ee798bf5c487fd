"""What is made from labels, and arrays in voxels of another size."""

import voxflow as gp
from tests.nodes.cases.world import FLOAT, LABELS, MASK, NEW, RAW, SMALL, Case

OTHER = gp.ArrayKey("OTHER")
COARSE = gp.Roi((48, 24, 24), (32, 16, 16))

CASES = {
    "DownSample": Case(lambda: gp.DownSample(RAW, (1, 2, 4), NEW), (NEW, RAW), {NEW: COARSE}),
    "UpSample": Case(lambda: gp.UpSample(MASK, (1, 2, 4), NEW), (NEW, MASK), {NEW: SMALL}),
    "Resample": Case(
        lambda: gp.Resample(FLOAT, gp.Coordinate(8, 4, 1), NEW), (NEW, FLOAT), {NEW: COARSE}
    ),
    "Resample of labels": Case(
        lambda: gp.Resample(LABELS, gp.Coordinate(8, 2, 8), NEW), (NEW, LABELS), {NEW: COARSE}
    ),
    "ExcludeLabels": Case(
        lambda: gp.ExcludeLabels(LABELS, [2**63, 2**63 + 1, 5], NEW, 9),
        (LABELS, NEW),
        {NEW: SMALL},
    ),
    "RenumberConnectedComponents": Case(
        lambda: gp.RenumberConnectedComponents(LABELS), (LABELS, RAW)
    ),
    "LabelsToBoundary": Case(
        lambda: gp.LabelsToBoundary(LABELS, NEW, 2, axes=(1, 2)), (NEW, LABELS), {NEW: SMALL}
    ),
    "LabelsToClasses": Case(
        lambda: gp.LabelsToClasses(LABELS, NEW, one_hot=True), (NEW, LABELS), {NEW: SMALL}
    ),
    "AddDistances": Case(
        lambda: gp.AddDistances(LABELS, NEW, 20, signed=True), (NEW, LABELS), {NEW: SMALL}
    ),
    "AddDescriptors": Case(
        lambda: gp.AddDescriptors(LABELS, NEW, (8, 6, 6), downsample=2), (NEW, RAW), {NEW: SMALL}
    ),
    "AddMask": Case(lambda: gp.AddMask(LABELS, NEW, ignore=[2**63]), (NEW, RAW), {NEW: SMALL}),
    "HandleBlobs to ignore": Case(
        lambda: gp.HandleBlobs(LABELS, "ignore", mask=NEW, blob=2**63), (NEW, RAW), {NEW: SMALL}
    ),
    "HandleBlobs to remove": Case(
        lambda: gp.HandleBlobs(MASK, "remove", LABELS), (LABELS, MASK), {LABELS: SMALL}
    ),
    "HandleBlobs": Case(lambda: gp.HandleBlobs(MASK, "object"), (LABELS, MASK)),
    "AddBoundaryDistanceGradients": Case(
        lambda: gp.contrib.AddBoundaryDistanceGradients(LABELS, NEW, OTHER, normalize="l1"),
        (NEW, OTHER, LABELS),
        {NEW: SMALL},
    ),
    "PrepareMalis": Case(
        lambda: gp.contrib.PrepareMalis(LABELS, NEW, MASK), (NEW, RAW), {NEW: SMALL}
    ),
    "ZeroOutConstSections": Case(lambda: gp.contrib.ZeroOutConstSections(RAW), (RAW, LABELS)),
}
