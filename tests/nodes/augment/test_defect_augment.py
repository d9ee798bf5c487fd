import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import voxflow as gp
from tests.helpers import asking, served, source

RAW, ART, ALPHA = gp.ArrayKey("RAW"), gp.ArrayKey("ART"), gp.ArrayKey("ALPHA")
SIZE = gp.Coordinate(4, 9.8, 2)
DATA = (1 + np.random.default_rng(0).random((2, 6, 60, 61))).astype(np.float32)
NONE = {"prob_missing": 0.0, "prob_low_contrast": 0.0}


def voxels(begin, shape):
    return gp.Roi(gp.Coordinate(begin) * SIZE, gp.Coordinate(shape) * SIZE)


INNER = asking(RAW=voxels((0, 25, 25), (6, 9, 10)))


def spoiled(data=DATA, request=INNER, seed=1, **kwargs):
    node = gp.DefectAugment(RAW, **(NONE | kwargs))
    return served(source(RAW, data, SIZE) + node, request, seed)[RAW].data


def artifacts(value=7.0, alpha=0.25):
    volume = [np.full((1, 80, 80), v, np.float32) for v in (value, alpha)]
    return (source(ART, volume[0], SIZE), source(ALPHA, volume[1], SIZE)) + gp.MergeProvider()


HERE = DATA[:, :, 25:34, 25:35]


def test_missing_sections_are_0():
    assert (spoiled(prob_missing=1) == 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pale_sections_keep_their_mean(axis):
    made = spoiled(prob_low_contrast=1, contrast_scale=0.1, axis=axis)
    axes = tuple(a for a in (1, 2, 3) if a != axis + 1)
    mean = HERE.mean(axes, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(made, mean + (HERE - mean) * 0.1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_artefacts_are_blended(dtype):
    data = (DATA * 50).astype(dtype)
    kwargs = {"artifacts": ART, "artifacts_mask": ALPHA, "prob_artifact": 1}
    made = spoiled(data, artifact_source=artifacts() + gp.RandomLocation(), **kwargs)
    wanted = data[:, :, 25:34, 25:35] * 0.75 + 7 * 0.25
    assert made.dtype == dtype
    np.testing.assert_allclose(made, np.rint(wanted) if dtype == np.uint8 else wanted, rtol=1e-6)


def test_a_source_of_artefacts_can_be_used_again():
    class Closes(gp.BatchFilter):
        closed = 0

        def process(self, batch, request):
            pass

        def teardown(self):
            self.closed += 1

    closes = Closes()
    pipeline = artifacts() + closes + gp.RandomLocation()
    node = gp.DefectAugment(
        RAW, prob_artifact=1, artifact_source=pipeline, artifacts=ART, artifacts_mask=ALPHA, **NONE
    )
    for closed in (1, 2):
        served(source(RAW, DATA, SIZE) + node, INNER)
        assert closes.closed == closed


def test_a_fold_hides_what_lies_between_its_sides():
    places = np.broadcast_to(np.arange(60.0)[:, None], (1, 6, 60, 61)) + 1
    made = spoiled(places, prob_deform=1, deformation_strength=10)
    assert made.min() >= 1  # nothing black
    moved = made - places[:, :, 25:34, 25:35]
    assert 3 < np.abs(moved).max() <= 10 + 1e-9
    # the line shows where it is, and towards it both sides come
    assert np.ptp(made) > np.ptp(places[:, :, 25:34]) + 3
    still = spoiled(places, prob_deform=1, deformation_strength=0)
    np.testing.assert_allclose(still, places[:, :, 25:34, 25:35])


@given(seed=st.integers(0, 2**32), strength=st.floats(0, 40), at=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_a_fold_reads_only_what_is_there(seed, strength, at):
    request = asking(RAW=voxels((0, at, 0), (6, 10, 61)))
    made = spoiled(request=request, seed=seed, prob_deform=1, deformation_strength=strength)
    assert made.shape == (2, 6, 10, 61)
    assert 1 <= made.min() <= made.max() <= 2


def test_a_fold_moves_all_channels_of_its_section_and_no_other_section():
    data = np.stack([DATA[0], DATA[0]])
    made = spoiled(data, prob_deform=0.5, seed=3)
    np.testing.assert_array_equal(made[0], made[1])
    same = (made[0] == data[0, :, 25:34, 25:35]).all((1, 2))
    assert 0 < same.sum() < 6


def test_how_often_each_defect_occurs():
    data = np.ones((40, 2, 2), np.float32)
    data[:, 0] = 2
    kwargs = {"prob_missing": 0.2, "prob_low_contrast": 0.3, "prob_deform": 0.1}
    pipeline = source(RAW, data, (1, 1, 1)) + gp.DefectAugment(RAW, **kwargs)
    counts = np.zeros(4)
    with gp.build(pipeline, seed=2):
        for _ in range(50):
            made = pipeline.request_batch(asking(RAW=((0, 0, 0), (40, 2, 2))))[RAW].data
            missing = (made == 0).all((1, 2))
            pale = np.isclose(made[:, 0, 0], 1.55)
            whole = (made == data).all((1, 2))
            counts += missing.sum(), pale.sum(), whole.sum(), 40
    rates = counts[:3] / counts[3]
    # a fold in so small a section may not be seen
    assert abs(rates[0] - 0.2) < 0.04
    assert abs(rates[1] - 0.3) < 0.045
    assert 0.36 < rates[2] < 0.54


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"prob_missing": 0.7, "prob_deform": 0.5}, "add up to more than 1"),
        ({"prob_artifact": 0.1}, "needs artifact_source"),
        ({"prob_missing": 1.5}, "is a probability"),
        ({"axis": 3}, "has 3 spatial axes"),
        ({"deformation_strength": -1}, "0 or more"),
    ],
)
def test_mistakes(kwargs, message):
    with pytest.raises(ValueError, match=message):
        spoiled(**kwargs)


