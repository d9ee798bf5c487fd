"""What a newcomer reads after a mistake: one message that says what to do.

Each function makes one mistake in a tiny pipeline. What Python prints at the end of the traceback,
notes included, is compared with ``tests/mistakes/<name>.txt``. After a text was improved, write it
anew with ``VOXFLOW_WRITE_MISTAKES=1 pytest tests/test_mistakes.py`` and read the difference.
"""

import os
import re
import traceback
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp

FOLDER = Path(__file__).with_name("mistakes")
RAW, LABELS, MASK = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("MASK")
AFFINITIES, SCALES = gp.ArrayKey("AFFINITIES"), gp.ArrayKey("SCALES")
MISTAKES = {}


def mistake(function):
    """Tell the tests of a mistake."""
    MISTAKES[function.__name__] = function
    return function


def volume(key=RAW, shape=(10, 20), voxel_size=(40, 4), data=None, **spec):
    """A small volume in memory, at the origin."""
    data = np.zeros(shape, "uint8") if data is None else data
    roi = gp.Roi((0,) * len(voxel_size), gp.Coordinate(data.shape) * gp.Coordinate(voxel_size))
    return gp.ArraySource(key, gp.Array(data, gp.ArraySpec(roi, voxel_size, **spec)))


def ask(*keys, offset=(40, 4), shape=(80, 8), **specs):
    return gp.BatchRequest({key: gp.Roi(offset, shape) for key in keys or (RAW,)}, **specs)


def run(pipeline, request=None):
    with gp.build(pipeline, seed=1) as built:
        return built.request_batch(ask() if request is None else request)


def hdf5(folder, data=None, name="volumes/raw", **attrs):
    """A file with one dataset."""
    path = folder / "sample.hdf"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            name, data=np.zeros((10, 20), "uint8") if data is None else data
        )
        dataset.attrs.update(attrs)
    return path


# -- keys and requests ----------------------------------------------------------------------------


@mistake
def wrong_key(folder):
    run(volume() + gp.Normalize(RAW), ask(LABELS))


@mistake
def key_with_a_slip(folder):
    run((volume(RAW), volume(LABELS)) + gp.MergeProvider(), ask(gp.ArrayKey("LABLES")))


@mistake
def graph_key_for_an_array(folder):
    run(volume(), gp.BatchRequest({gp.GraphKey("RAW"): gp.Roi((40, 4), (80, 8))}))


@mistake
def text_for_a_key(folder):
    request = gp.BatchRequest()
    request.add("RAW", (80, 8))


@mistake
def request_without_region(folder):
    run(volume(), gp.BatchRequest({RAW: gp.ArraySpec(voxel_size=(40, 4))}))


@mistake
def channels_in_the_request(folder):
    run(volume(), gp.BatchRequest({RAW: gp.Roi((0, 0, 0), (1, 80, 8))}))


@mistake
def voxels_for_world_units(folder):
    """Ten by twenty voxels are asked for as if a voxel were one unit."""
    run(volume() + gp.Normalize(RAW), gp.BatchRequest({RAW: gp.Roi((0, 0), (10, 20))}))


@mistake
def size_off_the_voxel_grid(folder):
    run(volume(voxel_size=(9.8, 9.8)), gp.BatchRequest({RAW: gp.Roi((0, 0), (49, 100))}))


@mistake
def size_with_rounding(folder):
    run(volume(voxel_size=(9.8, 9.8)), gp.BatchRequest({RAW: gp.Roi((0, 0), (49, 9.8 * 6))}))


@mistake
def sizes_that_differ_by_an_odd_number_of_voxels(folder):
    request = gp.BatchRequest()
    request.add(RAW, (200, 20))
    request.add(LABELS, (80, 8))
    run((volume(RAW), volume(LABELS)) + gp.MergeProvider(), request)


@mistake
def another_voxel_size(folder):
    run(volume(), gp.BatchRequest({RAW: gp.ArraySpec(gp.Roi((40, 4), (80, 8)), (4, 4))}))


@mistake
def request_larger_than_the_volume(folder):
    run(volume() + gp.Normalize(RAW) + gp.SimpleAugment(), ask(shape=(400, 80)))


@mistake
def several_mistakes_at_once(folder):
    request = ask(RAW, offset=(0, 0), shape=(90, 8))
    request[LABELS] = gp.Roi((0, 0), (800, 8))
    request[MASK] = gp.Roi((0, 0), (80, 8))
    run((volume(RAW), volume(LABELS)) + gp.MergeProvider() + gp.Normalize(RAW), request)


@mistake
def context_beyond_the_volume(folder):
    add = gp.AddAffinities([[-2, 0], [0, -3]], LABELS, AFFINITIES)
    run(volume(LABELS) + gp.Pad(LABELS, (40, 4)) + add, ask(AFFINITIES, offset=(0, 0)))


