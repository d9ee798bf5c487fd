"""A training says where it has looked: the same with workers, after a resume, and never twice."""

import itertools

import numpy as np
import pytest
import torch

import voxflow as gp
from tests.torch.nets import OUT, RAW, TARGET, volume
from tests.training.sessions import Losses, pipeline, same, session, weights
from voxflow.torch import StepOptions
from voxflow.training import Coverage, Every, Keeper, read_coverage, read_events
from voxflow.training.coverage import _counted


def trained(folder, steps=6, **options):
    hooks = options.pop("hooks", [])
    made = session(hooks=[Coverage(), *hooks], stop_after=steps, run_dir=folder, **options)
    made.run()
    assert read_events(folder, ["failure"]) == []
    return read_coverage(folder)


def alike(left, right):
    assert [(m.source, m.key, m.visits) for m in left.maps] == [
        (m.source, m.key, m.visits) for m in right.maps
    ]
    assert all(np.array_equal(a.times, b.times) for a, b in zip(left.maps, right.maps, strict=True))
    assert left.classes.keys() == right.classes.keys()
    assert all(np.array_equal(left.classes[k], right.classes[k]) for k in left.classes)
    assert left.steps == right.steps


def test_the_map_is_of_the_regions_that_were_drawn_and_nothing_else_changes(tmp_path):
    plain, losses = Losses(), Losses()
    untouched = session(hooks=[plain], stop_after=6)
    untouched.run()
    watched = session(hooks=[Coverage(), losses], stop_after=6, run_dir=tmp_path)
    watched.run()
    assert plain.values == losses.values
    assert same(weights(untouched.model), weights(watched.model))

    covered = read_coverage(tmp_path)
    assert [(m.source, m.key, m.visits) for m in covered.maps] == [
        ("ArraySource", "RAW", 6),
        ("ArraySource-2", "TARGET", 6),
    ]
    places = pipeline()
    expected = {"RAW": np.zeros((24, 24)), "TARGET": np.zeros((24, 24))}
    with gp.build(places, seed=7):
        for _ in range(6):
            trace = places.trace(watched.request.at(places.run.next_position))
            places.request_batch(watched.request)
            for label, key in (("ArraySource", RAW), ("ArraySource-2", TARGET)):
                expected[str(key)][trace[label].request[key].roi.to_slices()] += 1
    for of in covered.maps:
        assert np.array_equal(of.times, expected[of.key])
        assert of.times.sum() == 6 * (12**2 if of.key == "RAW" else 8**2)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(tmp_path, workers):
    alone = trained(tmp_path / "a", nodes=[gp.PreCache(4, 0)])
    threads = gp.PreCache(4, workers, method="thread")
    alike(trained(tmp_path / "b", nodes=[threads]), alone)


@pytest.mark.slow
def test_processes_change_nothing(tmp_path):
    alone = trained(tmp_path / "a", nodes=[gp.Stack(2)], steps=20, model=Stacked())
    processes = [gp.Stack(2), gp.PreCache(4, 2)]
    alike(trained(tmp_path / "b", nodes=processes, steps=20, model=Stacked()), alone)
    assert alone.maps[0].visits == 40


