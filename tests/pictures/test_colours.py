"""Values have colours that say the same in each picture."""

import numpy as np

from voxflow.pictures import coloured, colours_of_ids, overlay, value_range


def test_few_outliers_do_not_hide_the_rest():
    values = np.linspace(0, 1, 10_000)
    values[:10] = 1e6
    low, high = value_range(values, "image")
    assert 0 <= low < 0.02
    assert 0.98 < high <= 1
    assert value_range(np.array([np.nan, np.inf]), "image") == (0.0, 1.0)


def test_affinities_are_red_green_and_blue():
    planes = np.array([[[1.0]], [[0.5]], [[0.0]], [[1.0]]])
    assert coloured(planes, "rgb", (0.0, 1.0)).tolist() == [[[255, 128, 0]]]
    assert coloured(planes[:2], "rgb", (0.0, 1.0)).tolist() == [[[255, 128, 0]]]


def test_weights_go_from_black_to_white_and_masks_know_no_more():
    values = np.array([[0.0, 1.0, 2.0, 3.0]])
    shown = coloured(values, "weights", (0.0, 3.0))[0]
    assert shown.tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 0], [255, 255, 255]]
    assert coloured(values, "mask", (0.0, 3.0))[0, :, 0].tolist() == [0, 255, 255, 255]


def test_one_value_everywhere_is_drawn():
    assert coloured(np.full((1, 1), 7.0), "image", (7.0, 7.0)).tolist() == [[[0, 0, 0]]]


def test_a_few_values_that_differ_are_seen():
    values = np.zeros(10_000)
    values[:3] = 2.0
    assert value_range(values, "image") == (0.0, 2.0)
    assert value_range(np.linspace(-4, 4, 101), "affinities", 25) == (-2.0, 2.0)
    assert value_range(np.array([3 + 4j, 0]), "weights") == (0.0, 5.0)
    assert coloured(np.array([[3 + 4j, 0]]), "image", (0, 5.0))[0, :, 0].tolist() == [255, 0]


def test_ids_that_are_stored_as_floats_are_ids():
    ids = np.array([[0, 3.0, np.nan]])
    expected = colours_of_ids(np.array([[0, 3, 0]]))
    assert np.array_equal(coloured(ids, "labels", (0, 1)), expected)


def test_labels_are_seen_over_an_image_where_there_are_some():
    image, labels = np.full((1, 2, 3), 100, np.uint8), np.zeros((1, 2, 3), np.uint8)
    labels[0, 1] = 200, 0, 0
    assert overlay(image, labels).tolist() == [[[100, 100, 100], [140, 60, 60]]]
    assert overlay(image, labels, 0.5).tolist() == [[[100, 100, 100], [150, 50, 50]]]
