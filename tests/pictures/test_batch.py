"""Arrays side by side: each panel shows the same place of the world."""

import io

import numpy as np
import pytest

import voxflow as gp
from voxflow.pictures import batch_picture, colours_of_ids, save_picture
from voxflow.pictures.places import NOTHING
from voxflow.pipeline.data import Array

image = pytest.importorskip("PIL.Image")


def array(data, offset, voxel_size, **options):
    data = np.asarray(data)
    shape = data.shape[data.ndim - len(voxel_size) :]
    roi = gp.Roi(offset, gp.Coordinate(shape) * gp.Coordinate(voxel_size))
    return Array(data, gp.ArraySpec(roi, voxel_size, **options))


def places(picture, color):
    """Rows and columns of all pixels of a colour."""
    rows, columns = np.nonzero((picture == np.array(color, np.uint8)).all(axis=-1))
    return rows, columns


CELL = 190 + 8  # from a narrow panel to the next


def test_the_same_place_of_the_world_is_at_the_same_place_of_each_panel():
    raw = np.zeros((10, 12))
    raw[6, 5] = 1.0  # world 24..28, 20..24
    ids = np.zeros((3, 4), np.uint64)
    ids[1, 0] = 2**63 + 5  # world 24..32, 16..24: the voxels are larger, and begin elsewhere
    found = {"raw": array(raw, (0, 0), (4, 4)), "ids": array(ids, (16, 16), (8, 8))}
    picture = batch_picture(found, size=12, overlays=False, styles={"raw": "mask"})
    top, left = (int(p[0]) for p in places(picture, (255, 255, 255)))
    rows, columns = places(picture, colours_of_ids(ids[1, :1])[0])
    assert sorted(set(rows - top)) == [0, 1]
    assert sorted(set(columns - left)) == [CELL - 1, CELL]
    # The panel holds both: rows 0..10 and columns 0..12, where the ids have 6 x 8 voxels.
    nothing = places(picture, NOTHING)
    assert len(nothing[0]) == 10 * 12 - 6 * 8
    assert min(nothing[0]) == top - 6


def test_an_image_is_shown_once_more_with_its_labels():
    raw, ids = np.full((9, 9), 0.5), np.full((3, 3), 4)
    raw[0, 0], raw[0, 1] = 0.0, 1.0
    ids[1, 1] = 0
    found = {
        "raw": array(raw, (0, 0), (1, 1)),
        "ids": array(ids, (3, 3), (1, 1), interpolatable=False),
    }
    picture = batch_picture(found, size=9)
    mixed = np.round(0.6 * 128 + 0.4 * colours_of_ids(np.array([4]))[0].astype(float))
    rows, columns = places(picture, mixed)
    assert len(rows) == 8
    assert set(columns - columns.min()) == {0, 1, 2}
    middle = picture[rows.min() + 1, columns.min() + 1]
    assert middle.tolist() == [128, 128, 128]  # no label there
    assert picture[rows.min() - 1, columns.min()].tolist() == [64, 64, 64]  # no labels at all


def test_a_volume_shows_the_middle_of_what_all_arrays_have():
    raw = np.zeros((10, 4, 4))
    raw[np.arange(10)] = np.arange(10)[:, None, None] / 9
    ids = np.zeros((3, 4, 4), np.uint32) + np.array([11, 12, 13], np.uint32)[:, None, None]
    found = {"raw": array(raw, (0, 0, 0), (40, 4, 4)), "ids": array(ids, (160, 0, 0), (40, 4, 4))}
    picture = batch_picture(found, size=4, overlays=False)
    assert len(places(picture, colours_of_ids(np.array([12]))[0])[0]) == 16
    assert not len(places(picture, colours_of_ids(np.array([11]))[0])[0])
    picture = batch_picture(found, size=4, overlays=False, sections=7)
    tops = [places(picture, colours_of_ids(np.array([i]))[0])[0].min() for i in (11, 12, 13)]
    assert tops == sorted(tops)


def test_samples_are_rows_and_channels_are_columns():
    batch = gp.Batch()
    raw, ids, loss = (gp.ArrayKey(name) for name in ("RAW", "IDS", "LOSS"))
    batch[raw] = array(np.random.default_rng(0).random((3, 2, 8, 8)), (0, 0), (2, 2))
    batch[ids] = array(np.arange(1, 4)[:, None, None] + np.zeros((3, 8, 8), int), (0, 0), (2, 2))
    batch[loss] = Array(np.float32(0.25), gp.ArraySpec(nonspatial=True))
    picture = batch_picture(batch, size=8, overlays=False, samples=2)
    tops = [places(picture, colours_of_ids(np.array([i]))[0])[0] for i in (1, 2, 3)]
    assert len(tops[0]) == len(tops[1]) == 64
    assert len(tops[2]) == 0
    assert tops[1].min() >= tops[0].max() + 8
    left = places(picture, colours_of_ids(np.array([1]))[0])[1].min()
    assert left == 8 + 2 * CELL  # after two channels


def test_lines_large_images_and_odd_arrays_are_drawn():
    assert batch_picture({"line": array(np.arange(5.0), (0,), (9,))}).ndim == 3
    large = batch_picture({"large": array(np.zeros((3, 2000), np.uint8), (0, 0), (1, 1))}, size=100)
    assert large.shape[1] < 250
    assert batch_picture({"unplaced": Array(np.zeros((2, 3, 4)))}).ndim == 3
    assert batch_picture({"x": array(np.full((2, 2), np.nan), (0, 0), (4.9, 9.8))}).ndim == 3
    deep = array(np.zeros((2, 5, 3, 3)), (0, 0, 0, 0), (1, 1, 1, 1))
    assert batch_picture({"time": deep}, sections=2).ndim == 3


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="nothing to draw: of LOSS none"):
        batch_picture({"LOSS": Array(np.float32(1), gp.ArraySpec(nonspatial=True))})


def test_a_picture_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "new" / "a.png"
    picture = batch_picture({"raw": array(np.zeros((4, 4)), (0, 0), (1, 1))}, file, title="first")
    assert np.array_equal(np.asarray(image.open(io.BytesIO(file.read_bytes()))), picture)
    (tmp_path / "new" / "b.png").mkdir()
    with pytest.raises(IsADirectoryError):
        save_picture(picture, tmp_path / "new" / "b.png")
    assert sorted(p.name for p in file.parent.iterdir()) == ["a.png", "b.png"]
