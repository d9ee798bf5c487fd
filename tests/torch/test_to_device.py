"""What nobody has looked at is made on the device, and is what the CPU would have made."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, convolution
from voxflow.ops.recipe import Recipe
from voxflow.pipeline.data.deferred import Borrowed
from voxflow.torch import Predict, ToDevice, Train, to_tensor
from voxflow.torch.tensors import OnDevice

LABELS = gp.ArrayKey("LABELS")


def source(key, data, voxel_size, interpolatable):
    size = gp.Coordinate(voxel_size)
    roi = gp.Roi((0,) * size.dims, gp.Coordinate(data.shape[-size.dims :]) * size)
    return gp.ArraySource(
        key, gp.Array(data, gp.ArraySpec(roi, size, interpolatable=interpolatable))
    )


def augmented(raw, labels, voxel_size):
    """The nodes of a training, up to where something looks at voxels."""
    size = gp.Coordinate(voxel_size)
    plane, slips = [size.dims - 2, size.dims - 1], 0.2 if size.dims == 3 else 0
    return (
        (source(RAW, raw, size, True), source(LABELS, labels, size, False))
        + gp.MergeProvider()
        + gp.Normalize(RAW)
        + gp.RandomLocation()
        + gp.ElasticAugment(
            (4, 5, 5)[-size.dims :],
            (0, 1, 1)[-size.dims :],
            (0, 1.6),
            prob_slip=slips,
            prob_shift=slips,
            max_misalign=2 if slips else 0,
            spatial_dims=size.dims,
        )
        + gp.SimpleAugment(transpose_only=plane)
        + gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1, z_section_wise=size.dims == 3)
        + gp.IntensityScaleShift(RAW, 2, -1)
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([((40, 4, 4), (30, 71, 70), (6, 13, 12)), ((9.8, 9.8), (71, 70), (20, 21))]),
    st.sampled_from([(), (2,)]),
)
def test_the_batch_of_a_pipeline(seed, grid, channels):
    size, shape, asked = (gp.Coordinate(numbers) for numbers in grid)
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (*channels, *shape), np.uint8)
    labels = rng.integers(0, 2**63, shape, np.uint64)
    roi = gp.Roi((0,) * size.dims, asked * size)

    def batch_of(*nodes):
        pipeline = augmented(raw, labels, size)
        for node in nodes:
            pipeline = pipeline + node
        with gp.build(pipeline, seed=seed):
            return pipeline.request_batch(gp.BatchRequest({RAW: roi, LABELS: roi}))

    want, got = batch_of(), batch_of(ToDevice(device="cpu"))
    tensors = {key: to_tensor(got[key], "cpu") for key in (RAW, LABELS)}
    assert {type(got[key].deferred) for key in (RAW, LABELS)} == {OnDevice}
    assert (tensors[RAW].dtype, tensors[LABELS].dtype) == (torch.float32, torch.int64)
    np.testing.assert_allclose(tensors[RAW], want[RAW].data, atol=1e-4)
    differ = tensors[LABELS].numpy() != want[LABELS].data.astype(np.int64)
    assert differ.mean() < 5e-3  # between two voxels
    for key in (RAW, LABELS):
        assert got[key].spec == want[key].spec
        np.testing.assert_array_equal(got[key].data, tensors[key].numpy())
        assert got[key].data.dtype == want[key].data.dtype


def moved(array, node=None):
    key = gp.ArrayKey("MOVED")
    batch = gp.Batch()
    batch[key] = array
    node = ToDevice(device="cpu") if node is None else node
    return node.process(batch, gp.BatchRequest())[key]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i8", "f4", ">u2", "?"])
def test_every_type_comes_back(dtype):
    kind = np.dtype(dtype)
    data = np.random.default_rng(0).integers(0, 2**64, (3, 4), np.uint64).astype(kind)
    array = moved(gp.Array(data.copy(), attrs={"name": 1}))
    assert array.dtype == kind.newbyteorder("=")
    assert (array.shape, array.attrs) == (data.shape, {"name": 1})
    for back in (pickle.loads(pickle.dumps(array)).data, array.data):
        assert back.dtype == kind.newbyteorder("=")
        np.testing.assert_array_equal(back, data)
    out = np.empty((4, 3), kind.newbyteorder("=")).T
    moved(gp.Array(data)).write_to(out)
    np.testing.assert_array_equal(out, data)


def test_looking_does_not_reach_into_the_tensor():
    array = moved(gp.Array(np.zeros(3)))
    tensor = to_tensor(array)
    array.data[0] = 1
    assert tensor.tolist() == [0, 0, 0]


def test_ids_that_do_not_fit_are_refused_as_a_tensor():
    array = moved(gp.Array(Recipe.of(gp.Array(np.full((4, 4), 2**64 - 2, np.uint64)))))
    with pytest.raises(OverflowError, match=f"{2**64 - 2} does not fit into int64; renumber"):
        to_tensor(array)
    assert (array.data == 2**64 - 2).all()


def test_what_is_lent_stays_as_it_is():
    volume = np.arange(6, dtype=np.uint16)
    lent = gp.Array(Borrowed(volume[::-1]))
    tensor = to_tensor(moved(lent))
    assert tensor.tolist() == list(range(6))[::-1]
    assert tensor.dtype == torch.int32
    twice = moved(moved(lent))
    assert twice.deferred is moved(twice).deferred


def test_only_what_is_named():
    raw = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    roi = gp.Roi((8, 8), (40, 40))
    pipeline = source(RAW, raw, (4, 4), True), source(LABELS, raw, (4, 4), False)
    pipeline = pipeline + gp.MergeProvider() + ToDevice([LABELS], device="cpu")
    with gp.build(pipeline):
        batch = pipeline.request_batch(gp.BatchRequest({RAW: roi, LABELS: roi}))
        assert batch[RAW].deferred is None
        assert isinstance(batch[LABELS].deferred, OnDevice)
        assert pipeline.request_batch(gp.BatchRequest({RAW: roi}))[RAW].deferred is None
    with pytest.raises(gp.PipelineSetupError, match="no spec for TARGET here; there is: RAW"):
        with gp.build(source(RAW, raw, (4, 4), True) + ToDevice([TARGET], device="cpu")):
            pass


# -- Train, Predict, workers ---------------------------------------------------------------------


@pytest.fixture
def no_cpu(monkeypatch):
    """Whoever makes voxels on the CPU, or fetches them, is found out."""

    def refuse(recipe, out=None):
        raise AssertionError("voxels were made on the CPU")

    monkeypatch.setattr(Recipe, "make", refuse)
    monkeypatch.setattr(OnDevice, "make", refuse)


def losses(tmp_path, *nodes, count=3):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (60, 60), np.uint8)
    model = convolution()
    pipeline = augmented(raw, raw.astype(np.uint64) % 3, (4, 4))
    for node in nodes:
        pipeline = pipeline + node
    pipeline = pipeline + Train(
        model,
        lambda out, labels: torch.nn.functional.mse_loss(out, labels.float()),
        torch.optim.SGD(model.parameters(), lr=0.1),
        inputs={0: RAW},
        outputs={0: OUT},
        loss_inputs={0: OUT, 1: LABELS},
        checkpoint_basename=str(tmp_path / f"model{len(nodes)}"),
        device="cpu",
    )
    roi = gp.Roi((0, 0), (80, 80))
    request = gp.BatchRequest({RAW: roi.grow((8, 8), (8, 8)), LABELS: roi})
    with gp.build(pipeline, seed=3):
        return [float(pipeline.request_batch(request).loss) for _ in range(count)]


def test_a_training_is_the_same_up_to_rounding(tmp_path):
    on_device = losses(tmp_path, ToDevice(device="cpu"))
    np.testing.assert_allclose(on_device, losses(tmp_path), rtol=1e-3)


def test_a_training_makes_nothing_on_the_cpu(tmp_path, no_cpu):
    losses(tmp_path, ToDevice(device="cpu"), count=1)
    with pytest.raises(AssertionError, match="on the CPU"):
        losses(tmp_path, count=1)


def test_a_prediction_makes_nothing_on_the_cpu(no_cpu):
    raw = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    pipeline = (
        source(RAW, raw, (4, 4), True)
        + gp.Normalize(RAW)
        + ToDevice(device="cpu")
        + Predict(torch.nn.Identity(), {0: RAW}, {0: OUT}, device="cpu")
    )
    roi = gp.Roi((8, 8), (40, 40))
    with gp.build(pipeline):
        batch = pipeline.request_batch(gp.BatchRequest({RAW: roi, OUT: roi}))
    np.testing.assert_allclose(batch[OUT].data, raw[2:12, 2:12] / 255, atol=1e-6)


@pytest.mark.parametrize("inside", [pytest.param(True, marks=pytest.mark.slow), False])
def test_beside_workers(tmp_path, inside):
    nodes = [gp.PreCache(2, 1), ToDevice(device="cpu")]
    apart = losses(tmp_path, *(nodes[::-1] if inside else nodes))
    np.testing.assert_allclose(apart, losses(tmp_path), rtol=1e-3)


def test_one_key_is_not_a_list_of_them():
    with pytest.raises(TypeError, match=r"ToDevice\(\[RAW\]\)"):
        ToDevice(gp.ArrayKey("RAW"))
