"""What every format has to hold, as tests to subclass.

A new format is tested by a class of a few lines::

    class TestTiff(StoreTests):
        def make(self, folder, shape, dtype, chunks):
            return create_tiff(folder / "a.tif", shape, dtype)

        def reopen(self, dataset, mode="r", missing_chunks="error"):
            return open_dataset(dataset.uri, mode=mode, missing_chunks=missing_chunks)
"""

# ruff: noqa: D102 (the name of a test says what it shows)
from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import StoredDataset
from voxflow.stores.errors import DataMismatch, MissingChunk, OutOfBounds, ReadOnly, StoreUnusable
from voxflow.stores.grid import chunk_bounds, chunks_of
from voxflow.stores.metadata import Geometry, read_geometry, write_geometry

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from voxflow.stores.base import Dataset, MissingChunks, Mode

__all__ = ["StoreTests", "ramp", "random_region", "run_forked"]

SHAPE, CHUNKS = (7, 20, 33), (4, 8, 16)


def ramp(shape: tuple[int, ...], dtype: Any = np.uint64) -> NDArray[Any]:
    """Make data in which each voxel's value is its own place, counted from 1.

    >>> ramp((2, 3))
    array([[1, 2, 3], [4, 5, 6]], dtype=uint64)
    """
    return np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def random_region(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, ...]:
    """Draw a region inside a shape; it may be empty."""
    ends = [np.sort(rng.integers(0, extent + 1, 2)) for extent in shape]
    return tuple(slice(int(begin), int(end)) for begin, end in ends)


