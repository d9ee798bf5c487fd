"""Filters as pictures while a training goes on."""

import numpy as np
import pytest
import torch

from tests.torch.nets import convolution
from tests.training.sessions import same, session, weights
from voxflow.training import Every, Filters, Recorder
from voxflow.training.filters import drawn_filters

image = pytest.importorskip("PIL.Image")


def seen(path):
    return np.asarray(image.open(path))


def test_they_are_drawn_as_they_are_at_that_step(tmp_path):
    one = session(stop_after=4)
    one.run()
    model = convolution(dropout=0.5, norm=True)
    begun = model.net[0].weight.detach().numpy().copy()
    hook = Filters(Every(steps=2, at_end=True), folder=tmp_path / "pictures")
    other = session(model=model, hooks=[hook], stop_after=4)
    other.run()
    assert same(weights(one.model), weights(other.model))
    files = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert files[:2] == ["net.0-step-2.png", "net.0-step-4.png"]
    last = seen(tmp_path / "pictures" / "net.0-step-4.png")
    expected = drawn_filters(model.net[0].weight.detach().numpy())
    assert last.shape == (*expected.shape, 3)
    assert (last == expected[..., None]).all()
    assert (last != drawn_filters(begun)[..., None]).any()


def test_tensorboard_has_them(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recorder = Recorder(csv=False)
    session(hooks=[recorder, Filters(2, images=recorder)], stop_after=4, run_dir=tmp_path).run()
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Images("filters/net/0")] == [2, 4]
    assert (tmp_path / "filters" / "net.0-step-2.png").exists()


def test_another_layer_and_at_once(tmp_path):
    model, hook = convolution(), Filters(layer="net.3")
    made = session(model=model, hooks=[hook], run_dir=tmp_path, stop_after=1)
    made.run()
    (path,) = hook.now(made)
    assert path == tmp_path / "filters" / "net.3-step-1.png"
    assert (seen(path)[..., 0] == drawn_filters(model.net[3].weight.detach().numpy())).all()


@pytest.mark.parametrize(
    ("layer", "said"),
    [("2", "there is no convolution '2'; there are net.0, net.3"), ("", "no convolution")],
)
def test_a_convolution_that_is_not_there_is_told_before_the_run(layer, said):
    model = convolution() if layer else torch.nn.Linear(8, 8)
    with pytest.raises(ValueError, match=said):
        session(model=model, hooks=[Filters(layer=layer)]).check()


@pytest.mark.parametrize(
    ("shape", "columns", "rows"),
    [((5, 1, 3, 4), 3, 2), ((2, 3, 5, 5), 3, 2), ((4, 1, 2, 3, 3), 2, 2), ((3, 2, 7), 2, 3)],
)
def test_a_picture_has_every_filter(shape, columns, rows):
    weight = np.random.default_rng(0).normal(size=shape)
    sizes = [1, *shape[2:]] if len(shape) == 3 else shape[2:]
    sections = weight.reshape(shape[0] * shape[1], -1, *sizes[-2:])
    _, depth, height, width = sections.shape
    page = drawn_filters(weight)
    scale = ((page.shape[0] - 6) // rows - 6) // height
    high, wide = height * scale + 6, depth * (width * scale + 1) - 1 + 6
    assert page.shape == (rows * high + 6, columns * wide + 6)
    limit = np.abs(weight).max()
    for i, parts in enumerate(sections):
        y = i // columns * high + 6
        for z, values in enumerate(parts):
            x = i % columns * wide + 6 + z * (width * scale + 1)
            tile = page[y : y + height * scale : scale, x : x + width * scale : scale]
            np.testing.assert_allclose(tile, values / limit * 127 + 128, atol=0.51)
            assert (page[y : y + height * scale, x + width * scale] == 255).all()
