"""Nodes that change values: defects, grey values, blur, and sizes that fit."""

import voxflow as gp
from tests.nodes.cases.world import FLOAT, LABELS, RAW, WORLD, Case

CASES = {
    "GreyAugment": Case(
        lambda: gp.GreyAugment(FLOAT, per="section", mean_centred=True), (FLOAT, RAW)
    ),
    "GreyAugment in ELEKTRONN's way": Case(lambda: gp.GreyAugment.elektronn(FLOAT), (FLOAT, RAW)),
    "DefectAugment": Case(
        lambda: gp.DefectAugment(
            FLOAT, prob_missing=0.2, prob_low_contrast=0.2, prob_deform=0.5, deformation_strength=3
        ),
        (FLOAT, RAW),
    ),
    "Blur": Case(lambda: gp.Blur(FLOAT, (1, 2), unit="world"), (FLOAT, RAW)),
    "AddBlobs": Case(lambda: gp.AddBlobs(FLOAT), (FLOAT, RAW)),
    "Erase": Case(lambda: gp.Erase(FLOAT), (FLOAT, LABELS)),
    "Normalize to mean 0": Case(
        lambda: gp.Normalize(
            RAW, mode="standardise", statistics=gp.Statistics(127.0, 70.0, 2.0, 250.0)
        ),
        (RAW, LABELS),
    ),
    "FitToSize": Case(
        lambda: gp.FitToSize(RAW, (22, 45, 41), "reflect"), (RAW, LABELS), {RAW: WORLD}
    ),
}