@mistake
def request_outside_of_build(folder):
    pipeline = volume() + gp.Normalize(RAW)
    pipeline.request_batch(ask())


@mistake
def request_of_a_build_without_with(folder):
    gp.build(volume()).request_batch(ask())


@mistake
def dictionary_for_a_request(folder):
    run(volume(), {RAW: gp.Roi((40, 4), (80, 8))})


@mistake
def two_and_three_dimensions(folder):
    request = gp.BatchRequest()
    request.add(RAW, (10, 80, 8))
    request.add(LABELS, (80, 8))


# -- files ----------------------------------------------------------------------------------------


@mistake
def missing_file(folder):
    run(gp.Hdf5Source(folder / "sample.hdf", {RAW: "volumes/raw"}))


@mistake
def missing_dataset(folder):
    run(gp.Hdf5Source(hdf5(folder, resolution=(40, 4)), {RAW: "volumes/rwa"}))


@mistake
def file_without_voxel_size(folder):
    run(gp.Hdf5Source(hdf5(folder), {RAW: "volumes/raw"}))


@mistake
def file_that_contradicts_itself(folder):
    path = hdf5(folder, resolution=(40, 4), voxel_size=(30, 3))
    run(gp.Hdf5Source(path, {RAW: "volumes/raw"}))


@mistake
def another_dtype_than_the_file(folder):
    spec = gp.ArraySpec(dtype="float32")
    path = hdf5(folder, resolution=(40, 4))
    run(gp.Hdf5Source(path, {RAW: "volumes/raw"}, {RAW: spec}))


@mistake
def missing_chunk(folder):
    path = folder / "sample.zarr"
    array = zarr.create_array(path, name="raw", shape=(10, 20), chunks=(5, 5), dtype="uint8")
    array.attrs["resolution"] = (40, 4)
    array.attrs["offset"] = (0, 0)
    array[:5] = 1
    run(gp.ZarrSource(path, {RAW: "raw"}) + gp.Normalize(RAW), ask(shape=(320, 16)))


@mistake
def two_writers_on_one_dataset(folder):
    one, two = (gp.ZarrWrite({key: "out"}, folder, "out.zarr") for key in (RAW, LABELS))
    run((volume(RAW), volume(LABELS)) + gp.MergeProvider() + one + two, ask(RAW, LABELS))


@mistake
def output_of_another_dtype(folder):
    path = hdf5(folder, np.zeros((10, 20), "uint8"), "out", resolution=(40, 4), offset=(0, 0))
    write = gp.Hdf5Write({RAW: "out"}, folder, path.name, dataset_dtypes={RAW: "float32"})
    run(volume(data=np.zeros((10, 20), "float32")) + write)


# -- locations ------------------------------------------------------------------------------------


@mistake
def volume_too_small_for_a_random_location(folder):
    run(volume() + gp.RandomLocation() + gp.Normalize(RAW), ask(shape=(440, 8)))


@mistake
def mask_that_cannot_be_met(folder):
    mask = np.zeros((10, 20), "uint8")
    mask[:2, :3] = 1
    sources = (volume(RAW), volume(MASK, data=mask)) + gp.MergeProvider()
    run(sources + gp.RandomLocation(min_masked=0.5, mask=MASK), ask(RAW, MASK, shape=(160, 16)))


@mistake
def rejected_for_ever(folder):
    run(volume() + gp.Reject(RAW, min_masked=0.5))


# -- putting nodes together -----------------------------------------------------------------------


@mistake
def node_used_twice(folder):
    normalize = gp.Normalize(RAW)
    run(volume() + normalize + gp.SimpleAugment() + normalize)


@mistake
def node_in_two_pipelines(folder):
    source = volume()
    train, validate = source + gp.RandomLocation(), source + gp.Normalize(RAW)
    with gp.build(train), gp.build(validate):
        pass


@mistake
def list_for_a_tuple(folder):
    [volume(RAW), volume(LABELS)] + gp.MergeProvider()


@mistake
def source_after_a_source(folder):
    run(volume(RAW) + volume(LABELS))


@mistake
def class_for_a_node(folder):
    run(volume() + gp.SimpleAugment)


@mistake
def several_inputs_without_merge_provider(folder):
    run((volume(RAW), volume(LABELS)) + gp.Normalize(RAW))


@mistake
def no_source(folder):
    run(gp.Normalize(RAW) + gp.SimpleAugment())


@mistake
def one_key_from_two_inputs(folder):
    run((volume(RAW), volume(RAW)) + gp.MergeProvider())


@mistake
def probabilities_of_another_length(folder):
    run((volume(), volume()) + gp.RandomProvider([0.2, 0.3, 0.5]))


