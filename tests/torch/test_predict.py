"""Predict: the model's answer and nothing of its training, wherever it is asked for."""

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, convolution, volume
from voxflow.models import UNet, analyse
from voxflow.torch import Checkpoint, Predict, save_checkpoint


class Quiet(gp.ScanCallback):
    pass


class Channels(torch.nn.Module):
    """Adds the sample and channel axes."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x[None, None])[0, 0]


def predicting(model=None, shape=(30, 26), voxel_size=None, **options):
    model = convolution() if model is None else model
    options = {"inputs": {0: RAW}, "outputs": {0: OUT}, "device": "cpu", **options}
    return volume(shape, voxel_size) + Predict(model, **options)


def asked(*roi, **others):
    request = gp.BatchRequest({OUT: gp.Roi(*roi)})
    for name, region in others.items():
        request[gp.ArrayKey(name)] = gp.Roi(*region)
    return request


def predicted(pipeline, request):
    with gp.build(pipeline, seed=1):
        return pipeline.request_batch(request)


def test_the_model_is_evaluated_and_left_as_it_was():
    model = convolution(dropout=0.5, norm=True)
    model.net[0].eval()  # a frozen layer stays one
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    pipeline = predicting(model)
    request = asked((2, 2), (8, 8), RAW=((0, 0), (12, 12)))
    with gp.build(pipeline):
        one, two = (pipeline.request_batch(request) for _ in range(2))
        # Right after each batch: somebody may train the model in between.
        assert [module.training for module in model.modules()] == modes
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    np.testing.assert_array_equal(one[OUT].data, two[OUT].data)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(one[RAW].data))
    np.testing.assert_array_equal(one[OUT].data, expected)
    assert one[OUT].spec.roi == gp.Roi((2, 2), (8, 8))
    assert one[OUT].spec.interpolatable is False


def test_no_gradients_are_kept():
    class Look(torch.nn.Module):
        def forward(self, x):
            assert not torch.is_grad_enabled()
            return x + 1

    batch = predicted(predicting(Look()), asked((0, 0), (4, 4), RAW=((0, 0), (4, 4))))
    np.testing.assert_allclose(batch[OUT].data, batch[RAW].data + 1)


def test_the_mode_is_put_back_after_an_error():
    class Fail(torch.nn.Module):
        def forward(self, x):
            assert not self.training
            raise OSError("no")

    model = Fail()
    with pytest.raises(OSError, match="no"):
        predicted(predicting(model), asked((0, 0), (4, 4), RAW=((0, 0), (4, 4))))
    assert model.training


def test_a_placeholder_says_where_the_input_is():
    request = asked((2, 2), (8, 8))
    request[RAW] = gp.ArraySpec(gp.Roi((0, 0), (12, 12)), placeholder=True)
    batch = predicted(predicting(), request)
    assert batch[OUT].data.shape == (8, 8)


def test_nothing_runs_if_no_output_is_asked_for():
    class Never(torch.nn.Module):
        def forward(self, x):
            raise AssertionError

    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4))})
    assert RAW in predicted(predicting(Never()), request)


def test_submodules_can_be_asked_for():
    hidden = gp.ArrayKey("HIDDEN")
    pipeline = predicting(
        outputs={"net.0": hidden}, array_specs={hidden: gp.ArraySpec(nonspatial=True)}
    )
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (12, 12))})
    request[hidden] = gp.ArraySpec(nonspatial=True)
    assert predicted(pipeline, request)[hidden].data.shape == (1, 4, 10, 10)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"model_state_dict": m}])
def test_checkpoints_are_loaded(tmp_path, wrap):
    trained = convolution(seed=8)
    torch.save(wrap(trained.state_dict()), tmp_path / "weights")
    request = asked((2, 2), (8, 8), RAW=((0, 0), (12, 12)))
    expected = predicted(predicting(trained), request)[OUT].data
    batch = predicted(predicting(convolution(seed=9), checkpoint=tmp_path / "weights"), request)
    np.testing.assert_array_equal(batch[OUT].data, expected)


def test_a_wrong_checkpoint_is_said_at_setup(tmp_path):
    save_checkpoint(tmp_path / "other", Checkpoint(torch.nn.Linear(1, 1).state_dict()))
    for name, text in (("other", "is not from this model"), ("none", "there is no checkpoint")):
        with (
            pytest.raises(gp.PipelineSetupError, match=text),
            gp.build(predicting(checkpoint=tmp_path / name)),
        ):
            pass


def test_inputs_have_to_be_asked_for_without_a_context():
    with (
        gp.build(predicting()) as pipeline,
        pytest.raises(KeyError, match="not in the request; .*or give context="),
    ):
        pipeline.request_batch(asked((2, 2), (8, 8)))


# -- context ----------------------------------------------------------------------------------


def test_context_says_where_the_output_is_and_what_it_needs():
    pipeline = predicting(voxel_size=(4, 9.8), context=(8, 19.6))
    with gp.build(pipeline):
        assert pipeline.spec[OUT].roi == gp.Roi((8, 19.6), (104, 215.6))
        whole = pipeline.request_batch(asked((8, 19.6), (104, 215.6)))[OUT]
        part = pipeline.request_batch(asked((16, 49), (20, 29.4)))[OUT]
        np.testing.assert_allclose(part.data, whole.crop(part.spec.roi).data, atol=1e-6)
        # An input that is asked for as well may lie elsewhere.
        batch = pipeline.request_batch(asked((16, 49), (20, 29.4), RAW=((0, 0), (4, 9.8))))
        assert batch[RAW].data.shape == (1, 1)
        np.testing.assert_array_equal(batch[OUT].data, part.data)
        with pytest.raises(gp.RequestRefused, match="axis 0 misses 4 .* at its begin"):
            pipeline.request_batch(asked((4, 49), (20, 29.4)))


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (
            (2, 3),
            r"context=\(2, 3\) is \(1/2, 3/4\) voxels|context=\(2, 3\) is \(0.5, 0.75\) voxels",
        ),
        ((8,), "has 1 numbers, RAW has 2 axes"),
        ((60, 8), r"nothing is left of \[0:120, 0:104\].*in axes \[0\]; put Pad"),
    ],
)
def test_a_context_that_cannot_be_is_said_at_setup(context, text):
    with (
        pytest.raises(gp.PipelineSetupError, match=text),
        gp.build(predicting(voxel_size=(4, 4), context=context)),
    ):
        pass


def test_a_context_too_small_for_the_model_is_said():
    with (
        gp.build(predicting(context=(1, 1))) as pipeline,
        pytest.raises(ValueError, match=r"made \(6, 6\) voxels.*but \(8, 8\) were asked for"),
    ):
        pipeline.request_batch(asked((4, 4), (8, 8)))


def test_coarser_outputs_lie_on_their_own_grid():
    class Half(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.avg_pool2d(x[None], 2)[0]

    specs = {OUT: gp.ArraySpec(voxel_size=(8, 8))}
    pipeline = predicting(Half(), (11, 10), (4, 4), array_specs=specs, context=(4, 0))
    with gp.build(pipeline):
        assert pipeline.spec[OUT].roi == gp.Roi((8, 0), (32, 40))


def test_outputs_share_one_region_with_context():
    other = gp.ArrayKey("OTHER")
    pipeline = predicting(outputs={0: OUT, "net.3": other}, context=(2, 2))
    request = asked((4, 4), (8, 8), OTHER=((5, 4), (8, 8)))
    with gp.build(pipeline), pytest.raises(ValueError, match="asked for in one region"):
        pipeline.request_batch(request)


# -- in a scan --------------------------------------------------------------------------------


def scanning(model, size, pointwise=False, **options):
    context = (0, 0) if pointwise else (2, 2)
    reference = asked((5, 5), size)
    scan = gp.Scan(reference, progress_callback=Quiet(), **options)
    return predicting(model, context=context) + scan


@pytest.mark.parametrize("size", [(9, 5), (8, 8), (26, 3)])
def test_a_scan_gives_what_the_whole_gives(size):
    whole = predicted(predicting(context=(2, 2)), asked((2, 2), (26, 22)))[OUT]
    found = predicted(scanning(convolution(), size), asked((2, 2), (26, 22)))[OUT]
    np.testing.assert_allclose(found.data, whole.data, atol=1e-5)
    for part in (((2, 2), (1, 1)), ((13, 4), (15, 20)), ((7, 9), (4, 5))):
        array = predicted(scanning(convolution(), size), asked(*part))[OUT]
        np.testing.assert_array_equal(array.data, found.crop(gp.Roi(*part)).data)


def test_a_unet_is_scanned_as_a_whole():
    torch.manual_seed(0)
    net = UNet(1, 1, fmaps=2, downsample=[(2, 2)])
    geometry = analyse(net, dims=2)
    size = gp.Coordinate((4, 10))
    _, block = geometry.fit((22, 22))
    whole_input, whole = geometry.fit((70, 48))
    context = geometry.context * size

    def pipeline():
        return predicting(Channels(net), whole_input, size, context=context)

    roi = gp.Roi(context, whole * size)
    scan = gp.Scan(asked((0, 0), block * size), progress_callback=Quiet())
    expected = predicted(pipeline(), gp.BatchRequest({OUT: roi}))[OUT]
    found = predicted(pipeline() + scan, gp.BatchRequest({OUT: roi}))[OUT]
    np.testing.assert_allclose(found.data, expected.data, atol=1e-5)


def test_a_pointwise_model_gives_equal_bits():
    class Square(torch.nn.Module):
        def forward(self, x):
            return x * x

    whole = predicted(predicting(Square(), context=(0, 0)), asked((0, 0), (30, 26)))[OUT]
    found = predicted(scanning(Square(), (7, 9), pointwise=True), asked((0, 0), (30, 26)))[OUT]
    np.testing.assert_array_equal(found.data, whole.data)


@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_workers_of_a_scan_predict_the_same(method):
    request = asked((2, 2), (26, 22))
    one = predicted(scanning(convolution(norm=True), (9, 8)), request)[OUT]
    model = convolution(norm=True)
    two = predicted(scanning(model, (9, 8), num_workers=2, method=method), request)[OUT]
    np.testing.assert_array_equal(one.data, two.data)
    assert model.training


@pytest.mark.parametrize(("shape", "mode"), [((27, 30), "reflect"), ((33, 18), "resize")])
@pytest.mark.parametrize("voxel_size", [(1, 1), (4, 9.8)])
def test_what_was_made_to_fit_is_predicted_in_the_shape_of_the_image(shape, mode, voxel_size):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.MaxPool2d(4),
        torch.nn.Conv2d(4, 4, 3, padding=1),
        torch.nn.Upsample(scale_factor=4),
        torch.nn.Conv2d(4, 1, 3, padding=1),
    )
    fit = gp.FitToSize(RAW, lambda there: [-(-n // 4) * 4 for n in there], mode)
    predict = Predict(Channels(net), {0: RAW}, {0: OUT}, device="cpu", context=(0, 0))
    line = volume(shape, voxel_size)
    with gp.build(line) as built:
        image = built.request_batch(gp.BatchRequest({RAW: built.spec[RAW].roi}))[RAW]
    with gp.build(line + fit + predict + gp.FitBack(OUT, fit)) as built:
        assert built.spec[OUT].roi == image.spec.roi
        found = built.request_batch(gp.BatchRequest({OUT: built.spec[OUT].roi}))[OUT]
    assert found.data.shape == image.data.shape == shape
    assert found.spec.roi == image.spec.roi
    assert found.spec.voxel_size == gp.Coordinate(voxel_size)
    if mode == "reflect":
        rows, columns = (-n % 4 for n in shape)
        sides = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
        padded = np.pad(image.data, sides, "reflect").astype(np.float32)
        with torch.no_grad():
            whole = Channels(net)(torch.from_numpy(padded)).numpy()
        inside = tuple(slice(b, b + n) for (b, _), n in zip(sides, shape, strict=True))
        np.testing.assert_allclose(found.data, whole[inside], rtol=1e-5)
