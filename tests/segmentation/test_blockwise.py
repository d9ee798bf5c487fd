"""Segments of a file, block by block, whatever becomes of the run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import voxflow as gp
from tests.segmentation.volumes import NEIGHBORHOODS, cells
from voxflow.segmentation import Components, MutexWatershed, Watershed, segment, segment_blockwise
from voxflow.stores import (
    Geometry,
    OutputMismatch,
    create_dataset,
    open_dataset,
    read_geometry,
)

NEIGHBORHOOD = NEIGHBORHOODS[3]
SHAPE = (14, 20, 22)
PLACE = Geometry((40, 4, 4), (80, 0, 12))
QUIET = {"progress": gp.ScanCallback()}


@pytest.fixture(scope="module")
def volume():
    return cells(SHAPE, NEIGHBORHOOD)[1]


@pytest.fixture
def stored(volume, tmp_path):
    attrs = {"affinity_neighborhood": NEIGHBORHOOD}
    return put(tmp_path / "a.zarr", "affinities", volume, attrs=attrs), tmp_path


def put(store, path, data, **options):
    dataset = create_dataset(store, path, data.shape, data.dtype, geometry=PLACE, **options)
    dataset.write((), data)
    return store, path


def test_any_blocks_give_what_the_whole_gives(volume, stored):
    source, folder = stored
    whole = segment(volume, neighborhood=NEIGHBORHOOD, min_size=4)
    for number, block in enumerate([(7, 10, 11), (5, 20, 8), (64, 64, 64)]):
        target = folder / "out.zarr", f"segments/{number}"
        report = segment_blockwise(source, target, block=block, min_size=4, **QUIET)
        result = open_dataset(*target)
        assert (result.read() == whole).all()
        assert read_geometry(result).voxel_size == PLACE.voxel_size
        assert read_geometry(result).offset == PLACE.offset
        assert report.segments == whole.max()
        assert report.blocks == [8, 9, 1][number]


def test_mask_region_and_method(volume, stored):
    source, folder = stored
    mask = np.random.default_rng(0).random(SHAPE) < 0.9
    there = put(folder / "mask.hdf", "mask", mask.astype(np.uint8))
    method = Watershed(tile=4, context=4, threshold=0.7, foreground=0.2)
    region = gp.Roi((80 + 40 * 2, 8, 12 + 4 * 3), (40 * 11, 4 * 17, 4 * 18))
    target = folder / "out.hdf", "segments"
    segment_blockwise(source, target, method, mask=there, region=region, block=(8, 8, 12), **QUIET)
    cut = (slice(2, 13), slice(2, 19), slice(3, 21))
    spec = gp.ArraySpec(region, PLACE.voxel_size, kind=gp.Affinities(NEIGHBORHOOD))
    part = gp.Array(np.ascontiguousarray(volume[(slice(None), *cut)]), spec)
    whole = segment(part, method, mask=mask[cut])
    assert whole.spec.kind is None
    assert (open_dataset(*target).read() == whole.data).all()
    assert len(np.unique(whole.data)) > 3
    assert read_geometry(open_dataset(*target)).offset == region.offset


class Stop(Exception):
    stops = True


def test_what_is_done_is_not_done_again_and_what_is_lost_is(stored, monkeypatch):
    source, folder = stored
    target = folder / "out.zarr", "segments"
    made, stop_at = [], [5]
    fragments = MutexWatershed.fragments

    def counted(method, block):
        made.append(block.begin)
        if [len(made)] == stop_at:
            stop_at.clear()
            raise Stop
        return fragments(method, block)

    monkeypatch.setattr(MutexWatershed, "fragments", counted)
    block = {"block": (7, 10, 11), **QUIET}
    with pytest.raises(Stop):
        segment_blockwise(source, target, **block)
    report = segment_blockwise(source, target, **block)
    first = open_dataset(*target).read()
    # What was on its way when it was interrupted may have been made twice.
    assert len(set(made)) == 8
    assert len(made) <= 8 + 3
    made.clear()
    again = segment_blockwise(source, target, **block)
    assert not made
    assert again.segments == report.segments

    shutil.rmtree(report.folder)
    segment_blockwise(source, target, **block)
    assert len(made) >= 8
    assert (open_dataset(*target).read() == first).all()


def test_another_job_is_refused_unless_it_is_to_replace(stored):
    source, folder = stored
    target = folder / "out.zarr", "segments"
    block = {"block": (14, 20, 11), **QUIET}
    segment_blockwise(source, target, **block)
    first = open_dataset(*target).read()
    with pytest.raises(OutputMismatch, match="bias is 0.7"):
        segment_blockwise(source, target, MutexWatershed(bias=0.7), **block)
    with pytest.raises(OutputMismatch, match="min_size"):
        segment_blockwise(source, target, min_size=50, **block)
    with pytest.raises(OutputMismatch, match="exist='error'"):
        segment_blockwise(source, target, exist="error", **block)
    assert (open_dataset(*target).read() == first).all()
    segment_blockwise(source, target, Components(), exist="overwrite", **block)
    other = open_dataset(*target).read()
    assert (other != first).any()


def test_offsets_are_those_that_the_writer_stored(tmp_path):
    # Nobody types them twice: AddAffinities knows them, the file says them.
    labels, affinities = gp.ArrayKey("LABELS"), gp.ArrayKey("AFFINITIES")
    ids = np.repeat(np.arange(1, 5), 6)[:, None] * np.ones((1, 8), int)
    spec = gp.ArraySpec(voxel_size=(4, 4))
    pipeline = (
        gp.ArraySource(labels, ids, spec=spec)
        + gp.AddAffinities([[-1, 0], [0, -1]], labels, affinities)
        + gp.Hdf5Write({affinities: "affinities"}, tmp_path, "a.hdf")
    )
    block = gp.BatchRequest({affinities: gp.Roi((4, 4), (92, 28))})
    with gp.build(pipeline) as built:
        built.request_batch(block)
    target = tmp_path / "out.hdf", "segments"
    segment_blockwise(
        (tmp_path / "a.hdf", "affinities"), target, MutexWatershed(full=1), block=(9, 5), **QUIET
    )
    found = open_dataset(*target).read()
    assert (np.unique(found) == [1, 2, 3, 4]).all()
    assert (found == ids[1:, 1:]).all()


def test_bad_input_is_refused(volume, stored):
    source, folder = stored
    silent = put(folder / "b.zarr", "affinities", volume)
    target = folder / "out.zarr", "segments"
    with pytest.raises(ValueError, match="does not say which voxels"):
        segment_blockwise(silent, target, **QUIET)
    with pytest.raises(ValueError, match="block is 3 sizes"):
        segment_blockwise(source, target, block=(8, 8), **QUIET)
    with pytest.raises(ValueError, match="not made of whole tiles"):
        segment_blockwise(source, target, Watershed(tile=8), block=(8, 8, 12), **QUIET)
    small = put(folder / "mask.zarr", "mask", np.ones((14, 20, 21), np.uint8))
    with pytest.raises(gp.PipelineSetupError, match="not all of the affinities"):
        segment_blockwise(source, target, mask=small, **QUIET)
    assert not (folder / "out.zarr").exists()


PROGRAM = """
import sys
from pathlib import Path
from voxflow.segmentation import segment_blockwise
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    segment_blockwise(
        (folder / "a.zarr", "affinities"), (folder / "out.zarr", "segments"),
        block=(int(sys.argv[3]),) * 3, num_workers=int(sys.argv[2]),
    )