def run_forked(function: Callable[[], bool]) -> bool:
    """Run a function in a fork of this process, and say whether it returned True there."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if function() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class StoreTests:
    """The conformance suite; subclass it under a name that pytest collects."""

    reads_missing = True
    """Whether a chunk that was never written is told from one that holds the fill value."""

    has_attrs = True
    """Whether attributes are kept in the store."""

    forks = True
    """Whether a fork of a process that has read can read, too; else it raises, and never hangs."""

    lacks: tuple[str, ...] = ()
    """Types that the format does not hold."""

    dimensions: int | None = None
    """The only number of axes that the format holds, if there is one."""

    holds_nothing = True
    """Whether a dataset may be empty."""

    chunks = CHUNKS
    """The grid of writing that comes of asking for ``CHUNKS``."""

    def make(
        self, folder: Path, shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]
    ) -> Dataset:
        """Make a dataset that is open for writing; its grid of writing is ``chunks``, if any."""
        raise NotImplementedError

    def reopen(
        self, dataset: Dataset, mode: Mode = "r", missing_chunks: MissingChunks = "error"
    ) -> Dataset:
        """Open the same dataset once more."""
        raise NotImplementedError

    @pytest.fixture
    def written(self, tmp_path: Path) -> Dataset:
        """A dataset that holds the ramp, open for writing."""
        dataset = self.make(tmp_path, SHAPE, np.uint64, CHUNKS)
        dataset.write((), ramp(SHAPE))
        return dataset

    def test_says_what_it_is(self, tmp_path: Path) -> None:
        dataset = self.make(tmp_path, SHAPE, np.uint16, CHUNKS)
        assert dataset.shape == SHAPE
        assert dataset.dtype == np.uint16
        assert dataset.chunks in (self.chunks, None)
        assert isinstance(dataset.uri, str)
        assert dataset.uri

    @pytest.mark.parametrize("dtype", ["u1", "i8", "u8", "f4", "f8", "bool", ">u2"])
    def test_reads_what_was_written(self, tmp_path: Path, dtype: str) -> None:
        if dtype in self.lacks:
            pytest.skip(f"does not hold {dtype}")
        lead = (1,) * ((self.dimensions or 2) - 2)
        data = ramp((*lead, 5, 6), dtype)
        dataset = self.make(tmp_path, data.shape, dtype, (*lead, 2, 4))
        dataset.write((), data)
        found = self.reopen(dataset).read(())
        assert found.dtype == dataset.dtype
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, data)

    def test_largest_ids_survive(self, tmp_path: Path) -> None:
        ids = np.array([0, 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1], np.uint64)
        ids = ids.reshape((1,) * ((self.dimensions or 1) - 1) + (-1,))
        dataset = self.make(tmp_path, ids.shape, np.uint64, (*ids.shape[:-1], 3))
        dataset.write((), ids)
        np.testing.assert_array_equal(self.reopen(dataset).read(()), ids)

    def test_cropping_and_reading_commute(self, written: Dataset) -> None:
        rng, dataset = np.random.default_rng(1), self.reopen(written)
        for _ in range(30):
            region = random_region(SHAPE, rng)
            np.testing.assert_array_equal(dataset.read(region), ramp(SHAPE)[region])

    def test_writing_a_region_leaves_the_rest(self, written: Dataset) -> None:
        rng, expected = np.random.default_rng(2), ramp(SHAPE)
        for value in range(10):
            region = random_region(SHAPE, rng)
            expected[region] = value
            written.write(region, np.ascontiguousarray(expected[region]))
        np.testing.assert_array_equal(self.reopen(written).read(()), expected)

    def test_writes_views_of_any_stride(self, written: Dataset) -> None:
        mirrored = ramp(SHAPE)[::-1, :, ::-1]
        written.write((), mirrored)
        np.testing.assert_array_equal(self.reopen(written).read(()), mirrored)

    def test_axes_left_out_are_whole(self, written: Dataset) -> None:
        np.testing.assert_array_equal(written.read((slice(2, 3),)), ramp(SHAPE)[2:3])

    def test_what_was_read_belongs_to_the_caller(self, written: Dataset) -> None:
        written.read(())[:] = 0
        np.testing.assert_array_equal(written.read(()), ramp(SHAPE))

    @pytest.mark.parametrize("cut", [slice(-1, 2), slice(0, SHAPE[0] + 1), slice(3, 2)])
    def test_refuses_regions_outside(self, written: Dataset, cut: slice) -> None:
        with pytest.raises(OutOfBounds, match=r"are not inside .*axis 0"):
            written.read((cut,))
        with pytest.raises(OutOfBounds, match=r"are not inside .*axis 0"):
            written.write((cut,), np.zeros((3, *SHAPE[1:]), np.uint64))

    def test_refuses_odd_regions(self, written: Dataset) -> None:
        with pytest.raises(OutOfBounds, match="3 axes, the region has 4"):
            written.read((slice(None),) * 4)
        with pytest.raises(TypeError, match="without steps"):
            written.read((slice(0, 4, 2),))

    def test_refuses_data_that_do_not_fit(self, written: Dataset) -> None:
        region = (slice(0, 2),)
        with pytest.raises(DataMismatch, match="shape"):
            written.write(region, np.zeros((3, *SHAPE[1:]), np.uint64))
        with pytest.raises(DataMismatch, match="astype"):
            written.write(region, np.zeros((2, *SHAPE[1:]), np.float32))
        np.testing.assert_array_equal(written.read(()), ramp(SHAPE))

    def test_reading_does_not_write(self, written: Dataset) -> None:
        dataset = self.reopen(written, "r")
        with pytest.raises(ReadOnly, match=r"mode='r\+'"):
            dataset.write((), ramp(SHAPE))

    def test_writes_where_it_is_reopened(self, written: Dataset) -> None:
        again = self.reopen(written, "r+")
        again.write((slice(0, 1),), np.zeros((1, *SHAPE[1:]), np.uint64))
        assert not self.reopen(written).read((slice(0, 1),)).any()

    def test_no_data_at_all(self, tmp_path: Path) -> None:
        if not self.holds_nothing:
            pytest.skip("holds no empty data")
        shape = (0, *(3,) * ((self.dimensions or 2) - 1))
        dataset = self.make(tmp_path, shape, np.float32, (1, *shape[1:]))
        dataset.write((), np.zeros(shape, np.float32))
        assert self.reopen(dataset).read(()).shape == shape

    def test_pickles(self, written: Dataset) -> None:
        copied: Dataset = pickle.loads(pickle.dumps(self.reopen(written)))
        np.testing.assert_array_equal(copied.read(()), ramp(SHAPE))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    def test_forked_readers_read_the_same(self, written: Dataset) -> None:
        region, dataset = (slice(1, 6), slice(3, 15)), self.reopen(written)
        expected = dataset.read(region)
        del written

        def reads_or_raises() -> bool:
            if self.forks:
                return np.array_equal(dataset.read(region), expected)
            with pytest.raises(StoreUnusable, match="fork"):
                dataset.read(region)
            return True

        for _ in range(2):
            assert run_forked(reads_or_raises)
        np.testing.assert_array_equal(dataset.read(region), expected)

    def test_threads_read_the_same(self, written: Dataset) -> None:
        dataset, wrong = self.reopen(written), []

        def read_some(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(10):
                region = random_region(SHAPE, rng)
                if not np.array_equal(dataset.read(region), ramp(SHAPE)[region]):
                    wrong.append(region)

        threads = [threading.Thread(target=read_some, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_missing_chunks_are_errors(self, tmp_path: Path) -> None:
        dataset = self.make(tmp_path, SHAPE, np.uint64, CHUNKS)
        if not self.reads_missing or dataset.chunks is None:
            pytest.skip("stores no chunks one by one")
        first = tuple(slice(b, e) for b, e in chunk_bounds((0, 0, 0), CHUNKS, SHAPE))
        dataset.write(first, ramp(SHAPE)[first])
        again = self.reopen(dataset)
        np.testing.assert_array_equal(again.read(first), ramp(SHAPE)[first])
        touched = (slice(0, 5), slice(0, 5), slice(0, 5))
        for reader in (again, dataset):
            with pytest.raises(MissingChunk) as caught:
                reader.read(touched)
            for part in (dataset.uri, "(1, 0, 0)", "[4:7, 0:8, 0:16]", "missing_chunks='fill'"):
                assert part in str(caught.value)
        filled = self.reopen(dataset, missing_chunks="fill").read(touched)
        assert filled[:4].all()
        assert not filled[4:].any()

    def test_chunks_of_fill_value_are_not_missing(self, tmp_path: Path) -> None:
        dataset = self.make(tmp_path, SHAPE, np.uint64, CHUNKS)
        dataset.write((), np.zeros(SHAPE, np.uint64))
        assert not self.reopen(dataset).read(()).any()

    def test_chunks_written_one_by_one(self, tmp_path: Path) -> None:
        dataset = self.make(tmp_path, SHAPE, np.uint64, CHUNKS)
        for index in chunks_of(tuple((0, extent) for extent in SHAPE), CHUNKS):
            region = tuple(slice(b, e) for b, e in chunk_bounds(index, CHUNKS, SHAPE))
            dataset.write(region, ramp(SHAPE)[region])
        np.testing.assert_array_equal(self.reopen(dataset).read(()), ramp(SHAPE))

    def test_what_is_begun_is_written_when_it_was_waited_for(self, tmp_path: Path) -> None:
        dataset, waits = _stored(self.make(tmp_path, SHAPE, np.uint64, CHUNKS)), []
        for index in chunks_of(tuple((0, extent) for extent in SHAPE), CHUNKS):
            region = tuple(slice(b, e) for b, e in chunk_bounds(index, CHUNKS, SHAPE))
            data = ramp(SHAPE)[region].copy()
            wait = dataset.begin_write(region, data)
            if wait is None:
                dataset.write(region, data)
            else:
                waits.append((wait, data))
        for wait, data in waits:
            wait()
            data[...] = 0  # nobody looks at it any more
        np.testing.assert_array_equal(dataset.read(()), ramp(SHAPE))
        np.testing.assert_array_equal(self.reopen(dataset).read(()), ramp(SHAPE))

    def test_what_does_not_fit_is_not_begun(self, written: Dataset) -> None:
        with pytest.raises(DataMismatch):
            _stored(written).begin_write((slice(0, 2),), np.zeros((1, *SHAPE[1:]), np.uint64))
        again = _stored(self.reopen(written))
        with pytest.raises(ReadOnly):
            again.begin_write((slice(0, 1),), np.zeros((1, *SHAPE[1:]), np.uint64))

    def test_keeps_attributes(self, written: Dataset) -> None:
        if not self.has_attrs:
            pytest.skip("keeps no attributes")
        written.attrs["text"] = "a µm"
        written.attrs.update({"numbers": [1, 2], "one": np.float32(0.5)})
        attrs = self.reopen(written).attrs
        assert attrs["text"] == "a µm"
        assert list(attrs["numbers"]) == [1, 2]
        assert attrs["one"] == 0.5
        assert {"text", "numbers", "one"} <= set(attrs)
        del written.attrs["text"]
        assert "text" not in self.reopen(written).attrs
        with pytest.raises(ReadOnly):
            self.reopen(written).attrs["text"] = "b"

    def test_keeps_geometry_exactly(self, written: Dataset) -> None:
        if not self.has_attrs:
            pytest.skip("keeps no attributes")
        geometry = Geometry(
            Coordinate(50, 4.6, 9.8), Coordinate(-25, 2.3, 0.1), ("nm",) * 3, ("z", "y", "x")
        )
        write_geometry(written, geometry)
        found = read_geometry(self.reopen(written))
        assert found.voxel_size == geometry.voxel_size
        assert found.offset == geometry.offset
        assert found.units == geometry.units
        assert found.axes == geometry.axes


def _stored(dataset: Dataset) -> StoredDataset:
    if not isinstance(dataset, StoredDataset):
        pytest.skip("knows nothing but reading and writing")
    return dataset
