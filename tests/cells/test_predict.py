"""What is predicted of a folder: maps and instances, of the size and name of each image."""

import gc
import re
import weakref
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner

from tests.cells.drawn import cells, folder, options
from voxflow.cells import load_network, make_network, plot_cells, predict_cells, save_cells
from voxflow.cells.network import Probabilities
from voxflow.cells.training import network_of
from voxflow.cli.app import app
from voxflow.evaluation import evaluate_images
from voxflow.segmentation import fill_holes, segment_maps
from voxflow.stores import StoreUnusable, image_planes
from voxflow.torch.checkpoint import Checkpoint, save_checkpoint

SHAPES = ((48, 40), (31, 37))


@pytest.fixture
def trained(tmp_path):
    """Options of a training, whose weights are drawn and lie beside the model."""

    def made(seed=0, name="-best-val-loss", **more):
        chosen = options(tmp_path, dropout=0.0, **more)
        torch.manual_seed(seed)
        file = Path(chosen.model).with_name(f"cells{name}.pt")
        file.parent.mkdir(exist_ok=True)
        net = make_network(**network_of(chosen))
        save_checkpoint(file, Checkpoint(net.state_dict(), iteration=1))
        return chosen

    return made


@pytest.mark.parametrize("architecture", ["unet", "dcan"])
@pytest.mark.parametrize("trim_method", ["resize", "padding", "reflect"])
def test_predictions_have_the_size_of_the_image(tmp_path, trained, trim_method, architecture):
    test = folder(tmp_path / "test", 2, SHAPES)
    chosen = trained(trim_method=trim_method, architecture=architecture)
    for made, shape in zip(predict_cells(chosen, test, device="cpu"), SHAPES, strict=True):
        assert made.objects.shape == made.boundaries.shape == made.labels.shape == shape
        for probability in (made.objects, made.boundaries):
            assert 0 <= probability.min() <= probability.max() <= 1
            assert probability.std() > 0


def test_what_is_predicted_is_what_the_network_says(tmp_path, trained):
    """An image that fits as it is goes through the network, and nothing else is done to it."""
    test = folder(tmp_path / "test", 1, ((32, 40),))
    chosen = trained()
    (made,) = predict_cells(chosen, test, device="cpu", grow=0)
    image = torch.from_numpy(made.image.pixels[None] / np.float32(255))
    with torch.no_grad():
        objects, boundaries = load_network(chosen)(image)[0].numpy()
    np.testing.assert_allclose(made.objects, objects, atol=1e-6)
    np.testing.assert_allclose(made.boundaries, boundaries, atol=1e-6)
    expected = fill_holes(segment_maps(objects, boundaries, grow=0))
    np.testing.assert_array_equal(made.labels, expected)
    assert expected.any()


def test_files_have_the_name_of_the_image(tmp_path, trained):
    """A PNG file, and a stack of pages, without labels, and not in images/."""
    test = tmp_path / "test"
    test.mkdir()
    imageio.imwrite(test / "one.png", cells()[0])
    stack = np.stack([cells(seed=n)[0] for n in range(3)])
    tifffile.imwrite(test / "stack.tif", stack, photometric="minisblack")
    made = list(predict_cells(trained(), str(test), device="cpu"))
    files = list(save_cells(made, tmp_path / "out", plot=True))
    assert len(files) == 2
    out = {kind: sorted(p.name for p in (tmp_path / "out" / kind).iterdir())
           for kind in ("objects", "boundaries", "labels", "plots")}  # fmt: skip
    assert out["objects"] == out["boundaries"] == out["labels"] == ["one.png", "stack.tif"]
    assert out["plots"] == ["one.png", "stack-0.png", "stack-1.png", "stack-2.png"]
    labels = tifffile.imread(tmp_path / "out" / "labels" / "stack.tif")
    np.testing.assert_array_equal(labels, [page.labels for page in made[1:]])
    objects = imageio.imread(tmp_path / "out" / "objects" / "one.png")
    np.testing.assert_allclose(objects / 255, made[0].objects, atol=0.51 / 255)
    assert imageio.imread(tmp_path / "out" / "labels" / "one.png").dtype == np.uint16
    with pytest.raises(FileExistsError, match="nothing is written over"):
        save_cells(made, tmp_path / "out")


def test_pages_of_several_sizes_have_those_of_the_image(tmp_path, trained, monkeypatch):
    """Also where pages of a size do not follow one another, and under labels of such pages."""
    test = tmp_path / "test"
    for part, kind in (("images", 0), ("labels", 1)):
        (test / part).mkdir(parents=True)
        with tifffile.TiffWriter(test / part / "s.tif") as writer:
            for shape in (SHAPES[0], SHAPES[1], SHAPES[1], SHAPES[0]):
                writer.write(cells(shape)[kind], photometric="minisblack", metadata=None)
    chosen = trained()
    made = list(predict_cells(chosen, str(test), device="cpu"))
    monkeypatch.setattr("voxflow.cells.saving.plot_cells", lambda made, file: None)
    (files,) = save_cells(made, tmp_path / "out", plot=True)
    names = ["s-0-0", "s-0-1", "s-1-0", "s-1-1"]
    assert [file.stem for file in files if file.parent.name == "plots"] == names
    planes = image_planes(tmp_path / "out" / "labels")
    assert [(p.path, p.page) for p in planes] == [("0", 0), ("0", 1), ("1", 0), ("1", 1)]
    for plane, one in zip(planes, made, strict=True):
        np.testing.assert_array_equal(plane[(slice(None),) * 2], one.labels)
    assert len(evaluate_images(test, tmp_path / "out").images) == 4
    shown = {axes.get_title(): bool(axes.images) for axes in plot_cells(made[-1]).axes}
    assert shown["truth"]


