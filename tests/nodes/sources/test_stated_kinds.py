"""Files that voxflow wrote say what their values are, so that nobody types offsets twice."""

import h5py
import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.stores import MetadataConflict

LABELS, AFFS, FLOW = gp.ArrayKey("LABELS"), gp.ArrayKey("AFFS"), gp.ArrayKey("FLOW")
OFFSETS = [[-1, 0], [0, -1], [0, -3]]
WHOLE = gp.Roi((4, 12), (72, 68))
WRITERS = {
    "hdf5": (gp.Hdf5Write, gp.Hdf5Source, "out.h5"),
    "zarr": (gp.ZarrWrite, gp.ZarrSource, "out.zarr"),
}


def dataset(attrs, shape):
    """A Zarr array in memory."""
    stored = zarr.create_array({}, shape=shape, dtype="f4")
    stored.attrs.update(attrs)
    return stored


def labels():
    numbers = np.random.default_rng(0).integers(0, 4, (5, 5)).repeat(4, 0).repeat(4, 1)
    return source(LABELS, numbers.astype(np.uint64), (4, 4), None, False)


def flow(kind):
    data = np.random.default_rng(1).normal(size=(2, 20, 20))
    return gp.ArraySource(FLOW, data, spec=gp.ArraySpec(voxel_size=(4, 4), kind=kind))


@pytest.mark.parametrize("name", WRITERS)
def test_written_affinities_are_turned_when_read_again(name, tmp_path):
    write, read, file = WRITERS[name]
    path = str(tmp_path / file)
    crop = gp.Crop(AFFS, WHOLE)
    line = (
        labels()
        + gp.AddAffinities(OFFSETS, LABELS, AFFS)
        + crop
        + write({AFFS: "affs"}, str(tmp_path), file)
    )
    served(line, asking(AFFS=WHOLE))
    found = read(path, {AFFS: "affs"})
    inner = gp.Roi((24, 28), (28, 32))
    together = (labels(), found) + gp.MergeProvider() + gp.SimpleAugment(transpose_only=[])
    with gp.build(together, seed=1):
        assert together.spec[AFFS].kind == gp.Affinities(OFFSETS)
        for _ in range(8):
            batch = together.request_batch(asking(AFFS=inner, LABELS=inner.grow(12, 12)))
            array = gp.ArraySource(LABELS, batch[LABELS])
            again = served(array + gp.AddAffinities(OFFSETS, LABELS, AFFS), asking(AFFS=inner))
            np.testing.assert_array_equal(batch[AFFS].data, again[AFFS].data)


@pytest.mark.parametrize("kind", [gp.Vectors("voxels"), gp.Vectors(), gp.Descriptors((8, 4)), None])
@pytest.mark.parametrize("file", ["snapshot.hdf", "snapshot.zarr"])
def test_snapshots_state_what_was_declared(kind, file, tmp_path):
    line = flow(kind) + gp.Snapshot({FLOW: "flow"}, str(tmp_path), file)
    served(line, asking(FLOW=gp.Roi((0, 0), (80, 80))))
    read = gp.ZarrSource if file.endswith("zarr") else gp.Hdf5Source
    again = read(str(tmp_path / file), {FLOW: "flow"})
    with gp.build(again):
        assert again.spec[FLOW].kind == kind


def test_what_is_given_wins(tmp_path):
    path = str(tmp_path / "flow.h5")
    with h5py.File(path, "w") as file:
        file["flow"] = np.zeros((2, 8, 8))
        file["flow"].attrs.update({"resolution": (4, 4), "vector_units": "voxels"})
    for given, kind in ((None, gp.Vectors("voxels")), (gp.Vectors(), gp.Vectors("world"))):
        read = gp.Hdf5Source(path, {FLOW: "flow"}, {FLOW: gp.ArraySpec(kind=given)})
        with gp.build(read):
            assert read.spec[FLOW].kind == kind


def test_arrays_in_memory_say_it_by_their_attributes():
    attrs = {"affinity_neighborhood": OFFSETS}
    array = gp.Array(np.zeros((3, 4, 4)), gp.ArraySpec(gp.Roi((0, 0), (16, 16)), (4, 4)), attrs)
    assert gp.ArraySource(AFFS, array).array_spec.kind == gp.Affinities(OFFSETS)
    stored = dataset(attrs, (3, 4, 4))
    there = gp.ArraySource(AFFS, stored, spec=gp.ArraySpec(voxel_size=(4, 4)))
    assert there.array_spec.kind == gp.Affinities(OFFSETS)


@pytest.mark.parametrize(
    "attrs", [{"affinity_neighborhood": [[0.5, 1]]}, {"vector_units": "nm"}], ids=str
)
def test_a_file_that_says_nonsense_is_named(attrs):
    stored = dataset(attrs, (2, 4, 4))
    with pytest.raises(MetadataConflict, match="Correct its attributes, or give kind="):
        gp.ArraySource(AFFS, stored, spec=gp.ArraySpec(voxel_size=(4, 4)))


def test_weights_of_affinities_are_turned_as_they_are():
    weights = gp.ArrayKey("WEIGHTS")
    add = gp.AddAffinities(OFFSETS, LABELS, AFFS, affinities_mask=gp.ArrayKey("KNOWN"))
    line = labels() + add + gp.BalanceLabels(AFFS, weights)
    with gp.build(line):
        for key in (AFFS, weights, gp.ArrayKey("KNOWN")):
            assert line.spec[key].kind == gp.Affinities(OFFSETS)
        assert line.spec[LABELS].kind is None