# -- nodes ----------------------------------------------------------------------------------------


@mistake
def normalize_of_int64(folder):
    run(volume(data=np.zeros((10, 20), "int64")) + gp.Normalize(RAW))


@mistake
def intensities_of_uint8(folder):
    run(volume() + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1))


@mistake
def intensities_outside_of_0_to_1(folder):
    image = np.full((10, 20), 200, "float32")
    run(volume(data=image) + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1))


@mistake
def transpose_of_axes_with_other_voxels(folder):
    run(volume() + gp.SimpleAugment())


@mistake
def affinities_of_another_dimension(folder):
    vectors = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    run(volume(LABELS) + gp.AddAffinities(vectors, LABELS, AFFINITIES), ask(AFFINITIES))


@mistake
def labels_that_are_no_classes(folder):
    labels = np.arange(200).reshape(10, 20)
    run(volume(LABELS, data=labels) + gp.BalanceLabels(LABELS, SCALES), ask(SCALES))


@mistake
def pad_off_the_voxel_grid(folder):
    run(volume() + gp.Pad(RAW, (50, 4)))


@mistake
def crop_outside_of_the_volume(folder):
    run(volume() + gp.Crop(RAW, gp.Roi((0, 0), (480, 80))))


@mistake
def squeeze_of_a_spatial_axis(folder):
    run(volume() + gp.Squeeze([RAW]))


@mistake
def scan_with_blocks_larger_than_the_volume(folder):
    run(volume() + gp.Scan(ask(shape=(480, 8))), gp.BatchRequest())


class Mean(gp.BatchFilter):
    """A node of the user's own."""

    def process(self, batch, request):
        data = batch[RAW].data
        batch[RAW].data = data.reshape(3, 7)


@mistake
def own_node_that_raises(folder):
    run(volume() + gp.Normalize(RAW) + Mean() + gp.IntensityScaleShift(RAW, 2, -1))


class Thumbnail(gp.BatchFilter):
    """Makes data smaller and does not say so."""

    def process(self, batch, request):
        batch[RAW].data = batch[RAW].data[::2, ::2]


@mistake
def own_node_that_changes_the_shape(folder):
    run(volume() + Thumbnail() + gp.Normalize(RAW))


# -- training -------------------------------------------------------------------------------------


def net():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch.nn.Conv2d(1, 1, 1)


def train(folder, model=None, loss=None, **options):
    import torch

    model = net() if model is None else model
    prediction = gp.ArrayKey("PREDICTION")
    node = gp.torch.Train(
        model,
        loss or torch.nn.MSELoss(),
        torch.optim.SGD(model.parameters(), 0.1),
        inputs={0: RAW},
        outputs={0: prediction},
        loss_inputs={0: prediction, 1: LABELS},
        checkpoint_basename=str(folder / "model"),
        **options,
    )
    sources = (volume(RAW), volume(LABELS)) + gp.MergeProvider()
    nodes = gp.Normalize(RAW) + gp.AsType(LABELS, "float32")
    return sources + nodes + gp.Unsqueeze([RAW, LABELS]) + gp.Stack(2) + node


@mistake
def training_without_the_labels(folder):
    run(train(folder, device="cpu"), ask(RAW))


@mistake
def loss_that_is_not_a_number(folder):
    def loss(prediction, labels):
        return (prediction - prediction).sum() / 0

    run(train(folder, loss=loss, device="cpu"), ask(RAW, LABELS))


@mistake
def cuda_that_is_not_there(folder):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    train(folder, device="cuda")


@mistake
def checkpoint_of_another_model(folder):
    import torch

    run(train(folder, device="cpu", save_every=1), ask(RAW, LABELS))
    run(train(folder, torch.nn.Conv2d(1, 2, 3), device="cpu"), ask(RAW, LABELS))


@mistake
def resume_with_another_seed(folder):
    run(train(folder, device="cpu", save_every=1), ask(RAW, LABELS))
    with gp.build(train(folder, device="cpu"), seed=2):
        pass


@mistake
def prediction_without_its_checkpoint(folder):
    made = {0: gp.ArrayKey("PREDICTION")}
    checkpoint = folder / "model_checkpoint_1000"
    run(volume() + gp.torch.Predict(net(), {0: RAW}, made, checkpoint=checkpoint, device="cpu"))


# -- the comparison -------------------------------------------------------------------------------


def message(function, folder):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, is in the text
        function(folder)
    text = "".join(traceback.format_exception_only(caught.value))
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"0x[0-9a-f]+", "0x...", text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message(name, tmp_path):
    text = message(MISTAKES[name], tmp_path)
    path = FOLDER / f"{name}.txt"
    if os.environ.get("VOXFLOW_WRITE_MISTAKES"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_text_has_its_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)
    assert len(MISTAKES) >= 30
