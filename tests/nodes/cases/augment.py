"""The nodes of `voxflow.nodes.augment` with gunpowder's names."""

import voxflow as gp
from tests.nodes.cases.world import LABELS, MASK, MOVED, POINTS, RAW, SECTIONS, Case, in_voxels
from voxflow.testing import World


def alike(world):
    """Axes along which voxels are equally long, of all arrays: as many as there are."""
    sizes = [array.spec.voxel_size for array in world.arrays.values()]
    lengths = list(zip(*sizes, strict=True))
    return max(([a for a, n in enumerate(lengths) if n == m] for m in lengths), key=len)


def up_to_3(world):
    return min(world.ndim, 3)


def elastic(world, spatial_dims=None, **options):
    ndim = spatial_dims or up_to_3(world)
    size = world.voxel_size[-ndim:]
    return gp.ElasticAugment(
        (4,) * ndim, (0.5,) * ndim, (0, 0.1), spatial_dims=ndim, voxel_size=size, **options
    )


def deform(world, spatial_dims=None, **options):
    ndim = spatial_dims or up_to_3(world)
    spacing = in_voxels(world, 4)[-ndim:]
    sigma = [float(n) / 2 for n in world.voxel_size[-ndim:]]
    return gp.DeformAugment(spacing, sigma, (0.9, 1.1), spatial_dims=ndim, **options)


def shift(world, **options):
    sections = max(world.ndim - 3, 0)
    sigma = [0 if axis <= sections else 0.6 * float(n) for axis, n in enumerate(world.voxel_size)]
    return gp.ShiftAugment(0.3, 0.3, sigma, sections, **options)


def warp(kind, **options):
    """A function that makes a Warp for a world."""

    def make(world):
        return kind(spatial_dims=up_to_3(world), voxel_size=world.voxel_size, **options)

    return make


NEEDS_SECTIONS = "sections have two axes, and are misaligned against others"
# A point between two sections that are shifted apart is not where the image has it: so these
# are not "registered" to within a voxel.
KEEPS_IDS = ("keeps_ids",)

CASES = {
    "SimpleAugment": Case(
        lambda w: gp.SimpleAugment(transpose_only=alike(w), edges="clip"), promises=MOVED
    ),
    "SimpleAugment at times": Case(
        lambda w: gp.SimpleAugment(transpose_only=[], p=0.5), promises=MOVED
    ),
    "ElasticAugment": Case(elastic, promises=MOVED),
    "ElasticAugment of sections": Case(
        lambda w: elastic(w, spatial_dims=2, edges="drop"), promises=MOVED
    ),
    "ElasticAugment that misaligns": Case(
        lambda w: elastic(w, prob_slip=0.3, prob_shift=0.2, max_misalign=1, on_failure="reflect"),
        axes=SECTIONS,
        why=NEEDS_SECTIONS,
        promises=KEEPS_IDS,
    ),
    "DeformAugment": Case(lambda w: deform(w, rotate=False), promises=MOVED),
    "DeformAugment that turns": Case(
        lambda w: deform(w, edges="clip", on_failure="reflect"), promises=KEEPS_IDS
    ),
    # The total of what is asked for has to be a whole number of sections, of all arrays.
    "ShiftAugment": Case(shift, (RAW, World.floats, POINTS)),
    "ShiftAugment of labels": Case(shift, (LABELS, MASK), promises=KEEPS_IDS),
    "Warp as in ELEKTRONN 1": Case(warp(gp.Warp.elektronn1), promises=MOVED),
    "Warp as in ELEKTRONN 2": Case(
        warp(gp.Warp.elektronn2, amount=0.1, perspective=True, transpose=()), promises=MOVED
    ),
    "Warp as in gunpowder": Case(
        lambda w: gp.Warp.gunpowder(max_misalign=2, voxel_size=w.voxel_size, on_failure="reflect"),
        axes=SECTIONS,
        why=NEEDS_SECTIONS,
        promises=KEEPS_IDS,
    ),
    "Warp as with imgaug": Case(
        warp(gp.Warp.imgaug, elastic=True, on_failure="reflect"), promises=KEEPS_IDS
    ),
    "Warp that tries again": Case(
        warp(gp.Warp.elektronn1, p=0.7, on_failure="retry"), promises=MOVED
    ),
    "IntensityAugment": Case(lambda w: gp.IntensityAugment(w.floats, 0.9, 1.1, -0.1, 0.1)),
    "IntensityAugment of sections": Case(
        lambda w: gp.IntensityAugment(w.floats, 0.9, 1.1, -0.1, 0.1, z_section_wise=True)
    ),
    "NoiseAugment": Case(lambda w: gp.NoiseAugment(w.floats, var=0.001)),
    "GreyAugment": Case(lambda w: gp.GreyAugment(w.floats, per="section", mean_centred=True)),
    "GreyAugment in ELEKTRONN's way": Case(lambda w: gp.GreyAugment.elektronn(w.floats)),
    "DefectAugment": Case(
        lambda w: gp.DefectAugment(
            w.floats,
            prob_missing=0.2,
            prob_low_contrast=0.2,
            prob_deform=0.5,
            deformation_strength=3,
            axis=w.ndim - 3,
        ),
        axes=SECTIONS,
        why="a defect is one of a section, which has two axes",
    ),
    "Blur": Case(lambda w: gp.Blur(w.floats, (1, 2), unit="world")),
    "AddBlobs": Case(lambda w: gp.AddBlobs(w.floats)),
    "Erase": Case(lambda w: gp.Erase(w.floats)),
}
