"""Pipelines that a configuration describes."""

import logging

import numpy as np
import pytest
import torch

import voxflow as vf
from voxflow.stores import Geometry, create_dataset
from voxflow.training.config.schema import DataSection, ValidationSection
from voxflow.training.parts.feeds import AFFINITIES, LABELS, RAW, WEIGHTS, Feed, make_feed

RNG = np.random.default_rng(0)


def saved(path, name, data, voxel_size):
    place = Geometry(vf.Coordinate(voxel_size), vf.Coordinate(0 for _ in voxel_size))
    stored = create_dataset(path, name, data.shape, data.dtype, geometry=place)
    stored.write(tuple(slice(0, n) for n in data.shape), data)
    return str(path), name


def pair(folder, shape, *, channels=(), voxel_size=None, name="a"):
    """Labels, and an image whose values are those of the labels."""
    voxel_size = voxel_size or (4,) * len(shape)
    labels = RNG.integers(0, 5, shape).astype(np.uint64)
    raw = np.broadcast_to(labels, (*channels, *shape)).astype(np.uint8) * 51
    file = folder / f"{name}.zarr"
    return {
        "raw": saved(file, "raw", raw, voxel_size),
        "labels": saved(file, "labels", labels, voxel_size),
    }


def batch_of(feed, seed=0):
    with vf.build(feed.pipeline, seed=seed):
        return feed.pipeline.request_batch(feed.request)


@pytest.mark.parametrize(
    ("shape", "channels", "voxel_size", "kind"),
    [
        ((30, 31), (), (4, 3), torch.nn.Conv2d),
        ((30, 31), (2,), (4, 3), torch.nn.Conv2d),
        ((9, 20, 21), (), (40, 4, 4), torch.nn.Conv3d),
        ((9, 20, 21), (3,), (40, 4, 4), torch.nn.Conv3d),
    ],
)
def test_what_the_loss_sees_lies_in_the_middle_of_what_the_network_sees(
    tmp_path, shape, channels, voxel_size, kind
):
    dims = len(shape)
    wanted = [7, 9, 11][-dims:]
    data = DataSection(
        pairs=[pair(tmp_path, shape, channels=channels, voxel_size=voxel_size)],
        input_shape=wanted,
        batch_size=3,
        augment={"SimpleAugment": {"transpose_only": []}},
    )
    count = channels[0] if channels else 1
    feed = make_feed(data, data, kind(count, 5, 3), train=True)
    batch = batch_of(feed)
    raw, labels = batch[RAW].data, batch[LABELS].data
    assert raw.shape == (3, count, *wanted)
    assert labels.shape == (3, *(n - 2 for n in wanted))
    assert (raw.dtype, labels.dtype) == (np.float32, np.int64)
    inner = (slice(None), 0, *(slice(1, -1) for _ in wanted))
    np.testing.assert_allclose(raw[inner] * 5, labels, atol=1e-5)
    assert len({sample.tobytes() for sample in labels}) == 3


def test_labels_as_values_have_a_channel(tmp_path):
    data = DataSection(pairs=[pair(tmp_path, (30, 30))], input_shape=[9, 9], target="values")
    feed = make_feed(data, data, torch.nn.Conv2d(1, 1, 3), train=True)
    batch = batch_of(feed)
    assert batch[LABELS].data.shape == (1, 1, 7, 7)
    assert batch[LABELS].data.dtype == np.float32
    prediction = torch.nn.Conv2d(1, 1, 3)(torch.from_numpy(batch[RAW].data))
    assert prediction.shape == batch[LABELS].data.shape


def test_affinities_and_their_weights(tmp_path):
    data = DataSection(
        pairs=[pair(tmp_path, (30, 30))],
        input_shape=[9, 9],
        target="affinities",
        neighborhood=[[-1, 0], [0, -1], [-2, 1]],
        balance=True,
        batch_size=2,
    )
    feed = make_feed(data, data, torch.nn.Conv2d(1, 3, 3), train=True)
    batch = batch_of(feed)
    assert batch[AFFINITIES].data.shape == batch[WEIGHTS].data.shape == (2, 3, 7, 7)
    assert batch[AFFINITIES].data.dtype == np.float32
    assert set(np.unique(batch[AFFINITIES].data)) == {0.0, 1.0}
    assert list(feed.loss_inputs.values())[1:] == [AFFINITIES, WEIGHTS]


