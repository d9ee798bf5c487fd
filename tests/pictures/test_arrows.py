"""Vectors are arrows that begin at their voxels and lead where they should."""

import numpy as np
import pytest

from voxflow.pictures import Layer, coloured, draw_sheet, section
from voxflow.pictures.arrows import _COLOUR, draw_arrows

pytest.importorskip("PIL")


def arrows(picture):
    return np.argwhere((np.asarray(picture) == _COLOUR).all(axis=-1))


@pytest.mark.parametrize("vector", [(0, 30), (-30, 0), (20, -20)])
def test_an_arrow_leads_from_its_start_to_its_tip(vector):
    pixels = np.full((100, 90, 3), 7, np.uint8)
    made = draw_arrows(
        pixels, np.array([[50, 45], [9, 9], [8, 8]]), np.array([vector, (0, 0), (np.nan, 1)])
    )
    found = arrows(made)
    tip = np.array([50, 45]) + vector
    assert {(50, 45), tuple(tip)} <= {*map(tuple, found)}
    assert np.abs(found - [9, 9]).sum(axis=1).min() > 0  # of those without a length nothing is seen
    # The head is at the tip.
    near = [np.hypot(*(found - place).T) < 8 for place in (tip, np.array([50, 45]))]
    assert near[0].sum() > near[1].sum() + 4
    assert (pixels == 7).all()


@pytest.mark.parametrize("shape", [(12, 20), (3, 12, 20)])
@pytest.mark.parametrize("size", [60, 240])
def test_a_field_is_shown_by_arrows_that_are_apart(shape, size):
    dims = len(shape)
    field = np.zeros((dims, *shape), np.float32)
    field[-1, ..., :10] = 2  # to the right, in the left half
    field[-2, ..., 10:] = 1  # and half as far down
    layer = Layer("field", field, (5.0, 1.0, 1.0)[-dims:], (0.0,) * dims, "vectors")
    picture = np.asarray(draw_sheet([("", [layer])], size=size))
    found = arrows(picture)
    scale = size // 20
    left = found[found[:, 1] < 8 + 10 * scale]
    right = found[found[:, 1] >= 8 + 12 * scale]
    rows = [np.unique(part[:, 0]) for part in (left, right)]
    columns = [np.unique(part[:, 1]) for part in (left, right)]
    assert len(columns[0]) > len(rows[0]) * (1.2 if size == 240 else 0.8)
    assert len(rows[1]) > len(columns[1]) * (1.2 if size == 240 else 0.8)


def test_a_section_shows_the_length():
    field = np.zeros((2, 1, 3), np.float32)
    field[:, 0] = [[0, 3, 0], [0, 4, 10]]
    layer = Layer("field", field, (1.0, 1.0), (0.0, 0.0), "vectors")
    assert section(layer)[0, :, 0].tolist() == [0, 128, 255]
    assert coloured(field, "vectors", (0, 5))[0, :, 0].tolist() == [0, 255, 255]


def test_along_a_line_they_lead_along_it():
    layer = Layer("line", np.ones((1, 9)), (1.0,), (0.0,), "vectors")
    assert len(np.unique(arrows(draw_sheet([("", [layer])], size=200))[:, 1])) > 10
