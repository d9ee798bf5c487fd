"""A batch is made again from its snapshot, where its nodes can be stepped through."""

import os

import numpy as np
import pytest

import voxflow as gp

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


class Seen(gp.BatchFilter):
    """Says in which process it works."""

    def __init__(self):
        self.processes = []

    def process(self, batch, request):
        self.processes.append(os.getpid())


def made(*last, dims=2, workers=0):
    rng = np.random.default_rng(0)
    spec = gp.ArraySpec(voxel_size=(4,) * dims)
    shape = (21,) * dims
    image = rng.random(shape, dtype=np.float32)
    ids = rng.integers(0, 2**64 - 1, shape, dtype=np.uint64)
    seen = Seen()
    pipeline = (
        (gp.ArraySource(RAW, image, spec=spec), gp.ArraySource(LABELS, ids, spec=spec))
        + gp.MergeProvider()
        + gp.RandomLocation()
        + gp.SimpleAugment()
        + gp.IntensityAugment(RAW, 0.5, 1.5, -0.1, 0.1)
        + seen
        + gp.PreCache(4, workers, method="thread")
    )
    for node in last:
        pipeline += node
    request = gp.BatchRequest()
    request.add(RAW, (20,) * dims)
    request.add(LABELS, (12,) * dims)
    return pipeline, request, seen


def snapshots(folder, name="{id}.zarr"):
    return gp.Snapshot({RAW: "raw", LABELS: "labels"}, folder, name, every=2)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", ["{id}.zarr", "{id}.hdf"])
def test_the_batch_of_a_snapshot_is_the_same(tmp_path, dims, name):
    pipeline, request, _ = made(snapshots(tmp_path, name), dims=dims)
    with gp.build(pipeline, seed=3):
        batches = [pipeline.request_batch(request) for _ in range(3)]
    third = sorted(tmp_path.iterdir())[1]

    def same(batch, other):
        return all(np.array_equal(batch[key].data, other[key].data) for key in (RAW, LABELS))

    fresh, _, _ = made(dims=dims)
    assert same(gp.replay(third, fresh), batches[2])
    assert not fresh.initialized
    with gp.build(fresh, seed=99):  # whatever run it is in, which does not go on
        before = fresh.run.next_position
        assert same(gp.replay(str(third), fresh), batches[2])
        assert fresh.run.next_position == before
    assert not same(batches[0], batches[2])


def test_it_is_made_in_this_process_and_writes_nothing(tmp_path):
    pipeline, request, _ = made(snapshots(tmp_path))
    with gp.build(pipeline, seed=3):
        pipeline.request_batch(request)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    pipeline, _, seen = made(snapshots(tmp_path), workers=2)
    gp.replay(file, pipeline)
    assert seen.processes == [os.getpid()]  # this very node, no copy of it
    assert [file] == list(tmp_path.iterdir())
    assert file.stat().st_mtime_ns == written


def test_what_has_no_token_says_so(tmp_path):
    pipeline, *_ = made()
    gp.stores.create_dataset(tmp_path / "a.zarr", "raw", (2,), np.uint8)
    np.savez(tmp_path / "a.npz", RAW=np.zeros(2))
    for name in ("a.zarr", "a.npz"):
        with pytest.raises(ValueError, match=rf"{name} has no replay_token"):
            gp.replay(tmp_path / name, pipeline)
    gp.stores.open_attrs(tmp_path / "a.zarr", mode="r+")["replay_token"] = "{}"
    with pytest.raises(ValueError, match="no replay token"):
        gp.replay(tmp_path / "a.zarr", pipeline)
    with pytest.raises(gp.stores.StoreError):
        gp.replay(tmp_path / "b.zarr", pipeline)
    assert not pipeline.initialized