def test_artefacts_of_other_voxels_are_refused():
    other = (
        source(ART, np.zeros((1, 9, 9)), (4, 9, 2)),
        source(ALPHA, np.zeros((1, 9, 9)), SIZE),
    ) + gp.MergeProvider()
    kwargs = {"artifacts": ART, "artifacts_mask": ALPHA, "prob_artifact": 1}
    with pytest.raises(gp.PipelineSetupError, match="ART has voxels of"):
        spoiled(artifact_source=other, **kwargs)


def test_workers_spoil_the_same_sections():
    node = gp.DefectAugment(
        RAW, 0.1, 0.1, 0.3, 0.2, artifact_source=artifacts() + gp.RandomLocation(), artifacts=ART,
        artifacts_mask=ALPHA, deformation_strength=3,
    )  # fmt: skip
    pipeline = source(RAW, DATA, SIZE) + node
    with gp.build(pipeline, seed=5):
        here = [pipeline.request_batch(INNER)[RAW].data for _ in range(4)]
    pipeline = source(RAW, DATA, SIZE) + node + gp.PreCache(num_workers=2)
    with gp.build(pipeline, seed=5):
        there = [pipeline.request_batch(INNER)[RAW].data.copy() for _ in range(4)]
    np.testing.assert_array_equal(here, there)
    assert not np.array_equal(here[0], here[1])


def test_where_upstream_says_no_region_folds_ask_for_what_they_need():
    class Endless(gp.BatchProvider):
        def setup(self):
            self.provides(RAW, gp.ArraySpec(voxel_size=SIZE, dtype=np.float32))

        def provide(self, request):
            spec = self.spec[RAW].copy()
            spec.roi = request[RAW].roi
            batch = gp.Batch()
            shape = tuple(int(n) for n in spec.roi.shape / SIZE)
            batch[RAW] = gp.Array(np.ones(shape, np.float32), spec)
            return batch

    node = gp.DefectAugment(RAW, **NONE, prob_deform=1.0)
    assert (served(Endless() + node, INNER)[RAW].data == 1).all()
