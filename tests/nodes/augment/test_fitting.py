"""What becomes of maps that read more than there is."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import Nothing, asking, ids, ramp, served, source
from voxflow.nodes.augment.fitting import TRIES
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps import Affine

RAW, IDS = gp.ArrayKey("RAW"), gp.ArrayKey("IDS")
SIZE = gp.Coordinate(2, 2)
WORLD = gp.Roi((0, 0), (80, 80))
WHOLE, INNER = WORLD, gp.Roi((30, 30), (20, 20))


class Moves(SpatialAugment):
    """Moves by so many world units at most."""

    def __init__(self, far, on_failure="error", p=1.0):
        self.far, self.on_failure, self.p = far, on_failure, p

    def draw(self, request, rng):
        return Affine(np.eye(2), [0, 0], 2 * np.rint(rng.uniform(-self.far, self.far, 2) / 2))


def volume(key=RAW):
    return source(key, ramp(WORLD, SIZE) + 1, SIZE, WORLD.offset, True)


def counts(batch, name="Moves"):
    got = batch.profiling_stats.get_counts()
    return got.get((name, "maps drawn"), 0), got.get((name, "maps failed"), 0)


def test_an_error_is_the_default_and_nothing_is_counted():
    with pytest.raises(gp.PipelineRequestError, match="RAW"):
        served(volume() + Moves(200), asking(RAW=WHOLE))
    assert counts(served(volume() + Moves(10), asking(RAW=INNER))) == (0, 0)


@pytest.mark.parametrize("upstream", [[], [gp.RandomLocation]], ids=["fixed", "located"])
def test_skip_shows_what_is_there_and_counts(upstream):
    pipeline = volume()
    for node in upstream:
        pipeline = pipeline + node()
    pipeline = pipeline + Moves(60, "skip")
    plain = ramp(WHOLE, SIZE) + 1
    batch = served(pipeline, asking(RAW=WHOLE))
    if upstream:  # elsewhere than asked for, there is nothing that would not fit
        assert counts(batch) == (1, 0)
    else:
        assert counts(batch) == (1, 1)
    np.testing.assert_array_equal(batch[RAW].data, plain)


def test_a_region_that_fits_nowhere_fails_below_random_locations():
    turn = gp.Warp(rotation=(0.7, 0.8), spatial_dims=2, on_failure="skip")
    pipeline = volume() + gp.RandomLocation() + turn
    batch = served(pipeline, asking(RAW=WHOLE))
    assert counts(batch, "Warp") == (1, 1)
    np.testing.assert_array_equal(batch[RAW].data, ramp(WHOLE, SIZE) + 1)
    assert counts(served(pipeline, asking(RAW=INNER)), "Warp") == (1, 0)


def test_retry_draws_until_it_fits_and_gives_up_at_last():
    near = [served(volume() + Moves(60, "retry"), asking(RAW=INNER), seed) for seed in range(60)]
    drawn, failed = np.transpose([counts(batch) for batch in near])
    assert ((drawn - failed == 1) | (drawn == TRIES)).all()
    assert ((drawn > 1) & (drawn < TRIES)).any()
    assert (drawn == 1).any()
    for batch in near:
        # moved as a whole, and by something that was there
        assert batch[RAW].data.min() > 0
        assert np.ptp((batch[RAW].data - ramp(INNER, SIZE)).reshape(2, -1), axis=1).max() == 0
    far = served(volume() + Moves(200, "retry"), asking(RAW=WHOLE))
    assert counts(far) == (TRIES, TRIES)
    np.testing.assert_array_equal(far[RAW].data, ramp(WHOLE, SIZE) + 1)


def test_a_retry_is_another_draw_than_the_first_and_the_same_each_time():
    once = [served(volume() + Moves(60, "retry"), asking(RAW=INNER), seed) for seed in range(20)]
    again = [
        served(volume() + Nothing() + Moves(60, "retry"), asking(RAW=INNER), seed)
        for seed in range(20)
    ]
    for one, two in zip(once, again, strict=True):
        np.testing.assert_array_equal(one[RAW].data, two[RAW].data)
        assert counts(one) == counts(two)


def test_pad_fills_with_zeros_and_reflect_mirrors():
    for seed in range(10):
        zero = served(volume() + Moves(60, "pad"), asking(RAW=WHOLE), seed)
        mirrored = served(volume() + Moves(60, "reflect"), asking(RAW=WHOLE), seed)
        assert counts(zero) == counts(mirrored) == (1, 1)
        there = zero[RAW].data[0] != 0
        assert 0 < there.mean() < 1
        np.testing.assert_array_equal(zero[RAW].data[:, there], mirrored[RAW].data[:, there])
        # the ramp, mirrored at 0 and 80 (with 1 added)
        place = mirrored[RAW].data - 1
        step = (place - ramp(WHOLE, SIZE))[:, there][:, 0]
        meant = ramp(WHOLE, SIZE) + step[:, None, None]
        np.testing.assert_allclose(place, 80 - np.abs(80 - meant % 160), atol=1e-9)


def test_far_beyond_the_border_there_is_nothing_but_padding():
    class Away(Moves):
        def draw(self, request, rng):
            return Affine(np.eye(2), [0, 0], [1000, 0])

    zero = served(volume() + Away(1, "pad"), asking(RAW=INNER))
    assert zero[RAW].data.shape == (2, 10, 10)
    assert not zero[RAW].data.any()
    mirrored = served(volume() + Away(1, "reflect"), asking(RAW=INNER))
    assert mirrored[RAW].data.min() > 0


def test_labels_are_padded_too_and_only_what_lacks():
    labels = source(IDS, ids(WORLD, SIZE) + np.uint64(2**63), SIZE, WORLD.offset, False)
    pipeline = (volume(), labels) + gp.MergeProvider() + Moves(60, "reflect")
    request = asking(RAW=WHOLE, IDS=gp.Roi((20, 20), (40, 40)))
    batch = served(pipeline, request, 3)
    number = (batch[IDS].data - np.uint64(2**63)).astype(np.int64) - 1
    index = np.stack(np.unravel_index(number, (40, 40)))
    want = batch[RAW].data[:, 10:30, 10:30]
    np.testing.assert_allclose(index * 2 + 2, want)


def test_two_nodes_in_a_row_that_pad_are_one_map():
    pipeline = volume() + Moves(50, "reflect").named("a") + Moves(50, "reflect").named("b")
    batch = served(pipeline, asking(RAW=WHOLE), 2)
    assert batch[RAW].data.min() > 0
    drawn, failed = counts(batch)
    assert drawn == 2
    assert failed >= 1


@pytest.mark.parametrize("policy", ["pad", "reflect"])
def test_what_was_cut_off_is_not_asked_of_the_nodes_upstream(policy):
    """A mirror upstream shows what is there, mirrored: the same as if the file were."""
    voxels, names = ramp(WORLD, SIZE) + 1, ids(WORLD, SIZE)
    flip = gp.SimpleAugment(mirror_probs=[1, 1], transpose_only=[])
    batches = []
    for mirror, upstream in ((slice(None), flip), (slice(None, None, -1), Nothing())):
        given = (
            source(RAW, voxels[:, mirror, mirror].copy(), SIZE, WORLD.offset, True),
            source(IDS, names[mirror, mirror].copy(), SIZE, WORLD.offset, False),
        )
        turn = gp.ElasticAugment((8, 8), (1, 1), (0.3, 0.5), spatial_dims=2, on_failure=policy)
        pipeline = given + gp.MergeProvider() + upstream + turn
        batches.append(served(pipeline, asking(RAW=WHOLE, IDS=WHOLE)))
    assert counts(batches[0], "ElasticAugment") == (1, 1)
    assert (batches[0][RAW].data == 0).any() == (policy == "pad")
    np.testing.assert_allclose(batches[0][RAW].data, batches[1][RAW].data, atol=1e-9)
    np.testing.assert_array_equal(batches[0][IDS].data, batches[1][IDS].data)


class By(SpatialAugment):
    """Moves by some world units."""

    def __init__(self, step, on_failure):
        self.step, self.on_failure = step, on_failure

    def draw(self, request, rng):
        return Affine(np.eye(2), [0, 0], self.step)


@pytest.mark.parametrize("first", ["pad", "reflect"])
@pytest.mark.parametrize("second", ["error", "pad", "reflect"])
@pytest.mark.parametrize("step", [3, 11, 21])
def test_each_of_two_nodes_in_a_row_fills_in_its_own_way(first, second, step):
    """What one node makes is all that the next one knows, though both are one map."""
    one, two = By([30, 0], first).named("one"), By([step, 0], second).named("two")
    region = gp.Roi((0, 0), (80 if second != "error" else 50, 80))
    rows = np.arange(1.0, 81)[:, None] + np.zeros((80, 80))
    volume = source(RAW, rows, gp.Coordinate(1, 1), WORLD.offset, True)
    batch = served(volume + one + two, asking(RAW=region))
    past = {"pad": "constant", "reflect": "symmetric", "error": "edge"}
    moved = np.pad(rows, [(0, 30), (0, 0)], past[first])[30:]
    meant = np.pad(moved, [(0, step), (0, 0)], past[second])[step:][: region.shape[0]]
    np.testing.assert_allclose(batch[RAW].data, meant)


@pytest.mark.parametrize("policy", ["retry", "skip", "pad"])
def test_four_axes_that_do_not_fit(policy):
    cube, half = gp.Roi((0,) * 4, (2, 2, 2, 8)), gp.Roi((0,) * 4, (2, 2, 2, 4))
    whole = np.arange(64).reshape(2, 2, 2, 8)
    size = gp.Coordinate((1,) * 4)
    given = (
        source(RAW, whole, size, cube.offset, False),
        source(IDS, whole[..., :4].copy(), size, cube.offset, False),
    )
    flip = gp.SimpleAugment(mirror_probs=[0, 0, 0, 1], transpose_only=[], on_failure=policy)
    batch = served(given + gp.MergeProvider() + flip, asking(RAW=cube, IDS=half))
    padded = policy == "pad"
    np.testing.assert_array_equal(batch[RAW].data, whole[..., ::-1] if padded else whole)
    np.testing.assert_array_equal(batch[IDS].data, 0 if padded else whole[..., :4])
    assert counts(batch, "SimpleAugment")[1] >= 1


@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_counts_come_from_workers(method):
    pipeline = volume() + Moves(200, "skip") + gp.PreCache(4, num_workers=2, method=method)
    with gp.build(pipeline, seed=1):
        for _ in range(3):
            assert counts(pipeline.request_batch(asking(RAW=WHOLE))) == (1, 1)


def test_a_request_is_not_counted_that_goes_by():
    batches = [served(volume() + Moves(60, "skip", p=0.5), asking(RAW=WHOLE), s) for s in range(20)]
    drawn = [counts(batch)[0] for batch in batches]
    assert 4 < sum(drawn) < 16


def test_other_mistakes_stay_errors():
    missing = asking(RAW=INNER, IDS=INNER)
    for policy in ("retry", "skip", "pad", "reflect"):
        with pytest.raises(gp.PipelineRequestError, match="IDS"):
            served(volume() + Moves(5, policy), missing)
    with pytest.raises(ValueError, match="one of 'error', 'retry'"):
        gp.SimpleAugment(on_failure="sometimes")