def test_several_pairs_are_drawn_from(tmp_path):
    pairs = [pair(tmp_path, (20, 20), name=name) for name in "ab"]
    blank = np.zeros((20, 20), np.uint8)
    pairs.append({**pairs[0], "raw": saved(tmp_path / "c.zarr", "raw", blank, (4, 4))})
    data = DataSection(pairs=pairs, input_shape=[7, 7])
    feed = make_feed(data, data, torch.nn.Conv2d(1, 5, 3), train=True)
    with vf.build(feed.pipeline, seed=0):
        blanks = [not feed.pipeline.request_batch(feed.request)[RAW].data.any() for _ in range(30)]
    assert 0 < sum(blanks) < 30


def test_files_may_be_kept_in_memory(tmp_path):
    options = {"pairs": [pair(tmp_path, (20, 20))], "input_shape": [7, 7]}
    batches, kept = [], []
    for cache in (None, 0, "ram"):
        data = DataSection(**options, cache=cache)
        feed = make_feed(data, data, torch.nn.Conv2d(1, 5, 3), train=True)
        batches.append(batch_of(feed)[RAW].data)
        kept += [node.cache for node in feed.pipeline.nodes() if hasattr(node, "cache")]
    assert np.array_equal(batches[0], batches[1])
    assert np.array_equal(batches[0], batches[2])
    assert kept == [None, None, 0, 0, "ram", "ram"]


def test_validation_is_not_augmented(tmp_path):
    blank = np.full((40, 40), 100, np.uint8)
    one = pair(tmp_path, (40, 40))
    one["raw"] = saved(tmp_path / "b.zarr", "raw", blank, (4, 4))
    data = DataSection(
        pairs=[one],
        input_shape=[9, 9],
        augment={"IntensityAugment": dict(scale_min=1, scale_max=1, shift_min=0.2, shift_max=0.2)},
    )
    model = torch.nn.Conv2d(1, 5, 3)
    section = ValidationSection(pairs=[one])
    value = {
        train: batch_of(make_feed(section, data, model, train=train))[RAW].data.mean()
        for train in (True, False)
    }
    assert value[False] == pytest.approx(100 / 255)
    assert value[True] == pytest.approx(100 / 255 + 0.2)


def test_nodes_that_move_voxels_are_told_how_many_axes_there_are(tmp_path):
    data = DataSection(
        pairs=[pair(tmp_path, (60, 60))],
        input_shape=[9, 9],
        augment={
            "ElasticAugment": dict(
                control_point_spacing=[8, 8], jitter_sigma=[1, 1], rotation_interval=[0, 1]
            ),
            "GreyAugment": {},
        },
    )
    feed = make_feed(data, data, torch.nn.Conv2d(1, 5, 3), train=True)
    assert batch_of(feed)[LABELS].data.shape == (1, 7, 7)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_folders_of_images(tmp_path, channels):
    """A PNG file, and a stack of two images of another size, in a folder each."""
    import imageio.v3 as imageio
    import tifffile

    values = {"one": RNG.integers(1, 5, (20, 31)), "two": RNG.integers(1, 5, (2, 33, 24))}
    for name, labels in values.items():
        raw = np.broadcast_to(labels[..., None], (*labels.shape, *channels)) if channels else labels
        for part, data in (("images", (raw * 51).astype(np.uint8)), ("labels", labels)):
            folder = tmp_path / name / part
            folder.mkdir(parents=True)
            if name == "one":
                imageio.imwrite(folder / "a.png", data.astype(np.uint8))
            else:
                kind = "rgb" if data.shape[-1] == 3 else "minisblack"
                tifffile.imwrite(folder / "a.tif", data.astype(np.uint8), photometric=kind)
    folders = [str(tmp_path / name) for name in values]
    data = DataSection(folders=folders, input_shape=[7, 9], batch_size=6)
    feed = make_feed(data, data, torch.nn.Conv2d(3 if channels else 1, 5, 3), train=True)
    batch = batch_of(feed)
    raw, labels = batch[RAW].data, batch[LABELS].data
    assert raw.shape == (6, 3 if channels else 1, 7, 9)
    for channel in range(raw.shape[1]):
        np.testing.assert_allclose(raw[:, channel, 1:-1, 1:-1] * 5, labels, atol=1e-5)
    (tmp_path / "two" / "labels" / "a.tif").unlink()
    with pytest.raises(OSError, match="there are no images in"):
        make_feed(data, data, torch.nn.Conv2d(3 if channels else 1, 5, 3), train=True)