def test_images_of_one_name_are_not_written_over_each_other(tmp_path, trained, monkeypatch):
    """Of two folders; where they are saved, before any is predicted."""
    chosen, both = trained(), "+".join(folder(tmp_path / name, 1) for name in ("a", "b"))
    made = list(predict_cells(chosen, both, device="cpu"))
    said = "a/images/cell_0.png and .*b/images/cell_0.png have one name"
    saved = save_cells(made, tmp_path / "out")
    assert len(next(saved)) == 3
    with pytest.raises(ValueError, match=said):
        next(saved)
    file = str(chosen.yaml)
    Path(file).write_text(chosen.dump())
    monkeypatch.setattr("voxflow.cells.predict._predicted", None)
    words = ["predict", "cells", "--config", file, "--test-data", both, "--device", "cpu"]
    done = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "other")])
    assert done.exit_code == 1
    assert re.search(said, done.output)
    assert not (tmp_path / "other").exists()


def test_a_figure_has_six_panels_with_the_truth_where_there_is_one(tmp_path, trained):
    test = folder(tmp_path / "test", 1)
    (made,) = predict_cells(trained(), test, device="cpu")
    figure = plot_cells(made)
    panels = {axes.get_title(): bool(axes.images) for axes in figure.axes}
    assert len(panels) == 6
    assert all(panels.values())
    (tmp_path / "test" / "labels" / "cell_0.png").unlink()
    panels = {axes.get_title(): bool(axes.images) for axes in plot_cells(made).axes}
    assert [title for title, shown in panels.items() if not shown] == ["truth"]


def test_neighbouring_pages_are_channels(tmp_path, trained):
    test = tmp_path / "test"
    test.mkdir()
    stack = np.stack([cells(seed=n)[0] for n in range(4)])
    tifffile.imwrite(test / "stack.tif", stack, photometric="minisblack")
    chosen = trained(channels=3)
    whole = list(predict_cells(chosen, str(test), device="cpu"))
    assert len(whole) == 4
    stack[0] = 0
    tifffile.imwrite(test / "stack.tif", stack, photometric="minisblack")
    again = list(predict_cells(chosen, str(test), device="cpu"))
    differ = [not np.array_equal(a.objects, b.objects) for a, b in zip(whole, again, strict=True)]
    assert differ == [True, True, False, False]


def test_images_are_not_held(tmp_path, trained):
    made = predict_cells(trained(), folder(tmp_path / "test", 3), device="cpu")
    seen = []
    for one in made:
        seen.append(weakref.ref(one.image))
        del one
        gc.collect()
        held = sum(image() is not None for image in seen[:-1])
        assert held == 0
    assert len(seen) == 3


def test_weights_are_chosen_by_name(tmp_path, trained):
    chosen = trained()
    trained(seed=1, name="-objects-iou")
    trained(seed=2, name="")
    found = {
        name: next(load_network(chosen, name).parameters()).sum().item()
        for name in ("best-val-loss", "objects-iou", "final")
    }
    assert len(set(found.values())) == 3
    with pytest.raises(FileNotFoundError, match=r"no weights boundaries-iou .*cells-boundaries"):
        load_network(chosen, "boundaries-iou")


def test_weights_of_another_network_are_told(trained):
    chosen = trained()
    with pytest.raises(ValueError, match="another network than a unet of 3 feature maps"):
        load_network(chosen.model_copy(update={"fmaps": 3}))


def test_images_that_cannot_be_predicted_are_told_before_the_first_one(tmp_path, trained):
    test = tmp_path / "test"
    folder(test, 3)
    (test / "images" / "cell_1.png").write_bytes(b"no image")
    with pytest.raises(StoreUnusable, match="cell_1.png cannot be"):
        predict_cells(trained(), str(test), device="cpu")


@pytest.mark.parametrize(
    ("architecture", "shape"), [("unet", (173, 33)), ("unet", (40, 160)), ("dcan", (416, 30))]
)
def test_tiles_are_as_the_whole(tmp_path, trained, architecture, shape):
    """Each sees all around it that the network looks at, and the border where the image ends."""
    test = folder(tmp_path / "test", 1, (shape,), number=40)
    chosen = trained(architecture=architecture, trim_method="reflect", normalize="image")
    (whole,) = predict_cells(chosen, test, device="cpu")
    (made,) = predict_cells(chosen, test, device="cpu", tile=24)
    assert whole.objects.std() > 0
    np.testing.assert_allclose(made.objects, whole.objects, atol=1e-5)
    np.testing.assert_allclose(made.boundaries, whole.boundaries, atol=1e-5)
    np.testing.assert_array_equal(made.labels, whole.labels)


def test_no_more_than_a_tile_goes_through_the_network(tmp_path, trained, monkeypatch):
    seen, forward = [], Probabilities.forward

    def counted(self, image):
        if not image.is_meta:  # how much memory a tile takes is found without computing
            seen.append(image.shape)
        return forward(self, image)

    monkeypatch.setattr(Probabilities, "forward", counted)
    test = folder(tmp_path / "test", 1, ((237, 160),))
    list(predict_cells(trained(), test, device="cpu", tile=64))
    assert len(seen) == 4 * 3
    assert max(max(shape) for shape in seen) == 64 + 2 * 48
