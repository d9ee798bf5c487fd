"""Nodes that break one promise each, and what `check_node` says of them."""

import os
import random
import threading

import numpy as np
import pytest

import voxflow as gp
from voxflow.testing import BrokenPromise, check_node
from voxflow.testing.nodes import check_in_world
from voxflow.testing.world import draw_world


class Bright(gp.BatchFilter):
    """Keeps all promises; the others break one."""

    def __init__(self, array):
        self.array = array

    def setup(self):
        self.enable_autoskip()
        self.updates(self.array, self.spec[self.array].copy())

    def process(self, batch, request):
        batch[self.array].data = self.change(batch[self.array].data, request)

    def change(self, data, request):
        return data // 2


class Dice(Bright):
    def draw(self, request, rng):
        return int(rng.integers(1, 100))

    def change(self, data, request):
        return data // data.dtype.type(self.plan(request))


class WritesIntoItsInput(Bright):
    def change(self, data, request):
        data //= 2
        return data


class WritesThroughAView(Bright):
    def process(self, batch, request):
        values = batch[self.array].view
        values.flags.writeable = True
        values[:] = 0


class DrawsFromNumpy(Bright):
    def change(self, data, request):
        return data + data.dtype.type(np.random.randint(100))


class DrawsFromRandom(Bright):
    def prepare(self, request):
        random.random()


class SeedsNumpy(Bright):
    def change(self, data, request):
        np.random.seed(request.seed % 2**32)
        return data


class LooksAtTheState(Bright):
    def change(self, data, request):
        return data + data.dtype.type(random.getstate()[1][1] % 97)


class DrawsFromNowhere(Bright):
    def change(self, data, request):
        return data + np.random.default_rng().integers(0, 100, data.shape, data.dtype)


class CountsItsRequests(Bright):
    count = 0

    def change(self, data, request):
        self.count += 1
        return data // data.dtype.type(self.count)


class RemembersBetween(Dice):
    def prepare(self, request):
        self.strength = self.plan(request)

    def change(self, data, request):
        return data // data.dtype.type(self.strength)


class TakesTurns(Dice):
    """Goes wrong only if two threads are in it at once."""

    def setup(self):
        super().setup()
        self.inside = 0

    def prepare(self, request):
        self.inside += threading.current_thread() is not threading.main_thread()

    def change(self, data, request):
        return data // data.dtype.type(1 + self.inside)


class OtherType(Bright):
    def change(self, data, request):
        return data.astype(np.float32)


class OtherVoxels(Bright):
    def process(self, batch, request):
        batch[self.array].spec.voxel_size = batch[self.array].spec.voxel_size * 2


class SmallerRegion(Bright):
    def process(self, batch, request):
        array = batch[self.array]
        roi, size = array.spec.roi, array.spec.voxel_size
        batch[self.array] = array.crop(roi.grow(-size, 0))


class OtherShape(Bright):
    def change(self, data, request):
        return data[..., :-1]


class CallsItALabel(Bright):
    def process(self, batch, request):
        batch[self.array].spec.interpolatable = False


class Forgets(Bright):
    def process(self, batch, request):
        del batch[self.array]


class FollowsTheRegion(Bright):
    def change(self, data, request):
        return data - data.min()


class WithoutContext(Bright):
    def change(self, data, request):
        return np.roll(data, 1, axis=-1)


class LosesIds(Bright):
    def change(self, data, request):
        return data.astype(np.float64).clip(0, 2.0**63).astype(np.uint64)


class HoldsAGenerator(Bright):
    def setup(self):
        super().setup()
        self.numbers = (n for n in range(3))


class KnowsItsProcess(Bright):
    def __init__(self, array):
        super().__init__(array)
        self.home = os.getpid()

    def change(self, data, request):
        return data + data.dtype.type(os.getpid() == self.home)


class RunsAlways(Bright):
    def setup(self):
        self.updates(self.array, self.spec[self.array].copy())

    def process(self, batch, request):
        pass


class ChangesOthers(Bright):
    def setup(self):
        self.updates(self.array, self.spec[self.array].copy())

    def process(self, batch, request):
        for array in batch.arrays.values():
            array.data = array.data * 0


class AsksTooMuch(Bright):
    def prepare(self, request):
        wanted = request[self.array].copy()
        wanted.roi = wanted.roi.grow(wanted.roi.shape * 9, 0)
        return gp.BatchRequest({self.array: wanted})