class Stacked(torch.nn.Module):
    """A network for samples without channels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Conv2d(1, 1, 5)

    def forward(self, x):
        return self.net(x[:, None])[:, 0]


def test_all_samples_and_all_batches_of_a_step_are_counted(tmp_path):
    covered = trained(
        tmp_path,
        nodes=[gp.Stack(3)],
        steps=4,
        model=Stacked(),
        options=StepOptions(accumulate=2),
    )
    assert [of.visits for of in covered.maps] == [24, 24]
    assert covered.steps == 4


def test_a_resumed_run_counts_no_step_twice(tmp_path):
    straight = trained(tmp_path / "a", steps=9)

    class Breaks:
        def after_step(self, session, step):
            if step.number == 7:
                raise KeyboardInterrupt

    keeper = {"keeper": Keeper(tmp_path / "b" / "checkpoints", every=Every(steps=4))}
    made = session(
        hooks=[Coverage(pause=0), Breaks()], stop_after=9, run_dir=tmp_path / "b", **keeper
    )
    with pytest.raises(KeyboardInterrupt):
        made.run()
    # What was saved when it broke is thrown away: the run goes on from step 4.
    assert read_coverage(tmp_path / "b").steps == 7
    (tmp_path / "b" / "checkpoints" / "last.pt").unlink()
    keeper = {"keeper": Keeper(tmp_path / "b" / "checkpoints", every=Every(steps=4))}
    alike(trained(tmp_path / "b", steps=9, **keeper), straight)


def test_another_region_is_counted_anew(tmp_path):
    trained(tmp_path, steps=2)
    larger = (volume((30, 24)), volume(key=TARGET, seed=1)) + gp.MergeProvider()
    covered = trained(tmp_path, steps=5, pipeline=larger + gp.RandomLocation())
    assert [of.visits for of in covered.maps] == [3, 5]
    assert covered.maps[0].times.shape == (30, 24)


class Mean(gp.BatchFilter):
    """Makes a mask that is 1 where the batch is bright."""

    def process(self, batch, request):
        batch[TARGET].data = (batch[TARGET].data > 0.5).astype(np.float32)


def test_what_was_rejected_was_not_seen(tmp_path):
    nodes = [Mean(), gp.Reject(TARGET, min_masked=0.5)]
    covered = trained(tmp_path, nodes=nodes, steps=8)
    assert [of.visits for of in covered.maps] == [8, 8]


def test_inputs_are_counted_beside_how_likely_they_are(tmp_path):
    def pair(shape, seed):
        sources = volume(shape, seed=seed), volume(shape, key=TARGET, seed=seed + 1)
        return sources + gp.MergeProvider() + gp.RandomLocation()

    rare = (pair((24, 24), 0), pair((16, 24), 2)) + gp.RandomProvider([0.9, 0.1])
    covered = trained(tmp_path, steps=20, pipeline=rare)
    first, second = covered.branches
    assert first.sources == ["ArraySource", "ArraySource-2"]
    assert second.wanted == pytest.approx(0.1)
    assert covered.taken(first) + covered.taken(second) == 20
    assert covered.taken(first) > 12
    assert len(covered.maps) == 4
    assert covered.maps[2].visits == covered.taken(second)


class Classes(gp.BatchFilter):
    """Makes numbers of classes of the target."""

    def __init__(self, function):
        self.function = function

    def process(self, batch, request):
        batch[TARGET].data = self.function(batch[TARGET].data)


@pytest.mark.parametrize(
    ("function", "classes"),
    [
        (lambda data: (data * 3).astype(np.int64), {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
        (lambda data: data > 0.25, {0: 0.25, 1: 0.75}),
        (lambda data: np.where(data > 0.5, 7, 0).astype(np.float32), {0: 0.5, 7: 0.5}),
        (lambda data: np.where(data > 0.5, 2**62 + 9, 1).astype(np.uint64), {1: 0.5, 256: 0.5}),
        (lambda data: np.where(data > 0.5, -1, 1).astype(np.int8), {1: 0.5, 256: 0.5}),
    ],
)
def test_classes_of_the_target_are_counted(tmp_path, function, classes):
    loss = torch.nn.MSELoss()
    covered = trained(
        tmp_path,
        nodes=[Classes(function)],
        loss=lambda out, target: loss(out, target.to(torch.float32).clamp(-2, 2)),
    )
    counts = covered.classes[str(TARGET)]
    assert counts.sum() == 6 * 64
    assert set(np.flatnonzero(counts)) == classes.keys()
    for value, share in classes.items():
        assert counts[value] / counts.sum() == pytest.approx(share, abs=0.1)


def test_values_are_no_classes(tmp_path):
    assert trained(tmp_path).classes == {}


def test_large_arrays_are_counted_by_a_part_that_meets_all_rows_and_columns():
    columns = np.broadcast_to(np.arange(64, dtype=np.uint8), (64, 64, 64)).copy()
    counts = sum(_counted(gp.Array(columns), number) for number in range(80))
    assert counts[:64].min() > 0.8 * counts[:64].mean()
    assert 900 < _counted(gp.Array(columns), 0).sum() <= 1024
    assert _counted(gp.Array(np.zeros((0, 3), np.uint8)), 1).sum() == 0
    huge = np.array([1, 2**64 - 1, 2**63, 256], np.uint64)
    assert list(np.flatnonzero(_counted(gp.Array(huge), 1))) == [1, 256]
    for odd in (np.nan, np.inf, 0.5, 1e300):
        assert _counted(gp.Array(np.array([1.0, odd])), 1) is None


def test_it_is_written_while_the_run_goes_on(tmp_path):
    seen = []

    class Looks:
        def after_step(self, session, step):
            seen.append(read_coverage(tmp_path).steps)

    session(hooks=[Coverage(pause=0), Looks()], stop_after=3, run_dir=tmp_path).run()
    assert seen == [1, 2, 3]


def test_without_a_run_directory_it_counts_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coverage = Coverage(pause=0)
    session(hooks=[coverage], stop_after=3).run()
    assert [of.visits for of in coverage.covered.maps] == [3, 3]
    assert list(itertools.chain(tmp_path.iterdir())) == []
    assert OUT not in coverage._classes


def test_another_run_of_a_session_goes_on_counting():
    coverage = Coverage()
    one = session(hooks=[coverage], stop_after=2)
    one.run()
    one.stop_rules[0].steps = 5
    one.run()
    assert coverage.covered.steps == 5
    assert [of.visits for of in coverage.covered.maps] == [5, 5]
