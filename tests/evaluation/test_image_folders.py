"""Folders of images are compared by name, and images by their objects."""

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from voxflow.evaluation import evaluate, evaluate_images
from voxflow.stores import StoreUnusable

RNG = np.random.default_rng(0)


def blocks(shape, low=2):
    return np.kron(RNG.integers(low - 1, low + 4, shape), np.ones((4, 5), int)).astype(np.uint16)


@pytest.fixture
def folders(tmp_path):
    """PNG against PNG and TIFF, of several sizes; the truth in a folder of its own."""
    truth, found = tmp_path / "truth" / "labels", tmp_path / "found"
    made = {}
    for name, shape, suffix in (("a", (3, 4), "png"), ("b", (5, 2), "tif")):
        one, other = blocks(shape), blocks(shape)
        truth.mkdir(parents=True, exist_ok=True)
        found.mkdir(exist_ok=True)
        imageio.imwrite(truth / f"{name}.png", one)
        write = imageio.imwrite if suffix == "png" else tifffile.imwrite
        write(found / f"{name}.{suffix}", other)
        made[name] = one, other
    return tmp_path / "truth", found, made


@pytest.mark.parametrize("ignore", [(), (1, 3)])
def test_each_image_is_evaluated_as_it_would_be_alone(folders, ignore):
    truth, found, made = folders
    result = evaluate_images(truth, found, ignore=ignore)
    alone = {name: evaluate(*pair, ignore=ignore).scores for name, pair in made.items()}
    assert result.images == alone
    for name, value in result.scores.items():
        values = [scores[name] for scores in alone.values()]
        counted = name in ("objects_truth", "objects_found", "voxels")
        assert value == pytest.approx(sum(values) if counted else np.mean(values))


def test_an_image_against_itself_is_perfect(folders):
    truth, _, _ = folders
    scores = evaluate_images(truth, truth).scores
    assert scores["average_precision@0.5"] == scores["panoptic_quality"] == 1
    assert scores["voi"] == 0


def test_average_precision_is_that_of_the_data_science_bowl():
    """TP / (TP + FP + FN): one of two is found, and one more that is none."""
    truth, found = np.zeros((2, 10), int), np.zeros((2, 10), int)
    truth[0, :4], truth[0, 6:], found[0, :4], found[1, :3] = 2, 3, 5, 6
    assert evaluate(truth, found).scores["average_precision@0.5"] == pytest.approx(1 / 3)


def test_pages_are_images(tmp_path):
    stack = np.stack([blocks((3, 3)), blocks((3, 3))])
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        tifffile.imwrite(tmp_path / part / "s.tif", stack, photometric="minisblack")
    assert list(evaluate_images(tmp_path / "one", tmp_path / "two").images) == [
        "s, page 0",
        "s, page 1",
    ]


def test_pages_of_several_sizes_are_images(tmp_path):
    made = [[blocks(shape) for shape in ((3, 3), (2, 5), (4, 1))] for _ in range(2)]
    for part, pages in zip(("one", "two"), made, strict=True):
        (tmp_path / part).mkdir()
        with tifffile.TiffWriter(tmp_path / part / "s.tif") as writer:
            for page in pages:
                writer.write(page, photometric="minisblack")
    found = evaluate_images(tmp_path / "one", tmp_path / "two").images
    assert found == {
        f"s, image {number}": evaluate(*pair).scores
        for number, pair in enumerate(zip(*made, strict=True))
    }


def test_what_cannot_be_compared_is_told_at_once(folders):
    truth, found, _ = folders
    (found / "b.tif").unlink()
    imageio.imwrite(found / "c.png", blocks((2, 2)))
    imageio.imwrite(found / "a.png", blocks((2, 2)))
    with pytest.raises(StoreUnusable, match="has no partner") as error:
        evaluate_images(truth, found)
    lines = str(error.value).splitlines()[1:]
    assert len(lines) == 3
    assert sum("has no partner in" in line for line in lines) == 2
    assert any("a.png has (8, 10) pixels" in line and "(12, 20)" in line for line in lines)


def test_colors_are_no_labels(folders):
    truth, found, _ = folders
    for name in ("a.png", "b.tif"):
        (found / name).unlink()
        imageio.imwrite(found / f"{name[0]}.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(StoreUnusable, match="has 3 channels: labels have none"):
        evaluate_images(truth, found)