class AsksAnew(Bright):
    times = 0

    def prepare(self, request):
        self.times += 1
        wanted = request[self.array].copy()
        grid = self.spec[self.array].voxel_size
        wanted.roi = wanted.roi.grow(grid * (self.times % 2), grid)
        return gp.BatchRequest({self.array: wanted})


class CountsPlaceholders(Bright):
    def process(self, batch, request):
        data = batch[self.array].data
        batch[self.array].data = data + np.uint8(gp.GraphKey("points") in request)


class CountsReplays(Bright):
    def process(self, batch, request):
        batch[self.array].data = batch[self.array].data + np.uint8(request.replayed)


class LooksUpstream(Bright):
    def change(self, data, request):
        return data + data.dtype.type(type(self.get_upstream_provider()).__name__ == "Probe")


BROKEN = [
    (WritesThroughAView, "leaves the sources", "is for reading only"),
    (DrawsFromNumpy, "global random state", "the state of np.random"),
    (DrawsFromRandom, "global random state", "the state of random"),
    (SeedsNumpy, "global random state", "the state of np.random"),
    (LooksAtTheState, "same seed", "two batches of one seed differ"),
    (DrawsFromNowhere, "same seed", "values differ, the first at"),
    (CountsItsRequests, "same seed", "two batches of one seed differ"),
    (RemembersBetween, "keeps nothing", r"between its prepare and process \(self.strength changed"),
    (TakesTurns, "keeps nothing", "two threads at once"),
    (OtherType, "delivers", "the spec promised uint.*, the data are float32"),
    (OtherVoxels, "delivers", "voxel size"),
    (SmallerRegion, "delivers", "asked for"),
    (OtherShape, "delivers", "shape"),
    (CallsItALabel, "delivers", "the spec promised interpolatable=True, it came with False"),
    (HoldsAGenerator, "travels", "cannot be sent to another process.*generator"),
    (KnowsItsProcess, "travels", "in another process it gives another batch"),
    (RunsAlways, "not asked", "enable_autoskip"),
    (ChangesOthers, "not asked", "it changed them"),
    (AsksTooMuch, "asks for what is there", "from the middle of what it provides is refused"),
    (AsksAnew, "asks the same", "one seed asked upstream for"),
    (CountsPlaceholders, "placeholders", "with points as a placeholder"),
    (CountsReplays, "replay", "replay"),
    (LooksUpstream, "same seed", "with another node upstream"),
]


@pytest.mark.parametrize("kind", [Bright, Dice])
def test_good_nodes_pass(kind):
    check_node(lambda w: kind(w.raw), local=True)