"""


def started(folder, workers, side):
    """A process that segments the affinities in a folder."""
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, folder / "program.py", folder, workers, side]
    environment = {**os.environ, "PYTHONPATH": str(Path(gp.__file__).parents[1])}
    return subprocess.Popen(
        list(map(str, command)),
        env=environment,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_time_and_gone_on_with(tmp_path, workers):
    shape = (72, 72, 72)
    affinities = cells(shape, NEIGHBORHOOD, 30)[1]
    attrs = {"affinity_neighborhood": NEIGHBORHOOD}
    put(tmp_path / "a.zarr", "affinities", affinities, attrs=attrs)
    kills = 0
    for seconds in (3, 5, 7, 9, 11, 13, None):
        process = started(tmp_path, workers, 24)
        try:
            assert process.wait(seconds) == 0
            break
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
    assert kills
    whole = segment(affinities, neighborhood=NEIGHBORHOOD)
    assert (open_dataset(tmp_path / "out.zarr", "segments").read() == whole).all()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "method", [MutexWatershed(), Watershed(threshold=0.7, tile=32)], ids=["mutex", "watershed"]
)
def test_a_large_volume_for_three_sizes_of_blocks_and_two_numbers_of_workers(tmp_path, method):
    shape = (256, 256, 256)
    neighborhood = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -5, 0], [0, 0, -5]]
    affinities = large(shape, neighborhood)
    attrs = {"affinity_neighborhood": neighborhood}
    source = put(tmp_path / "a.zarr", "affinities", affinities, attrs=attrs)
    # Seeds are far from boundaries in world units: the array has to say how large voxels are.
    spec = gp.ArraySpec(voxel_size=PLACE.voxel_size, kind=gp.Affinities(neighborhood))
    whole = segment(gp.Array(affinities, spec), method, min_size=20).data
    assert len(np.unique(whole)) > 100
    for side in (64, 96, 128):
        for workers in (1, 2):
            target = tmp_path / "out.zarr", f"{side}_{workers}"
            segment_blockwise(
                source, target, method,
                block=(side,) * 3, min_size=20, num_workers=workers, **QUIET,
            )  # fmt: skip
            assert (open_dataset(*target).read() == whole).all()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_large_volume_killed_in_each_pass_and_gone_on_with(tmp_path, workers):
    shape = (256, 256, 256)
    neighborhood = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -5, 0], [0, 0, -5]]
    affinities = large(shape, neighborhood)
    attrs = {"affinity_neighborhood": neighborhood}
    put(tmp_path / "a.zarr", "affinities", affinities, attrs=attrs)
    kept = tmp_path / "out.zarr.segments.segmentation"
    for made, many in (("fragments.zarr/**/*", 20), ("graph/*.npz", 20), ("../out.zarr/**/*", 20)):
        process = started(tmp_path, workers, 64)
        while process.poll() is None and sum(path.is_file() for path in kept.glob(made)) < many:
            time.sleep(0.1)
        assert process.poll() is None, "it was done before it was killed"
        kill(process)
    process = started(tmp_path, workers, 64)
    assert process.wait() == 0
    whole = segment(affinities, neighborhood=neighborhood)
    assert (open_dataset(tmp_path / "out.zarr", "segments").read() == whole).all()


def large(shape, neighborhood):
    """Affinities of a large volume, of a small one that is laid out again and again."""
    tile = cells((64, 64, 64), neighborhood, 40)[1] // 8 * 7
    repeats = (1, *(n // 64 for n in shape))
    rng = np.random.default_rng(0)
    return np.tile(tile, repeats) + rng.integers(0, 32, (len(tile), *shape), np.uint8)
