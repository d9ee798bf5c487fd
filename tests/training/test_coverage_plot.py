"""The picture of where a training has looked."""

import io

import numpy as np
import pytest

from voxflow.training import plot_coverage
from voxflow.training.coverage_plot import chosen, coverage_picture
from voxflow.training.covered import Branch, Covered, SourceMap

pytest.importorskip("matplotlib")
image = pytest.importorskip("PIL.Image")
NEVER = (0xD4, 0x3D, 0x51)


def covered(*shapes, share=0.5):
    """Sources of which the first part along each axis was read once."""
    maps = []
    for number, shape in enumerate(shapes):
        of = SourceMap.of(f"S{number}", "RAW", [0.0] * len(shape), shape, cells=4000)
        of.add(np.zeros((1, len(shape))), np.array([shape], float) * share)
        maps.append(of)
    return Covered(maps, steps=1)


def pixels(made):
    return np.asarray(image.open(io.BytesIO(coverage_picture(made))).convert("RGB"))


def red(picture):
    return int((picture == NEVER).all(axis=-1).sum())


@pytest.mark.parametrize("shape", [(40.0,), (40.0, 30.0), (4.0, 8.0, 8.0, 8.0)])
def test_what_was_never_read_is_red(shape):
    some, all_of_it = (red(pixels(covered(shape, share=share))) for share in (0.5, 1))
    assert all_of_it == 0
    assert some > 3000


def test_a_volume_is_seen_from_two_sides():
    made = covered((40.0, 40.0, 40.0), share=1)
    half = len(made.maps[0].times) // 2
    made.maps[0].times[:half] = 0  # of which from above nothing is to be seen
    picture = pixels(made)
    width = np.flatnonzero((picture == NEVER).all(axis=-1).any(axis=0))
    rows = np.flatnonzero((picture == NEVER).all(axis=-1).any(axis=1))
    assert rows[0] > len(picture) / 2
    assert 0.8 < np.ptp(rows) * 2 / np.ptp(width) < 1.1  # half of a square


def test_of_many_sources_those_least_read_are_drawn():
    many = covered(*[(10.0, 10.0)] * 15, share=1)
    many.maps.insert(0, SourceMap.of("points", "P", (), (), cells=10))
    for of in many.maps[4:]:
        of.times[:, 5:] = 0
    assert [of.source for of in chosen(many.maps, 12)] == [f"S{i}" for i in range(3, 15)]
    assert [of.source for of in chosen(many.maps, 13)] == [f"S{i}" for i in (0, *range(3, 15))]


def test_inputs_and_classes_are_bars_and_without_anything_there_is_a_picture(tmp_path):
    made = covered((10.0, 10.0))
    narrow = pixels(made).shape[1]
    made.branches = [Branch("RandomProvider", i, [f"S{i}"], 0.5) for i in range(30)]
    made.classes = {"LABELS": np.ones(257, np.int64)}
    assert pixels(made).shape[1] == 3 * narrow
    Covered().write(tmp_path / "coverage.npz")
    file = plot_coverage(tmp_path, tmp_path / "plots" / "coverage.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert [found.name for found in file.parent.iterdir()] == ["coverage.png"]
