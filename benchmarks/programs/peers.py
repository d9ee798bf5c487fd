"""A patch that lies in memory, deformed and turned: libraries that work on the patch itself."""

import contextlib
import math

import numpy as np
from serve import serve

VOLUME, PICTURE = (64, 256, 256), (1024, 1024)
SPACING, SIGMA = 32, 2.0


class Peers:
    """Elastic deformation, rotation, flips, brighter or darker; always all of it."""

    def __init__(self, library):
        rng = np.random.default_rng(0)
        shape = PICTURE if library.__name__ == "albumentations" else VOLUME
        self.raw = rng.random(shape, np.float32)
        coarse = rng.integers(1, 500, [-(-n // 16) for n in shape])
        self.labels = coarse[np.ix_(*[np.arange(n) // 16 for n in shape])]
        self.augment = globals()[library.__name__](library, self.raw, self.labels)

    def run(self, count=1):
        for _ in range(count):
            self.augment()


def batchgeneratorsv2(library, raw, labels):
    """Fields from noise that is smoothed by Fourier transforms; nearest for labels."""
    import torch
    from batchgeneratorsv2.transforms.intensity.brightness import (
        MultiplicativeBrightnessTransform,
    )
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

    torch.set_num_threads(1)
    augment = ComposeTransforms(
        [
            SpatialTransform(
                VOLUME, 0, False, p_elastic_deform=1,
                elastic_deform_scale=SPACING / max(VOLUME), elastic_deform_magnitude=2 * SIGMA,
                p_rotation=1, rotation=(0, math.pi / 2), p_rot_per_axis=1, mode_seg="nearest",
            ),
            MirrorTransform((0, 1, 2)),
            MultiplicativeBrightnessTransform((0.9, 1.1), True),
        ]
    )  # fmt: skip
    image = torch.from_numpy(raw)[None]
    segmentation = torch.from_numpy(labels.astype(np.int32))[None]
    return lambda: augment(image=image, segmentation=segmentation)


def monai(library, raw, labels):
    """Fields from noise that is smoothed by convolution; nearest for labels."""
    import torch
    from monai.transforms import (
        Compose,
        Rand3DElasticd,
        RandFlipd,
        RandScaleIntensityd,
        RandShiftIntensityd,
    )

    torch.set_num_threads(1)
    keys = ["raw", "labels"]
    augment = Compose(
        [
            Rand3DElasticd(
                keys, (8, 8), (50, 100), prob=1, rotate_range=(0, 0, math.pi / 2),
                mode=["bilinear", "nearest"], padding_mode="border",
            ),
            *(RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandScaleIntensityd("raw", 0.1, prob=1),
            RandShiftIntensityd("raw", 0.1, prob=1),
        ]
    )  # fmt: skip
    there = {
        "raw": torch.from_numpy(raw)[None],
        "labels": torch.from_numpy(labels.astype(np.float32))[None],
    }
    return lambda: augment(dict(there))


def torchio(library, raw, labels):
    """Fields of B-splines, together with the rotation; nearest for labels."""
    import SimpleITK
    import torch

    torch.set_num_threads(1)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    points = tuple(max(5, n // SPACING) for n in VOLUME)
    brighter = library.Lambda(
        lambda x: x * np.random.uniform(0.9, 1.1) + np.random.uniform(-0.1, 0.1),
        types_to_apply=[library.INTENSITY],
    )
    augment = library.Compose(
        [
            library.RandomAffineElasticDeformation(
                affine_kwargs={"scales": 0, "degrees": (0, 90, 0, 0, 0, 0)},
                elastic_kwargs={"num_control_points": points, "max_displacement": 2 * SIGMA},
            ),
            library.RandomFlip((0, 1, 2), 0.5),
            brighter,
        ]
    )
    subject = library.Subject(
        raw=library.ScalarImage(tensor=torch.from_numpy(raw)[None]),
        labels=library.LabelMap(tensor=torch.from_numpy(labels.astype(np.int32))[None]),
    )
    return lambda: augment(subject)


def albumentations(library, raw, labels):
    """Pictures; what OpenCV offers."""
    import cv2

    cv2.setNumThreads(1)
    augment = library.Compose(
        [
            library.ElasticTransform(alpha=300, sigma=12, p=1),
            library.Rotate((0, 90), p=1),
            library.HorizontalFlip(p=0.5),
            library.VerticalFlip(p=0.5),
            library.RandomBrightnessContrast(0.1, 0.1, p=1),
        ]
    )
    mask = labels.astype(np.uint16)
    return lambda: augment(image=raw, mask=mask)


@contextlib.contextmanager
def open_work(library):
    yield Peers(library)


if __name__ == "__main__":
    serve(open_work)
