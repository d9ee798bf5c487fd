"""Arrays that are read where they are looked at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.inspect.arrays import open_array
from voxflow.inspect.find import Container
from voxflow.inspect.volumes import Level, OnDemand, levels_of, read_coarse
from voxflow.stores import ArrayDataset, Geometry, create_dataset

TOP, LAST = 2**63 + 5, 2**64 - 1


def write(path, name, data, size=None, **options):
    place = None if size is None else Geometry(size, (0,) * len(size))
    create_dataset(path, name, data.shape, data.dtype, geometry=place, **options).write((), data)
    return Container(str(path))


def on_demand(container, name):
    return OnDemand(container, open_array(container, name))


def whole(array):
    return array[(slice(None),) * len(array.shape)]


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("raw", np.array([[0, 255]], np.uint8), np.array([[0, 255]], np.uint8)),
        ("raw", np.array([[-3, 4]], np.int16), np.array([[-3, 4]], np.int16)),
        ("raw", np.array([[0.5, -1e9]], np.float64), np.array([[0.5, -1e9]], np.float32)),
        ("raw", np.array([[0.5, 2]], np.float16), np.array([[0.5, 2]], np.float32)),
        ("raw", np.array([[3 + 4j, 1j]], np.complex64), np.array([[5, 1]], np.float32)),
        ("labels", np.array([[TOP, LAST]], np.uint64), np.array([[TOP, LAST]], np.uint64)),
        ("labels", np.array([[-1, 7]], np.int64), np.array([[LAST, 7]], np.uint64)),
        ("labels", np.array([[6.9, np.nan]], np.float32), np.array([[7, 0]], np.uint64)),
        ("labels", np.array([[3, 9]], np.uint16), np.array([[3, 9]], np.uint16)),
        ("labels", np.array([[True, False]]), np.array([[1, 0]], np.uint64)),
    ],
)
def test_values_become_what_the_viewer_knows(tmp_path, name, values, shown):
    array = on_demand(write(tmp_path / "a.zarr", name, values), name)
    seen = whole(array)
    assert seen.dtype == array.dtype == shown.dtype
    assert (seen == shown).all()


def test_leading_axes_come_first(tmp_path):
    data = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5, 2)
    path = tmp_path / "a.zarr"
    place = Geometry((4, 4, 4), (0, 0, 0), axes=("z", "y", "x", "c"), spatial=(0, 1, 2))
    create_dataset(path, "raw", data.shape, data.dtype, geometry=place).write((), data)
    array = on_demand(Container(str(path)), "raw")
    assert array.shape == (2, 3, 4, 5)
    assert (array[(slice(1, 2), slice(0, 2), slice(1, 4), slice(5))] == data[:2, 1:4, :, 1]).all()


def test_only_the_chunks_that_are_looked_at_are_read_and_each_once(tmp_path, monkeypatch):
    data = np.arange(64**2, dtype=np.uint16).reshape(64, 64)
    container = write(tmp_path / "a.hdf", "raw", data, chunks=(16, 16), compression="gzip")
    array = on_demand(container, "raw")
    fetched = []
    kind = type(array._stored)
    fetch = kind.fetch
    monkeypatch.setattr(
        kind, "fetch", lambda self, index: fetched.append(tuple(index)) or fetch(self, index)
    )
    region = (slice(10, 20), slice(40, 50))
    assert (array[region] == data[region]).all()
    assert sorted(fetched) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    assert (array[region] == data[region]).all()
    assert len(fetched) == 4


def test_chunks_that_are_not_stored_are_the_fill_value(tmp_path):
    path = tmp_path / "a.zarr"
    dataset = create_dataset(path, "raw", (8, 8), np.uint8, chunks=(4, 4), fill_value=7)
    dataset.write((slice(0, 4), slice(0, 4)), np.zeros((4, 4), np.uint8))
    seen = whole(on_demand(Container(str(path)), "raw"))
    assert seen[:4, :4].max() == 0
    assert (seen[4:] == 7).all()


class Memory:
    """What `OnDemand` is for `read_coarse`; it says what was read."""

    def __init__(self, data):
        self.data, self.shape, self.read = data, data.shape, 0

    def __getitem__(self, region):
        found = ArrayDataset(self.data).read(region)
        self.read += found.size
        return found


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 40), min_size=3, max_size=3),
    st.lists(st.sampled_from([1, 2, 4, 16]), min_size=3, max_size=3),
    st.lists(st.sampled_from([1, 2]), min_size=3, max_size=3),
    st.booleans(),
    st.integers(0, 2),
    st.data(),
)
def test_coarse_voxels_are_those_at_the_same_place(shape, factors, step, cut_off, axis, draw):
    """Voxels of levels hold their place along one axis; the rest of a voxel is cut off or not."""
    levels = []
    for power in range(4):
        sizes = np.power(step, power)
        counts = np.maximum(1, shape // sizes if cut_off else -(-np.array(shape) // sizes))
        place = (np.arange(counts[axis]) + 0.5) * sizes[axis]
        line = [1, 1, 1]
        line[axis] = -1
        data = np.broadcast_to(place.reshape(line), counts)
        levels.append(Level(Memory(data), tuple(sizes.astype(float))))
    whole = -(-np.array(shape) // factors)
    begin = [draw.draw(st.integers(0, n - 1)) for n in whole.tolist()]
    end = [draw.draw(st.integers(b + 1, n)) for b, n in zip(begin, whole.tolist(), strict=True)]
    seen = np.moveaxis(read_coarse(levels, factors, begin, end), axis, 0)
    assert seen.shape[1:] == tuple(np.delete(np.subtract(end, begin), axis))
    (level,) = {id(level): level for level in levels if level.data.read}.values()
    assert level.factor <= np.prod(factors)
    finer = [other for other in levels if other.factor > level.factor]
    assert all(other.factor > np.prod(factors) for other in finer)
    wanted = (np.arange(begin[axis], end[axis]) + 0.5) * factors[axis]
    size = level.factors[axis]
    inside = wanted < level.data.shape[axis] * size  # the last voxel stands for what is cut off
    far = np.abs(seen.reshape(len(wanted), -1).T - wanted)[:, inside]
    assert (far <= size / 2).all()


def test_levels_of_a_pyramid(tmp_path):
    from voxflow.stores import open_attrs
    from voxflow.stores.ngff import make_multiscales

    path = tmp_path / "a.zarr"
    sizes = {"s0": (40, 4, 4), "s1": (40, 8, 8), "s2": (80, 16, 16)}
    for power, name in enumerate(sizes):
        data = np.full((4 if power < 2 else 2, 16 >> power, 16 >> power), power, np.uint8)
        create_dataset(path, f"raw/{name}", data.shape, data.dtype).write((), data)
    levels = [(name, size, (0, 0, 0)) for name, size in sizes.items()]
    axes = [(name, "space", "nanometer") for name in "zyx"]
    open_attrs(path, "raw", mode="r+").update(make_multiscales(levels, axes, "0.4"))
    container = Container(str(path))
    found = levels_of(container, open_array(container, "raw/s0"), ["raw/s0", "raw/s1", "raw/s2"])
    assert [level.factors for level in found] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    seen = [
        read_coarse(found, factors, (0, 0, 0), (1, 1, 1)).item()
        for factors in ((1, 1, 1), (1, 1, 2), (1, 2, 2), (2, 4, 4), (4, 8, 8))
    ]
    assert seen == [0, 0, 1, 2, 2]
    assert len(levels_of(container, open_array(container, "raw/s1"), ["raw/s1"])) == 1
