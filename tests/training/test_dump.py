"""A batch as files that read back equal, with pictures in which vectors are arrows."""

import numpy as np
import pytest

import voxflow as gp
from voxflow.pictures.arrows import _COLOUR
from voxflow.pipeline.data.kinds import Vectors
from voxflow.stores import open_dataset
from voxflow.training import dump_batch

image = pytest.importorskip("PIL.Image")
RAW, IDS, FIELD, STEP = (gp.ArrayKey(name) for name in ("RAW", "IDS", "FIELD", "STEP"))


def batch(dims, samples=2):
    """A volume or an image with channels, ids, a field of vectors, and a vector for each sample."""
    rng, shape = np.random.default_rng(dims), (5, 24, 21)[-dims:]
    region = gp.Roi((40, 8, 12)[-dims:], gp.Coordinate(shape) * gp.Coordinate((40, 4, 4)[-dims:]))
    made = gp.Batch()

    def put(key, data, **more):
        made[key] = gp.Array(data, gp.ArraySpec(region, (40, 4, 4)[-dims:], **more))

    put(RAW, rng.random((samples, 1, *shape), dtype=np.float32))
    put(IDS, rng.integers(0, 2**64 - 1, (samples, *shape), np.uint64), interpolatable=False)
    field = np.zeros((samples, dims, *shape), np.float32)
    field[:, -1] = 3
    put(FIELD, field, kind=Vectors())
    step = rng.random((samples, dims), dtype=np.float32)
    made[STEP] = gp.Array(step, gp.ArraySpec(nonspatial=True))
    return made


@pytest.mark.parametrize(("dims", "kind"), [(2, "hdf"), (3, "hdf"), (3, "zarr")])
def test_what_is_written_reads_back_equal_and_is_drawn(tmp_path, dims, kind):
    made = batch(dims)
    file, picture = dump_batch(made, tmp_path / "new", 7, format=kind, styles={STEP: "vectors"})
    assert (file.name, picture.name) == (f"batch-7.{kind}", "batch-7.png")
    for key, array in made.items():
        data = open_dataset(file, str(key))
        found = data.read(tuple(slice(0, n) for n in data.shape))
        assert found.dtype == array.data.dtype
        assert np.array_equal(found, array.data)
    pixels = np.asarray(image.open(picture))
    arrows = (pixels == _COLOUR).all(axis=-1)
    # Two columns have arrows: the field, and one arrow for each sample.
    columns = np.flatnonzero(arrows.any(axis=0))
    assert (np.diff(columns) > 60).sum() == 1
    assert {*(tmp_path / "new").iterdir()} == {file, picture}


def test_what_cannot_be_written_or_drawn_is_said(tmp_path):
    made = batch(2)
    with pytest.raises(ValueError, match="not as 'h5'"):
        dump_batch(made, tmp_path, format="h5")
    made[STEP] = gp.Array(np.zeros((2, 3), np.float32), gp.ArraySpec(nonspatial=True))
    with pytest.raises(ValueError, match="a last axis of 2 for the axes of space"):
        dump_batch(made, tmp_path, styles={STEP: "vectors"})
