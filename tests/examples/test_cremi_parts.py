"""The parts of the CREMI example that need no network: sample, segment, evaluate, picture."""

import json
import sys
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

import voxflow as vf
from voxflow.segmentation import MutexWatershed, Watershed

SCRIPTS = Path(__file__).parents[2] / "examples" / "cremi"
NAMES = ("common", "sample", "segment", "evaluate", "picture")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def scripts():
    """The scripts as modules, imported as `python examples/cremi/...` does: from their folder."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield {name: import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in NAMES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def data(scripts, tmp_path_factory):
    """A folder with small samples."""
    folder = tmp_path_factory.mktemp("cremi")
    run(scripts["sample"], "--out", folder, "--size", 20, 112, 112)
    return folder


def run(script, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script.__name__, *map(str, arguments)])
        script.main()


def affinities_of(labels, neighborhood):
    """Slow and plain: one where the voxel and its neighbour are of one object, else zero."""
    result = np.zeros((len(neighborhood), *labels.shape))
    for channel, offset in enumerate(neighborhood):
        for here in np.ndindex(labels.shape):
            there = tuple(np.add(here, offset))
            if all(0 <= t < n for t, n in zip(there, labels.shape, strict=True)):
                result[channel][here] = labels[here] == labels[there] != 0
    return result


@pytest.fixture(scope="module")
def blobs():
    """Three objects of different kinds: two slabs, and one that exists in half of the sections."""
    labels = np.ones((4, 16, 24), np.uint64)
    labels[:, :, 11:] = 2**63 + 5
    labels[2:, 7:, :11] = 70
    return labels


def same_partition(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).shape[1]
    return pairs == len(np.unique(a)) == len(np.unique(b))


def test_samples_are_files_in_cremi_layout(data):
    assert sorted(p.name for p in data.iterdir()) == [f"sample_{n}.hdf" for n in "ABC"]
    with h5py.File(data / "sample_A.hdf") as file:
        raw, labels = file["volumes/raw"], file["volumes/labels/neuron_ids"]
        assert file.attrs["file_format"] == "0.2"
        assert (raw.dtype, labels.dtype) == (np.uint8, np.uint64)
        assert raw.shape == (20, 112, 112)
        assert labels.shape == (4, 40, 40)
        assert list(raw.attrs["resolution"]) == list(labels.attrs["resolution"]) == [40, 4, 4]
        assert list(labels.attrs["offset"]) == [320, 144, 144]
        assert labels[:].min() > 0
        assert len(np.unique(labels)) > 2
        assert raw[:].std() > 15


def test_a_seed_makes_the_same_sample_and_another_one_another(scripts):
    make, shape = scripts["sample"].sample, (4, 64, 64)
    one, same, other = (make(np.random.default_rng(seed), shape) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], same[0])
    np.testing.assert_array_equal(one[1], same[1])
    assert (one[0] != other[0]).mean() > 0.5


def test_borders_of_neurites_are_darker_than_their_inside(scripts):
    sample = scripts["sample"]
    raw, labels = sample.sample(np.random.default_rng(0), (8, 160, 160))
    distance = sample.depth(labels)
    assert raw[distance < 1].mean() + 15 < raw[distance > 6].mean()


def test_perfect_affinities_give_the_objects_back(scripts, blobs, tmp_path):
    segment, common = scripts["segment"], scripts["common"]
    affinities = 0.2 + 0.6 * affinities_of(blobs, common.THICK.neighborhood)
    for data in affinities.astype(np.float32), (affinities * 255).astype(np.uint8):
        file = tmp_path / f"{data.dtype}.hdf"
        common.save(file, common.AFFINITIES, predicted(scripts, data, (0, 0, 0)))
        found = segment.segment(file, min_size=10, block=(4, 9, 13))
        assert same_partition(found.data, blobs)
    assert not list(tmp_path.glob("*.segmentation"))


def test_small_objects_go_to_the_nearest_in_their_section(scripts):
    instances = np.full((3, 8, 8), 7, np.uint64)
    instances[1] = 9
    instances[1, 2, 2] = 3
    instances[1, 4:] = 0  # more than min_size, but no object
    cleaned = scripts["segment"].merge_small(instances, 5, (40, 4, 4))
    assert (cleaned[1] == 9).all()
    assert (cleaned[[0, 2]] == 7).all()


def test_what_suits_is_told_from_the_voxels(scripts, tmp_path):
    common = scripts["common"]
    for name, voxel_size in ("thick", (40, 4, 4)), ("isotropic", (10, 10, 10)):
        raw = place(np.zeros((2, 2, 2), np.uint8), (0, 0, 0), voxel_size)
        common.save(tmp_path / f"{name}.hdf", common.RAW, raw)
    assert common.setting(tmp_path / "thick.hdf") is common.THICK
    assert common.setting(tmp_path / "isotropic.hdf") is common.ISOTROPIC


def test_the_chosen_method_is_taken(scripts, tmp_path):
    segment = scripts["segment"]
    assert segment.chosen(tmp_path) == MutexWatershed()
    text = '{"method": "Watershed", "threshold": 0.3, "foreground": null}'
    (tmp_path / "method.json").write_text(text)
    assert segment.chosen(tmp_path) == Watershed(threshold=0.3)


def test_fragments_of_others_are_scored_where_the_file_has_them(scripts, blobs, tmp_path):
    common, file = scripts["common"], tmp_path / "a.hdf"
    raw = place(np.random.default_rng(0).integers(0, 255, blobs.shape, np.uint8), (0, 0, 0))
    affinities = affinities_of(blobs, common.THICK.neighborhood).astype(np.float32)
    common.save(file, common.RAW, raw)
    for name in common.LABELS, common.SEGMENTATION, common.FRAGMENTS:
        common.save(file, name, place(blobs, (0, 0, 0)))
    common.save(file, common.AFFINITIES, predicted(scripts, affinities, (0, 0, 0)))
    scores = scripts["evaluate"].evaluate(file, [file])
    assert list(scores) == ["a", "fragments", "watershed of raw"]
    assert scores["fragments"]["voi_sum"] == pytest.approx(0)
    assert scores["watershed of raw"]["voi_sum"] > 0.5


def place(data, offset, voxel_size=(40, 4, 4)):
    shape = vf.Coordinate(data.shape[-3:]) * vf.Coordinate(voxel_size)
    return vf.Array(data, vf.ArraySpec(roi=vf.Roi(offset, shape), voxel_size=voxel_size))


def predicted(scripts, data, offset):
    affinities = place(data, offset)
    affinities.spec.kind = vf.Affinities(scripts["common"].THICK.neighborhood)
    return affinities


def test_overlap_is_cut_in_world_units(scripts, tmp_path):
    common = scripts["common"]
    ramp = np.arange(6 * 8 * 8).reshape(6, 8, 8)
    common.save(tmp_path / "a.hdf", "raw", place(ramp, (0, 0, 0)))
    common.save(tmp_path / "a.hdf", "part", place(np.stack([ramp[2:, 3:]] * 2), (80, 12, 0)))
    raw, part = (common.load(tmp_path / "a.hdf", name) for name in ("raw", "part"))
    assert part.spec.roi == vf.Roi((80, 12, 0), (160, 20, 32))
    raw, part = common.overlap(raw, part)
    assert part.shape == (2, 4, 5, 8)
    np.testing.assert_array_equal(part, np.stack([raw] * 2))
    with pytest.raises(ValueError, match="no region is common"):
        common.overlap(place(ramp, (0, 0, 0)), place(ramp, (400, 0, 0)))
    with pytest.raises(ValueError, match="voxel sizes differ"):
        common.overlap(place(ramp, (0, 0, 0)), place(ramp, (0, 0, 0), (40, 8, 8)))


def test_a_second_run_replaces_the_first(scripts, tmp_path):
    common = scripts["common"]
    for size in 3, 2:
        common.save(tmp_path / "a.hdf", "x", place(np.full((size,) * 3, size), (0, 0, 0)))
    assert common.load(tmp_path / "a.hdf", "x").data.tolist() == np.full((2,) * 3, 2).tolist()


def test_scores_of_known_segmentations(scripts, blobs):
    score = scripts["evaluate"].score
    assert score(blobs + np.uint64(1), blobs)["voi_sum"] == pytest.approx(0)
    assert score(blobs, blobs)["arand"] == pytest.approx(0)
    halves = np.zeros((2, 4, 4), np.uint64) + np.arange(1, 3, dtype=np.uint64)[:, None, None]
    merged = score(np.ones_like(halves), halves)
    assert merged["voi_merge"] == pytest.approx(1)
    assert merged["voi_split"] == pytest.approx(0)
    unlabelled = halves.copy()
    unlabelled[0] = 0
    assert score(np.ones_like(halves), unlabelled)["voi_sum"] == pytest.approx(0)


def test_auc_of_affinities_looks_along_the_offsets(scripts, blobs):
    evaluate, neighborhood = scripts["evaluate"], scripts["common"].THICK.neighborhood
    affinities = affinities_of(blobs, neighborhood)
    assert evaluate.auc_of_affinities(affinities, blobs, neighborhood) == 1
    assert evaluate.auc_of_affinities(1 - affinities, blobs, neighborhood) == 0
    turned = [[-step for step in offset] for offset in neighborhood]
    assert evaluate.auc_of_affinities(affinities, blobs, turned) < 1


def test_scripts_run_one_after_the_other(scripts, data, tmp_path, capsys):
    common, source = scripts["common"], data / "sample_C.hdf"
    labels = common.load(source, common.LABELS)
    good = affinities_of(labels.data[:, 4:], common.THICK.neighborhood)
    bad = np.random.default_rng(0).random(good.shape)
    for name, affinities in ("trained", good), ("untrained", bad):
        file = tmp_path / f"{name}.hdf"
        where = labels.spec.roi.offset + vf.Coordinate(0, 16, 0)
        affinities = predicted(scripts, affinities.astype(np.float32), where)
        common.save(file, common.AFFINITIES, affinities)
    files = [tmp_path / "trained.hdf", tmp_path / "untrained.hdf"]
    run(scripts["segment"], *files, "--min-size", 4)
    run(scripts["evaluate"], *files, "--data", source)
    run(scripts["picture"], files[0], "--data", source)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"trained", "untrained", "watershed of raw"}
    assert scores["trained"]["voi_sum"] < 0.3 < scores["untrained"]["voi_sum"]
    assert scores["trained"]["auc"] == 1
    assert "voi_sum" in capsys.readouterr().out
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
