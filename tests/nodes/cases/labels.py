"""The nodes of `voxflow.nodes.labels`: what is made from labels, and labels that are changed."""

import voxflow as gp
from tests.nodes.cases.world import LOCAL, OTHER, SECTIONS, Case, in_voxels

KEPT = ("local", "keeps_ids")


def steps(world):
    """Neighbours along the first axis, and two voxels along the last."""
    zeros = (0,) * (world.ndim - 1)
    return [(-1, *zeros), (*zeros, 2)]


def far(world, voxels):
    """The length of that many voxels of the labels, along the axis where they are shortest."""
    return voxels * min(in_voxels(world, 1, world.labels))


def descriptors(world):
    sigma = [float(n) for n in in_voxels(world, 1, world.labels)]
    return gp.AddDescriptors(world.labels, world.new, sigma, downsample=2)


CASES = {
    "GrowBoundary": Case(
        lambda w: gp.GrowBoundary(w.labels, w.mask, 2, only_xy=True), promises=("keeps_ids",)
    ),
    "GrowBoundary with context": Case(
        lambda w: gp.GrowBoundary(w.labels, steps=2, context=True), promises=KEPT
    ),
    "AddAffinities": Case(
        lambda w: gp.AddAffinities(
            steps(w), w.labels, w.new, labels_mask=w.mask, affinities_mask=OTHER
        ),
        promises=KEPT,
    ),
    "BalanceLabels": Case(lambda w: gp.BalanceLabels(w.mask, w.new)),
    "BalanceLabels of sections": Case(
        lambda w: gp.BalanceLabels(w.mask, w.new, w.mask, slab=(1, *(-1,) * (w.ndim - 1)))
    ),
    "ExcludeLabels": Case(
        lambda w: gp.ExcludeLabels(w.labels, [2**63, 7], w.new, far(w, 1.5)), promises=KEPT
    ),
    "RenumberConnectedComponents": Case(lambda w: gp.RenumberConnectedComponents(w.labels)),
    "LabelsToBoundary": Case(
        lambda w: gp.LabelsToBoundary(w.labels, w.new, 2, axes=(w.ndim - 2, w.ndim - 1)),
        promises=KEPT,
    ),
    "LabelsToClasses": Case(
        lambda w: gp.LabelsToClasses(w.labels, w.new, one_hot=True), promises=KEPT
    ),
    "AddDistances": Case(
        lambda w: gp.AddDistances(w.labels, w.new, far(w, 2.5), signed=True), promises=KEPT
    ),
    "AddDescriptors": Case(
        descriptors,
        axes=("yx", "zyx", "czyx"),
        why="descriptors are those of 2 or 3 axes",
        promises=KEPT,
    ),
    "AddMask": Case(lambda w: gp.AddMask(w.labels, w.new, ignore=[2**63]), promises=KEPT),
    "HandleBlobs to ignore": Case(
        lambda w: gp.HandleBlobs(w.labels, "ignore", mask=w.new, blob=2**63), promises=LOCAL
    ),
    "HandleBlobs to remove": Case(
        lambda w: gp.HandleBlobs(w.mask, "remove", w.labels), promises=LOCAL
    ),
    "HandleBlobs": Case(lambda w: gp.HandleBlobs(w.mask, "object"), promises=LOCAL),
    "AddBoundaryDistanceGradients": Case(
        lambda w: gp.contrib.AddBoundaryDistanceGradients(
            w.labels, w.new, OTHER, normalize="l1", max_distance=far(w, 2.5)
        ),
        promises=KEPT,
    ),
    "PrepareMalis": Case(
        lambda w: gp.contrib.PrepareMalis(w.labels, w.new, w.mask), promises=("keeps_ids",)
    ),
    "ZeroOutConstSections": Case(
        lambda w: gp.contrib.ZeroOutConstSections(w.raw),
        axes=SECTIONS[:2],
        why="gunpowder's works on sections of three axes",
    ),
}
