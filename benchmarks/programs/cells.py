"""Batches of cells with their targets: a training feed, or torch's loader with albumentations."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
from serve import serve

IMAGES, SIZE, BATCH, COPIES = 40, 256, 8, 4


def drawn():
    """Images, and labels of some twenty ellipses each."""
    place = np.indices((SIZE, SIZE))
    for seed in range(IMAGES):
        rng = np.random.default_rng(seed)
        labels = np.zeros((SIZE, SIZE), np.uint16)
        for label in range(2, 22):
            centre, size = rng.uniform(0, SIZE, 2), rng.uniform(8, 20, 2)
            labels[sum(((p - c) / s) ** 2 for p, c, s in zip(place, centre, size)) < 1] = label  # noqa: B905
        noise = rng.uniform(-20, 20, labels.shape)
        yield ((labels > 0) * 150 + 40 + noise).astype(np.uint8), labels


@contextlib.contextmanager
def voxflow(library, workers):
    """What `voxflow train cells` is fed with."""
    import imageio.v3 as imageio

    from voxflow.cells import training_feed
    from voxflow.pipeline.data import RunPosition

    with tempfile.TemporaryDirectory() as folder:
        for number, pair in enumerate(drawn()):
            for part, data in zip(("images", "labels"), pair, strict=True):
                (Path(folder) / part).mkdir(exist_ok=True)
                imageio.imwrite(f"{folder}/{part}/{number}.png", data)
        feed = training_feed(
            None, [folder], im_dim=SIZE, batch=BATCH, augments=COPIES, workers=workers,
            channels=1, trim_method="reflect", blobs="ignore", normalize="dtype",
        )  # fmt: skip
        with library.build(feed.pipeline, seed=0) as pipeline:
            keys = list(feed.request.array_specs)
            positions = (RunPosition(0, number) for number in range(10**9))

            def batch():
                made = pipeline.request_batch(feed.request.at(next(positions)))
                return [made[key].data for key in keys]

            yield batch


@contextlib.contextmanager
def albumentations(library, workers):
    """A Dataset of images in memory, and the same transforms and targets."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    border = {"border_mode": cv2.BORDER_REFLECT_101, "p": 0.5}
    augment = library.Compose(
        [
            library.HorizontalFlip(p=0.5),
            library.VerticalFlip(p=0.5),
            library.Affine(rotate=(0, 359), **border),
            library.Affine(scale=(0.8, 1.2), **border),
            library.Affine(shear=(-10, 10), **border),
            library.Affine(translate_percent=(-0.2, 0.2), **border),
        ]
    )
    loader = torch.utils.data.DataLoader(
        Images(augment), BATCH, shuffle=True, num_workers=workers, drop_last=True,
        persistent_workers=bool(workers),
    )  # fmt: skip

    def endless():
        while True:
            yield from loader

    batches = endless()
    yield lambda: [tensor.numpy() for tensor in next(batches)]


class Images:
    """Each image once as it is, and in copies: image, classes and mask."""

    def __init__(self, augment):
        self.augment, self.pairs = augment, list(drawn())

    def __len__(self):
        return IMAGES * (1 + COPIES)

    def __getitem__(self, number):
        turn, number = divmod(number, IMAGES)
        image, labels = self.pairs[number]
        if turn:
            made = self.augment(image=image, mask=labels)
            image, labels = made["image"], made["mask"]
        mask = (labels != 1).astype(np.uint8)
        labels = np.where(mask, labels, 0)  # what is too hard to annotate has no boundary
        return image[None].astype(np.float32) / 255, classes(labels), mask


def classes(labels):
    """Background, interior, and one pixel of boundary on each side."""
    edge = np.zeros(labels.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[one] != labels[other]
        edge[one] |= differ
        edge[other] |= differ
    return np.where(edge, 2, labels > 0).astype(np.int64)


class Cells:
    """Batches as they go into a network."""

    def __init__(self, batch):
        self.batch = batch

    def run(self, count=1):
        for _ in range(count):
            shapes = sorted(array.shape for array in self.batch())
        return [list(shape) for shape in shapes]


@contextlib.contextmanager
def open_work(library, workers=0):
    with globals()[library.__name__](library, workers) as batch:
        yield Cells(batch)


if __name__ == "__main__":
    serve(open_work)