def test_workers_make_the_same_batches(tmp_path):
    data = DataSection(pairs=[pair(tmp_path, (30, 30))], input_shape=[9, 9])
    model = torch.nn.Conv2d(1, 5, 3)
    alone = make_feed(data, data, model, train=True)
    helped = data.model_copy(update={"workers": 1, "cache_size": 2})
    helped = make_feed(helped, helped, model, train=True)
    found = []
    for feed in (alone, helped):
        with vf.build(feed.pipeline, seed=3):
            batches = [feed.pipeline.request_batch(feed.request) for _ in range(3)]
        found.append([batch[RAW].data.tobytes() for batch in batches])
    assert found[0] == found[1]


def test_a_size_that_the_network_does_not_take_is_told(tmp_path, caplog):
    data = DataSection(pairs=[pair(tmp_path, (30, 30))], input_shape=[9, 9])
    options = dict(fmaps=2, downsample=[[2, 2]])
    with caplog.at_level(logging.WARNING):
        feed = make_feed(data, data, vf.models.UNet(1, 2, **options), train=True)
    assert "the network takes no (9, 9) voxels; patches have" in caplog.text
    assert feed.request[RAW].roi.shape != (36, 36)


def test_what_does_not_fit_is_told(tmp_path):
    one = pair(tmp_path, (30, 30))
    data = DataSection(pairs=[one], input_shape=[9, 9, 9])
    with pytest.raises(ValueError, match=r"has the shape \(30, 30\)"):
        make_feed(data, data, torch.nn.Conv3d(1, 5, 3), train=True)
    data = DataSection(pairs=[one], input_shape=[8, 8])
    with pytest.raises(ValueError, match="a pipeline of your own"):
        make_feed(data, data, torch.nn.Conv2d(1, 5, 2, stride=2), train=True)
    data = DataSection(pairs=[one], input_shape=[9, 9], augment={"GreyAugment": {"gian": 1}})
    with pytest.raises(TypeError, match="gian") as caught:
        make_feed(data, data, torch.nn.Conv2d(1, 5, 3), train=True)
    assert "data.augment.GreyAugment calls GreyAugment" in caught.value.__notes__[0]


def test_a_file_without_a_voxel_size(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["labels"] = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    name = str(tmp_path / "a.h5")
    options = dict(pairs=[{"raw": (name, "raw"), "labels": (name, "labels")}], input_shape=[5, 5])
    model = torch.nn.Conv2d(1, 2, 3)
    data = DataSection(**options)
    with pytest.raises(Exception, match="voxel"):
        make_feed(data, data, model, train=True)
    data = DataSection(**options, voxel_size="ones")
    assert batch_of(make_feed(data, data, model, train=True))[RAW].data.shape == (1, 1, 5, 5)


SCRIPT = """
import numpy as np, voxflow as vf
from voxflow.training import Feed
from voxflow.training.parts.feeds import RAW, LABELS

def feed(model, size):
    shape = vf.ArraySpec(voxel_size=(1, 1))
    source = vf.ArraySource(RAW, np.zeros((9, 9), np.float32), spec=shape)
    request = vf.BatchRequest()
    request.add(RAW, (size, size))
    return Feed(source + vf.Unsqueeze([RAW]), request, loss_inputs={0: RAW})

def nothing(model):
    return 3
"""


def test_a_pipeline_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    data = DataSection(pipeline=f"{tmp_path}/mine.py:feed", options={"size": 6})
    feed = make_feed(data, data, torch.nn.Conv2d(1, 1, 3), train=True)
    assert isinstance(feed, Feed)
    assert batch_of(feed)[RAW].data.shape == (1, 6, 6)
    data = DataSection(pipeline=f"{tmp_path}/mine.py:nothing")
    with pytest.raises(TypeError, match="gave a int; it should give"):
        make_feed(data, data, torch.nn.Conv2d(1, 1, 3), train=True)
