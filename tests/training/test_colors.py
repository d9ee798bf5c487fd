"""Values have colours that say the same in each picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from voxflow.pipeline.data import Array
from voxflow.pipeline.data.kinds import Affinities
from voxflow.training.colors import blended, colored, guessed_style, id_colors, value_range

IDS = st.integers(1, 2**64 - 1)


@settings(max_examples=20)
@given(st.lists(IDS, min_size=1, max_size=20))
def test_an_id_has_one_colour_whatever_else_is_there(ids):
    together = id_colors(np.array(ids, np.uint64))
    alone = [id_colors(np.array([i], np.uint64))[0] for i in ids]
    assert np.array_equal(together, alone)
    assert together.max(axis=-1).min() > 150  # no id is taken for 0


def test_all_bits_of_an_id_count_and_its_type_does_not():
    bits = np.array([0, *(2**n for n in range(64))], np.uint64)
    assert len(np.unique(id_colors(bits), axis=0)) == 65
    wide = np.array([3, 100], np.uint64)
    for kind in (np.uint8, np.int32, np.int64, np.uint16):
        assert np.array_equal(id_colors(np.array([3, 100], kind)), id_colors(wide))


def test_colours_of_many_ids_differ():
    assert len(np.unique(id_colors(np.arange(1, 1001)), axis=0)) > 990


def test_few_outliers_do_not_hide_the_rest():
    values = np.linspace(0, 1, 10_000)
    values[:10] = 1e6
    low, high = value_range(values, "gray")
    assert 0 <= low < 0.02
    assert 0.98 < high <= 1
    assert value_range(np.array([np.nan, np.inf]), "gray") == (0.0, 1.0)


def test_affinities_are_red_green_and_blue():
    planes = np.array([[[1.0]], [[0.5]], [[0.0]], [[1.0]]])
    assert colored(planes, "rgb", (0.0, 1.0)).tolist() == [[[255, 128, 0]]]
    assert colored(planes[:2], "rgb", (0.0, 1.0)).tolist() == [[[255, 128, 0]]]


def test_weights_go_from_black_to_white_and_masks_know_no_more():
    values = np.array([[0.0, 1.0, 2.0, 3.0]])
    shown = colored(values, "weights", (0.0, 3.0))[0]
    assert shown.tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 0], [255, 255, 255]]
    assert colored(values, "mask", (0.0, 3.0))[0, :, 0].tolist() == [0, 255, 255, 255]


def test_one_value_everywhere_is_drawn():
    assert colored(np.full((1, 1), 7.0), "gray", (7.0, 7.0)).tolist() == [[[0, 0, 0]]]


def test_labels_are_seen_over_an_image_where_there_are_some():
    image, labels = np.full((1, 2, 3), 100, np.uint8), np.zeros((1, 2, 3), np.uint8)
    labels[0, 1] = 200, 0, 0
    assert blended(image, labels).tolist() == [[[100, 100, 100], [140, 60, 60]]]


@pytest.mark.parametrize(
    ("name", "dtype", "options", "style"),
    [
        ("RAW", np.float32, {}, "gray"),
        ("RAW", np.uint8, {}, "gray"),
        ("RAW", np.uint16, {"interpolatable": True}, "gray"),
        ("LABELS", np.uint64, {}, "labels"),
        ("LABELS", np.uint8, {"interpolatable": False}, "labels"),
        ("labels", np.uint8, {}, "labels"),
        ("GT_MASK", np.uint8, {}, "mask"),
        ("ANY", bool, {}, "mask"),
        ("GT_AFFS", np.float32, {}, "rgb"),
        ("ANY", np.uint8, {"kind": Affinities([(1, 0), (0, 1)])}, "rgb"),
        ("AFFS_WEIGHTS", np.float32, {}, "rgb"),
        ("LOSS_WEIGHTS", np.float32, {}, "weights"),
    ],
)
def test_a_style_is_guessed(name, dtype, options, style):
    array = Array(np.zeros((2, 3, 3), dtype), gp.ArraySpec(voxel_size=(1, 1), **options))
    assert guessed_style(name, array, 2) == style
