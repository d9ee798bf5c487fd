"""PipelineDataset: one sequence for any number of workers and ranks, which can be gone on with."""

import gc
import itertools
import pickle
import time

import numpy as np
import pytest
import torch
import torch.distributed
from torch.utils.data import DataLoader, get_worker_info

import voxflow as gp
from tests.helpers import GraphSource, OneBuffer, asking, children
from voxflow.pipeline.engine import PipelineSetupError, RequestRefused
from voxflow.pipeline.engine.workers import NotPicklable, WorkerFailed
from voxflow.torch import PipelineDataset, PipelineLoader, Train

RAW, IDS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("IDS"), gp.GraphKey("POINTS")

pytestmark = [
    # Of forks, from Python 3.12 on; of more workers than processors; and beside an error of ours.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:Got pickle error:UserWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def little_to_collect():
    """What is there before is not looked through again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_leftovers(monkeypatch):
    """Iterations that an error has kept are gone before the next test forks, which slows torch."""
    yield
    # A worker of an iteration that is collected is not told to end: torch ends it after this time.
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)
    gc.collect()


@pytest.fixture
def ended():
    """Says which processes have begun since and do not end."""
    before = {child.pid for child in children()}

    def begun():
        gc.collect()
        return [child for child in children() if child.pid not in before]

    def waited():
        deadline = time.monotonic() + 30
        while begun() and time.monotonic() < deadline:
            time.sleep(0.05)
        return begun()

    return lambda: not waited()


class Watched(gp.BatchFilter):
    """Writes a line where it is set up and torn down, and fails at one batch if it is told to."""

    def __init__(self, log=None, fails_at=None, error=None):
        self.log, self.fails_at, self.error = log, fails_at, error

    def note(self, what):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{what}\n")

    def setup(self):
        self.note("up")

    def process(self, batch, request):
        if request.position.index == self.fails_at:
            raise self.error

    def teardown(self):
        self.note("down")


class Local(Exception):
    """Has to be made of two arguments."""

    def __init__(self, one, two):
        super().__init__(one, two)


def source(key, dtype, shape=(24, 25), voxel_size=(4, 9)):
    size = gp.Coordinate(voxel_size)
    data = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    roi = gp.Roi((0,) * len(size), gp.Coordinate(shape[len(shape) - len(size) :]) * size)
    spec = gp.ArraySpec(roi, size, interpolatable=np.dtype(dtype).kind == "f")
    return gp.ArraySource(key, gp.Array(data, spec))


def pipeline(*more, shape=(24, 25), voxel_size=(4, 9)):
    sources = (
        source(RAW, np.float32, shape, voxel_size),
        source(IDS, np.uint32, shape, voxel_size),
    )
    made = sources + gp.MergeProvider() + gp.RandomLocation()
    for node in (
        gp.SimpleAugment(transpose_only=[]),
        gp.IntensityAugment(RAW, 0.5, 1.5, -1, 1, clip=False),
        *more,
    ):
        made = made + node
    return made


def asked(size=(7, 6), voxel_size=(4, 9)):
    request = gp.BatchRequest()
    request.add(RAW, gp.Coordinate(size) * gp.Coordinate(voxel_size))
    request.add(IDS, gp.Coordinate(size) * gp.Coordinate(voxel_size))
    return request


def dataset(*more, length=7, seed=3, **options):
    return PipelineDataset(pipeline(*more), asked(), length=length, seed=seed, **options)


def loaded(data, num_workers=0, method=None, **options):
    context = method if num_workers else None
    return DataLoader(
        data,
        batch_size=None,
        num_workers=num_workers,
        multiprocessing_context=context,
        **options,
    )


def straight(count, first=0, seed=3):
    """The batches as the pipeline gives them by itself."""
    made = pipeline()
    with gp.build(made, seed=seed):
        batches = [made.request_batch(asked()) for _ in range(first + count)]
    return batches[first:]


def assert_same(items, batches):
    assert len(items) == len(batches)
    for item, batch in zip(items, batches, strict=True):
        np.testing.assert_array_equal(item["RAW"].numpy(), batch[RAW].data, strict=True)
        np.testing.assert_array_equal(item["IDS"].numpy(), batch[IDS].data)
        assert item["token"] == str(batch.token)


def positions(items):
    return [item["position"] for item in items]


# -- one sequence -----------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 1, 2, 3])
def test_workers_give_the_run_of_the_pipeline(num_workers, ended):
    items = list(loaded(dataset(), num_workers, "fork"))
    assert positions(items) == list(range(7))
    assert_same(items, straight(7))
    assert ended()


@pytest.mark.parametrize(
    ("num_workers", "method"),
    [
        pytest.param(1, "spawn", marks=pytest.mark.slow),
        (2, "forkserver"),
        pytest.param(2, "spawn", marks=pytest.mark.slow),
        pytest.param(1, "forkserver", marks=pytest.mark.slow),
    ],
)
def test_the_way_that_workers_start_does_not_matter(num_workers, method):
    items = list(loaded(dataset(length=5), num_workers, method))
    assert positions(items) == list(range(5))
    assert_same(items, straight(5))


@pytest.mark.parametrize(
    ("shape", "voxel_size", "size"),
    [((25,), (3,), (8,)), ((3, 24, 25), (4, 9), (5, 6)), ((9, 24, 25), (40, 4, 9), (3, 5, 6))],
)
def test_any_number_of_dimensions_and_channels(shape, voxel_size, size):
    def items(num_workers):
        made = (
            pipeline(shape=shape, voxel_size=voxel_size),
            asked(size, voxel_size),
        )
        return list(loaded(PipelineDataset(*made, length=4, seed=1), num_workers, "fork"))

    for one, other in zip(items(0), items(2), strict=True):
        assert one["RAW"].shape == (*shape[: len(shape) - len(size)], *size)
        assert one["IDS"].dtype == torch.int64
        assert torch.equal(one["RAW"], other["RAW"])
        assert torch.equal(one["IDS"], other["IDS"])


def test_without_a_length_there_is_no_end():
    items = list(itertools.islice(loaded(dataset(length=None), 2, "fork"), 11))
    assert_same(items, straight(11))
    with pytest.raises(TypeError, match="has no end"):
        len(dataset(length=None))


def test_each_plain_iteration_gives_the_same():
    data = dataset()
    assert len(loaded(data)) == 7
    for num_workers in (0, 2):
        loader = loaded(data, num_workers, "fork")
        assert_same(list(loader), straight(7))
        assert_same(list(loader), straight(7))


def test_graphs_come_as_they_are():
    points = {2**64 - 1: (3, 4), 2: (10, 20)}
    made = GraphSource(POINTS, points, gp.Roi((0, 0), (40, 40)))
    request = gp.BatchRequest({POINTS: gp.Roi((0, 0), (40, 40))})
    for num_workers in (0, 1):
        data = PipelineDataset(made, request, length=1, seed=1)
        (item,) = loaded(data, num_workers, "fork")
        assert sorted(node.id for node in item["POINTS"].nodes) == sorted(points)


def test_tensors_share_the_memory_of_the_batch():
    seen = []

    class Keep(gp.BatchFilter):
        """Of ours: what others make is copied, as they may use it again."""

        __module__ = "voxflow.keep"

        def process(self, batch, request):
            batch[RAW].data = np.ascontiguousarray(batch[RAW].data)
            seen.append(batch[RAW].data)

    item = next(iter(dataset(Keep())))
    assert item["RAW"].data_ptr() == seen[0].ctypes.data


def test_items_of_one_buffer_are_apart():
    data = PipelineDataset(OneBuffer(RAW) + gp.Pad(RAW, (0,)), asking(RAW=((0,), (4,))), length=4)
    assert [int(item["RAW"][0]) for item in list(data)] == [1, 2, 3, 4]


def test_a_token_makes_the_batch_again():
    items = list(loaded(dataset(), 2, "fork"))
    made = pipeline()
    with gp.build(made, seed=99):
        again = made.replay(items[4]["token"])
    np.testing.assert_array_equal(items[4]["RAW"], again[RAW].data)


def test_a_drawn_seed_is_the_same_for_all_workers():
    data = dataset(seed=None)
    assert_same(list(loaded(data, 2, "fork")), straight(7, seed=data.seed))
    assert data.seed != dataset(seed=None).seed


# -- ranks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("world", "num_workers"), [(2, 0), (2, 2), (3, 2), (6, 1)])
def test_ranks_share_the_sequence(world, num_workers):
    shares = []
    for rank in range(world):
        data = dataset(length=6, rank=rank, world_size=world)
        assert len(data) == 6 // world
        shares.append(list(loaded(data, num_workers, "fork")))
        assert positions(shares[-1]) == list(range(rank, 6, world))
    assert_same([item for turn in zip(*shares, strict=True) for item in turn], straight(6))


def test_ranks_go_on_as_another_number_of_ranks():
    states = []
    for rank in range(2):
        data = dataset(length=12, rank=rank, world_size=2)
        last = list(itertools.islice(loaded(data, 2, "fork"), 3))[-1]
        states.append(data.state_dict(last))
    assert states[0] == states[1] == {"seed": 3, "index": 6}
    shares = []
    for rank in range(3):
        data = dataset(length=12, rank=rank, world_size=3)
        data.load_state_dict(states[0])
        shares.append(list(loaded(data)))
    assert_same([item for turn in zip(*shares, strict=True) for item in turn], straight(6, 6))


def test_an_item_of_another_rank_is_no_state():
    with pytest.raises(ValueError, match="rank 0 of 2"):
        dataset(length=6, rank=0, world_size=2).state_dict({"position": 3})


@pytest.fixture
def one_of_three(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)


@pytest.mark.slow
def test_the_rank_is_that_of_torch_distributed_in_workers_too(one_of_three):
    for num_workers, method in ((0, None), (2, "fork"), (1, "spawn")):
        items = list(loaded(dataset(length=6), num_workers, method))
        assert positions(items) == [1, 4]


def test_what_was_copied_before_torch_distributed_began_asks_again(request):
    copied = pickle.dumps(dataset(length=6))
    request.getfixturevalue("one_of_three")
    assert pickle.loads(copied).rank_and_world_size() == (1, 3)


def test_ranks_that_would_all_get_the_same_are_refused(monkeypatch, one_of_three):
    with pytest.raises(ValueError, match="same seed="):
        iter(dataset(length=6, seed=None))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="init_process_group"):
        iter(dataset())
    assert next(iter(dataset(length=6, rank=1, world_size=2)))["position"] == 1


def test_a_length_that_ranks_cannot_share_is_refused():
    data = dataset(length=7, rank=0, world_size=2)
    for use in (len, iter):
        with pytest.raises(ValueError, match="7 batches, cannot be shared evenly by 2 ranks"):
            use(data)


# -- state ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 1), (1, 3)])
@pytest.mark.parametrize("received", [1, 3, 4])
def test_a_plain_loader_goes_on_with_another_number_of_workers(before, after, received):
    data = dataset()
    last = list(itertools.islice(loaded(data, before, "fork"), received))[-1]
    state = pickle.loads(pickle.dumps(data.state_dict(last)))
    later = dataset(seed=None)
    later.load_state_dict(state)
    assert_same(list(loaded(later, after, "fork")), straight(7 - received, received))


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 1), (1, 3)])
def test_a_loader_goes_on_with_another_number_of_workers(before, after):
    loader = PipelineLoader(dataset(), before)
    items = list(itertools.islice(loader, 3))
    later = PipelineLoader(dataset(), after)
    later.load_state_dict(loader.state_dict())
    assert_same([*items, *later], straight(7))
    assert loader.state_dict() == {"seed": 3, "index": 3}
    assert later.state_dict() == {"seed": 3, "index": 7}


def test_a_state_survives_a_safe_checkpoint(tmp_path):
    data = dataset()
    state = data.state_dict(next(iter(data)))
    torch.save(state, tmp_path / "state")
    assert torch.load(tmp_path / "state", weights_only=True) == {"seed": 3, "index": 1}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_counts_what_was_received_and_goes_on_over_epochs(num_workers):
    loader = PipelineLoader(dataset(length=4), num_workers)
    items = []
    for item in loader:
        items.append(item)
        assert loader.state_dict()["index"] == len(items)
        if len(items) == 2:
            break
    items += [*loader, *loader]
    assert positions(items) == list(range(8))
    assert_same(items, straight(8))


def test_a_loader_of_a_rank_counts_for_all():
    loader = PipelineLoader(dataset(length=6, rank=1, world_size=2), 2)
    next(iter(loader))
    assert loader.state_dict() == {"seed": 3, "index": 2}
    assert positions(loader) == [3, 5]


@pytest.mark.parametrize(
    "state", [{}, {"seed": 1}, {"seed": 3, "index": "x"}, {"seed": 0.5, "index": 1}, None]
)
def test_what_is_no_state_is_refused(state):
    with pytest.raises(ValueError, match="no state"):
        dataset().load_state_dict(state)


def test_a_state_of_another_run_is_refused():
    with pytest.raises(ValueError, match="seed=4, but this dataset has seed=3"):
        dataset().load_state_dict({"seed": 4, "index": 0})
    with pytest.raises(ValueError, match="0 or more"):
        dataset().load_state_dict({"seed": 3, "index": -1})
    with pytest.raises(TypeError, match="takes an item"):
        dataset().state_dict({"position": torch.tensor([1])})


def test_a_worker_gives_no_state():
    data = dataset(length=1)
    loader = loaded(data, 1, "fork", collate_fn=lambda _: get_worker_info().dataset.state_dict())
    with pytest.raises(RuntimeError, match="does not know which"):
        list(loader)


# -- set up and torn down ---------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("kind", [loaded, PipelineLoader])
def test_what_is_broken_off_is_torn_down(tmp_path, num_workers, kind, ended):
    log = tmp_path / "log"
    data = dataset(Watched(log), length=None)
    loader = kind(data, num_workers)
    for item in loader:
        if item["position"] == 3:
            break
    del item
    assert ended()
    lines = log.read_text().split()
    assert lines.count("up") == lines.count("down") == max(1, num_workers)


def test_processes_of_the_pipeline_end_with_the_iteration(ended):
    data = dataset(gp.PreCache(cache_size=2, num_workers=1))
    items = iter(loaded(data))
    assert_same([next(items)], straight(1))
    del items
    assert ended()


def test_a_new_iteration_takes_the_pipeline_over():
    data = dataset()
    older = iter(data)
    next(older)
    assert next(iter(data))["position"] == 0
    with pytest.raises(RuntimeError, match="another iteration"):
        next(older)


def test_a_pipeline_that_is_set_up_elsewhere_is_refused():
    made = pipeline()
    data = PipelineDataset(made, asked(), length=2, seed=1)
    with gp.build(made, seed=1), pytest.raises(PipelineSetupError, match="set up already"):
        next(iter(data))


# -- what cannot be ---------------------------------------------------------------------------


def test_grouped_items_are_refused():
    for options in ({}, {"batch_size": 2, "num_workers": 1}):
        with pytest.raises(ValueError, match="batch_size=None"):
            next(iter(DataLoader(dataset(), **options)))


@pytest.mark.parametrize("option", [{"batch_size": 2}, {"shuffle": True}, {"drop_last": True}])
def test_a_loader_takes_nothing_that_groups(option):
    with pytest.raises(ValueError, match=f"takes no {next(iter(option))}"):
        PipelineLoader(dataset(), **option)


def test_a_loader_keeps_no_workers_and_takes_no_other_dataset():
    with pytest.raises(ValueError, match="persistent_workers"):
        PipelineLoader(dataset(), 1, persistent_workers=True)
    with pytest.raises(ValueError, match="in_order"):
        PipelineLoader(dataset(), 1, in_order=False)
    with pytest.raises(TypeError, match="takes a PipelineDataset"):
        PipelineLoader([1, 2])


def test_workers_that_are_kept_are_refused():
    loader = loaded(dataset(length=2), 1, "fork", persistent_workers=True)
    assert positions(loader) == [0, 1]
    with pytest.raises(RuntimeError, match="persistent_workers=False"):
        list(loader)


def test_a_pipeline_that_trains_is_refused(tmp_path):
    model = torch.nn.Linear(1, 1)
    train = Train(
        model,
        torch.nn.MSELoss(),
        torch.optim.SGD(model.parameters(), 0.1),
        {0: RAW},
        {0: gp.ArrayKey("OUT")},
        {0: gp.ArrayKey("OUT"), 1: RAW},
        checkpoint_basename=str(tmp_path / "model"),
    )
    with pytest.raises(ValueError, match="Train trains"):
        dataset(train)


def test_writers_are_refused_in_workers(tmp_path):
    def snapshots():
        return gp.Snapshot({RAW: "raw"}, str(tmp_path), "{id}.hdf", every=1)

    with pytest.raises(ValueError, match=r"(?s)Snapshot writes.*num_workers=0"):
        list(loaded(dataset(snapshots()), 1, "fork"))
    assert not list(tmp_path.iterdir())
    list(loaded(dataset(snapshots())))
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.slow
def test_precache_with_workers_is_refused_in_workers_and_ranks():
    ahead = gp.PreCache(cache_size=2, num_workers=1)
    with pytest.raises(ValueError, match="PreCache has 1 workers"):
        list(loaded(dataset(ahead), 2, "fork"))
    with pytest.raises(ValueError, match="2 ranks"):
        iter(dataset(ahead, length=6, rank=0, world_size=2))
    inline = gp.PreCache(cache_size=2, num_workers=0)
    assert_same(list(loaded(dataset(inline), 2, "fork")), straight(7))


def test_wrong_arguments_are_refused():
    for options, match in (
        ({"length": 0}, "length has to be at least 1"),
        ({"rank": 1}, "given together"),
        ({"rank": 2, "world_size": 2}, "rank=2 and world_size=2"),
    ):
        with pytest.raises(ValueError, match=match):
            dataset(**options)
    with pytest.raises(TypeError, match="BatchRequest, got dict"):
        PipelineDataset(pipeline(), {})
    with pytest.raises(ValueError, match="random_seed"):
        PipelineDataset(pipeline(), gp.BatchRequest(random_seed=1))
    for keys in (("A", "A"), ("position",), ("token",)):
        request = gp.BatchRequest({gp.ArrayKey(keys[0]): gp.Roi((0,), (1,))})
        if len(keys) == 2:
            request[gp.GraphKey(keys[1])] = gp.GraphSpec(gp.Roi((0,), (1,)))
        with pytest.raises(ValueError, match="there twice"):
            PipelineDataset(pipeline(), request)


def test_what_cannot_be_sent_is_named():
    node = Watched()
    node.held = (i for i in range(3))
    with pytest.raises(NotPicklable, match="held"):
        iter(loaded(dataset(node), 1, "spawn"))


# -- errors of workers ------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
def test_errors_keep_their_type(num_workers):
    data = dataset(Watched(fails_at=2, error=OSError("the disk is gone")))
    items = iter(loaded(data, num_workers, "fork"))
    assert positions(itertools.islice(items, 2)) == [0, 1]
    with pytest.raises(OSError, match="the disk is gone") as caught:
        next(items)
    assert isinstance(caught.value, gp.PipelineRequestError)


def test_errors_that_cannot_be_sent_are_told():
    class Inner(Exception):
        pass

    for error in (Inner("deep inside"), Local("deep", "inside")):
        data = dataset(Watched(fails_at=0, error=error))
        with pytest.raises((WorkerFailed, RuntimeError), match=r"(?s)deep.*inside"):
            list(loaded(data, 1, "fork"))


def test_a_request_that_cannot_be_served_says_its_reasons_once():
    data = PipelineDataset(pipeline(), asked((700, 6)), length=2, seed=1)
    with pytest.raises(RequestRefused) as caught:
        list(loaded(data, 1, "fork"))
    assert len(caught.value.problems) == 1
