"""Maps of what was read: exact counts, bounded size, whole files."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.training.covered import (
    CLASSES,
    Branch,
    Covered,
    SourceMap,
    find_coverage,
    read_coverage,
)


def brute(of, begins, ends):
    """The mean number of reads of each cell, cell by cell."""
    cell = (np.array(of.end) - of.begin) / of.times.shape
    times = np.zeros(of.times.shape)
    for place in np.ndindex(times.shape):
        low = np.array(of.begin) + np.array(place) * cell
        inside = np.minimum(ends, low + cell) - np.maximum(begins, low)
        times[place] = (np.clip(inside, 0, None) / cell).prod(axis=1).sum()
    return times


@settings(max_examples=25)
@given(dims=st.integers(1, 3), seed=st.integers(0, 1000), cells=st.integers(1, 60))
def test_times_are_the_mean_of_the_voxels(dims, seed, cells):
    rng = np.random.default_rng(seed)
    begin = rng.integers(-50, 50, dims)
    end = begin + rng.integers(1, 100, dims)
    of = SourceMap.of("A", "RAW", begin.tolist(), end.tolist(), cells=cells)
    assert of.times.size <= cells
    begins = rng.uniform(begin - 20, end, (7, dims))
    ends = begins + rng.uniform(0, 60, (7, dims))  # some lead out of the region
    of.add(begins[:3], ends[:3])
    of.add(begins[3:], ends[3:])
    assert of.visits == 7
    assert np.allclose(of.times, brute(of, begins, ends), atol=7 * dims / 2**9)


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), dims=st.integers(1, 3))
def test_what_is_said_to_be_never_read_is_not(seed, dims):
    rng = np.random.default_rng(seed)
    of = SourceMap.of("A", "RAW", (0.0,) * dims, (64.0,) * dims, cells=8**dims)
    begins = rng.integers(0, 8, (3, dims)) * 8.0
    of.add(begins, begins + 16.0)
    boxes = of.never_boxes(3)
    seen = of.times > 0
    assert of.never == 1 - seen.mean()
    taken = np.zeros(of.times.shape, bool)
    for low, high in boxes:
        place = tuple(slice(int(a // 8), int(b // 8)) for a, b in zip(low, high, strict=True))
        assert not seen[place].any()
        assert not taken[place].any()  # no two say the same
        taken[place] = True
    assert bool(boxes) == (not seen.all())
    volumes = [np.prod(np.subtract(high, low)) for low, high in boxes]
    assert volumes == sorted(volumes, reverse=True)
    if boxes:  # nothing can be added to the largest, but what is another's
        (low, high), shape = boxes[0], of.times.shape
        first = [[int(a // 8), int(b // 8)] for a, b in zip(low, high, strict=True)]
        for axis, (side, step) in itertools.product(range(dims), ((0, -1), (1, 1))):
            wider = [list(bounds) for bounds in first]
            wider[axis][side] += step
            if wider[axis][0] >= 0 and wider[axis][1] <= shape[axis]:
                place = tuple(slice(a, b) for a, b in wider)
                assert (
                    seen[place].any()
                    or taken[place].sum() > taken[tuple(slice(a, b) for a, b in first)].sum()
                )


def test_cells_are_about_cubes_and_no_smaller_than_voxels():
    size = {"voxel_size": (40.0, 4.0, 4.0), "cells": 1 << 15}
    of = SourceMap.of("A", "RAW", (0.0, 0, 0), (5000.0, 5000, 5000), **size)
    assert of.times.shape == (32, 32, 32)
    of = SourceMap.of("A", "RAW", (0.0, 0, 0), (120.0, 400, 200), **size)
    assert of.times.shape[0] == 3
    assert 2**13 < of.times.size <= 2**15


def test_what_has_no_region_is_counted_and_has_no_map():
    of = SourceMap.of("A", "POINTS", (), (), cells=100)
    of.add(np.zeros((3, 2)), np.ones((3, 2)))
    assert of.visits == 3
    assert of.never == 0
    assert of.never_boxes() == []


def example():
    of = SourceMap.of("A", "RAW", (0.0, 0.0), (8.0, 4.0), name="A[ü.zarr]", cells=32)
    of.add(np.array([[0.0, 0.0]]), np.array([[2.0, 4.0]]))
    counts = np.zeros(CLASSES + 1, np.int64)
    counts[[0, 3, CLASSES]] = 5, 6, 7
    branches = [Branch("RandomProvider", 0, ["A"], 0.25), Branch("RandomProvider", 1, ["B"], 0.75)]
    return Covered([of], branches, {"LABELS": counts}, 9)


def test_a_file_holds_all_of_it(tmp_path):
    made = example()
    made.write(tmp_path / "coverage.npz")
    found = read_coverage(tmp_path)
    assert found.steps == 9
    assert found.branches == made.branches
    assert [found.taken(branch) for branch in found.branches] == [1, 0]
    assert np.array_equal(found.classes["LABELS"], made.classes["LABELS"])
    (of,), (expected,) = found.maps, made.maps
    assert np.array_equal(of.times, expected.times)
    assert {**vars(of), "times": 0} == {**vars(expected), "times": 0}
    assert [file.name for file in tmp_path.iterdir()] == ["coverage.npz"]


def test_a_file_that_is_not_there_or_damaged_is_named(tmp_path):
    assert find_coverage(tmp_path) is None
    with pytest.raises(FileNotFoundError, match=r"no coverage\.npz in"):
        read_coverage(tmp_path)
    file = tmp_path / "coverage.npz"
    example().write(file)
    assert find_coverage(tmp_path / "snapshots") == file
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"text"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"coverage\.npz is damaged"):
            read_coverage(tmp_path)
    np.savez(file, header="{}")
    with pytest.raises(ValueError, match="damaged"):
        read_coverage(file)


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    file = tmp_path / "coverage.npz"
    example().write(file)
    before = file.read_bytes()

    def broken(*_, **__):
        raise OSError("full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="full"):
        example().write(file)
    assert file.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["coverage.npz"]
