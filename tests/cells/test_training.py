"""A training on cells: what it writes, and that it is the same again."""

import csv
import logging
import os
import re
import shutil

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import torch

import voxflow as vf
from tests.cells.drawn import folder, options, tiffs
from voxflow.cells import (
    cell_settings,
    load_network,
    make_network,
    read_cell_options,
    train_cells,
)
from voxflow.cells.feed import CLASSES, RAW, validation_feed
from voxflow.cells.training import _Written, network_of
from voxflow.pipeline.data import RunPosition
from voxflow.stores import StoreUnusable, paired_images
from voxflow.torch import load_checkpoint
from voxflow.torch.checkpoint import Checkpoint, save_checkpoint
from voxflow.training import RunDirTaken, read_events

EPOCHS, STEPS = 2, 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two epochs of a U-Net on six images and a copy of each, three in a batch."""
    path = tmp_path_factory.mktemp("cells")
    sizes = ((30, 27),)
    train, held_out = folder(path / "train", 6, sizes), folder(path / "val", 6, sizes, first=9)
    made = options(path, train, val_data=held_out, epochs=EPOCHS, batch=3, augments=1, lr=0.01,
                   obj_weight=0.3, bnd_weight=0.7)  # fmt: skip
    return made, train_cells(made)


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def losses(run_dir):
    return [e.value for e in read_events(run_dir) if e.name == "loss"]


def test_an_epoch_is_one_pass(trained):
    made, report = trained
    assert report.step == EPOCHS * STEPS  # 6 images and a copy of each, 3 in a batch
    # As of clb: 50 images, 10 copies, 6 in a batch are 92 steps.
    assert cell_settings(made).config.stop.steps == EPOCHS * STEPS


def test_what_lies_beside_the_model(trained):
    made, _ = trained
    names = {path.name for path in made.run_dir.parent.iterdir()}
    best = {f"cells-{name}.pt" for name in ("best-val-loss", "objects-iou", "boundaries-iou")}
    assert names == {"cells", "cells.pt", "cells.yaml"} | best
    assert read_cell_options(made.yaml) == made
    assert load_checkpoint(made.model).iteration == EPOCHS * STEPS


def test_the_best_is_kept_and_no_other(trained):
    """Each file is of the epoch (or of the beginning) whose value was best."""
    made, _ = trained
    events = read_events(made.run_dir)
    for name, metric, best in (
        ("best-val-loss", "loss", min),
        ("objects-iou", "objects_iou", max),
        ("boundaries-iou", "boundaries_iou", max),
    ):
        seen = {e.step: e.value for e in events if e.name == f"validation.{metric}" and e.step}
        kept = load_checkpoint(f"{made.run_dir}-{name}.pt").iteration
        assert seen[kept] == best(seen.values())


def test_the_table_has_a_row_for_each_epoch(trained):
    made, _ = trained
    table = rows(made.run_dir / "log.csv")
    assert [row["epoch"] for row in table] == ["1", "2"]
    assert {"loss", "val_loss", "objects_iou", "boundaries_recall", "lr"} <= table[0].keys()
    found = losses(made.run_dir)
    assert float(table[1]["loss"]) == pytest.approx(sum(found[STEPS:]) / STEPS)
    assert float(table[0]["loss"]) > float(table[1]["loss"])
    (validation,) = (
        e.value for e in read_events(made.run_dir) if (e.name, e.step) == ("validation.loss", STEPS)
    )
    assert float(table[0]["val_loss"]) == validation


def test_the_loss_of_validation_is_that_of_training(trained):
    """With the same weights of classes; each batch counts alike."""
    made, _ = trained
    how = {name: getattr(made, name) for name in ("channels", "trim_method", "blobs", "normalize")}
    feed = validation_feed(None, made.folders("val_data"), im_dim=32, batch=3, **how)
    network, weight = load_network(made, "final").network, torch.tensor([1, 2 * 0.3, 10 * 0.7])
    values = []
    with vf.build(feed.pipeline, seed=0), torch.no_grad():
        for number in range(2):
            batch = feed.pipeline.request_batch(feed.request.at(RunPosition(0, number)))
            output = network(torch.from_numpy(batch[RAW].data))
            target = torch.from_numpy(batch[CLASSES].data)
            values.append(torch.nn.functional.cross_entropy(output, target, weight).item())
    expected = float(rows(made.run_dir / "log.csv")[-1]["val_loss"])
    assert sum(values) / 2 == pytest.approx(expected, rel=1e-4)


def test_tensorboard_has_numbers_pictures_and_the_graph(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made, _ = trained
    seen = EventAccumulator(str(made.run_dir / "tensorboard"), {"images": 0})
    seen.Reload()
    tags = seen.Tags()
    assert {"loss", "validation/loss", "validation/objects_iou"} <= set(tags["scalars"])
    assert tags["graph"]
    pictures = [tag for tag in tags["images"] if "validation" in tag]
    assert len(pictures) == 5
    assert [image.step for image in seen.Images(pictures[0])] == [STEPS, 2 * STEPS]


@pytest.mark.parametrize(
    "name", ["cells.pt", "cells.yaml", "cells-objects-iou.pt", "log.csv", "cells"]
)
def test_what_is_beside_a_model_is_not_written_over(tmp_path, name):
    made = options(tmp_path, csv_log=str(tmp_path / "models" / "log.csv"))
    place = made.run_dir.parent / name
    place.parent.mkdir()
    if name == "cells":
        place.mkdir()
        place /= "something"
    place.write_text("dear")
    with pytest.raises(RunDirTaken, match=f"write over .*{name}|{name} is there"):
        train_cells(made)
    assert place.read_text() == "dear"
    assert [path.name for path in made.run_dir.parent.iterdir()] == [name]


@pytest.mark.parametrize(("architecture", "channels"), [("unet", 1), ("unet", 3), ("dcan", 1)])
def test_architectures_and_channels(tmp_path, architecture, channels, caplog, monkeypatch):
    """On stacks, and on colors; all that is read is read once."""
    read = []
    monkeypatch.setattr(
        "voxflow.cells.images.paired_images", lambda *f: read.append(f) or paired_images(*f)
    )
    data = tmp_path / "data"
    made = options(
        tmp_path, architecture=architecture, channels=channels, batch=7, im_dim=64,
        train=tiffs(data) if channels == 1 else folder(data, 2, channels=channels),
        tb_dir=str(tmp_path / "tb"), csv_log=str(tmp_path / "table.csv"),
    )  # fmt: skip
    with caplog.at_level(logging.INFO, "voxflow.cells"):
        assert train_cells(made).step == 1
    assert re.search(rf"{architecture}: \d+ parameters", caplog.text)
    assert len(read) == 1
    assert len(rows(tmp_path / "table.csv")) == 1
    assert list((tmp_path / "tb").glob("events.out*"))


def test_plateau_and_early_stop_are_those_of_clb(tmp_path):
    config = cell_settings(options(tmp_path)).config
    plateau = config.schedules["optimizer.lr"].plateau
    assert (plateau.metric, plateau.factor, plateau.patience) == ("validation.loss", 0.1, 8)
    assert plateau.lowest == 1e-12
    assert (config.stop.early.patience, config.stop.early.min_delta) == (15, 1e-4)


def test_each_image_of_validation_counts_once(tmp_path):
    held_out = folder(tmp_path / "val", 5)
    config = cell_settings(options(tmp_path, val_data=held_out, batch=3)).config
    assert config.validation.batches * config.validation.options["batch"] == 5


def test_steps_of_clb(tmp_path, monkeypatch):
    monkeypatch.setattr("voxflow.cells.training._counted", lambda options: (50, 10))
    config = cell_settings(options(tmp_path, batch=6, augments=10, epochs=3)).config
    assert config.stop.steps == 3 * 92


@pytest.mark.parametrize(("first", "then"), [("last", "final"), ("final", "last")])
def test_the_weights_at_the_end_are_the_newest(tmp_path, first, then):
    """Those of an interrupted training are final.pt; when it went on and broke off, last.pt."""
    made = options(tmp_path)
    folder = made.run_dir / "checkpoints"
    for step, name in enumerate((first, then)):
        net = make_network(**network_of(made))
        save_checkpoint(folder / f"{name}.pt", Checkpoint(net.state_dict(), iteration=step))
        os.utime(folder / f"{name}.pt", (step, step))
    _Written(made).end(None)
    assert load_checkpoint(made.model).iteration == 1
    newest = net.state_dict().values()
    for one, other in zip(load_network(made, "final").state_dict().values(), newest, strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_the_same_seed_is_the_same_training_with_and_without_workers(trained, tmp_path):
    made, _ = trained
    expected = losses(made.run_dir)
    assert len(expected) == EPOCHS * STEPS
    for workers in (0, 4):
        again = made.model_copy(
            update={"workers": workers, "model": str(tmp_path / f"again-{workers}.pt")}
        )
        train_cells(again)
        assert losses(again.run_dir) == expected
    other = made.model_copy(update={"seed": 1, "model": str(tmp_path / "other.pt")})
    train_cells(other)
    assert losses(other.run_dir) != expected


@pytest.mark.slow
def test_a_training_goes_on(trained, tmp_path):
    made, _ = trained
    shutil.copytree(made.run_dir.parent, tmp_path / "models")
    further = made.model_copy(update={"epochs": 3, "model": str(tmp_path / "models" / "cells.pt")})
    assert train_cells(further, resume=True).step == 3 * STEPS
    assert [row["epoch"] for row in rows(further.run_dir / "log.csv")] == ["1", "2", "3"]


# -- folders that are not as they should be -------------------------------------------------------


def _unpaired(path):
    (path / "labels" / "cell_0.png").unlink()


def _colors(path):
    _put(path, "labels", lambda labels: np.stack([labels.astype(np.uint8)] * 3, -1))


def _other_channels(path):
    _put(path, "images", lambda image: np.stack([image] * 3, -1))


def _other_size(path):
    _put(path, "labels", lambda labels: labels[:-1])


def _floats(path):
    (path / "labels" / "cell_0.png").unlink()
    tifffile.imwrite(path / "labels" / "cell_0.tif", np.zeros((48, 40), np.float32))


def _corrupt(path):
    file = path / "images" / "cell_0.png"
    file.write_bytes(file.read_bytes()[:200])


def _pointer(path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (path / "images" / "cell_0.png").write_text(text)


def _no_objects(path):
    for file in (path / "labels").iterdir():
        imageio.imwrite(file, np.zeros((48, 40), np.uint8))


def _put(path, part, change):
    file = path / part / "cell_0.png"
    imageio.imwrite(file, change(imageio.imread(file)))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_unpaired, "cell_0.png of images has no partner in labels"),
        (_colors, "has 3 channels: labels have one whole number for each pixel"),
        (_other_channels, "has 1 channels of uint8, but .*cell_0.png has 3"),
        (_other_size, "has 47 x 40 pixels, and its image .* has 48 x 40"),
        (_floats, "is of type float32: labels are whole numbers"),
        (_corrupt, "cell_0.png cannot be"),
        (_pointer, "run git lfs pull"),
        (_no_objects, "there is no object in any of the labels"),
    ],
)
def test_bad_folders_are_told_before_anything_begins(tmp_path, spoil, said):
    train = folder(tmp_path / "train", 2)
    spoil(tmp_path / "train")
    made = options(tmp_path, train)
    with pytest.raises(StoreUnusable, match=said) as error:
        train_cells(made)
    assert str(error.value).count("\n- ") == 1
    assert not made.run_dir.parent.exists()


def _one_empty_label(path):
    _put(path, "labels", lambda labels: labels * 0)


def _sixteen_bits(path):
    for file in (path / "images").iterdir():
        imageio.imwrite(file, imageio.imread(file).astype(np.uint16) * 257)


def _one_image(path):
    for part in ("images", "labels"):
        (path / part / "cell_1.png").unlink()


@pytest.mark.parametrize("blobs", ["ignore", "remove", "object"])
@pytest.mark.parametrize("data", ["train_data", "val_data"])
def test_masks_of_0_and_1_have_no_object_but_what_is_too_hard(tmp_path, data, blobs):
    train, masks = folder(tmp_path / "train", 2), folder(tmp_path / "masks", 2)
    for file in (tmp_path / "masks" / "labels").iterdir():
        imageio.imwrite(file, (imageio.imread(file) > 0).astype(np.uint8))
    made = options(tmp_path, train, blobs=blobs, **{data: masks})
    if blobs == "object":
        assert cell_settings(made).config.stop.steps == 1
        return
    with pytest.raises(StoreUnusable, match="no label of .*masks is above 1, .* --blobs object"):
        train_cells(made)


@pytest.mark.parametrize("change", [_one_empty_label, _sixteen_bits, _one_image])
def test_odd_folders_work(tmp_path, change):
    train = folder(tmp_path / "train", 2, ((33, 40), (48, 40)))
    change(tmp_path / "train")
    assert train_cells(options(tmp_path, train)).step == 1