@pytest.mark.parametrize(("kind", "promise", "text"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_broken_promises_are_named(kind, promise, text):
    with pytest.raises(BrokenPromise, match=f"(?s){text}") as caught:
        check_node(lambda w: kind(w.raw), examples=2)
    message = str(caught.value)
    assert caught.value.promise == promise
    assert f'{kind.__name__} breaks the promise "{promise}"' in message
    assert "once more: check_node(make, axes='yx', seed=" in message
    assert "random_seed=" in message


def test_what_is_printed_shows_the_same_again():
    make = lambda w: FollowsTheRegion(w.floats)  # noqa: E731
    with pytest.raises(BrokenPromise) as caught:
        check_node(make, local=True, axes=("yx", "zyx"), examples=4)
    [line] = [line for line in str(caught.value).splitlines() if "once more: " in line]
    with pytest.raises(BrokenPromise) as again:
        eval(line.partition("once more: ")[2].removesuffix("asked for:"))
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize("kind", [FollowsTheRegion, WithoutContext])
def test_what_follows_the_region_is_not_local(kind):
    check_node(lambda w: kind(w.floats), axes="zyx")
    with pytest.raises(BrokenPromise, match="asked for by itself, is another one"):
        check_node(lambda w: kind(w.floats), axes="zyx", local=True)


def test_what_came_may_be_changed_unless_a_node_promises_to_leave_it():
    check_node(lambda w: Bright(w.raw), axes="zyx", reads_only=True)
    check_node(lambda w: WritesIntoItsInput(w.raw), axes="zyx")
    with pytest.raises(BrokenPromise, match="(?s)reads only.*make new arrays"):
        check_node(lambda w: WritesIntoItsInput(w.raw), axes="zyx", reads_only=True)


def test_lost_ids_are_found():
    check_node(lambda w: LosesIds(w.labels), axes="zyx")
    with pytest.raises(BrokenPromise, match="LABELS has ids that there are not upstream"):
        check_node(lambda w: LosesIds(w.labels), axes="zyx", keeps_ids=True)


class Moves(gp.BatchFilter):
    """Shows everything one voxel further; the others move something else by another step."""

    image, labels, points = 1, 1, 1

    def prepare(self, request):
        for key, spec in request.items():
            spec.roi = spec.roi.shift(self.step(key))

    def step(self, key):
        steps = {"FLOAT": self.image, "LABELS": self.labels, "points": self.points}
        size = self.spec[gp.ArrayKey("RAW")].voxel_size
        whole = self.spec[key].voxel_size if str(key) in ("LABELS", "MASK") else size
        return whole * round(steps.get(str(key), 0))

    def process(self, batch, request):
        for key, spec in request.items():
            batch[key].spec.roi = spec.roi
            if isinstance(key, gp.GraphKey):
                shift = np.array([float(v) for v in self.spec[gp.ArrayKey("RAW")].voxel_size])
                move = -np.array([float(v) for v in self.step(key)])
                move += (round(self.points) - self.points) * shift
                graph = batch[key].copy()
                graph.map_locations(lambda places: places + move)  # noqa: B023
                graph.spec.roi = spec.roi
                graph.remove_nodes(~graph.inside(spec.roi))
                batch[key] = graph


class MovesLabelsElsewhere(Moves):
    labels = 2


class MovesImageElsewhere(Moves):
    image = 0


class MovesPointsElsewhere(Moves):
    points = 3


class MovesPointsByHalf(Moves):
    points = 1.45


class LosesPoints(Moves):
    def process(self, batch, request):
        super().process(batch, request)
        for graph in batch.graphs.values():
            graph.remove_nodes(np.arange(len(graph.ids)) % 2 == 0)


ALL_KEYS = tuple(draw_world("yx", 0).keys)


@pytest.mark.parametrize("axes", ["yx", "zyx", "tzyx"])
def test_what_moves_together_is_registered(axes):
    check_node(lambda w: Moves(), axes=axes, registered=True, keeps_ids=True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (MovesLabelsElsewhere, "LABELS and FLOAT are not moved alike: at voxel"),
        (MovesImageElsewhere, "LABELS and FLOAT are not moved alike: at voxel"),
        (MovesPointsElsewhere, "points"),
        (MovesPointsByHalf, "points and image are not moved alike: .* 0.4"),
        (LosesPoints, "points are lost that the image shows"),
    ],
)
def test_what_moves_apart_is_not(kind, text):
    with pytest.raises(BrokenPromise, match=text) as caught:
        check_node(lambda w: kind(), axes=("yx", "zyx"), keys=ALL_KEYS, registered=True)
    assert caught.value.promise == "registered"


class Fails(Bright):
    def change(self, data, request):
        raise ZeroDivisionError("of its own")


def test_errors_of_the_node_say_how_to_see_them_again():
    with pytest.raises(ZeroDivisionError) as caught:
        check_node(lambda w: Fails(w.raw))
    assert any("check_node(make, axes='yx', seed=0" in note for note in caught.value.__notes__)


def test_a_node_has_to_be_made():
    with pytest.raises(TypeError, match=r"check_node\(lambda world: Bright\(world.raw\)\)"):
        check_node(Bright(gp.ArrayKey("RAW")))
    with pytest.raises(TypeError, match="has to return a node"):
        check_node(lambda w: None)


@pytest.mark.parametrize("axes", ["", "c", "zcyx", "zzyx", "abdefg"])
def test_axes_are_checked(axes):
    with pytest.raises(ValueError, match="axes are a letter each"):
        check_node(lambda w: Bright(w.raw), axes=axes)


def test_one_world_and_one_request():
    world = draw_world("zyx", 5)
    request = gp.BatchRequest({world.raw: world.inner}, random_seed=3)
    check_in_world(lambda w: Bright(w.raw), world, request, local=True)
    with pytest.raises(BrokenPromise, match="the same request in the same world"):
        check_in_world(lambda w: OtherType(w.raw), world, request)
