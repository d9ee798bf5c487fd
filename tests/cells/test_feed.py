"""What a network is trained on: whole images that fit, their copies, and their targets."""

import imageio.v3 as imageio
import numpy as np
import pytest

import voxflow as vf
from tests.cells.drawn import folder
from voxflow.cells.feed import CLASSES, MASK, RAW, fitted, training_feed, validation_feed
from voxflow.cells.images import cell_pairs
from voxflow.pipeline.data import RunPosition

HOW = {"channels": 1, "trim_method": "padding", "blobs": "ignore", "normalize": "dtype"}
SHAPES = ((48, 40), (31, 37), (64, 64))


def batches(feed, count, seed=0):
    with vf.build(feed.pipeline, seed=seed):
        return [
            feed.pipeline.request_batch(feed.request.at(RunPosition(seed, n))) for n in range(count)
        ]


def written(path, image, labels):
    for part, data in (("images", image), ("labels", labels)):
        (path / part).mkdir()
        imageio.imwrite(path / part / "a.png", data)
    return [str(path)]


@pytest.mark.parametrize("trim_method", ["resize", "padding", "reflect"])
def test_images_of_all_sizes_are_trained_on(tmp_path, trim_method):
    where = folder(tmp_path, 3, SHAPES)
    how = {**HOW, "trim_method": trim_method}
    feed = training_feed(None, [where], im_dim=40, batch=3, augments=1, **how)
    for batch in batches(feed, 2):
        assert batch[RAW].shape == (3, 1, 40, 40)
        assert batch[CLASSES].shape == batch[MASK].shape == (3, 40, 40)
        assert batch[CLASSES].data.dtype == np.int64
        # Bright is where objects are, whatever was done to both.
        inside = batch[CLASSES].data == 1
        assert batch[RAW].data[:, 0][inside].mean() > 0.5


@pytest.mark.parametrize("shape", [(200, 200), (317, 211)])
def test_sizes_of_clb(tmp_path, shape):
    where = folder(tmp_path, 1, (shape,))
    feed = training_feed(None, [where], im_dim=256, batch=1, **{**HOW, "trim_method": "resize"})
    (batch,) = batches(feed, 1)
    assert batch[RAW].shape == (1, 1, 256, 256)


def test_an_epoch_has_each_image_and_its_copies(tmp_path):
    """Originals as they are, and copies that are not."""
    where = folder(tmp_path, 3, ((32, 32),))
    originals = batches(validation_feed(None, [where], im_dim=32, batch=3, **HOW), 1)[0][RAW].data
    assert len({image.tobytes() for image in originals}) == 3
    for augments, seen in ((0, [3, 0]), (2, [3, 6])):
        feed = training_feed(None, [where], im_dim=32, batch=3, augments=augments, **HOW)
        epoch = np.concatenate([b[RAW].data for b in batches(feed, 1 + augments)])
        same = [[bool((image == original).all()) for original in originals] for image in epoch]
        # A copy may be left as it is: each part is drawn with a probability of a half.
        assert np.sum(same, axis=0).min() >= 1
        copies = len(epoch) - np.any(same, axis=1).sum()
        assert len(epoch) == sum(seen)
        assert copies > 0 if augments else copies == 0


def test_blobs(tmp_path):
    """Label 1 is ignored, made black, or an object."""
    image = np.full((32, 32), 200, np.uint8)
    labels = np.zeros((32, 32), np.uint8)
    labels[4:12, 4:12], labels[16:28, 16:28] = 1, 2
    where = written(tmp_path, image, labels)
    blob = np.s_[0, 6:10, 6:10]
    found = {}
    for blobs in ("ignore", "remove", "object"):
        feed = validation_feed(None, where, im_dim=32, batch=1, **{**HOW, "blobs": blobs})
        (found[blobs],) = batches(feed, 1)
    assert not found["ignore"][MASK].data[blob].any()
    assert (found["ignore"][MASK].data == 0).sum() == 64
    assert not found["remove"][RAW].data[0][blob].any()
    for blobs in ("ignore", "remove"):
        assert not found[blobs][CLASSES].data[0, 2:14, 2:14].any()
    assert (found["ignore"][RAW].data[0][blob] > 0).all()
    assert (found["object"][CLASSES].data[blob] == 1).all()
    assert MASK not in found["object"]
    for batch in found.values():
        assert (batch[CLASSES].data[0, 18:26, 18:26] == 1).all()


def test_the_border_of_an_image_is_no_boundary(tmp_path):
    where = written(tmp_path, np.full((32, 32), 9, np.uint8), np.full((32, 32), 2, np.uint8))
    for trim_method in ("resize", "padding", "reflect"):
        how = {**HOW, "trim_method": trim_method}
        (batch,) = batches(validation_feed(None, where, im_dim=32, batch=1, **how), 1)
        assert (batch[CLASSES].data == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_intensities(tmp_path, dtype):
    """Of the type, or of each image: what is dark becomes as bright as what is not."""
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, top // 4, 32 * 32).reshape(32, 32).astype(dtype)
    where = written(tmp_path, ramp, np.full((32, 32), 2, np.uint8))
    tops = {}
    for normalize in ("dtype", "image"):
        how = {**HOW, "normalize": normalize}
        (batch,) = batches(validation_feed(None, where, im_dim=32, batch=1, **how), 1)
        tops[normalize] = batch[RAW].data.max()
    assert tops["dtype"] == pytest.approx(0.25, abs=0.01)
    assert tops["image"] == 1


@pytest.mark.parametrize("trim_method", ["padding", "reflect"])
@pytest.mark.parametrize("shape", [(31, 37), (48, 40), (70, 33)])
def test_fitting_is_undone_exactly(tmp_path, trim_method, shape):
    where = folder(tmp_path, 1, (shape,))
    ((image, _),) = cell_pairs([where], 1)
    source, fit = fitted(image, trim_method, 40, "dtype", period=8)
    pipeline = source + vf.FitBack(RAW, fit)
    with vf.build(pipeline, seed=0):
        whole = pipeline.request_batch(vf.BatchRequest({RAW: pipeline.spec[RAW].roi}))
        there = fit.spec[RAW].roi
    assert there.shape == tuple(max(40, -(-n // 8) * 8) for n in shape)
    np.testing.assert_allclose(whole[RAW].data * 255, image.pixels, atol=1e-3)


@pytest.mark.slow
def test_workers_make_the_same_batches(tmp_path):
    where = folder(tmp_path, 3, SHAPES)
    made = [
        batches(training_feed(None, [where], im_dim=32, batch=2, augments=2, workers=n, **HOW), 6)
        for n in (0, 2)
    ]
    for one, other in zip(*made, strict=True):
        for key in (RAW, CLASSES, MASK):
            np.testing.assert_array_equal(one[key].data, other[key].data)
