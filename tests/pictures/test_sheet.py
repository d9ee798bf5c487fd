"""Contact sheets: everything at its place, whatever its size."""

import numpy as np
import pytest

from voxflow.pictures import Layer, colours_of_ids, draw_sheet, overlay
from voxflow.pictures.places import NOTHING, place, sections_of, window_of
from voxflow.pictures.sheet import _fitting, _head

pytest.importorskip("PIL")

RAMP = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
CELL = 190 + 8
TOP = 2**63 + 1


def tile(picture, top, column, rows, columns, step=10):
    """A pixel of each voxel of a panel."""
    left = 8 + CELL * column
    return picture[top : top + rows * step : step, left : left + columns * step : step]


def test_a_sheet_has_everything_at_its_place():
    raw = Layer("raw", RAMP, (10.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    ids = np.zeros((4, 2, 3), np.uint64)
    ids[:, 1] = TOP
    labels = Layer("labels", ids, (10.0, 2.0, 2.0), (0.0, 2.0, 4.0), "labels")
    sheet = draw_sheet([("one", [raw, labels]), ("two", [raw])], size=60)
    picture = np.asarray(sheet)
    top = 4 + 4 * 15 + 8 + 15
    grey = tile(picture, top, 0, 5, 6)
    assert (np.diff(grey[..., 0].ravel().astype(int)) >= 1).all()
    assert (picture[top, 8 + 60 :][: CELL - 60] == 250).all()  # narrower than its head
    alone = tile(picture, top, 1, 5, 6)
    colour = colours_of_ids(np.array([TOP], np.uint64))[0]
    assert (alone[2, 2:5] == colour).all()
    assert not alone[1, 2:5].any()
    assert (alone[[0, 3, 4]] == NOTHING).all()
    both = tile(picture, top, 2, 5, 6)
    assert np.array_equal(both[2, 2:5], overlay(grey[2:3, 2:5], colour[None, None])[0])
    assert np.array_equal(both[1, 2:5], grey[1, 2:5])
    assert np.array_equal(both[0], grey[0] // 2)  # outside of the labels
    second = top + 50 + 8 + 4 * 15 + 8 + 15
    assert np.array_equal(tile(picture, second, 0, 5, 6), grey)


def test_affinities_and_images_of_three_bytes_are_in_colour():
    data = np.stack([RAMP[0], RAMP[0] + 60, RAMP[0] + 100])
    image = Layer("rgb", data, (1.0, 1.0), (0.0, 0.0))
    affinities = Layer("affs", data[:2] / 255, (1.0, 1.0), (0.0, 0.0), "affinities")
    picture = np.asarray(draw_sheet([("", [image, affinities])], size=60))
    top = 4 + 3 * 15 + 8
    seen = tile(picture, top, 0, 5, 6)
    assert np.array_equal(seen, np.moveaxis(data, 0, -1))
    found = tile(picture, top, 1, 5, 6)
    assert np.array_equal(found[..., :2], seen[..., :2])
    assert not found[..., 2].any()
    assert np.array_equal(tile(picture, top, 2, 5, 6), overlay(seen, found))
    # As samples, they are three grey images.
    labels = Layer("ids", np.ones((3, 5, 6), int), (1.0, 1.0), (0.0, 0.0), "labels")
    placed = place([image, labels], None)
    assert [p.data.shape for p in placed] == [(3, 1, 5, 6)] * 2
    assert placed[0].style == "image"


def test_what_lies_elsewhere_is_shown_from_the_corner():
    raw = Layer("raw", np.ones((4, 4), np.uint8), (2.0, 2.0), (10.0, 20.0))
    far = Layer("ids", np.ones((2, 4), int), (2.0, 2.0), (1000.0, 20.0), "labels")
    beside = Layer("mask", np.ones((2, 4), bool), (2.0, 2.0), (14.0, 26.0), "mask")
    placed = place([raw, far, beside], False)
    assert [p.moved for p in placed] == [False, True, False]
    assert [p.offset for p in placed] == [(10.0, 20.0), (10.0, 20.0), (14.0, 26.0)]
    window = window_of(placed, 70)
    assert (window.begin, window.pixel, window.shape) == ((10.0, 20.0), 0.2, (40, 70))
    drawn = np.asarray(draw_sheet([("", [raw, far])]))
    assert drawn.shape[1] == 8 + 2 * (256 + 8)  # nothing is laid over
    volumes = [
        Layer("raw", np.ones((4, 4, 4), np.uint8), (40.0, 2.0, 2.0), (0.0, 0.0, 0.0)),
        Layer("flat", np.ones((4, 4), np.uint8), (2.0, 2.0), (500.0, 0.0)),
    ]
    assert place(volumes, False)[1].offset == (0.0, 0.0)


@pytest.mark.parametrize("style", ["image", "labels"])
def test_pixels_of_many_voxels_are_their_mean_but_of_ids(style):
    data = np.zeros((40, 40), np.uint8)
    data[:, ::2] = 100
    layer = Layer("x", data, (1.0, 1.0), (0.0, 0.0), style)
    (placed,) = place([layer], False)
    window = window_of([placed], 10)
    pixels, there = window.draw(placed.plane(0, ())[0], placed)
    assert pixels.shape == (10, 10, 3)
    assert there.all()
    found = np.unique(pixels.reshape(-1, 3), axis=0)
    colours = colours_of_ids(np.array([0, 100]))
    assert len(found) == 1
    if style == "image":
        assert found.tolist() == [[128] * 3]
    else:
        assert found[0].tolist() in colours.tolist()


def test_sections_are_of_what_all_have():
    deep = Layer("raw", np.zeros((10, 4, 4)), (40.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    part = Layer("ids", np.zeros((3, 4, 4), int), (40.0, 4.0, 4.0), (160.0, 0.0, 0.0), "labels")
    placed = place([deep, part], False)
    assert sections_of(placed, 1) == [(220.0,)]
    assert sections_of(placed, 7) == [(180.0,), (220.0,), (260.0,)]
    assert placed[1].plane(0, (140.0,)).shape == (1, 0, 4)


def test_affinities_of_one_channel_are_grey():
    layer = Layer("affs", RAMP[:1] / 255, (1.0, 1.0), (0.0, 0.0), "affinities")
    picture = np.asarray(draw_sheet([("", [layer])], size=60))
    seen = tile(picture, 4 + 3 * 15 + 8, 0, 5, 6)
    assert np.array_equal(seen, np.repeat(RAMP[0][..., None], 3, axis=-1))


def test_of_long_texts_one_end_is_left_out():
    def fits(text):
        return len(text) <= 4

    assert _fitting("abcdef", fits, end=True) == "…def"
    assert _fitting("abcdef", fits, end=False) == "abc…"
    assert _fitting("abcd", fits, end=True) == "abcd"


def test_of_what_is_coarser_than_its_file_no_range_is_said():
    layer = Layer("x", RAMP, (10.0, 4.0, 4.0), (0.0,) * 3, factors=(1, 2, 2))
    assert _head(place([layer], False)[0])[1] == "coarser than its file by 1x2x2"


def test_nothing_is_a_sheet_too():
    empty = Layer("raw", np.zeros((0, 4)), (1.0, 1.0), (0.0, 0.0))
    picture = np.asarray(draw_sheet([("a", [empty])], notes=["that is all"]))
    assert picture.shape == (4 + 23 + 15 + 4, 8 + CELL, 3)
    assert (picture < 128).any()
