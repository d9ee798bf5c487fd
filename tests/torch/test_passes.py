"""Passes: one at a time, the same bits whoever shares them, on a device that is chosen late."""

import threading
import time

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, volume
from voxflow.models import UNet
from voxflow.torch import Predict, passes
from voxflow.torch.passes import Passes

CPU = torch.device("cpu")


def net(ndim=2, seed=0):
    torch.manual_seed(seed)
    kind = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
    layers = [kind(2, 8, 3), torch.nn.ReLU(), kind(8, 3, 3), torch.nn.Sigmoid()]
    return torch.nn.Sequential(*layers)


def run(model, blocks, size, names=(0,), **options):
    options = {"device": "cpu", "autocast": None, "compiled": None, **options}
    found = Passes("Test", model, blocks_per_pass=size, **options)([{0: b} for b in blocks], names)
    return [{name: array.copy() for name, array in one.items()} for one in found]


def blocks(count, shape, seed=0):
    return list(np.random.default_rng(seed).random((count, 1, 2, *shape), np.float32))


class Counting(torch.nn.Module):
    """Knows how many threads are in it, and what it was given."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))
        self.inside, self.most, self.sizes = 0, 0, []

    def forward(self, x):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.sizes.append(len(x))
        time.sleep(0.01)
        self.inside -= 1
        return x * self.factor


def in_threads(functions):
    found, errors = {}, {}

    def call(i, function):
        try:
            found[i] = function()
        except Exception as error:
            errors[i] = error

    threads = [threading.Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, errors


@pytest.mark.parametrize("shape", [(9, 12), (7, 8, 6)])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_block_has_the_same_bits_whoever_shares_its_pass(shape, size):
    model, some = net(len(shape)), blocks(5, shape)
    alone = [run(model, [block], size)[0][0] for block in some]
    for count in range(1, 6):
        for first in range(5 - count + 1):
            together = run(model, some[first : first + count], size)
            for found, expected in zip(together, alone[first:], strict=False):
                np.testing.assert_array_equal(found[0], expected)
    plain = run(model, some[:1], 1)[0][0]
    assert plain.shape == alone[0].shape == (1, 3, *(n - 4 for n in shape))
    np.testing.assert_allclose(alone[0], plain, atol=1e-6)


def test_a_pass_is_filled_up():
    model = Counting(2.0)
    found = run(model, blocks(5, (3, 3)), 3)
    assert model.sizes == [3, 3]
    for one, block in zip(found, blocks(5, (3, 3)), strict=True):
        np.testing.assert_array_equal(one[0], 2 * block)


def test_blocks_of_other_sizes_and_types_have_passes_of_their_own():
    model = Counting(2.0)
    some = [*blocks(2, (3, 3)), *blocks(1, (4, 3)), blocks(1, (3, 3))[0].astype(np.float64)]
    found = run(model, some, 4)
    assert model.sizes == [4, 4, 4]
    for one, block in zip(found, some, strict=True):
        np.testing.assert_array_equal(one[0], 2 * block)


def test_threads_that_wait_share_a_pass():
    entered, leave = threading.Event(), threading.Event()

    class Slow(Counting):
        def forward(self, x):
            entered.set()
            assert leave.wait(60)
            return super().forward(x)

    model = Slow(3.0)
    shared = Passes("Test", model, "cpu", None, None, 4)
    some = blocks(6, (3, 3))

    def release():
        assert entered.wait(60)
        for _ in range(1000):
            if len(shared._waiting) == 5:  # of those that wait, nobody is served yet
                break
            time.sleep(0.01)
        leave.set()

    def first(i):
        def call():
            if i:
                assert entered.wait(60)
            return shared([{0: some[i]}], [0])[0][0]

        return call

    found, errors = in_threads([*(first(i) for i in range(6)), release])
    assert not errors
    assert model.sizes == [4, 4, 4]  # one alone, then four, then the last
    assert model.most == 1
    for i, block in enumerate(some):
        np.testing.assert_array_equal(found[i], 3 * block)


def test_only_the_block_that_is_to_blame_fails():
    class Picky(torch.nn.Module):
        def forward(self, x):
            if (x < 0).any():
                raise ArithmeticError("negative")
            return x

    shared = Passes("Test", Picky(), "cpu", None, None, 4)
    some = blocks(4, (3, 3))
    some[2] = -some[2]
    calls = [lambda block=block: shared([{0: block}], [0])[0][0] for block in some]
    for _ in range(5):
        with passes._owning(shared._model, CPU):  # so that all of them have to wait
            result = []
            threads = threading.Thread(target=lambda to=result: to.extend(in_threads(calls)))
            threads.start()
            while len(shared._waiting) < 4:
                time.sleep(0.01)
        threads.join()
        found, errors = result
        assert set(found) == {0, 1, 3}
        assert isinstance(errors[2], ArithmeticError)
        assert not shared._waiting


@pytest.mark.parametrize("same", [True, False])
def test_a_device_and_a_model_have_one_owner(same):
    one = Counting()
    two = one if same else Counting()
    nodes = [
        volume((8, 8)) + Predict(model, {0: RAW}, {0: OUT}, device="cpu", context=(0, 0))
        for model in (one, two)
    ]
    if not same:  # the two would count apart
        two.inside = None
        two.forward = one.forward
    request = gp.BatchRequest({OUT: gp.Roi((0, 0), (8, 8))})
    with gp.build(nodes[0]), gp.build(nodes[1]):
        calls = [lambda node=nodes[i % 2]: node.request_batch(request)[OUT].data for i in range(8)]
        found, errors = in_threads(calls)
    assert not errors
    assert one.most == 1
    for i in range(1, 8):
        np.testing.assert_array_equal(found[i], found[0])


def test_a_model_goes_back_to_its_device():
    model = Counting()
    shared = Passes("Test", model, "cpu", None, None, 1)
    shared([{0: np.ones(2, np.float32)}], [0])
    model.to("meta")
    with pytest.raises(NotImplementedError, match="meta"):  # it is asked to come back
        shared([{0: np.ones(2, np.float32)}], [0])


def test_inputs_without_a_batch_axis_are_refused_in_shared_passes():
    with pytest.raises(ValueError, match=r"blocks_per_pass=2 .*size 1; input 0 .*\(3, 4\).*Stack"):
        run(net(), [np.ones((3, 4), np.float32)], 2)

    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.mean(0)

    with pytest.raises(ValueError, match=r"of 2 blocks in one pass .*shape \(4,\)"):
        run(Mean(), [np.ones((1, 4), np.float32)], 2)


# -- where ------------------------------------------------------------------------------------


def predict(model=None, **options):
    options = {"device": "cpu", "context": (0, 0), **options}
    return volume((8, 8)) + Predict(model or Counting(), {0: RAW}, {0: OUT}, **options)


def outcome(pipeline):
    with gp.build(pipeline) as built:
        return built.request_batch(gp.BatchRequest({OUT: built.spec[OUT].roi}))[OUT].data


def test_auto_is_resolved_where_it_computes(monkeypatch):
    asked = []

    def choose(device):
        asked.append(device)
        return CPU

    monkeypatch.setattr(passes, "choose_device", choose)
    pipeline = predict(device="auto")
    with gp.build(pipeline):
        assert not asked
        for _ in range(2):
            pipeline.request_batch(gp.BatchRequest({OUT: gp.Roi((0, 0), (8, 8))}))
    assert asked == ["auto"]


def test_a_gpu_that_nobody_sees_is_missed_where_it_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    pipeline = predict(device="cuda:1")  # as on a head node
    with pytest.raises(RuntimeError, match="device='cuda:1' was asked for and is not there"):
        outcome(pipeline)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RuntimeError, match="device='cuda:1' was asked for and is not there"):
        predict(device="cuda:1")
    with pytest.raises(RuntimeError, match="'xpu' was asked for and is not there"):
        predict(device="xpu")


# -- how --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_autocast_computes_in_half_and_gives_float32(dtype):
    kinds = []

    class Look(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            made = self.net(x)
            kinds.append(made.dtype)
            return made

    block = blocks(1, (9, 9))
    half, full = run(Look(), block, 1, autocast=dtype), run(Look(), block, 1)
    assert kinds == [getattr(torch, dtype), torch.float32]
    assert half[0][0].dtype == full[0][0].dtype == np.float32
    assert (half[0][0] != full[0][0]).any()
    np.testing.assert_allclose(half[0][0], full[0][0], atol=0.02)


@pytest.mark.parametrize("compiled", [{"backend": "eager"}, {"backend": "eager", "dynamic": True}])
def test_a_compiled_model_says_the_same(compiled):
    torch.manual_seed(0)
    unet = UNet(1, 2, fmaps=2, downsample=[(2, 2)])
    some = [np.random.default_rng(0).random((1, 1, 24, n), np.float32) for n in (24, 28)]
    for found, expected in zip(
        run(unet, some, 1, compiled=compiled), run(unet, some, 1), strict=True
    ):
        np.testing.assert_array_equal(found[0], expected[0])
    assert unet.training


def test_a_compiler_that_cannot_is_said():
    with pytest.raises(Exception, match=r"nonsense") as failed:
        outcome(predict(compile={"backend": "nonsense"}))
    assert any("leave `compile` out" in note for note in failed.value.__notes__)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"autocast": "float8"}, "autocast is one of bfloat16, float16 or None, got float8"),
        ({"blocks_per_pass": 0}, "blocks_per_pass is at least 1"),
        ({"merge": "median"}, "merge is 'mean' or 'max', got 'median'"),
        ({"symmetries": [], "context": None}, "give context="),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        predict(**options)


def test_submodules_of_a_compiled_model_are_refused():
    with pytest.raises(ValueError, match=r"compiled model: outputs \['net.0'\]"):
        Predict(Counting(), {0: RAW}, {"net.0": OUT}, device="cpu", compile=True)


@pytest.mark.parametrize("method", [pytest.param("forkserver", marks=pytest.mark.slow), "thread"])
def test_workers_of_a_scan_share_passes_and_predict_the_same(method):
    def pipeline():
        predict = Predict(
            net(), {0: RAW}, {0: OUT}, device="cpu", context=(2, 2), blocks_per_pass=3,
            compile={"backend": "eager"} if method == "thread" else False,
        )  # fmt: skip
        data = np.random.default_rng(0).random((1, 2, 30, 26), np.float32)
        return gp.ArraySource(RAW, data, spec=gp.ArraySpec(voxel_size=(1, 1))) + predict

    request = gp.BatchRequest({OUT: gp.Roi((2, 2), (26, 22))})
    reference = gp.BatchRequest({OUT: gp.Roi((0, 0), (7, 8))})
    found = []
    for options in ({}, {"num_workers": 3, "method": method}):
        scan = gp.Scan(reference, progress_callback=gp.ScanCallback(), **options)
        with gp.build(pipeline() + scan) as built:
            found.append(built.request_batch(request)[OUT].data)
    # Where a block lies in a pass decides which of its voxels are the last ones of a vector loop.
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_autocast_of_the_caller_is_left_as_it_is():
    with torch.autocast("cpu", torch.bfloat16):
        half = run(net(), blocks(1, (9, 9)), 1)[0][0]
    np.testing.assert_array_equal(half, run(net(), blocks(1, (9, 9)), 1, autocast="bfloat16")[0][0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("size", [1, 3])
def test_a_gpu_serves_threads(size):
    model, some = net(3), blocks(24, (20, 24, 22))
    expected = [run(model, [block], 1)[0][0] for block in some]
    shared = Passes("Test", model, "cuda", None, None, size)
    for _ in range(3):
        calls = [lambda block=block: shared([{0: block}], [0])[0][0] for block in some]
        found, errors = in_threads(calls)
        assert not errors
        for i, array in enumerate(expected):
            np.testing.assert_allclose(found[i], array, atol=1e-3)


def test_nothing_is_kept_of_blocks_after_one_that_failed():
    def fails(*_):
        raise RuntimeError("out of memory")

    model = net()
    model.register_forward_pre_hook(fails)
    shared = Passes("Test", model, "cpu", None, None, 1)
    with pytest.raises(RuntimeError, match="out of memory"):
        shared([{0: block} for block in blocks(3, (8, 8))], (0,))
    assert shared._waiting == []


class OneOutput(torch.nn.Module):
    """Answers each time in the same memory."""

    def __init__(self):
        super().__init__()
        self.out = torch.empty(1, 2, 8, 8)

    def forward(self, x):
        return torch.add(x, 1, out=self.out)


@pytest.mark.parametrize("size", [1, 3])
def test_a_model_may_answer_in_the_same_memory_again(size):
    model = OneOutput()
    if size > 1:
        model.out = torch.empty(size, 2, 8, 8)
    given = blocks(4, (8, 8))
    passes = Passes("Test", model, blocks_per_pass=size, device="cpu", autocast=None, compiled=None)
    found = [passes([{0: block}], (0,))[0][0] for block in given]
    for block, made in zip(given, found, strict=True):
        np.testing.assert_array_equal(made, block + 1)
